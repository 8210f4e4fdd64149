"""Quickstart: a network learns Fashion-MNIST, gets small while it trains, and runs as three files.

    python demos/quickstart.py --output build/quickstart

The float network is trained first. Then edgeax prunes half of its weights, lets the rest share 16
values and rounds everything to integers while it trains on. Out come `float.tflite`, `int8.tflite`
(the float network rounded afterwards), `model.tflite` (edgeax), a table, a picture and a receipt.

A bundled piece of the data set is used by default. `--data DIR` takes the whole one from
`DIR/fashion_mnist.npz`, `--whole` downloads it with keras.datasets.
"""

import argparse
import json
import pathlib

import keras
import matplotlib
import numpy as np
from ai_edge_litert.interpreter import Interpreter

import edgeax

matplotlib.use("Agg")
import matplotlib.pyplot as plt

BUNDLED = pathlib.Path(__file__).parent / "data" / "fashion_mnist_subset.npz"
BATCH = 64


def load(arguments):
    """Returns (train, test) as pairs of images in 0..1, shape (n, 28, 28, 1), and labels."""
    if arguments.whole:
        train, test = keras.datasets.fashion_mnist.load_data()
    else:
        path = pathlib.Path(arguments.data) / "fashion_mnist.npz" if arguments.data else BUNDLED
        with np.load(path) as data:
            train = data["x_train"], data["y_train"]
            test = data["x_test"], data["y_test"]
    return [
        (images[..., None].astype("float32") / 255.0, labels) for images, labels in (train, test)
    ]


def build_network():
    """Returns a convolutional network of 217,000 parameters."""
    layers = keras.layers
    image = x = keras.Input((28, 28, 1))
    for filters, strides in ((16, 1), (32, 2), (48, 1), (64, 2)):
        x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Conv2D(64, 3, strides=2, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(128, activation="relu")(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def train(network, data, epochs, learning_rate, callbacks=()):
    """Trains with a learning rate that falls to zero; the last 1,000 images tell how it goes."""
    images, labels = data
    steps = epochs * -(-(len(images) - 1000) // BATCH)
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, steps)),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    network.fit(
        images[:-1000],
        labels[:-1000],
        batch_size=BATCH,
        epochs=epochs,
        validation_data=(images[-1000:], labels[-1000:]),
        callbacks=list(callbacks),
        verbose=2,
    )


def compress(network, steps):
    """Returns the network with pruning, weight sharing and rounding built in, ready to train on."""
    kernel = [
        edgeax.Prune(edgeax.PolynomialDecay(0.0, 0.5, 0, steps // 3, frequency=20)),
        edgeax.Cluster(16, begin_step=steps // 3 + 1),
        edgeax.Quantize("int8", axis=-1),
    ]
    activation = edgeax.Quantize("int8")
    rule = edgeax.Rule(".*", kernel=kernel, input=activation, output=activation)
    return edgeax.compress(network, edgeax.Recipe([rule]))


def answers(path, images):
    """Returns the classes that a file gives, run in the stock interpreter."""
    interpreter = Interpreter(str(path), experimental_delegates=[edgeax.load_delegate()])
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    classes = []
    for image in images:
        interpreter.set_tensor(given, image[None])
        interpreter.invoke()
        classes.append(interpreter.get_tensor(result)[0].argmax())
    return np.array(classes)


def draw(receipt, path):
    """Draws accuracy against bytes."""
    figure, axes = plt.subplots(figsize=(5, 3.5))
    for name in ("float", "int8", "edgeax"):
        size, accuracy = receipt[f"{name}_bytes"], receipt[f"{name}_accuracy"]
        axes.scatter(size / 1000, 100 * accuracy, s=60)
        axes.annotate(
            name, (size / 1000, 100 * accuracy), xytext=(6, 6), textcoords="offset points"
        )
    axes.set(xlabel="file size in kB", ylabel="test accuracy in %", xscale="log")
    axes.margins(0.25)
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", default="build/quickstart", help="folder of the files")
    parser.add_argument("--data", help="folder that holds fashion_mnist.npz")
    parser.add_argument("--whole", action="store_true", help="download the whole data set")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of each of the two trainings")
    arguments = parser.parse_args()
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(1)

    data, (test_images, test_labels) = load(arguments)
    network = build_network()
    print(f"1. Train {network.count_params():,} parameters in float32")
    train(network, data, arguments.epochs, learning_rate=2e-3)

    print("2. Prune, cluster and quantize while training on")
    steps = arguments.epochs * -(-(len(data[0]) - 1000) // BATCH)
    small = compress(network, steps)
    train(small, data, arguments.epochs, learning_rate=1e-3)
    print(edgeax.summary(small))

    print("3. Export")
    samples = data[0][:300]
    files = {name: output / f"{name}.tflite" for name in ("float", "int8", "model")}
    edgeax.export(network, files["float"], samples, activations="float32", measure=False)
    edgeax.export(network, files["int8"], samples, runtime="stock", measure=False)
    print(edgeax.export(small, files["model"], samples))

    print("4. Run in the stock interpreter")
    given = {name: answers(path, test_images) for name, path in files.items()}
    kept = small.predict(test_images, batch_size=256, verbose=0).argmax(-1)
    times = edgeax.runtime.latency.measure(
        {name: edgeax.Interpreter(path, num_threads=1) for name, path in files.items()},
        test_images[:1],
        repeats=200,
    )
    receipt = {}
    for name, file in (("float", "float"), ("int8", "int8"), ("edgeax", "model")):
        receipt[f"{name}_bytes"] = files[file].stat().st_size
        receipt[f"{name}_accuracy"] = float(np.mean(given[file] == test_labels))
        receipt[f"{name}_ms"] = times[file]
    receipt["argmax_agreement"] = float(np.mean(given["model"] == kept))
    (output / "receipt.json").write_text(json.dumps(receipt, indent=2) + "\n")
    draw(receipt, output / "accuracy_against_bytes.png")

    print(f"\n{'file':<8}{'bytes':>10}{'accuracy':>10}{'median ms':>11}")
    for name in ("float", "int8", "edgeax"):
        size, accuracy = receipt[f"{name}_bytes"], receipt[f"{name}_accuracy"]
        print(f"{name:<8}{size:>10,}{accuracy:>10.4f}{receipt[f'{name}_ms']:>11.3f}")
    print(f"Keras and model.tflite give the same answer on {receipt['argmax_agreement']:.2%}.")
    print(f"Files, receipt.json and accuracy_against_bytes.png are in {output}.")


if __name__ == "__main__":
    main()
