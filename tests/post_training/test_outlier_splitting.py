"""Outlier channel splitting: which channels are split, that nothing changes, what is left alone."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.duplicate_channels import DuplicateChannels
from edgeax.post_training.outlier_splitting import (
    outlier_channels,
    split_kernel,
    split_outlier_channels,
)
from tests.model import small_models

layers = keras.layers


def with_outliers(seed=0):
    """Conv, batch norm, ReLU, conv, dense; one input channel of each has weights ten times wide."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(8, 3, padding="same", use_bias=False, name="one"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.Conv2D(6, 3, activation="relu", name="two"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, name="head"),
        ]
    )
    small_models.unsettle(model)
    for name, channel in {"one": 1, "two": 5, "head": 40}.items():
        kernel = model.get_layer(name).kernel
        factor = np.ones((kernel.shape[-2], 1), np.float32)
        factor[channel] = 10.0
        kernel.assign(kernel * factor)
    return model


def test_zhd19_the_largest_weight_halves():
    model, given = with_outliers(), small_models.images()
    split = split_outlier_channels(model, ratio=0.02)
    assert split.skipped == []
    for name, channel in {"one": 1, "two": 5, "head": 40}.items():
        old, new = (np.asarray(m.get_layer(name).kernel) for m in (model, split.model))
        added = split.model.get_layer(f"{name}_duplicates")
        assert set(added.indices) == {channel}
        assert new.shape[-2] == old.shape[-2] + np.ceil(0.02 * old.shape[-2])
        assert np.abs(new).max() <= np.abs(old).max() / 2
        together = new[..., : old.shape[-2], :].copy()
        for place, source in enumerate(added.indices, old.shape[-2]):
            together[..., source, :] += new[..., place, :]
        np.testing.assert_array_equal(together, old)
    np.testing.assert_allclose(split.model(given), model(given), rtol=1e-5, atol=1e-5)


def test_zhd19_a_half_is_split_again_where_it_is_the_largest():
    # 8 -> 4 4 -> 4 2 2 -> 2 2 2 2, and then 3 is the largest
    kernel = np.float32([[3.0], [-8.0], [1.0]])
    assert outlier_channels(kernel, 1.0) == [1, 1, 3]
    parts = split_kernel(kernel, [1, 1, 3])
    np.testing.assert_array_equal(parts.ravel(), [3, -2, 1, -2, -2, -2])
    assert outlier_channels(np.float32([[3.0], [-8.0], [1.0], [7.0]]), 0.5) == [1, 3]


@pytest.mark.parametrize("ratio, channels, count", [(0.02, 50, 1), (0.1, 30, 3), (0.03, 50, 2)])
def test_the_number_of_splits_is_the_ratio_rounded_up(ratio, channels, count):
    assert len(outlier_channels(np.ones((channels, 1)), ratio)) == count


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("per_channel", [True, False])
def test_zhd19_rounded_parts_add_up_to_the_rounded_weight(bits, per_channel):
    generator = np.random.default_rng(0)
    kernel = generator.normal(size=(50, 7)).astype(np.float32)
    kernel[4] *= 10.0
    parents = outlier_channels(kernel, 0.02)
    assert parents == [4]

    def off(parts):
        """How many split weights are off after rounding, in the step of the split kernel."""
        most = np.abs(parts).max(axis=0 if per_channel else None)
        step = most / (2 ** (bits - 1) - 1)
        together = np.floor(parts[4] / step + 0.5) + np.floor(parts[-1] / step + 0.5)
        whole = kernel[4] / step
        tie = np.abs(whole - np.floor(whole) - 0.5) < 1e-3  # that of the largest is one
        return int(np.sum((together != np.floor(whole + 0.5)) & ~tie))

    aware = split_kernel(kernel, parents, bits, per_channel)
    np.testing.assert_allclose(aware[4] + aware[-1], kernel[4], rtol=1e-6)
    assert off(aware) == 0
    assert off(split_kernel(kernel, parents)) > 0


def test_parts_that_are_split_again_still_add_up():
    kernel = np.float32([[1.0, 0.5], [100.0, -60.0], [2.0, 2.0]])
    parts = split_kernel(kernel, [1, 1, 3], bits=4, per_channel=False)
    np.testing.assert_allclose(parts[[1, 3, 4, 5]].sum(0), kernel[1], rtol=1e-6)
    assert np.abs(parts).max() < 35.0


def test_nested_models_are_opened_and_layers_that_cannot_be_split_are_named():
    model, given = small_models.nested(), small_models.images()
    split = split_outlier_channels(model, ratio=0.5)
    assert split.skipped == ["'shallow/conv': it is called more than once."]
    made = [x.name for x in split.model.layers if isinstance(x, DuplicateChannels)]
    assert made == ["stem_duplicates", "deep_inner_conv_duplicates", "head_duplicates"]
    np.testing.assert_allclose(split.model(given), model(given), rtol=1e-5, atol=1e-5)


def test_kinds_that_are_not_split_are_named():
    zero = layers.Dense(4, kernel_initializer="zeros", name="zero")
    model = keras.Sequential(
        [
            keras.Input((6, 6, 4)),
            layers.Conv2D(4, 1, groups=2, name="grouped"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.SeparableConv2D(4, 1, name="separable"),
            layers.Conv2DTranspose(4, 2, name="transposed"),
            zero,
        ]
    )
    split = split_outlier_channels(model)
    assert split.skipped == [
        "'grouped': its channels are in groups, which must stay equally large.",
        "'depthwise': a DepthwiseConv2D is not split; Conv1D, Conv2D and Dense are.",
        "'separable': a SeparableConv2D is not split; Conv1D, Conv2D and Dense are.",
        "'transposed': a Conv2DTranspose is not split; Conv1D, Conv2D and Dense are.",
        "'zero': its kernel is zero.",
    ]
    assert [x.name for x in split.model.layers[1:]] == [x.name for x in model.layers]


def test_sequences_and_several_inputs():
    one, two = keras.Input((9, 3), name="a"), keras.Input((4,), name="b")
    x = layers.Conv1D(5, 3, padding="causal", activation="relu", name="conv")(one)
    x = layers.Concatenate()([layers.GlobalAveragePooling1D()(x), two])
    model = keras.Model({"a": one, "b": two}, {"out": layers.Dense(2, name="dense")(x)})
    given = {
        "a": np.random.default_rng(0).normal(size=(4, 9, 3)).astype(np.float32),
        "b": np.random.default_rng(1).normal(size=(4, 4)).astype(np.float32),
    }
    split = split_outlier_channels(model, ratio=0.3)
    assert split.skipped == []
    np.testing.assert_allclose(split.model(given)["out"], model(given)["out"], rtol=1e-5, atol=1e-6)


def test_the_original_is_not_touched():
    model, given = with_outliers(), small_models.images()
    before, weights = np.asarray(model(given)), model.get_weights()
    split_outlier_channels(model)
    assert all(map(np.array_equal, weights, model.get_weights()))
    np.testing.assert_array_equal(model(given), before)


def test_the_file_of_a_split_model_computes_in_integers(tmp_path):
    model, given = with_outliers(), small_models.images(32)
    split = split_outlier_channels(model).model
    split.save(tmp_path / "model.keras")
    small = edgeax.compress(keras.models.load_model(tmp_path / "model.keras"), "static_wi8_ai8")
    small(given, training=True)
    result = edgeax.export(small, tmp_path / "model.tflite", given, measure=False)
    assert result.operators["GATHER"] == 3 and not result.stays_float
    assert result.operators["CONV_2D"] == 2 and "MUL" not in result.operators
    assert all(layer.most_steps <= 1.0 for layer in result.parity.layers)


def test_splitting_helps_a_kernel_of_one_scale():
    model, given = with_outliers(), small_models.images()
    rounding = edgeax.Recipe([edgeax.Rule(".*", kernel=edgeax.Quantize("int4"))])

    def error(plain):
        return np.abs(edgeax.strip(edgeax.compress(plain, rounding))(given) - model(given)).mean()

    assert error(split_outlier_channels(model, 0.05).model) < 0.8 * error(model)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"ratio": 0.0}, "`ratio` must be above 0 and at most 1. Received: ratio=0.0"),
        ({"ratio": 1.5}, "`ratio` must be above 0 and at most 1. Received: ratio=1.5"),
        ({"bits": 1}, "`bits` must be an integer from 2 to 16, or None. Received: bits=1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        split_outlier_channels(with_outliers(), **arguments)


def test_compressed_models_are_refused():
    with pytest.raises(ValueError, match="must be a plain model.*'one' is wrapped"):
        split_outlier_channels(edgeax.compress(with_outliers(), "static_wi8_ai8"))


def test_a_nested_layer_whose_path_is_taken_gets_another_name():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="b")], name="a")
    given = keras.Input((4,))
    x = keras.layers.Dense(4, name="a_b")(inner(given))
    split = split_outlier_channels(keras.Model(given, keras.layers.Dense(3)(x)))
    assert {"a_b", "a_b_1"} <= {layer.name for layer in split.model.layers}
