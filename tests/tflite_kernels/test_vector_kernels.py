"""Products and convolutions of sub-vectors: what the cases of all operators do not show. Golden and
random ones: see test_kernels."""

import ctypes
import dataclasses

import numpy as np
import pytest

from edgeax.formats import vector_rows
from edgeax.formats.base import EncodedTensor
from edgeax.formats.lookup import lookup_response
from edgeax.formats.vector_codebook import TABLES, VectorCodebook
from tests.golden import cases as golden
from tests.tflite_kernels import native, oracle, random_cases
from tests.tflite_kernels.guarded import GuardedArrays

SETS = native.isas()
DENSE = "EdgeaxVectorFullyConnected"
CASES = [
    native.golden_case(entry)
    for entry in golden.load("vector.json")
    if entry["name"] in ("many_channels_single", "many_outputs_and_entries_single")
]


def product(rows, weights, codebook, seed=0) -> native.Case:
    """A product of random inputs with these indices and tables."""
    tables, length, _ = codebook.shape
    channels, places = weights.shape
    source = np.random.default_rng(seed)
    return native.Case(
        "product",
        DENSE,
        {"keep_num_dims": 0, "output_min": -128, "output_max": 127},
        "single",
        source.integers(-128, 128, (rows, places * length), dtype=np.int8),
        weights,
        np.zeros(channels, np.int32),
        np.full(channels, 0.01, np.float32),
        codebook,
        0.02,
        -5,
        float(np.float32(0.01 * 75 * np.sqrt(places * length) / 30)),
        7,
        (rows, channels),
    )


def drawn(rows, channels, places, tables, length, entries) -> native.Case:
    source = np.random.default_rng(entries)
    weights = source.integers(0, entries, (channels, places), dtype=np.uint8)
    codebook = source.integers(-128, 128, (tables, length, entries), dtype=np.int8)
    return product(rows, weights, codebook)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("tables", TABLES)
def test_wlw15_what_is_looked_up_is_the_product_with_the_quantized_weight(tables, isa):
    """The sums of `lookup_response`, which adds up looked-up inner products in floats."""
    source = np.random.default_rng(1)
    weight = source.integers(-9, 10, (24, 40)).astype(np.float32)
    format = VectorCodebook(16, 4, tables)
    params = {"codebook": np.rint(format.fit(weight)["codebook"])}
    encoded = EncodedTensor(format.encode(weight, params), format, params)
    stored = vector_rows.encode(
        encoded.decode().T.astype(np.int8), 4, format.table_count(weight.shape)
    )
    indices = np.zeros((40, 6), np.uint8)  # only their number counts: `packed` is not called
    case = product(3, indices, stored.codebook)
    response = lookup_response(case.input.astype(np.float32) + 5, encoded)
    case.packed = lambda: stored.weights
    np.testing.assert_array_equal(
        native.run(isa, case), oracle.finish(case, response.astype(np.int64))
    )


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("length", [1, 2, 8, 16, 256, 257])
@pytest.mark.parametrize("rows", [1, 7, 40])
@pytest.mark.parametrize("entries", [16, 20])
def test_a_deep_row_of_extreme_codes_does_not_overflow(entries, rows, length, isa):
    depth = 65536 // length * length
    weights = np.zeros((3, depth // length), np.uint8)
    case = product(rows, weights, np.full((1, length, entries), -128, np.int8))
    case.input[:] = -128
    case.input_scale, case.input_zero_point = 2.0**-24, 127
    case.scale[:] = 1.0
    case.output_scale, case.output_zero_point = 1.0, 0
    # 255 * 128 * 65536 * 2**-24 is 127.5, or a little less, of which the clamp leaves 127.
    assert native.run(isa, case).tolist() == [[127] * 3] * rows


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("rows", [1, 2, 50])
@pytest.mark.parametrize("channels", [1, 31, 128, 129, 160, 261])
@pytest.mark.parametrize("entries", [5, 16, 200])
def test_channels_beside_a_block_of_indices_give_the_codes_of_the_oracle(
    entries, channels, rows, isa
):
    case = drawn(rows, channels, places=6, tables=2, length=8, entries=entries)
    found = native.run(isa, case, GuardedArrays(rows == 1))
    np.testing.assert_array_equal(found, oracle.run(case))


@pytest.mark.parametrize("isa", SETS)
def test_more_places_than_a_sum_of_16_bits_holds_give_the_codes_of_the_oracle(isa):
    case = drawn(1, 70, places=600, tables=1, length=2, entries=16)
    np.testing.assert_array_equal(native.run(isa, case), oracle.run(case))


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operator)
@pytest.mark.parametrize(
    "field", ["input_size", "weights_size", "channels", "codebook_size", "output_size"]
)
def test_a_span_of_the_wrong_size_is_refused_and_the_output_untouched(field, case, isa):
    for change in (-1, 1):
        output = np.full(case.output_shape, 77, np.int8)
        longer = dataclasses.replace(
            case, bias=np.append(case.bias, np.int32(1)), scale=np.append(case.scale, case.scale[0])
        )
        tensors = native.tensors(longer, np.ascontiguousarray, output)
        tensors.channels = case.bias.size
        setattr(tensors, field, getattr(tensors, field) + change)
        function = getattr(native.load(), native.FUNCTIONS[case.operator][0])
        status = function(isa.encode(), ctypes.byref(native.arguments(case)), ctypes.byref(tensors))
        assert status == native.BAD_SHAPE
        assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operator)
@pytest.mark.parametrize(
    "field, value, expected",
    [
        ("entries", 1, native.BAD_ARGUMENT),
        ("entries", 0, native.BAD_ARGUMENT),
        ("entries", 257, native.BAD_ARGUMENT),
        ("entries", -(2**31), native.BAD_ARGUMENT),
        ("length", 0, native.BAD_SHAPE),
        ("length", -1, native.BAD_SHAPE),
        ("length", 3, native.BAD_SHAPE),  # does not divide the weights
        ("length", 2**31 - 1, native.BAD_SHAPE),
        ("tables", 0, native.BAD_SHAPE),
        ("tables", 3, native.BAD_SHAPE),  # does not divide the places
        ("tables", 2**31 - 1, native.BAD_SHAPE),
    ],
)
def test_a_format_that_there_is_not_is_refused_and_the_output_untouched(
    field, value, expected, case, isa
):
    arguments = native.arguments(case)
    setattr(arguments, field, value)
    output = np.full(case.output_shape, 77, np.int8)
    tensors = native.tensors(case, np.ascontiguousarray, output)
    function = getattr(native.load(), native.FUNCTIONS[case.operator][0])
    assert function(isa.encode(), ctypes.byref(arguments), ctypes.byref(tensors)) == expected
    assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("entries, wrong", [(15, 15), (3, 3), (17, 17), (255, 255)])
@pytest.mark.parametrize("channel, place", [(0, 0), (130, 1)])
def test_an_index_beyond_its_table_is_refused_and_the_output_untouched(
    channel, place, entries, wrong, isa
):
    case = drawn(1, 131, places=2, tables=2, length=4, entries=entries)
    case.weights[channel, place] = wrong
    status, output = native.call(isa, case)
    assert status == native.BAD_ARGUMENT
    assert (output == 77).all()


def test_scratch_of_a_usual_product_fits_the_second_level_cache():
    case = drawn(1, 1024, places=128, tables=1, length=8, entries=16)
    for isa in SETS[1:]:
        size = ctypes.c_size_t()
        function = native.load().edgeax_vector_fully_connected_scratch_bytes
        assert function(isa.encode(), ctypes.byref(native.arguments(case)), ctypes.byref(size)) == 0
        assert 0 < size.value <= 256 * 1024


def test_random_cases_have_tables_of_all_kinds():
    """The random cases of test_kernels reach both ways to compute."""
    some = [random_cases.draw(DENSE, seed) for seed in range(60)]
    shapes = [case.codebook.shape for case in some]
    assert {len(case.codebook) == 1 for case in some} == {True, False}
    assert {entries <= 16 for _, _, entries in shapes} == {True, False}
    assert any(length > 8 for _, length, _ in shapes)
