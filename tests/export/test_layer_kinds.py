"""Every kind of layer through export: the file is written and computes what Keras computes."""

import keras
import numpy as np
import pytest

import edgeax
from tests.export.networks import normal
from tests.model.layer_kinds import Example, kinds

FLOAT = {  # kinds that have no integer form in TFLite, or none that keeps their meaning
    "Conv3D": "CONV_3D in layer",
    "MultiHeadAttention causal": "FULLY_CONNECTED in layer",
}


def stateful_with_batch_one():
    keras.utils.set_random_seed(0)
    given = keras.Input(batch_shape=(1, 5, 3), name="given")
    tensor = keras.layers.LSTM(4, stateful=True, name="layer")(given)
    model = keras.Model(given, keras.layers.Dense(3, name="head")(tensor))
    return Example(model, normal(8, 5, 3), normal(8, 3), batch_size=1, stateful=True)


KINDS = {
    name: build
    for name, build in kinds().items()
    if name not in ("LSTM stateful", "GRU stateful")  # their batch is 4
} | {"LSTM stateful": stateful_with_batch_one}


@pytest.mark.parametrize("kind", KINDS)
def test_the_int8_file_of_every_kind_is_within_steps_of_keras(kind, tmp_path, record_property):
    record_property("layer kind", [kind, "export and parity, int8"])
    example = KINDS[kind]()
    result = edgeax.export(
        edgeax.compress(example.model, "static_wi8_ai8"),
        tmp_path / "model.tflite",
        example.inputs,
        measure=False,
    )
    spread = np.ptp(example.model.predict(example.inputs, batch_size=1, verbose=0))
    assert result.parity.most_output_difference < 0.05 * spread
    assert all(layer.most_steps <= 2.0 for layer in result.parity.layers), result.parity.worst
    assert "WHILE" not in result.operators
    assert bool(result.stays_float) == (kind in FLOAT)
    assert FLOAT.get(kind, "") in " ".join(result.stays_float)


@pytest.mark.parametrize("kind", KINDS)
def test_the_float_file_of_every_kind_is_keras(kind, tmp_path, record_property):
    record_property("layer kind", [kind, "export and parity, float"])
    example = KINDS[kind]()
    result = edgeax.export(
        example.model,
        tmp_path / "model.tflite",
        example.inputs,
        activations="float32",
        measure=False,
    )
    half = "float16" in kind  # Keras computes that layer in 16 bits, the file does not
    assert result.parity.most_output_difference < (0.01 if half else 1e-5)
    assert "WHILE" not in result.operators
