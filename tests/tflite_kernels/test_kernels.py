"""Every instruction set of this machine gives the same integers, those that were worked out."""

import ctypes
import dataclasses
import itertools

import numpy as np
import pytest

from edgeax.formats import binary_rows, grouped_rows, packing, sparse, vector_rows
from edgeax.formats.operators import OPERATORS
from tests.golden import cases as golden
from tests.tflite_kernels import native, oracle, random_cases
from tests.tflite_kernels.guarded import GuardedArrays
from tflite_kernels import build_library

RANDOM_CASES = 120  # of each operator
ENTRIES = native.golden_entries()
NAMES = [f"{entry['operator']}_{entry['name']}" for entry in ENTRIES]
SETS = native.isas()


def golden_cases(*wanted: tuple[str, str]) -> list[native.Case]:
    """The golden cases of these operators and names."""
    return [native.golden_case(e) for e in ENTRIES if (e["operator"], e["name"]) in wanted]


def test_this_machine_runs_the_instruction_sets_that_its_processor_has():
    with open("/proc/cpuinfo") as file:
        words = set(file.read().split())
    expected = ["reference"] + ["avx2"] * ("avx2" in words)
    wide = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_vpopcntdq"}
    expected += ["avx512"] * (wide <= words)
    expected += ["neon"] * ("asimd" in words) + ["neon_dotprod"] * ("asimddp" in words)
    assert expected == SETS


def test_an_unknown_instruction_set_is_refused_and_the_output_untouched():
    status, output = native.call("sse9", native.golden_case(ENTRIES[0]))
    assert status == native.UNKNOWN_ISA
    assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_operators_give_the_golden_codes(entry, isa):
    expected = np.int8(entry["output"]["data"]).reshape(entry["output"]["shape"])
    np.testing.assert_array_equal(native.run(isa, native.golden_case(entry)), expected)


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_the_numpy_oracle_gives_the_golden_codes(entry):
    expected = np.int8(entry["output"]["data"]).reshape(entry["output"]["shape"])
    np.testing.assert_array_equal(oracle.run(native.golden_case(entry)), expected)


@pytest.mark.parametrize("operator", random_cases.OPERATORS)
def test_random_cases_give_the_codes_of_the_numpy_oracle(operator):
    for seed in range(RANDOM_CASES):
        case = random_cases.draw(operator, seed)
        expected = oracle.run(case)
        for isa in SETS:
            np.testing.assert_array_equal(native.run(isa, case), expected, f"{case.name} on {isa}")


def test_sparse_convolutions_of_whole_groups_of_channels_give_the_codes_of_the_numpy_oracle():
    for seed in range(54):  # each block with each density
        case = random_cases.draw_whole_groups(seed)
        expected = oracle.run(case)
        for isa in SETS:
            found = native.run(isa, case, GuardedArrays(seed % 2 == 0))
            np.testing.assert_array_equal(found, expected, f"{case.name} on {isa}")


@pytest.mark.parametrize("at_end", [True, False], ids=["beyond_the_end", "before_the_start"])
@pytest.mark.parametrize("operator", random_cases.OPERATORS)
def test_kernels_touch_nothing_outside_their_tensors(operator, at_end):
    for seed in range(RANDOM_CASES, RANDOM_CASES + 25):
        case = random_cases.draw(operator, seed)
        for isa in SETS:
            output = native.run(isa, case, GuardedArrays(at_end))  # a step outside is a crash
            np.testing.assert_array_equal(output, oracle.run(case), f"{case.name} on {isa}")


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("rows", [2, 5])
@pytest.mark.parametrize("weight", [-128, -127, -16, -15, -3, -2, -1])
@pytest.mark.parametrize("entries", random_cases.ENTRIES)
def test_a_deep_row_of_extreme_codes_does_not_overflow(entries, weight, rows, isa):
    depth = 65536  # the deepest row: 255 * 128 * 65536 is just below 2**31
    case = native.Case(
        "deep",
        "EdgeaxFullyConnected",
        {"keep_num_dims": 0, "output_min": -128, "output_max": 127},
        "single",
        np.full((rows, depth), -128, np.int8),
        np.zeros((3, depth), np.uint8),
        np.int32([0, 5, -5]),
        np.float32([1, 1, 1]),
        np.full(entries, weight, np.int8),
        2.0**-24,
        127,
        1.0,
        0,
        (rows, 3),
    )
    # 255 * 65536 * 2**-24 is a little less than 1. Of -128 it is 127.5: a tie, which goes up, and
    # the clamp takes it back.
    assert native.run(isa, case).tolist() == [[min(-weight, 127)] * 3] * rows


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("block", random_cases.BLOCKS)
@pytest.mark.parametrize("rows", [1, 40])
def test_a_deep_sparse_row_of_extreme_codes_does_not_overflow(rows, block, isa):
    depth = 65536
    weights = np.zeros((2, depth), np.int8)
    weights[0] = -128
    weights[1, -3 * block :] = -128
    case = native.Case(
        "deep_sparse",
        "EdgeaxSparseFullyConnected",
        {"keep_num_dims": 0, "output_min": -128, "output_max": 127, "block": block, "places": 0},
        "single",
        np.full((rows, depth), -128, np.int8),
        weights,
        np.int32([0, 5]),
        np.float32([1, 2**16]),
        np.int8([]),
        2.0**-24,
        127,
        1.0,
        0,
        (rows, 2),
    )
    random_cases.store(case)
    # As above; and (3 * block * 255 * 128 + 5) / 256 = 382.5 * block + 0.02, of which the clamp
    # leaves 127.
    assert native.run(isa, case).tolist() == [[127, 127]] * rows
    case.output_scale = 2.0**6
    np.testing.assert_array_equal(native.run(isa, case), oracle.run(case))


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("rows", [1, 3, 50])
@pytest.mark.parametrize("density", [0.1, 0.9])
@pytest.mark.parametrize("places", range(3))
@pytest.mark.parametrize("block", random_cases.BLOCKS[1:])
def test_values_beyond_the_end_of_a_row_are_not_looked_at(block, places, density, rows, isa):
    """A file may hold any there, and the bits of a mask beyond the last block too."""
    source = np.random.default_rng(block)
    depth = 3 * block + 1
    weights = source.integers(1, 77, (5, depth)).astype(np.int8)
    weights[np.repeat(source.random((5, 4)) >= density, block, axis=1)[:, :depth]] = 0
    weights[:, -1] = 77  # a block of which the rest lies beyond the end
    case = random_cases.draw("EdgeaxSparseFullyConnected", 0)
    case.input = source.integers(-128, 128, (rows, depth), dtype=np.int8)
    case.weights, case.output_shape = weights, (rows, 5)
    case.bias, case.scale = np.arange(5, dtype=np.int32), np.full(5, 0.01, np.float32)
    case.options |= {"block": block, "places": places}
    random_cases.store(case)
    blocks = case.values.reshape(-1, block)
    blocks[blocks[:, 0] == 77, 1:] = -128
    if places == 0:
        case.indices |= 0xF0
    np.testing.assert_array_equal(native.run(isa, case), oracle.run(case))


def conv2d_case():
    return random_cases.draw("EdgeaxConv2D", 0)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize(
    "field", ["input_size", "weights_size", "channels", "codebook_size", "output_size"]
)
def test_a_span_of_the_wrong_size_is_refused_and_the_output_untouched(field, isa):
    case = conv2d_case()
    for change in (-1, 1):
        output = np.full(case.output_shape, 77, np.int8)
        tensors = native.tensors(case, np.ascontiguousarray, output)
        if field == "channels":  # the arrays have to hold what is claimed
            tensors.keep = [np.zeros(case.bias.size + 1, kind) for kind in (np.int32, np.float32)]
            tensors.bias, tensors.scale = (array.ctypes.data for array in tensors.keep)
        setattr(tensors, field, getattr(tensors, field) + change)
        status = native.load().edgeax_conv2d(
            isa.encode(), ctypes.byref(native.arguments(case)), ctypes.byref(tensors)
        )
        assert status == native.BAD_SHAPE
        assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("operator", random_cases.OPERATORS[:3])
def test_a_codebook_of_another_size_is_refused_and_the_output_untouched(operator, isa):
    case = random_cases.draw(operator, 0)  # of 16 entries
    for entries in (0, 1, 3, 8, 15, 17, 256):
        output = np.full(case.output_shape, 77, np.int8)
        tensors = native.tensors(case, np.ascontiguousarray, output)
        tensors.codebook_size = entries
        function = getattr(native.load(), native.FUNCTIONS[operator][0])
        status = function(isa.encode(), ctypes.byref(native.arguments(case)), ctypes.byref(tensors))
        assert status == native.BAD_SHAPE
        assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize(
    "part, field, value, expected",
    [
        ("", "groups", 0, native.BAD_ARGUMENT),
        ("", "groups", 7919, native.BAD_SHAPE),  # no divisor of the channels
        ("", "output_channels", 0, native.BAD_SHAPE),
        ("", "batch", 0, native.BAD_SHAPE),
        ("", "height", -5, native.BAD_SHAPE),
        ("", "batch", 2**31 - 1, native.BAD_SHAPE),  # the product overflows
        ("window", "stride_height", 0, native.BAD_ARGUMENT),
        ("window", "kernel_width", -1, native.BAD_ARGUMENT),
        ("window", "dilation_width", 70000, native.BAD_ARGUMENT),
        ("window", "kernel_height", 65535, native.BAD_SHAPE),  # a row too deep
        ("window", "padding", 2, native.BAD_ARGUMENT),
        ("quantization", "input_zero_point", 128, native.BAD_ARGUMENT),
        ("quantization", "output_zero_point", -129, native.BAD_ARGUMENT),
        ("quantization", "output_min", 128, native.BAD_ARGUMENT),
        ("quantization", "output_max", -129, native.BAD_ARGUMENT),
        ("quantization", "rounding", 2, native.BAD_ARGUMENT),
        ("quantization", "input_scale", float("inf"), native.BAD_ARGUMENT),
        ("quantization", "output_scale", 0.0, native.BAD_ARGUMENT),
        ("quantization", "output_scale", float("nan"), native.BAD_ARGUMENT),
    ],
)
def test_an_argument_out_of_range_is_refused_and_the_output_untouched(
    part, field, value, expected, isa
):
    case = conv2d_case()
    arguments = native.arguments(case)
    setattr(getattr(arguments, part) if part else arguments, field, value)
    output = np.full(case.output_shape, 77, np.int8)
    tensors = native.tensors(case, np.ascontiguousarray, output)
    status = native.load().edgeax_conv2d(
        isa.encode(), ctypes.byref(arguments), ctypes.byref(tensors)
    )
    assert status == expected
    assert (output == 77).all()


# A convolution and a matrix product with places in 4 bits.
SPARSE_CASES = golden_cases(
    ("EdgeaxSparseConv2D", "same_single"),
    ("EdgeaxSparseFullyConnected", "blocks_of_2_single"),
)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", SPARSE_CASES, ids=lambda case: case.operator)
@pytest.mark.parametrize(
    "field", ["input_size", "weights_size", "indices_size", "channels", "output_size"]
)
def test_a_sparse_span_of_the_wrong_size_is_refused_and_the_output_untouched(field, case, isa):
    for change in (-1, 1):
        output = np.full(case.output_shape, 77, np.int8)
        longer = dataclasses.replace(
            case,
            **{  # the arrays have to hold what is claimed
                name: np.append(getattr(case, name), getattr(case, name)[-1:])
                for name in ("values", "indices", "bias", "scale")
            },
        )
        tensors = native.tensors(longer, np.ascontiguousarray, output)
        true_sizes = native.tensors(case, np.ascontiguousarray, output)
        for name in ("weights_size", "indices_size", "channels"):
            setattr(tensors, name, getattr(true_sizes, name))
        setattr(tensors, field, getattr(tensors, field) + change)
        function = getattr(native.load(), native.FUNCTIONS[case.operator][0])
        status = function(isa.encode(), ctypes.byref(native.arguments(case)), ctypes.byref(tensors))
        assert status == native.BAD_SHAPE
        assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", SPARSE_CASES, ids=lambda case: case.operator)
@pytest.mark.parametrize("field, value", [("block", 0), ("block", 3), ("block", 32), ("places", 3)])
def test_a_sparse_format_that_there_is_not_is_refused(field, value, case, isa):
    changed = dataclasses.replace(case, options=case.options | {field: value})
    status, output = native.call(isa, changed)
    assert status == native.BAD_ARGUMENT
    assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", SPARSE_CASES, ids=lambda case: case.operator)
def test_a_block_beyond_the_end_of_its_row_is_refused(case, isa):
    depth = case.weights.shape[1]
    blocks = -(-depth // case.options["block"])
    assert blocks % 15  # the highest number, which is no block, does not end there
    entries = [15] * (blocks // 15) + [blocks % 15]
    case = dataclasses.replace(case, indices=np.uint8(golden.pack(entries, 4) * 99))
    status, output = native.call(isa, case)
    assert status == native.BAD_ARGUMENT
    assert (output == 77).all()


# A convolution of bits to bits and a matrix product of codes to codes.
BINARY_CASES = golden_cases(
    ("EdgeaxBinaryConv2D", "groups_3_bits_in_and_out_single"),
    ("EdgeaxBinaryFullyConnected", "odd_depth_single"),
)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", BINARY_CASES, ids=lambda case: case.operator)
@pytest.mark.parametrize("field", ["input_size", "weights_size", "channels", "output_size"])
def test_a_binary_span_of_the_wrong_size_is_refused_and_the_output_untouched(field, case, isa):
    for change in (-1, 1):
        output = np.full(case.output_shape, 77, np.int8)
        longer = dataclasses.replace(
            case, **{name: np.append(getattr(case, name), 1) for name in ("bias", "scale")}
        )
        longer.scale = longer.scale.astype(np.float32)
        tensors = native.tensors(longer, np.ascontiguousarray, output)
        tensors.channels = case.bias.size
        setattr(tensors, field, getattr(tensors, field) + change)
        function = getattr(native.load(), native.FUNCTIONS[case.operator][0])
        status = function(isa.encode(), ctypes.byref(native.arguments(case)), ctypes.byref(tensors))
        assert status == native.BAD_SHAPE
        assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", BINARY_CASES, ids=lambda case: case.operator)
@pytest.mark.parametrize("field", ["input_packed", "output_packed", "pad_value"])
@pytest.mark.parametrize("value", [-1, 2])
def test_a_binary_form_that_there_is_not_is_refused(field, value, case, isa):
    if field in case.options:
        changed = dataclasses.replace(case, options=case.options | {field: value})
        status, output = native.call(isa, changed)
        assert status == native.BAD_ARGUMENT
        assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", BINARY_CASES, ids=lambda case: case.operator)
@pytest.mark.parametrize("value", [-(2**30) - 1, 2**30 + 1, -(2**31)])
def test_a_binary_bias_out_of_range_is_refused(value, case, isa):
    bias = case.bias.copy()
    bias[-1] = value
    status, output = native.call(isa, dataclasses.replace(case, bias=bias))
    assert status == native.BAD_ARGUMENT
    assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("output_packed", [0, 1])
def test_the_deepest_row_of_bits_does_not_overflow(output_packed, rows, isa):
    depth, outputs = 65536, 3
    case = random_cases.draw("EdgeaxBinaryFullyConnected", 0)
    case.options = {
        "keep_num_dims": 0,
        "input_packed": 1,
        "output_packed": output_packed,
        "input_channels": depth,
        "output_min": -128,
        "output_max": 127,
    }
    case.input = np.zeros((rows, depth // 8), np.int8)
    case.weights = np.zeros((outputs, depth), np.uint8)
    case.weights[0] = 1  # a sum of -65536, then of 65536, then of 0
    case.weights[2, ::2] = 1
    case.bias = np.int32([-(2**30), 2**30, -1])
    case.scale = np.float32([1, 1, 1])
    case.output_scale, case.output_zero_point = 2.0**12, 0
    # (2**30 / 4096 + 65536) / 4096 = 80, and the third a little below 0.
    expected = [0b101] if output_packed else [-80, 80, 0]
    case.output_shape = (rows, len(expected))
    assert native.run(isa, case).tolist() == [expected] * rows
    np.testing.assert_array_equal(native.run(isa, case), oracle.run(case))


# A convolution with one codebook and a matrix product with several.
GROUPED_CASES = golden_cases(
    ("EdgeaxGroupedConv2D", "channel_groups_2_one_codebook_single"),
    ("EdgeaxGroupedFullyConnected", "long_row_codes_of_2_bits_single"),
)


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", GROUPED_CASES, ids=lambda case: case.operator)
@pytest.mark.parametrize(
    "field, change",
    [
        *itertools.product(("input_size", "weights_size", "output_size"), (-1, 1)),
        ("channels", -1),
        ("codebook_size", -1),
        ("codebook_size", 1),
        ("codebook_size", -(10**6)),  # to nothing
        ("codebook_size", 32),  # to no power of two
    ],
)
def test_a_grouped_span_of_the_wrong_size_is_refused_and_the_output_untouched(
    field, change, case, isa
):
    output = np.full(case.output_shape, 77, np.int8)
    tensors = native.tensors(case, np.ascontiguousarray, output)
    setattr(tensors, field, max(getattr(tensors, field) + change, 0))
    function = getattr(native.load(), native.FUNCTIONS[case.operator][0])
    status = function(isa.encode(), ctypes.byref(native.arguments(case)), ctypes.byref(tensors))
    assert status == native.BAD_SHAPE
    assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("case", GROUPED_CASES, ids=lambda case: case.operator)
@pytest.mark.parametrize(
    "field, value", [("bits", 1), ("bits", 3), ("bits", 8), ("group_bits", 3), ("group_bits", 17)]
)
def test_a_grouped_format_that_there_is_not_is_refused(field, value, case, isa):
    arguments = native.arguments(case)
    setattr(arguments, field, value)
    output = np.full(case.output_shape, 77, np.int8)
    tensors = native.tensors(case, np.ascontiguousarray, output)
    function = getattr(native.load(), native.FUNCTIONS[case.operator][0])
    status = function(isa.encode(), ctypes.byref(arguments), ctypes.byref(tensors))
    assert status == native.BAD_ARGUMENT
    assert (output == 77).all()


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("seed", range(20))
def test_of_the_number_of_a_codebook_only_the_bits_count_that_tell_them_apart(seed, isa):
    name = ("EdgeaxGroupedFullyConnected", "EdgeaxGroupedConv2D")[seed % 2]
    case = random_cases.draw(name, seed)
    case.numbers = np.random.default_rng(seed).integers(0, 256, case.numbers.shape, np.uint8)
    shown = dataclasses.replace(case, numbers=case.numbers & np.uint8(len(case.codebook) - 1))
    np.testing.assert_array_equal(native.run(isa, case), oracle.run(shown))


@pytest.mark.parametrize("isa", SETS)
@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("entries", [16, 4])
def test_a_deep_row_of_groups_of_extreme_codes_does_not_overflow(entries, rows, isa):
    depth = 65536
    case = native.Case(
        "deep",
        "EdgeaxGroupedFullyConnected",
        {"keep_num_dims": 0, "output_min": -128, "output_max": 127, "group_bits": 16},
        "single",
        np.full((rows, depth), -128, np.int8),
        np.zeros((2, depth), np.uint8),
        np.int32([0, 5]),
        np.float32([1, 1]),
        np.int8([[-128] * entries, [-1] * entries]),
        2.0**-24,
        127,
        1.0,
        0,
        (rows, 2),
        numbers=np.uint8([[0], [1]]),
    )
    assert native.run(isa, case).tolist() == [[127, 1]] * rows  # as with one codebook


def test_a_scale_that_is_not_finite_is_refused():
    case = conv2d_case()
    case.scale[-1] = np.inf
    assert native.call("reference", case)[0] == native.BAD_ARGUMENT


@pytest.mark.parametrize("isa", SETS[1:])
def test_scratch_of_a_usual_convolution_fits_the_second_level_cache(isa):
    """28x28x64 to 64 channels by 3x3: half a mebibyte holds a block of rows and a tile."""
    window = native.Window(3, 3, 1, 1, 1, 1, 0)
    quantization = native.Quantization(1.0, 0, 1.0, 0, -128, 127, 0)
    arguments = native.Conv2DArgs(1, 28, 28, 64, 64, 1, window, quantization)
    size = ctypes.c_size_t()
    status = native.load().edgeax_conv2d_scratch_bytes(
        isa.encode(), ctypes.byref(arguments), ctypes.byref(size)
    )
    assert status == native.OK
    assert 0 < size.value <= 512 * 1024


def test_quantize_multiplier_gives_the_golden_numbers():
    for ratio, multiplier, shift in golden.load("rounding.json")["quantize_multiplier"]:
        found = ctypes.c_int32(-1), ctypes.c_int32(-1)
        status = native.load().edgeax_quantize_multiplier(
            float.fromhex(ratio), ctypes.byref(found[0]), ctypes.byref(found[1])
        )
        assert (status, found[0].value, found[1].value) == (native.OK, multiplier, shift), ratio


@pytest.mark.parametrize("ratio", [float("nan"), float("inf"), -float("inf")])
def test_quantize_multiplier_refuses_a_ratio_that_is_not_finite(ratio):
    found = ctypes.c_int32(-7), ctypes.c_int32(-7)
    status = native.load().edgeax_quantize_multiplier(
        ratio, ctypes.byref(found[0]), ctypes.byref(found[1])
    )
    assert (status, found[0].value, found[1].value) == (native.BAD_ARGUMENT, -7, -7)


def test_requantize_gives_the_golden_numbers():
    for case in golden.load("rounding.json")["requantize"]:
        sums = np.int32(case["acc"])
        out = np.zeros_like(sums)
        status = native.load().edgeax_requantize(
            sums.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_size_t(sums.size),
            case["multiplier"],
            case["shift"],
            native.KINDS.index(case["kind"]),
            out.ctypes.data_as(ctypes.c_void_p),
        )
        assert status == native.OK
        assert out.tolist() == case["out"], case


@pytest.mark.parametrize("shift, rounding", [(31, 0), (-32, 1), (0, 2), (0, -1)])
def test_requantize_refuses_a_shift_or_a_kind_out_of_range(shift, rounding):
    status = native.load().edgeax_requantize(None, ctypes.c_size_t(0), 2**30, shift, rounding, None)
    assert status == native.BAD_ARGUMENT


def unpack(packed: list[int], count: int, bits: int) -> tuple[int, list[int]]:
    row, codes = np.uint8(packed), np.full(count, 99, np.uint8)
    status = native.load().edgeax_unpack(
        row.ctypes.data_as(ctypes.c_void_p),
        ctypes.c_size_t(row.size),
        ctypes.c_size_t(count),
        bits,
        codes.ctypes.data_as(ctypes.c_void_p),
    )
    return status, codes.tolist()


def test_unpack_gives_the_golden_codes():
    rows = golden.rows_of_codes()
    assert {row["bits"] for row in rows} == {1, 2, 4}
    for row in rows:
        unpacked = unpack(row["packed"], len(row["codes"]), row["bits"])
        assert unpacked == (native.OK, row["codes"])


@pytest.mark.parametrize("bits, count", [(4, 2), (4, 5), (2, 4), (2, 9), (1, 8), (1, 17)])
def test_unpack_refuses_a_row_of_the_wrong_size(bits, count):
    assert unpack([0x21, 0x03], count, bits) == (native.BAD_SHAPE, [99] * count)


@pytest.mark.parametrize("bits", [-1, 0, 3, 8])
def test_unpack_refuses_other_bits(bits):
    assert unpack([0x21], 2, bits) == (native.BAD_ARGUMENT, [99] * 2)


def test_the_readme_shows_the_bytes_that_a_file_holds():
    readme = (build_library.KERNELS / "README.md").read_text()
    options = OPERATORS["EdgeaxConv2D"].pack_options(
        **{
            f"{part}_{side}": 1
            for part in ("kernel", "stride", "dilation")
            for side in ("height", "width")
        },
        padding=0,
        groups=1,
        output_min=-128,
        output_max=127,
    )
    assert f"`{options.hex(' ', 4)}`" in readme
    codes = np.uint8([[1, 2, 3], [4, 5, 6]])
    for bits, some in ((4, codes), (2, codes[:1]), (1, codes[:1] % 2)):
        assert f"`{packing.pack(some, bits).tobytes().hex(' ')}`" in readme
    row = np.int8([[0, 0, 5, 0, -1]])
    mask, four = (sparse.encode(row, 1, p) for p in (sparse.BITMASK, sparse.RELATIVE4))
    for part in (mask.values, mask.indices, four.indices):
        assert f"`{part.tobytes().hex(' ')}`" in readme
    vectors = vector_rows.encode(np.int8([[7, 2, 0, 0], [-1, 4, 7, 2], [0, 0, -1, 4]]), 2, 1)
    for part in (vectors.weights, vectors.codebook):
        assert f"`{part.tobytes().hex(' ')}`" in readme
    ones, numbers = np.ones((1, 18), np.uint8), np.uint8([[5, 2]])
    groups = grouped_rows.GroupedRows(ones, numbers, np.zeros((8, 16), np.int8), 16)
    assert f"`{groups.packed().tobytes().hex(' ')}`" in readme
    signs = binary_rows.pack_signs(np.float32([-2, 0, 3, -1]))
    assert f"`{signs.tobytes().hex(' ')}`" in readme


def test_the_library_says_which_interface_it_has():
    assert native.load().edgeax_version() == 5
    assert native.load().edgeax_isa_name(-1) is None
    assert native.load().edgeax_isa_name(99) is None
