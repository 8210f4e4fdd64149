"""Files of models trained in blocks that may be skipped, in chosen bits or in low precision."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.layers import FractionalBlock, PrecisionGate, SelectionGate, SelectiveBlock
from edgeax.runtime import Interpreter
from edgeax.training.progressive_precision import staged
from tests.export.networks import normal
from tests.rows import kept

layers = keras.layers
SAMPLES = normal(48, 4, 4, 3)
LABELS = (SAMPLES[..., 0].mean(axis=(1, 2)) > 0).astype(np.int32)


def block(channels=4):
    given = keras.Input((4, 4, channels))
    x = layers.Conv2D(channels, 3, padding="same", name="inner")(given)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(given, layers.Add()([given, x]))


def trained(wrap, rate=0.05):
    keras.utils.set_random_seed(0)
    given = keras.Input((4, 4, 3))
    x = layers.ReLU()(layers.Conv2D(4, 3, padding="same", name="first")(given))
    for place in range(2):
        x = wrap(x, f"block{place}")
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(given, layers.Dense(2, name="head")(x))
    return fitted(model, rate)


def fitted(model, rate=0.05):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss)
    model.fit(SAMPLES, LABELS, batch_size=8, epochs=2, verbose=0)
    return model


def exported(model, tmp_path, **kwargs):
    path = tmp_path / "model.tflite"
    result = edgeax.export(model, path, SAMPLES, measure=False, **kwargs)
    return result, Interpreter(path).run(SAMPLES), np.ptp(model.predict(SAMPLES, verbose=0))


def test_a_selective_block_is_its_mean_in_integers(tmp_path):
    model = trained(lambda x, name: SelectiveBlock(block(), 0.75, seed=1, name=name)(x))
    result, outputs, spread = exported(model, tmp_path)
    assert result.stays_float == () and result.operators["CONV_2D"] == 3
    assert [kernel.path for kernel in result.kernels] == [
        *("first", "block0/inner", "block1/inner", "head"),
    ]
    assert np.abs(outputs - model.predict(SAMPLES, verbose=0)).max() < 0.05 * spread
    # Of a block that always runs nothing is mixed.
    model = trained(lambda x, name: SelectiveBlock(block(), 1.0, name=name)(x))
    assert exported(model, tmp_path)[0].operators["ADD"] == 2


@pytest.mark.parametrize("inference", ["expected", "threshold"])
def test_a_gate_decides_in_the_file_as_outside_training(inference, tmp_path):
    gate = SelectionGate(inference=inference, seed=1)
    model = trained(lambda x, name: SelectiveBlock(block(), gate, name=name)(x))
    gate.linear.kernel.assign(50 * gate.linear.kernel)  # decided, as by a longer training
    _, outputs, _ = exported(model, tmp_path, activations="float32")
    np.testing.assert_allclose(outputs, model.predict(SAMPLES, verbose=0), atol=1e-5)
    result, outputs, spread = exported(model, tmp_path)
    assert "block1/inner" in [kernel.path for kernel in result.kernels]
    assert not [entry for entry in result.stays_float if entry.startswith("CONV_2D")]
    errors = np.abs(outputs - model.predict(SAMPLES, verbose=0)).max(axis=-1)
    assert np.mean(errors < 0.05 * spread) > 0.9  # some samples are about undecided


def test_a_compressed_block_is_packed(tmp_path):
    def wrap(x, name):
        return SelectiveBlock(edgeax.compress(block(), "static_wi4_ai8"), 0.5, seed=1, name=name)(x)

    result, outputs, spread = exported(model := trained(wrap), tmp_path)
    assert [kernel.bits for kernel in result.kernels if "inner" in kernel.path] == [4, 4]
    assert np.abs(outputs - model.predict(SAMPLES, verbose=0)).max() < 0.05 * spread


def test_a_fractional_block_has_kernels_of_4_bits_and_no_gate(tmp_path):
    gate = PrecisionGate()
    model = trained(lambda x, name: FractionalBlock(block(), gate, name=name)(x))
    result, outputs, spread = exported(model, tmp_path)
    assert result.stays_float == () and result.operators["MEAN"] == 1
    assert [kernel.bits for kernel in result.kernels if "inner" in kernel.path] == [4, 4]
    assert np.abs(outputs - model.predict(SAMPLES, verbose=0)).max() < 0.25 * spread  # of 3 bits


ROUNDED = kept(
    ["fp16", "fp8", "hbfp", "flexpoint", "swalp", "s2fp8", "pfq"],
    *("fp8", "flexpoint", "swalp", "s2fp8", "pfq"),
)


# pfq stands in its first stage, where kernels have 3 bits.
@pytest.mark.parametrize("name", ROUNDED)
def test_a_file_has_the_kernels_of_the_arithmetic_and_rounds_no_operands(name, tmp_path):
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)]
    )
    model = fitted(edgeax.compress(model, edgeax.Recipe(arithmetic=name)))
    for one in staged(model):
        one.enter(0, np.zeros(20))
    _, outputs, spread = exported(model, tmp_path, activations="float32")
    plain = edgeax.strip(model).predict(SAMPLES, verbose=0)
    np.testing.assert_allclose(outputs, plain, atol=1e-5 * spread)
    result, outputs, _ = exported(model, tmp_path)
    assert result.stays_float == () and np.abs(outputs - plain).max() < 0.05 * spread
