"""Inputs of fuzz_main.cc for libFuzzer to begin with: the golden cases, and larger shapes with
tensors that are made up. C++ twin, which reads them: fuzz_input.h and fuzz_main.cc."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgeax.formats import operators
from tests.golden import cases as golden
from tests.tflite_kernels import native

PACKED = list(operators.OPERATORS)
GRADIENTS = list(operators.TRAINING_OPERATORS)
NAMES = PACKED + GRADIENTS
WINDOW = [name for name, _ in native.Window._fields_]
LARGER = 40  # shapes of each operator
MOST_WORK, MOST_ELEMENTS = 2**19, 2**15  # well below what fuzz_main.cc takes
DAMAGES = range(128, 128 + 32)  # four of each of 8 tensors: Size of fuzz_main.cc
PREPARED = 2  # of each 3 places the one whose weights are prepared
ANY_FLOATS, IN_RANGE = 0, 2  # how requantization is written: FactorsOf of fuzz_main.cc

# Activations, those of int16 with zero points of 0 and limits 256 times as far: AreInt16 of
# fuzz_main.cc.
INT8, INT16 = bytes([0]), bytes([1, 0, 0, 8, 8])


def number(value: int) -> bytes:
    if 0 <= value < 240:
        return bytes([value])
    if 0 <= value < 3840:
        return bytes([240 + value // 256, value % 256])
    return bytes([255]) + np.int32(value).tobytes()


def numbers(*values: int) -> bytes:
    return b"".join(map(number, values))


def setting(
    operator: str, place: int, factors: int = ANY_FLOATS, bias_shift: int = 0, damage: int = 0
) -> bytes:
    """The operator, and how it is called: in some shares, with some filling of scratch, off
    alignment and with prepared weights, by the place of the input."""
    weights = 128 if place % 3 == PREPARED else 0
    how = [place % 7, 255 - place % 2 * 90, place % 16, damage, factors, bias_shift, weights]
    return bytes([NAMES.index(operator), *how])


def quantization(zero_in: int, zero_out: int, low: int, high: int, kind: str) -> bytes:
    shifted = (value + 128 for value in (zero_in, zero_out, low, high))
    return numbers(*shifted, native.KINDS.index(kind))


def of_case(case: native.Case) -> bytes:
    """A case of an operator, whole."""
    options = case.options
    depth = options.get("input_channels", case.input.shape[-1])
    if case.operator.endswith("FullyConnected"):
        parts = [numbers(case.input.size // case.input.shape[-1], depth, len(case.weights))]
    else:
        more = [options[name] for name in ("depth_multiplier", "groups") if name in options]
        if "Depthwise" not in case.operator:
            more.insert(0, len(case.weights))
        window = (options[name] for name in WINDOW)
        parts = [numbers(*case.input.shape[:3], depth, *more, *window)]
    limits = (options["output_min"], options["output_max"])
    parts.append(quantization(case.input_zero_point, case.output_zero_point, *limits, case.kind))
    payload = [case.codebook, case.input, case.packed()]
    if case.is_sparse:
        parts.append(numbers(options["block"], options["places"]))
        parts += [INT8, bytes(1), number(case.indices.size), case.indices.tobytes()]  # as they are
        payload = [case.input, case.values]
    elif case.points is not None:
        parts += [number(case.bits), bytes([len(case.codebook).bit_length() - 1])]
        payload.insert(1, case.points)
    elif case.numbers is not None:
        parts.append(numbers(case.bits, options["group_bits"]))
        parts.append(bytes([len(case.codebook).bit_length() - 1]))
    elif case.is_binary:
        parts.append(numbers(options["input_packed"], options["output_packed"]))
        parts.append(numbers(*(options[name] for name in ["pad_value"] if name in options)))
        payload = payload[1:]
    elif case.is_vector:
        tables, length, entries = case.codebook.shape
        parts += [numbers(tables, entries, length), bytes(1)]  # indices as they are
    else:
        parts += [INT8, bytes([{2: 0, 4: 1, 16: 2}[case.codebook.size]])]
    scales = np.float32([case.input_scale, case.output_scale])
    arrays = [*payload, case.bias, scales, case.scale]
    return b"".join([*parts, *(array.tobytes() for array in arrays)])


def of_coded(operator: str, rows: int, depth: int, buffer: bytes) -> bytes:
    """Coded rows for a 1x1 convolution of 2 x 1 pixels or for the product of 2 vectors."""
    shape = [2, depth, rows] if "Fully" in operator else [1, 2, 1, depth, rows, *([1] * 7), 0]
    inputs = (bytes(range(250)) * depth)[: 2 * depth]
    scales = np.float32([0.5, 0.25]).tobytes()
    quantized = quantization(-3, 5, -128, 127, "single")
    return b"".join([numbers(*shape), quantized, number(len(buffer)), buffer, inputs, scales])


def larger(source: np.random.Generator, operator: str) -> bytes:
    """A shape that needs whole registers and more; its tensors are made up."""

    def one_of(*values: int) -> int:
        return int(source.choice(values))

    if operator == "EdgeaxBinaryMaxPool2D":
        window = [one_of(1, 2, 3), one_of(2, 3), one_of(1, 2), 2, 1, 1, one_of(0, 1)]
        return numbers(2, one_of(5, 9), 9, one_of(8, 31, 64, 130), *window)
    if operator == "EdgeaxFloatFullyConnected":
        shape = numbers(one_of(1, 2, 5), one_of(8, 31, 64, 130, 300), one_of(1, 7, 16, 33))
        bits, group, activation = one_of(0, 1, 2, 3), one_of(0, 8, 32, 64), one_of(0, 1, 2, 3)
        table = one_of(0, *range(2, 8), *range(130, 136))
        return shape + bytes([bits]) + numbers(group, activation) + bytes([table])
    while True:
        depth, outputs = one_of(8, 16, 31, 64, 96, 130), one_of(1, 7, 16, 33, 64, 100)
        if operator.endswith("FullyConnected"):
            rows, depth = one_of(1, 2, 4, 9, 40), depth * one_of(1, 3, 8)
            shape, pixels, taps = [rows, depth, outputs], rows, depth
        else:
            size, kernel, stride = one_of(1, 5, 9, 20), one_of(1, 3), one_of(1, 1, 2)
            padding = 0 if size == 1 else one_of(0, 1)
            rest = [kernel, kernel, stride, stride, one_of(1, 1, 2), one_of(1, 1, 2), padding]
            if "Depthwise" in operator:
                more, outputs, taps = [one_of(1, 1, 2)], depth, kernel * kernel
            else:
                groups = one_of(1, 1, 2)
                depth, outputs = depth * groups, outputs * groups
                more, taps = [outputs, groups], kernel * kernel * depth
            shape, pixels = [one_of(1, 2), size, size, depth, *more, *rest], 2 * size * size
        elements = max(pixels * depth, 2 * pixels * outputs, outputs * taps)
        if pixels * outputs * taps <= MOST_WORK and elements <= MOST_ELEMENTS:
            break
    kind = native.KINDS[one_of(0, 1)]
    quantized = quantization(one_of(-128, 3, 127), one_of(-128, 0, 127), -128, 127, kind)
    activations = INT16 if source.random() < 0.4 else INT8
    if "Sparse" in operator:
        more = [one_of(1, 2, 4, 8, 16), one_of(0, 1, 2)]
        density = bytes([one_of(20, 64, 128, 255)])
        return numbers(*shape) + quantized + numbers(*more) + activations + density
    if "Binary" in operator:
        return numbers(*shape) + quantized + numbers(one_of(0, 1), one_of(0, 1), one_of(0, 1))
    if "Grouped" in operator:
        more = numbers(one_of(2, 4), one_of(4, 5, 6, 7)) + bytes([one_of(0, 3, 5, 8)])
        return numbers(*shape) + quantized + more
    if "Lookup" in operator:
        return numbers(*shape) + quantized + number(one_of(2, 4)) + bytes([one_of(0, 3, 8)])
    if "Vector" in operator:
        length = one_of(*(n for n in (1, 2, 4, 8, 13, 16) if depth % n == 0))
        tables = one_of(1, depth // length)  # of a convolution: of its inputs
        entries = one_of(4, 16, 16, 40, 256)
        return numbers(*shape) + quantized + numbers(tables, entries, length) + bytes([1])
    if "SignSum" in operator:
        pad_value = [] if operator.endswith("FullyConnected") else [one_of(0, 1)]
        parts = ((1, 1, 2), (1, 2, 1), (2, 1, 1))[one_of(0, 1, 2)]  # twice the work at most
        return numbers(*shape) + quantized + numbers(*pad_value, *parts)
    if "Coded" in operator:
        return numbers(*shape) + quantized + bytes([one_of(0, 1, 2)])
    return numbers(*shape) + quantized + activations + bytes([one_of(0, 1, 2)])


def few_vectors(source: np.random.Generator, operator: str) -> bytes:
    """A product whose kernels read what is prepared of its weights: small ones, or a few of them
    that are left; the other tensors are made up."""
    rows, depth, outputs = (int(source.choice(sizes)) for sizes in ((1, 2), (128, 384), (5, 9, 20)))
    shape = numbers(rows, depth, outputs) + quantization(3, 0, -128, 127, native.KINDS[0])
    if "Sparse" in operator:
        return shape + numbers(1, int(source.integers(3))) + bytes([12])
    entries = int(source.choice([4, 16]))
    codebook = source.integers(-15, 16, entries).astype(np.int8)
    return shape + bytes([{4: 1, 16: 2}[entries]]) + codebook.tobytes()


def gradient(source: np.random.Generator, operator: str) -> bytes:
    """A gradient of a layer, or one whose weights change; its tensors are made up."""
    activation = bytes([int(source.integers(4))]) if "Variable" in operator else b""
    if operator.endswith("FullyConnected"):
        shape = (source.choice(sizes) for sizes in ((1, 3, 15, 40), (1, 7, 60), (1, 10, 16, 40)))
        return numbers(*map(int, shape)) + activation
    if not any(kind in operator for kind in ("Conv", "Pool", "Signs")):
        alpha = np.float32(source.choice([0.25, -1.0])).tobytes()
        return numbers(int(source.integers(1, 300)), 0) + alpha
    while True:
        batch, *sizes = (int(source.integers(low, 8)) for low in (1, 3, 3))
        taps, strides = source.integers(1, 4, 2), source.integers(1, 4, 2)
        dilations = source.integers(1, 3, 2) if "Pool" not in operator else np.ones(2, int)
        pads = [int(source.integers(kernel)) for kernel in taps]
        reach = (taps - 1) * dilations + 1
        positions = np.maximum((np.array(sizes) + 2 * np.array(pads) - reach) // strides + 1, 1)
        channels = int(source.choice([1, 3, 16, 33]))
        groups = int(source.choice([1, channels]))
        outputs = int(source.choice([1, 7, 16, 40])) if groups == 1 else 2 * groups
        products = batch * int(np.prod(positions) * np.prod(taps)) * channels // groups * outputs
        if products <= MOST_WORK // 4:
            break
    axes = []
    for row in zip(positions, taps, strides, dilations, pads, strict=True):
        axes += [int(number) for number in row]
    shape = [batch, *sizes, channels]
    if "Pool" in operator:
        return numbers(*shape, *axes)
    if "Depthwise" in operator:
        outputs = int(source.choice([1, 2]))
    made = numbers(*shape, outputs, groups, *axes)
    if "Signs" not in operator:
        return made + activation
    prediction = (8, int(source.choice([0, 4, 7])), 16, 10, int(source.integers(2)))
    return made + numbers(*prediction) + np.float32(source.choice([0.05, 0.5])).tobytes()


def right() -> Iterator[bytes]:
    """Calls that are computed."""
    place = 0
    for place, entry in enumerate(native.golden_entries()):
        case = native.golden_case(entry)
        yield setting(case.operator, place) + of_case(case)
    coded = [name for name in NAMES if "Coded" in name]
    for entry in golden.load("coded.json"):
        for buffer in map(bytes.fromhex, entry["buffers"]):
            for name in coded:
                place += 1
                rows = of_coded(name, len(entry["bias"]), entry["depth"], buffer)
                yield setting(name, place) + rows
    source = np.random.default_rng(0)
    for name in PACKED:
        for place in range(0 if name in coded else LARGER):
            yield setting(name, place, IN_RANGE, bias_shift=18) + larger(source, name)
    for name in GRADIENTS:
        for place in range(LARGER):
            yield setting(name, place) + gradient(source, name)
    for name in ("EdgeaxFullyConnected", "EdgeaxSparseFullyConnected"):
        for place in range(LARGER):
            yield setting(name, 3 * place + PREPARED, IN_RANGE, 18) + few_vectors(source, name)


def damaged() -> Iterator[bytes]:
    """One larger call of each operator with each of its tensors in each wrong size."""
    for name in NAMES:
        if "Coded" not in name:
            make = gradient if name in GRADIENTS else larger
            call = make(np.random.default_rng(1), name)
            for damage in DAMAGES:
                yield setting(name, 1, IN_RANGE, bias_shift=18, damage=damage) + call


def write(folder: Path) -> int:
    """Writes a file for each call.

    Returns:
        How many are right.
    """
    folder.mkdir(parents=True, exist_ok=True)
    calls = list(right())
    for place, call in enumerate([*calls, *damaged()]):
        (folder / f"{place:04}").write_bytes(call)
    return len(calls)
