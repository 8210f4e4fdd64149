import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.transforms import Chain, Quantize
from edgeax.transforms.near_zero import NearZero
from tests.model import small_models
from tests.transforms.bound import activation_chain, value_and_gradients
from tests.transforms.modes import in_every_mode


@in_every_mode
def test_hqy16_hqy17_what_is_near_zero_becomes_zero(mode):
    chain = activation_chain(NearZero(0.25))
    batch = tf.constant([-1.0, -0.25, -0.2, 0.0, 0.24, 0.25, 0.5])
    value = mode(lambda x: chain.call(x, training=True))(batch)
    assert value.numpy().tolist() == [-1.0, -0.25, 0.0, 0.0, 0.0, 0.25, 0.5]


@pytest.mark.parametrize(
    "gradient, wanted", [("straight_through", [1.0, 2.0, 3.0]), ("masked", [1.0, 0.0, 3.0])]
)
def test_the_gradient_of_what_becomes_zero(gradient, wanted):
    chain = activation_chain(NearZero(0.25, gradient))
    _, found = value_and_gradients(chain, np.float32([1.0, 0.1, -2.0]), np.float32([1, 2, 3]))
    assert found.tolist() == wanted


def test_the_exported_file_has_the_same_zeros(tmp_path):
    model = small_models.convolutional()
    images = small_models.images(8)
    small = edgeax.compress(
        model, edgeax.Recipe([edgeax.Rule("conv|depthwise", output=NearZero(0.4))])
    )
    edgeax.export(small, tmp_path / "near.tflite", samples=images)
    interpreter = edgeax.Interpreter(str(tmp_path / "near.tflite"))
    interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    found = []
    for image in images:
        interpreter.set_tensor(given["index"], image[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(made["index"])[0])
    difference = np.abs(found - small(images).numpy()).max()
    assert np.abs(model(images).numpy() - small(images).numpy()).max() > 5 * difference


def test_it_stands_alone_at_activations():
    with pytest.raises(ValueError, match="must be the only quantizer.*NearZero before it"):
        Chain([NearZero(0.1), Quantize("int8")])
    with pytest.raises(ValueError, match="`NearZero` must stand at an input or output of a layer"):
        Chain([NearZero(0.1)]).bind("weight", (3,))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"threshold": 0.0}, "`threshold` must be above 0.*0.0"),
        ({"gradient": "half"}, "`gradient` must be one of.*'half'"),
    ],
)
def test_bad_arguments_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        NearZero(**settings)


def test_settings_survive_json():
    made = NearZero(0.3, "masked")
    text = json.dumps(keras.saving.serialize_keras_object(made))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.get_config() == made.get_config() == {"threshold": 0.3, "gradient": "masked"}
