"""DuplicateChannels: which channels come out, and that rounding and the file only move them."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.duplicate_channels import DuplicateChannels
from tests.model import small_models

layers = keras.layers


@pytest.mark.parametrize("shape", [(3,), (5, 3), (4, 5, 3)])
def test_copies_stand_behind_all_channels(shape):
    given = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    layer = DuplicateChannels([2, 0, 2])
    made = np.asarray(layer(given))
    np.testing.assert_array_equal(made[..., :3], given)
    np.testing.assert_array_equal(made[..., 3:], given[..., [2, 0, 2]])
    assert layer.compute_output_shape((None, *shape)) == (None, *shape[:-1], 6)
    assert layer(keras.Input(shape)).shape == (None, *shape[:-1], 6)
    assert made.dtype == given.dtype


def test_it_is_saved_with_its_indices(tmp_path):
    model = keras.Sequential([keras.Input((3,)), DuplicateChannels([1]), layers.Dense(2)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].indices == [1]
    given = np.ones((1, 3), np.float32)
    np.testing.assert_array_equal(loaded(given), model(given))


def test_masks_pass():
    given = np.ones((1, 2, 3), np.float32)
    masked = layers.Masking(1.0)(given)
    assert DuplicateChannels([0])(masked)._keras_mask is masked._keras_mask


@pytest.mark.parametrize("indices", [[], [-1], [0.5]])
def test_what_is_no_channel_is_refused(indices):
    with pytest.raises(ValueError, match=r"`indices` must be at least one channel.*Received"):
        DuplicateChannels(indices)


@pytest.mark.parametrize("shape", [(None, 3), (None, None)])
def test_a_channel_that_the_input_lacks_is_refused(shape):
    with pytest.raises(ValueError, match="known number of channels, above 3"):
        DuplicateChannels([3]).build(shape)


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("activations", ["int8", "int16"])
def test_the_file_moves_codes_without_rounding(rank, activations, tmp_path):
    keras.utils.set_random_seed(0)
    convolution = layers.Conv2D if rank == 2 else layers.Conv1D
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2) if rank == 2 else (6, 2)),
            *([DuplicateChannels([1])] if rank == 2 else []),
            convolution(4, 3, name="one"),
            layers.BatchNormalization(),
            layers.ReLU(),
            DuplicateChannels([3, 3]),
            convolution(4, 3, activation="relu", name="two"),
            layers.Flatten(),
            DuplicateChannels([0]),
            layers.Dense(3, name="head"),
        ]
    )
    given = small_models.images(32) if rank == 2 else small_models.images(32)[:, 0]
    small = edgeax.compress(model, f"static_wi8_a{activations.replace('nt', '')}")
    small(given, training=True)
    result = edgeax.export(
        small, tmp_path / "model.tflite", given, activations=activations, measure=False
    )
    assert result.operators["GATHER"] == rank + 1 and not result.stays_float
    assert result.operators["QUANTIZE"] == 1  # that of the input: nothing is scaled anew
    assert all(layer.most_steps <= 1.0 for layer in result.parity.layers)
    assert result.parity.most_output_difference < 0.02
