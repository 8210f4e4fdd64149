import dataclasses

import numpy as np
import pytest

from edgeax import formats
from edgeax.formats import Codebook, EncodedTensor, Float32, Integer, signed_range
from edgeax.formats.base import finite_float32, optional_scale


@pytest.mark.parametrize("bits, expected", [(1, (-1, 0)), (2, (-2, 1)), (8, (-128, 127))])
def test_signed_range_is_twos_complement(bits, expected):
    assert signed_range(bits) == expected


def test_finite_float32_counts_the_values_that_are_not_finite():
    with pytest.raises(ValueError, match=r"`w` must be finite.*2 of 3 values"):
        finite_float32([np.nan, 1.0, np.inf], "w")


def test_finite_float32_rejects_a_value_too_large_for_float32():
    with pytest.raises(ValueError, match="1 of 1 values"):
        finite_float32([1e39])


def encoded(mask=None):
    codes = np.int8([[1, 0], [-2, 4]])
    return EncodedTensor(codes, Integer(4, axis=-1), {"scale": np.float32([0.5, 2.0])}, mask)


def test_encoded_tensor_decodes_each_channel_by_its_scale():
    assert encoded().decode().tolist() == [[0.5, 0.0], [-1.0, 8.0]]
    assert encoded().decode().dtype == np.float32


def test_a_pruned_value_decodes_to_zero_whatever_its_code():
    tensor = encoded(np.array([[True, True], [False, True]]))
    assert tensor.decode().tolist() == [[0.5, 0.0], [0.0, 8.0]]
    assert tensor.sparsity == 0.5


def test_size_counts_packed_codes_and_params_but_no_mask():
    # 4 codes of 4 bits, 2 float32 scales.
    assert encoded(np.ones((2, 2), bool)).size_bits == 4 * 4 + 2 * 32


def test_distinct_values_do_not_count_the_scales_of_channels():
    tensor = EncodedTensor(
        np.uint8([[0, 1], [1, 0]]),
        Codebook(2),
        {"codebook": np.int8([3, 5]), "scale": np.float32([1.0, 7.0])},
    )
    assert np.unique(tensor.decode()).size == 4
    assert tensor.distinct_values == 2


def test_distinct_values_count_a_pruned_value_as_zero():
    assert encoded().distinct_values == 4
    assert encoded(np.array([[False, True], [True, True]])).distinct_values == 3


def test_an_empty_tensor_has_no_sparsity_and_no_values():
    tensor = EncodedTensor(np.zeros((0, 2), np.int8), Integer(8), {"scale": np.float32(1)})
    assert (tensor.sparsity, tensor.distinct_values, tensor.shape) == (0.0, 0, (0, 2))


def test_scaled_multiplies_the_channels_and_leaves_the_codes():
    gained = encoded().scaled(np.float32([-2.0, 0.0]))
    assert gained.codes.tolist() == [[1, 0], [-2, 4]]
    assert gained.decode().tolist() == [[-1.0, 0.0], [2.0, 0.0]]


@pytest.mark.parametrize(
    "number_format, params",
    [
        (Integer(8), {"scale": np.float32(0.5)}),
        (Integer(8, symmetric=False), {"scale": np.float32(0.5), "zero_point": np.int32(3)}),
        (
            Codebook(4, Integer(8)),
            {"codebook": np.int8([0, 1, 2, 3]), "scale": np.float32(0.5)},
        ),
        (Codebook(4, None), {"codebook": np.float32([0, 1, 2, 3])}),
        (Float32(), {}),
    ],
)
def test_scaled_turns_any_format_into_a_per_channel_one(number_format, params):
    codes = np.uint8([[0, 1, 2], [3, 3, 1]])
    codes = codes.astype(np.float32) if isinstance(number_format, Float32) else codes
    tensor = EncodedTensor(codes, number_format, params)
    gain = np.float32([1.0, -0.5, 4.0])
    # Powers of two: the product is exact, whichever factor comes first.
    assert np.array_equal(tensor.scaled(gain).decode(), tensor.decode() * gain)
    assert tensor.scaled(gain).scaled(gain).params["scale"].shape == (3,)


def test_scaled_keeps_pruned_values_at_zero():
    tensor = encoded(np.zeros((2, 2), bool)).scaled(np.float32([3.0, 3.0]))
    assert not tensor.decode().any()


def test_channels_keeps_codes_scales_and_masks_of_some_channels():
    mask = np.array([[True, True], [True, False]])
    part = encoded(mask).channels(slice(1, 2))
    assert part.shape == (2, 1) and part.decode().tolist() == [[0.0], [0.0]]
    assert encoded().channels(slice(1, 2)).decode().tolist() == [[0.0], [8.0]]
    assert encoded().channels(slice(0, 1)).params["scale"].tolist() == [0.5]


def test_scaled_rejects_a_gain_of_another_length():
    with pytest.raises(ValueError, match=r"`gain` must have shape \(2,\).*\(3,\)"):
        encoded().scaled(np.ones(3, np.float32))


def test_scaled_rejects_an_overflowing_scale():
    with pytest.raises(ValueError, match="scale"):
        encoded().scaled(np.float32([1, 3e38]))


def test_a_mask_of_another_shape_is_rejected():
    with pytest.raises(ValueError, match=r"`mask` must be bool.*\(2, 2\).*\(2,\)"):
        encoded(np.ones(2, bool))


def test_a_mask_of_numbers_is_rejected():
    with pytest.raises(ValueError, match="float32"):
        encoded(np.ones((2, 2), np.float32))


def test_optional_scale_is_one_where_there_is_none():
    assert optional_scale({}, (2, 3)) == 1


def test_optional_scale_rejects_another_shape_and_a_zero_divisor():
    with pytest.raises(ValueError, match=r"\(3,\).*shape \(2,\)"):
        optional_scale({"scale": np.ones(2)}, (2, 3))
    with pytest.raises(ValueError, match="must not be 0"):
        optional_scale({"scale": np.float32([1, 0, 1])}, (2, 3), divides=True)


FORMATS = [
    Integer(),
    Integer(2, symmetric=False, axis=-1),
    Integer(5, narrow=False),
    Codebook(),
    Codebook(256, None),
    Codebook(3, Integer(4, axis=None)),
    Float32(),
]


@pytest.mark.parametrize("number_format", FORMATS, ids=str)
def test_a_format_survives_its_json_config(number_format):
    import json

    config = json.loads(json.dumps(number_format.get_config()))
    assert type(number_format).from_config(config) == number_format


@pytest.mark.parametrize("number_format", FORMATS, ids=str)
def test_a_config_with_an_unknown_setting_is_rejected_by_its_name(number_format):
    with pytest.raises(ValueError, match=r"must hold only.*'colour'"):
        type(number_format).from_config({**number_format.get_config(), "colour": 1})


@pytest.mark.parametrize("number_format", FORMATS, ids=str)
def test_a_format_is_frozen(number_format):
    with pytest.raises(dataclasses.FrozenInstanceError):
        number_format.anything = 1


@pytest.mark.parametrize("number_format", FORMATS, ids=str)
@pytest.mark.parametrize("shape", [(3, 5), (2, 2, 3, 7), (4,), (0, 3), (1, 1)], ids=str)
def test_what_was_encoded_encodes_to_the_same_codes_again(number_format, shape):
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    params = number_format.fit(x)
    codes = number_format.encode(x, params)
    values = number_format.decode(codes, params)
    assert codes.shape == values.shape == shape
    assert values.dtype == np.float32
    assert np.array_equal(
        number_format.decode(number_format.encode(values, params), params), values
    )


@pytest.mark.parametrize("number_format", FORMATS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_rejected(number_format, bad):
    x = np.float32([[1.0, bad], [0.0, 2.0]])
    with pytest.raises(ValueError, match="must be finite"):
        number_format.fit(x)
    with pytest.raises(ValueError, match="must be finite"):
        number_format.encode(x, number_format.fit(np.ones((2, 2))))


@pytest.mark.parametrize("number_format", FORMATS, ids=str)
def test_zero_is_exact(number_format):
    x = np.random.default_rng(2).normal(size=(40, 6)).astype(np.float32)
    x[::3] = 0
    params = number_format.fit(x)
    assert not number_format.decode(number_format.encode(x, params), params)[::3].any()


@pytest.mark.parametrize("number_format", FORMATS, ids=str)
def test_an_all_zero_tensor_stays_zero(number_format):
    x = np.zeros((3, 2), np.float32)
    params = number_format.fit(x)
    assert not number_format.decode(number_format.encode(x, params), params).any()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Integer(4.5),
        lambda: formats.PowerOfTwo(4.5),
        lambda: formats.FixedPoint(2.5, 3),
        lambda: formats.Minifloat(4.5, 3),
        lambda: formats.AdaptivFloat(8, 3.0),
        lambda: formats.BlockFloat("8"),
        lambda: formats.HybridBlockFloat(8, tile=2.5),
        lambda: formats.LogQuant(None),
        lambda: formats.TaperedLog(8.5),
        lambda: formats.Balanced(True),
    ],
)
def test_widths_are_whole_numbers(make):
    with pytest.raises(ValueError, match="must be an integer. Received: .*whole bits"):
        make()
