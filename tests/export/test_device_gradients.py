"""Gradients made of operators that runtimes have: equal to TensorFlow's own, also in a file."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.export import device_gradients
from edgeax.runtime import Trainer

layers = keras.layers
LABELS = np.int32([0, 1, 2, 0])


def gradients(function, x):
    """Returns the results, and the gradient of a sum of them with unequal weights."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        results = function(x)
        weights = tf.reshape(tf.range(tf.size(results), dtype=tf.float32), tf.shape(results))
        total = tf.reduce_sum(results * tf.sin(weights))
    return results.numpy(), tape.gradient(total, x).numpy()


def check_same(ours, theirs, x):
    for found, expected in zip(gradients(ours, x), gradients(theirs, x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "layer, shape",
    [
        (layers.UpSampling2D((2, 3)), (2, 4, 3, 2)),
        (layers.UpSampling2D((2, 3), interpolation="bilinear"), (2, 4, 3, 2)),
        (layers.UpSampling2D(2, interpolation="bicubic"), (2, 4, 3, 2)),
        (layers.UpSampling1D(3), (2, 4, 3)),
        (layers.RepeatVector(3), (2, 4)),
    ],
)
def test_what_is_resized_or_repeated_has_the_gradients_of_tensorflow(layer, shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    check_same(lambda x: device_gradients.run(layer, (x,), {}), layer, x)


def test_gelu_has_the_gradient_of_tensorflow_near_zero_and_far_from_it():
    x = np.float32([-20.0, -6.0, -1.0, -2e-3, -1e-3, -1e-7, 0.0, 1e-5, 1e-3, 0.3, 2.0, 20.0])
    check_same(device_gradients.gelu, keras.activations.gelu, x)


def images():
    x = layers.Conv2D(3, 3, padding="same", activation="gelu")(given := keras.Input((6, 6, 2)))
    x = layers.Cropping2D(((1, 2), (0, 1)))(x)
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.UpSampling2D((1, 2))(x))
    x = layers.AveragePooling2D(2)(x)
    return keras.Model(given, layers.Dense(3)(layers.Flatten()(x)))


def sequences():
    x = layers.GRU(3, return_sequences=True)(given := keras.Input((5, 2)))
    x = layers.UpSampling1D(2)(layers.Activation("gelu")(x))
    x = layers.RepeatVector(2)(layers.LSTM(3)(x))
    x = layers.Flatten()(x)
    return keras.Model(given, layers.Dense(3)(x))


@pytest.mark.parametrize("make", [images, sequences])
def test_a_file_is_trained_as_by_keras(make, tmp_path):
    def made():
        keras.utils.set_random_seed(0)
        return make()

    model = made()
    x = np.random.default_rng(0).normal(size=(4, *model.input_shape[1:])).astype(np.float32)
    training = edgeax.OnDeviceTraining(keras.optimizers.SGD(0.1), batch_size=4)
    edgeax.export(model, tmp_path / "model.tflite", train=training, measure=False)
    trainer = Trainer(tmp_path / "model.tflite")
    found = [trainer.train_on_batch(x, LABELS)["loss"] for _ in range(4)]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    expected = []
    for _ in range(4):
        with tf.GradientTape() as tape:
            value = loss(LABELS, model(x))
        expected.append(float(value))
        for variable, step in zip(
            model.trainable_variables,
            tape.gradient(value, [v.value for v in model.trainable_variables]),
            strict=True,
        ):
            variable.assign(variable - 0.1 * step)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found[-1] < found[0]
