"""Deep compression: a LeNet-5 becomes a file a fiftieth of its size, in one call and one training.

    python demos/deep_compression.py --output build/deep_compression

The float network is trained first. `edgeax.deep_compression` then prunes 19 of 20 weights, lets the
rest share 16 values, and trains on between. `edgeax.export(..., optimize="size")` codes what is
left; the plugin decodes it once, when the file is loaded, and runs it in the stock interpreter. A
bundled piece of Fashion-MNIST is used; `--data DIR` takes the whole one from
`DIR/fashion_mnist.npz`.
"""

import argparse
import pathlib

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

import edgeax

BUNDLED = pathlib.Path(__file__).parent / "data" / "fashion_mnist_subset.npz"
BATCH = 64
SPARSITY = {"conv1": 0.3, "conv2": 0.85, "ip1": 0.96, "ip2": 0.8}
CLUSTERS = dict.fromkeys(SPARSITY, 16)


def load(folder):
    """Returns (train, test) as pairs of images in 0..1, shape (n, 28, 28, 1), and labels."""
    path = pathlib.Path(folder) / "fashion_mnist.npz" if folder else BUNDLED
    with np.load(path) as data:
        pairs = (data["x_train"], data["y_train"]), (data["x_test"], data["y_test"])
    return [(images[..., None].astype("float32") / 255.0, labels) for images, labels in pairs]


def build_network():
    """Returns Caffe's LeNet-5: 431,080 parameters."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(20, 5, name="conv1"),
            layers.MaxPooling2D(),
            layers.Conv2D(50, 5, name="conv2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(500, activation="relu", name="ip1"),
            layers.Dense(10, name="ip2"),
        ]
    )


def train(network, data, epochs, learning_rate):
    """Trains with a learning rate that falls to zero."""
    images, labels = data
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps_of(images))
    network.compile(
        keras.optimizers.Adam(schedule),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    network.fit(images, labels, batch_size=BATCH, epochs=epochs, verbose=2)


def steps_of(images):
    """Returns the training steps of an epoch."""
    return -(-len(images) // BATCH)


def accuracy(path, data):
    """Returns the accuracy of a file in the stock interpreter."""
    interpreter = Interpreter(str(path), experimental_delegates=[edgeax.load_delegate()])
    interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    right = 0
    for image, label in zip(*data, strict=True):
        interpreter.set_tensor(given, image[None])
        interpreter.invoke()
        right += int(interpreter.get_tensor(result).argmax() == label)
    return right / len(data[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", default="build/deep_compression", help="folder of the files")
    parser.add_argument("--data", help="folder that holds fashion_mnist.npz")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of each of the two trainings")
    arguments = parser.parse_args()
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(1)

    data, test = load(arguments.data)
    network = build_network()
    print(f"1. Train {network.count_params():,} parameters in float32")
    train(network, data, arguments.epochs, learning_rate=1e-3)

    print("2. Prune and cluster while training on")
    steps = arguments.epochs * steps_of(data[0])
    small = edgeax.compress(network, edgeax.deep_compression(steps, SPARSITY, CLUSTERS))
    train(small, data, arguments.epochs, learning_rate=1e-3)

    print("3. Export, and run in the stock interpreter")
    float_file, file = output / "float.tflite", output / "model.tflite"
    edgeax.export(network, float_file, data[0][:300], activations="float32", measure=False)
    print(edgeax.export(small, file, data[0][:300], optimize="size"))
    for name, path in (("float", float_file), ("edgeax", file)):
        size = path.stat().st_size
        print(f"{name:<8}{size:>12,} bytes, accuracy {accuracy(path, test):.4f}")


if __name__ == "__main__":
    main()
