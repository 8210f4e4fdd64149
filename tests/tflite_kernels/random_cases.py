"""Seeded random calls of the operators: odd shapes, extreme codes, every option."""

import numpy as np

from tests.golden import cases as golden
from tests.tflite_kernels.native import Case

OPERATORS = (
    "EdgeaxConv2D",
    "EdgeaxDepthwiseConv2D",
    "EdgeaxFullyConnected",
    "EdgeaxSparseConv2D",
    "EdgeaxSparseFullyConnected",
    "EdgeaxBinaryConv2D",
    "EdgeaxBinaryFullyConnected",
    "EdgeaxVectorConv2D",
    "EdgeaxVectorFullyConnected",
    "EdgeaxGroupedConv2D",
    "EdgeaxGroupedFullyConnected",
    "EdgeaxLookupConv2D",
    "EdgeaxLookupFullyConnected",
)
ENTRIES = (16, 4, 2)  # of a codebook
BLOCKS = (1, 2, 4, 8, 16)
DENSITIES = (0.0, 0.02, 0.1, 0.3, 0.75, 1.0)


def draw(operator: str, seed: int) -> Case:
    """One case; the same for the same seed."""
    source = np.random.default_rng((OPERATORS.index(operator), seed))
    build = {
        "EdgeaxConv2D": _conv2d,
        "EdgeaxDepthwiseConv2D": _depthwise,
        "EdgeaxFullyConnected": _fully_connected,
        "EdgeaxSparseConv2D": _conv2d,
        "EdgeaxSparseFullyConnected": _fully_connected,
        "EdgeaxBinaryConv2D": _conv2d,
        "EdgeaxBinaryFullyConnected": _fully_connected,
        "EdgeaxVectorConv2D": _conv2d,
        "EdgeaxVectorFullyConnected": _fully_connected,
        "EdgeaxGroupedConv2D": _conv2d,
        "EdgeaxGroupedFullyConnected": _fully_connected,
        "EdgeaxLookupConv2D": _conv2d,
        "EdgeaxLookupFullyConnected": _fully_connected,
    }[operator]
    return _fill(source, operator, seed, *build(source))


def draw_whole_groups(seed: int) -> Case:
    """A sparse convolution of stride 1 whose blocks are of 4, 8 or 16 inputs, of 4 * n channels."""
    source = np.random.default_rng((len(OPERATORS), seed))
    options, shape, outputs, row, output_shape = _conv2d(source)
    while options["stride_height"] != 1 or options["stride_width"] != 1:
        options, shape, outputs, row, output_shape = _conv2d(source)
    case = "EdgeaxSparseConv2D", 5 * seed + 2 + seed // 9 % 3
    return _fill(source, *case, options, (*shape[:3], 4 * shape[3]), outputs, 4 * row, output_shape)


def _fill(
    source: np.random.Generator,
    operator: str,
    seed: int,
    options: dict[str, int],
    shape: tuple[int, ...],
    rows: int,
    row: int,
    output_shape: tuple[int, ...],
) -> Case:
    """Draws the numbers of a case."""
    channels = output_shape[-1]
    entries = ENTRIES[seed % len(ENTRIES)]
    extreme = source.random() < 0.2
    spread = source.choice([0.3, 20.0, 60.0, 4000.0, 1e10])  # the last: beyond int32
    input_scale = float(np.float32(source.uniform(0.01, 0.1)))
    scale = np.float32(source.uniform(0.001, 0.02, channels))
    scale[source.random(channels) < 0.3] *= -1
    scale[source.random(channels) < 0.05] = 0
    depth = row if operator != "EdgeaxDepthwiseConv2D" else rows
    typical = 80 * 75 * np.sqrt(depth) * input_scale * 0.02
    case = Case(
        f"{operator}_{seed}",
        operator,
        options | _clamp(source),
        str(source.choice(["single", "double"])),
        _codes(source, shape, extreme),
        source.integers(0, entries, (rows, row), dtype=np.uint8),
        _bias(source, channels),
        scale,
        _codes(source, (entries,), extreme),
        input_scale,
        int(source.choice([-128, 127, 0, source.integers(-128, 128)])),
        float(np.float32(typical / spread)),
        int(source.choice([-128, 127, 0, source.integers(-128, 128)])),
        output_shape,
    )
    if case.is_binary:
        return _binarize(source, case, typical)
    if "Sparse" in operator:
        return _prune(source, case, seed, extreme)
    if case.is_vector:
        return _cut(source, case, extreme)
    if "Grouped" in operator:
        _group(source, case, seed, extreme)
    if "Lookup" in operator:
        _group(source, case, seed, extreme, group_bits=16)
        del case.options["group_bits"]
        case.points = _codes(source, (256,), extreme)
        case.output_scale = float(np.float32(case.output_scale / input_scale))
    largest = source.choice([1, 2, 8, 15, 16, 128])  # kernels treat small weights in their own way
    case.codebook = np.clip(case.codebook, -largest, largest - (largest == 128)).astype(np.int8)
    return case


def _group(
    source: np.random.Generator, case: Case, seed: int, extreme: bool, group_bits: int = 0
) -> None:
    """Gives the weights of a case groups, of some size where none is given, and a codebook for
    each.
    """
    entries, codebooks = ENTRIES[seed % 2], 2 ** int(source.integers(9))
    drawn = int(source.choice([4, 5, 6, 7, source.integers(4, 17)]))
    case.options |= {"group_bits": group_bits or drawn}
    groups = -(-case.weights.shape[1] >> case.options["group_bits"])
    case.weights %= entries
    case.codebook = _codes(source, (codebooks, entries), extreme)
    case.numbers = source.integers(0, codebooks, (len(case.weights), groups), dtype=np.uint8)


def _binarize(source: np.random.Generator, case: Case, typical: float) -> Case:
    """Makes a case binary."""
    case.weights = case.weights & np.uint8(1)
    case.codebook = np.int8([])
    count = case.input.shape[-1]
    case.options |= {
        "input_packed": int(source.integers(2)),
        "output_packed": int(source.integers(2)),
        "input_channels": count,
    }
    if case.operator == "EdgeaxBinaryConv2D":
        case.options |= {"pad_value": int(source.integers(2))}
    # A sum of signs is that much smaller than one of products of codes.
    case.output_scale = float(np.float32(case.output_scale / (typical / 0.02) * 0.02))
    deep = 4096 * int(np.sqrt(case.weights.shape[1])) + 1
    case.bias = source.integers(-deep, deep, case.bias.size).astype(np.int32)
    if source.random() < 0.1:
        case.bias[:] = source.choice(np.int32([-(2**30), 2**30]), case.bias.size)
    case.bias[source.random(case.bias.size) < 0.2] &= ~np.int32(4095)  # a sum may meet them
    if case.options["input_packed"]:  # any bits, those beyond the last number too
        shape = (*case.input.shape[:-1], -(-count // 8))
        case.input = source.integers(-128, 128, shape, dtype=np.int8)
    if case.options["output_packed"]:
        case.output_shape = (*case.output_shape[:-1], -(-case.output_shape[-1] // 8))
    return case


def _cut(source: np.random.Generator, case: Case, extreme: bool) -> Case:
    """Makes a case one of sub-vectors."""
    channels, depth = case.weights.shape
    length = int(source.choice([n for n in range(1, 25) if depth % n == 0]))
    places = depth // length
    tables = int(source.choice([n for n in range(1, places + 1) if places % n == 0]))
    entries = int(source.choice([2, 16, 256, source.integers(3, 16), source.integers(17, 256)]))
    case.weights = source.integers(0, entries, (channels, places), dtype=np.uint8)
    case.codebook = _codes(source, (tables, length, entries), extreme)
    return case


def _prune(source: np.random.Generator, case: Case, seed: int, extreme: bool) -> Case:
    """Makes a case sparse: with the seed all blocks, places and densities take their turns."""
    block = BLOCKS[seed % len(BLOCKS)]
    places = seed // len(BLOCKS) % 3
    density = DENSITIES[seed // (3 * len(BLOCKS)) % len(DENSITIES)]
    rows, depth = case.weights.shape
    left = np.repeat(source.random((rows, -(-depth // block))) < density, block, axis=1)[:, :depth]
    if source.random() < 0.2:  # N:M, in single weights
        whole, count = ((4, 2), (4, 1), (16, 4))[source.integers(3)]
        order = source.random((rows, -(-depth // whole), whole)).argsort(axis=2)
        left = (order < count).reshape(rows, -1)[:, :depth]
    if source.random() < 0.3:  # the same places in neighboring channels
        left = np.repeat(left[::4], 4, axis=0)[:rows]
    case.weights = np.where(left, _codes(source, (rows, depth), extreme), 0).astype(np.int8)
    case.codebook = np.int8([])
    case.options |= {"block": block, "places": places}
    return store(case)


def store(case: Case) -> Case:
    """Writes the values and the indices of a sparse case anew from its weights."""
    options = case.options
    values, indices = golden.store(case.weights.tolist(), options["block"], options["places"])
    case.values, case.indices = np.array(values, np.int8), np.array(indices, np.uint8)
    return case


def _codes(source: np.random.Generator, shape: tuple[int, ...], extreme: bool) -> np.ndarray:
    if extreme:
        return source.choice(np.int8([-128, 127]), shape)
    return source.integers(-128, 128, shape, dtype=np.int8)


def _bias(source: np.random.Generator, channels: int) -> np.ndarray:
    bias = source.integers(-5000, 5000, channels).astype(np.int32)
    if source.random() < 0.1:  # sums wrap around
        bias[:] = source.choice(np.int32([-(2**31), 2**31 - 1]), channels)
    return bias


def _clamp(source: np.random.Generator) -> dict[str, int]:
    low, high = -128, 127
    if source.random() < 0.4:
        low, high = sorted(int(code) for code in source.integers(-128, 128, 2))
    return {"output_min": low, "output_max": high}


def _size(source: np.random.Generator, high: int) -> int:
    """Mostly small, sometimes up to `high`."""
    return int(source.integers(1, (high if source.random() < 0.3 else min(high, 6)) + 1))


def _window(
    source: np.random.Generator, height: int, width: int
) -> tuple[dict[str, int], int, int] | None:
    """Options and output size of a window over an image; None where it does not fit."""
    options = {"padding": int(source.integers(2))}
    sizes = {}
    for name, size in (("height", height), ("width", width)):
        kernel, stride, dilation = (_size(source, high) for high in (5, 4, 3))
        options |= {
            f"kernel_{name}": kernel,
            f"stride_{name}": stride,
            f"dilation_{name}": dilation,
        }
        covered = size if options["padding"] == 0 else size - (kernel - 1) * dilation
        sizes[name] = -(-covered // stride)
    if min(sizes.values()) < 1:
        return None
    return options, sizes["height"], sizes["width"]


def _image(source: np.random.Generator) -> tuple[dict[str, int], int, int, int, int, int]:
    while True:
        batch, height, width = _size(source, 2), _size(source, 12), _size(source, 12)
        window = _window(source, height, width)
        if window is not None:
            return *window, batch, height, width


def _conv2d(source: np.random.Generator):
    options, out_height, out_width, batch, height, width = _image(source)
    groups = int(source.choice([1, 1, 2, 3]))
    inputs, outputs = groups * _size(source, 40), groups * _size(source, 40)
    row = options["kernel_height"] * options["kernel_width"] * inputs // groups
    shape = (batch, height, width, inputs)
    output_shape = (batch, out_height, out_width, outputs)
    return options | {"groups": groups}, shape, outputs, row, output_shape


def _depthwise(source: np.random.Generator):
    options, out_height, out_width, batch, height, width = _image(source)
    multiplier = int(source.choice([1, 1, 2, 5]))
    inputs = _size(source, 70)
    taps = options["kernel_height"] * options["kernel_width"]
    shape = (batch, height, width, inputs)
    output_shape = (batch, out_height, out_width, inputs * multiplier)
    options |= {"depth_multiplier": multiplier}
    return options, shape, taps, inputs * multiplier, output_shape


def _fully_connected(source: np.random.Generator):
    rows, depth, outputs = _size(source, 20), _size(source, 700), _size(source, 70)
    return {"keep_num_dims": 0}, (rows, depth), outputs, depth, (rows, outputs)
