"""Small networks that learn, batches for them, and their losses in Keras and in interpreters."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from keras import layers

import edgeax
from edgeax.runtime.plugin import delegate_path

REPOSITORY = Path(__file__).resolve().parents[2]
TFLITE_RUNTIME = REPOSITORY / "build" / "tflite_runtime" / "bin" / "python"
RUN_STEPS = Path(__file__).with_name("run_steps.py")
BATCH = 4


def branching(seed=0):
    """Two convolutions, a depthwise one and a dense layer, with all that is between them."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((10, 10, 1), name="image")
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="first")(image)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.MaxPooling2D(2)(x)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu6", name="depthwise")(x)
    y = layers.Conv2D(4, 1, name="second")(x)
    x = layers.Concatenate()([layers.Add()([x, y]), y])
    x = layers.Flatten()(layers.AveragePooling2D(2)(x))
    return keras.Model(image, layers.Dense(3, activation="softmax", name="last")(x))


def convolutional(width=4):
    """Two convolutions in front of a dense layer, for training of the last layer only."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((10, 10, 1)),
            layers.Conv2D(width, 3, strides=2, activation="relu", name="first"),
            layers.Conv2D(width, 3, activation="relu", name="second"),
            layers.Flatten(),
            layers.Dense(3, name="last"),
        ]
    )


def batches(steps, seed=0):
    """A bright square in one of three places, and in which."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 3, (steps, BATCH)).astype(np.int32)
    images = generator.normal(size=(steps, BATCH, 10, 10, 1)).astype(np.float32) * 0.3
    for image, label in zip(images.reshape(-1, 10, 10), labels.ravel(), strict=True):
        image[3 * label : 3 * label + 4, 3 * label : 3 * label + 4] += 1.0
    return images, labels


def keras_losses(model, optimizer, images, labels):
    """Trains a model as Keras does and returns the loss of each step."""
    from_logits = model.layers[-1].activation is not keras.activations.softmax
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model.compile(optimizer, loss)
    losses = []
    for x, y in zip(images, labels, strict=True):
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x, y)))
    return np.array(losses)


def interpreter(path):
    """The stock interpreter with the plugin."""
    return Interpreter(model_path=str(path), experimental_delegates=[edgeax.load_delegate()])


def file_losses(path, images, labels, rate):
    """Trains a file of one input, `image`, in this process and returns the loss of each step."""
    step = interpreter(path).get_signature_runner("train")
    rate = np.float32([rate])
    pairs = zip(images, labels, strict=True)
    return [step(image=x, y=y, learning_rate=rate)["loss"] for x, y in pairs]


def run_steps(python, module, path, images, labels, rate, folder, **others):
    """Trains a file in a process without TensorFlow; see run_steps.py."""
    data, out = folder / "data.npz", folder / "out.npz"
    np.savez(data, images=images, labels=labels, learning_rate=np.float32([rate]), **others)
    words = [str(python), str(RUN_STEPS), module, str(delegate_path()), str(path), data, out]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    outcome = subprocess.run(words, capture_output=True, text=True, env=clean, timeout=120)
    assert outcome.returncode == 0, outcome.stderr
    return dict(np.load(out))


HOSTS = {
    "ai_edge_litert.interpreter": Path(sys.executable),
    "tflite_runtime.interpreter": TFLITE_RUNTIME,
}


def selective(seed=0):
    """A convolution, two blocks that a step can leave out, and a dense layer."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((10, 10, 1), name="image")
    x = layers.Conv2D(4, 3, strides=2, name="first")(image)
    for number in range(2):
        given = keras.Input(x.shape[1:])
        y = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(given)
        block = keras.Model(given, layers.Add()([given, y]), name=f"block_{number}")
        x = edgeax.layers.SelectiveBlock(block, 1.0, seed=number, name=f"selective_{number}")(x)
    return keras.Model(image, layers.Dense(3, name="last")(layers.Flatten()(x)))
