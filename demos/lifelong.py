"""Lifelong learning: a deployed model learns on, for a part of the energy, and does not forget.

    python demos/lifelong.py --story classes --output build/lifelong
    python demos/lifelong.py --story drift --output build/lifelong

`classes`: new classes of pictures arrive, two at a time. `drift`: the camera turns, and what comes
looks less and less like what the model was trained on. The model sees each stage alone; beside the
new pictures it rehearses earlier ones, from a memory of 100 kB that is a file on the device. It
trains with `edgeax.lifelong.E2Train`: batches are dropped, residual blocks skipped and signs of
gradients predicted. The same training without the memory stands beside it. A bundled piece of
Fashion-MNIST is used; `--data DIR` takes the whole one from `DIR/fashion_mnist.npz`.
"""

import argparse
import pathlib

import keras
import numpy as np

import edgeax

BUNDLED = pathlib.Path(__file__).parent / "data" / "fashion_mnist_subset.npz"
BATCH = 32
CAPACITY = 100_000  # bytes
BITS = 4
RATE = 0.002
TURNS = (0, 30, 60, 90)  # degrees

layers = keras.layers


def load(folder, count=None):
    """Returns (train, test) as pairs of images in 0..1, shape (n, 14, 14, 1), and labels."""
    path = pathlib.Path(folder) / "fashion_mnist.npz" if folder else BUNDLED
    with np.load(path) as data:
        pairs = (data["x_train"], data["y_train"]), (data["x_test"], data["y_test"])
    return [(halved(images[:count]), labels[:count].astype("int32")) for images, labels in pairs]


def halved(images):
    """Returns gray levels (n, 28, 28) as means of four pixels in 0..1."""
    means = images.reshape(len(images), 14, 2, 14, 2, 1).mean(axis=(2, 4))
    return (means / 255.0).astype("float32")


def stages_of_classes(train, test):
    """Returns a list of (name, train, test): two classes each."""
    stages = []
    for first in range(0, 10, 2):
        parts = [(x[y // 2 == first // 2], y[y // 2 == first // 2]) for x, y in (train, test)]
        stages.append((f"classes {first} and {first + 1}", *parts))
    return stages


def stages_of_drift(train, test):
    """Returns a list of (name, train, test): each stage its own pictures, turned further."""
    stages = []
    for number, degrees in enumerate(TURNS):
        mine = slice(number, None, len(TURNS))
        parts = [(turned(x[mine], degrees), y[mine]) for x, y in (train, test)]
        stages.append((f"turned by {degrees} degrees", *parts))
    return stages


def turned(images, degrees):
    """Returns images turned about their centers."""
    share = degrees / 360.0
    turn = layers.RandomRotation((share, share), fill_mode="constant")
    return np.clip(turn(images, training=True).numpy(), 0.0, 1.0)


STORIES = {"classes": stages_of_classes, "drift": stages_of_drift}


def build_network():
    """Returns a ResNet of 11 layers for images (14, 14, 1)."""

    def conv(x, filters, size=3, strides=1):
        x = layers.Conv2D(filters, size, strides, padding="same", use_bias=False)(x)
        return layers.BatchNormalization(momentum=0.9)(x)

    given = keras.Input((14, 14, 1))
    x = layers.ReLU()(conv(given, 16))
    for strides, filters in ((1, 16), (1, 16), (2, 32), (1, 32)):
        short = x if strides == 1 else conv(x, filters, 1, 2)
        inner = layers.ReLU()(conv(x, filters, 3, strides))
        x = layers.ReLU()(layers.Add()([short, conv(inner, filters)]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(given, layers.Dense(10)(x))


def learn(model, e2, data, epochs):
    """Trains on a stage; returns how much of the modelled energy of plain training it took."""
    rates = [RATE * (1.0 + np.cos(np.pi * epoch / epochs)) / 2.0 for epoch in range(epochs)]
    falling = keras.callbacks.LearningRateScheduler(lambda epoch: rates[epoch])
    callbacks = [falling, *e2.callbacks(BATCH)]
    history = model.fit(data, epochs=epochs, verbose=0, callbacks=callbacks).history
    plain = edgeax.cost.training_cost(build_network(), BATCH).total.energy_pj
    return np.mean(history["step_energy_pj"]) / plain


def accuracies(model, stages):
    """Returns the accuracy on the test images of each stage."""
    found = []
    for _, _, (images, labels) in stages:
        found.append((model.predict(images, verbose=0).argmax(-1) == labels).mean())
    return found


def live(stages, epochs, memory=None):
    """Learns stage after stage; returns the model and its accuracy on each stage at the end.

    Args:
        stages: List of (name, train, test).
        epochs: Of each stage.
        memory: File of the rehearsal buffer; None for a life without one.
    """
    keras.utils.set_random_seed(1)
    e2 = edgeax.lifelong.E2Train(drop=0.5, keep=0.6)
    model = e2.prepare(build_network())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    e2.compile(model, RATE, loss, jit_compile=False)
    for number, (name, (images, labels), _) in enumerate(stages):
        share = number / (number + 1) if memory and number else 0.0
        if memory and number:
            buffer = edgeax.lifelong.RehearsalBuffer.load(memory)
        else:
            buffer = edgeax.lifelong.RehearsalBuffer(CAPACITY, images.shape[1:], 10, BITS)
        new = round(BATCH * (1.0 - share))
        data = edgeax.lifelong.rehearse(buffer, images, labels, share, new, seed=number)
        energy = learn(model, e2, data, epochs)
        if memory:
            buffer.add(images, labels)
            buffer.save(memory)
        seen = accuracies(model, stages[: number + 1])
        print(
            f"   {name:<24} accuracy on all so far {np.mean(seen):.3f}, on the first stage "
            f"{seen[0]:.3f}; {energy:.0%} of the modelled energy",
            flush=True,
        )
    return model, seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--story", choices=STORIES, default="classes")
    parser.add_argument("--output", default="build/lifelong", help="folder of the files")
    parser.add_argument("--data", help="folder that holds fashion_mnist.npz")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of each stage")
    parser.add_argument("--images", type=int, help="how many of the images, all without it")
    arguments = parser.parse_args()
    output = pathlib.Path(arguments.output)
    output.mkdir(parents=True, exist_ok=True)
    memory = output / "memory.npz"
    stages = STORIES[arguments.story](*load(arguments.data, arguments.images))

    print("1. Stage after stage, with nothing but the new pictures")
    _, forgotten = live(stages, arguments.epochs)
    print(f"2. The same, with a memory of {CAPACITY:,} bytes")
    model, kept = live(stages, arguments.epochs, memory)
    buffer = edgeax.lifelong.RehearsalBuffer.load(memory)
    print(f"   {buffer.bytes:,} bytes in use, pictures of each class: {buffer.counts.tolist()}")
    print("3. Export what was learned")
    samples = buffer.samples()[0][:500]
    plain = edgeax.lifelong.E2Train().finished(model, samples)
    result = edgeax.export(plain, output / "model.tflite", samples, measure=False)
    print(f"   model.tflite, {result.size_bytes:,} bytes; ", end="")
    print(f"without gates: accuracy {np.mean(accuracies(plain, stages)):.3f}")
    print(f"Accuracy on all stages: {np.mean(forgotten):.3f} without, {np.mean(kept):.3f} with it")


if __name__ == "__main__":
    main()
