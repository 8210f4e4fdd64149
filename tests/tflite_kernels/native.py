"""The built library as Python calls it: the C structs of adapters/c_api.h by ctypes."""

import ctypes
import functools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.emulation import places, process
from tests.golden import cases as golden
from tflite_kernels import build_library

LIBRARY = places.BUILD / "tests" / "libedgeax.so"
SANITIZE = (
    "-fsanitize=address,undefined,float-divide-by-zero,float-cast-overflow",
    "-fno-sanitize-recover=all",
    "-g1",
)
SANITIZED_FLAGS = ("-Og",)  # -O1 compiles for minutes, and leaves out more that nobody reads
SANITIZE_VARIABLE = "EDGEAX_TEST_SANITIZED"  # 1 in a process that `sanitized_environment` serves
OK, BAD_SHAPE, BAD_ARGUMENT, BAD_SCRATCH, UNKNOWN_ISA = range(5)
KINDS = ("single", "double")
INDEX_BLOCK = 128  # channels of a vector operator whose indices lie together


class Window(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int32)
        for name in (
            "kernel_height kernel_width stride_height stride_width dilation_height dilation_width "
            "padding"
        ).split()
    ]


class Quantization(ctypes.Structure):
    _fields_ = [
        ("input_scale", ctypes.c_float),
        ("input_zero_point", ctypes.c_int32),
        ("output_scale", ctypes.c_float),
        ("output_zero_point", ctypes.c_int32),
        ("output_min", ctypes.c_int32),
        ("output_max", ctypes.c_int32),
        ("rounding", ctypes.c_int32),
    ]


class Tensors(ctypes.Structure):
    _fields_ = [
        ("input", ctypes.c_void_p),
        ("input_size", ctypes.c_size_t),
        ("weights", ctypes.c_void_p),
        ("weights_size", ctypes.c_size_t),
        ("bias", ctypes.c_void_p),
        ("scale", ctypes.c_void_p),
        ("channels", ctypes.c_size_t),
        ("codebook", ctypes.c_void_p),
        ("codebook_size", ctypes.c_size_t),
        ("output", ctypes.c_void_p),
        ("output_size", ctypes.c_size_t),
    ]


class LookupTensors(ctypes.Structure):
    _fields_ = [
        *Tensors._fields_[:9],
        ("points", ctypes.c_void_p),
        ("points_size", ctypes.c_size_t),
        *Tensors._fields_[9:],
    ]


class SparseTensors(ctypes.Structure):
    _fields_ = [
        *Tensors._fields_[:4],
        ("indices", ctypes.c_void_p),
        ("indices_size", ctypes.c_size_t),
        *Tensors._fields_[4:7],
        *Tensors._fields_[9:],
    ]


def _image_args(last: str) -> list[tuple[str, Any]]:
    names = ("batch", "height", "width", "channels", *last.split())
    fields: list[tuple[str, Any]] = [(name, ctypes.c_int32) for name in names]
    return [*fields, ("window", Window), ("quantization", Quantization)]


class Conv2DArgs(ctypes.Structure):
    _fields_ = _image_args("output_channels groups")


class DepthwiseConv2DArgs(ctypes.Structure):
    _fields_ = _image_args("depth_multiplier")


class FullyConnectedArgs(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("rows", "depth", "outputs")),
        ("quantization", Quantization),
    ]


_SPARSE_FORMAT = [(name, ctypes.c_int32) for name in ("block", "places")]


class SparseConv2DArgs(ctypes.Structure):
    _fields_ = [("conv2d", Conv2DArgs), *_SPARSE_FORMAT]


class SparseFullyConnectedArgs(ctypes.Structure):
    _fields_ = [("fully_connected", FullyConnectedArgs), *_SPARSE_FORMAT]


_BINARY_FORM = [(name, ctypes.c_int32) for name in ("input_packed", "output_packed")]


class BinaryConv2DArgs(ctypes.Structure):
    _fields_ = [("conv2d", Conv2DArgs), *_BINARY_FORM, ("pad_value", ctypes.c_int32)]


class BinaryFullyConnectedArgs(ctypes.Structure):
    _fields_ = [("fully_connected", FullyConnectedArgs), *_BINARY_FORM]


_VECTOR_FORMAT = [(name, ctypes.c_int32) for name in ("tables", "entries", "length")]


class VectorConv2DArgs(ctypes.Structure):
    _fields_ = [("conv2d", Conv2DArgs), *_VECTOR_FORMAT]


class VectorFullyConnectedArgs(ctypes.Structure):
    _fields_ = [("fully_connected", FullyConnectedArgs), *_VECTOR_FORMAT]


_GROUPED_FORMAT = [(name, ctypes.c_int32) for name in ("bits", "group_bits")]


class GroupedConv2DArgs(ctypes.Structure):
    _fields_ = [("conv2d", Conv2DArgs), *_GROUPED_FORMAT]


class GroupedFullyConnectedArgs(ctypes.Structure):
    _fields_ = [("fully_connected", FullyConnectedArgs), *_GROUPED_FORMAT]


class LookupConv2DArgs(ctypes.Structure):
    _fields_ = [("conv2d", Conv2DArgs), ("bits", ctypes.c_int32)]


class LookupFullyConnectedArgs(ctypes.Structure):
    _fields_ = [("fully_connected", FullyConnectedArgs), ("bits", ctypes.c_int32)]


FUNCTIONS = {
    "EdgeaxConv2D": ("edgeax_conv2d", Conv2DArgs),
    "EdgeaxDepthwiseConv2D": ("edgeax_depthwise_conv2d", DepthwiseConv2DArgs),
    "EdgeaxFullyConnected": ("edgeax_fully_connected", FullyConnectedArgs),
    "EdgeaxSparseConv2D": ("edgeax_sparse_conv2d", SparseConv2DArgs),
    "EdgeaxSparseFullyConnected": ("edgeax_sparse_fully_connected", SparseFullyConnectedArgs),
    "EdgeaxBinaryConv2D": ("edgeax_binary_conv2d", BinaryConv2DArgs),
    "EdgeaxBinaryFullyConnected": ("edgeax_binary_fully_connected", BinaryFullyConnectedArgs),
    "EdgeaxVectorConv2D": ("edgeax_vector_conv2d", VectorConv2DArgs),
    "EdgeaxVectorFullyConnected": ("edgeax_vector_fully_connected", VectorFullyConnectedArgs),
    "EdgeaxGroupedConv2D": ("edgeax_grouped_conv2d", GroupedConv2DArgs),
    "EdgeaxGroupedFullyConnected": ("edgeax_grouped_fully_connected", GroupedFullyConnectedArgs),
    "EdgeaxLookupConv2D": ("edgeax_lookup_conv2d", LookupConv2DArgs),
    "EdgeaxLookupFullyConnected": ("edgeax_lookup_fully_connected", LookupFullyConnectedArgs),
}


@dataclass
class Case:
    """One call of an operator.

    Attributes:
        name: Of the case.
        operator: Name in the operator table.
        options: The options of the operator table.
        kind: Rounding, "single" or "double".
        input: int8, [N, H, W, C] or [..., K]; bytes of bits where a binary operator's is packed;
            int16 for an operator of int16 activations.
        weights: One row of the operator per row: uint8 codes or bits, unpacked; of a sparse
            operator the int8 weights with their zeros; of a vector operator the indices of a
            channel's sub-vectors.
        bias: int32, (channels,).
        scale: float32, (channels,).
        codebook: int8, (16,), (4,) or (2,); (codebooks, 16 or 4) for weights in groups; of a sparse
            or binary operator nothing; of a vector operator (tables, length, entries).
        input_scale: float32.
        input_zero_point: int8.
        output_scale: float32.
        output_zero_point: int8.
        output_shape: What the operator gives.
        indices: uint8, where the blocks of a sparse operator stood.
        values: int8, its blocks that are left.
        numbers: uint8 (rows, groups), the codebook of each group of weights.
        points: int8 (256,), what each code of a lookup operator's input stands for.
    """

    name: str
    operator: str
    options: dict[str, int]
    kind: str
    input: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    scale: np.ndarray
    codebook: np.ndarray
    input_scale: float
    input_zero_point: int
    output_scale: float
    output_zero_point: int
    output_shape: tuple[int, ...]
    indices: np.ndarray | None = None
    values: np.ndarray | None = None
    numbers: np.ndarray | None = None
    points: np.ndarray | None = None

    @property
    def is_sparse(self) -> bool:
        return self.indices is not None

    @property
    def is_binary(self) -> bool:
        return "Binary" in self.operator

    @property
    def is_int16(self) -> bool:
        return self.input.dtype == np.int16

    @property
    def is_vector(self) -> bool:
        return "Vector" in self.operator

    @property
    def bits(self) -> int:
        """Width of a code that points into a codebook."""
        return self.codebook.shape[-1].bit_length() - 1

    @property
    def tap(self) -> int:
        """Weights of a binary operator that share bytes."""
        return self.options["input_channels"] // self.options.get("groups", 1)

    def packed(self) -> np.ndarray:
        """The weights as the file holds them; spare bits are set, as nothing may read them."""
        if self.values is not None:
            return self.values
        if self.is_binary:
            taps = self.weights.reshape(len(self.weights), -1, self.tap)
            taps = np.pad(taps, ((0, 0), (0, 0), (0, -self.tap % 8)), constant_values=1)
            return np.packbits(taps, axis=-1, bitorder="little").reshape(len(taps), -1)
        if not self.is_vector:
            rows = _packed_rows(self.weights, self.bits)
            return rows if self.numbers is None else np.concatenate([rows, self.numbers], axis=1)
        bits = 4 if self.codebook.shape[2] <= 16 else 8
        starts = range(0, len(self.weights), INDEX_BLOCK)
        blocks = [self.weights[start : start + INDEX_BLOCK] for start in starts]
        return np.concatenate([_packed_rows(block.T, bits).ravel() for block in blocks])


def _packed_rows(codes: np.ndarray, bits: int) -> np.ndarray:
    rows = codes.astype(np.uint8)[..., np.newaxis]
    fields = np.unpackbits(rows, axis=-1, count=bits, bitorder="little")
    fields = fields.reshape(len(rows), -1)
    spare = ((0, 0), (0, -fields.shape[1] % 8))
    return np.packbits(np.pad(fields, spare, constant_values=1), axis=1, bitorder="little")


def golden_entries() -> list[dict[str, Any]]:
    """The entries of all golden files of operators."""
    return [entry for name in golden.OPERATOR_FILES for entry in golden.load(name)]


def golden_case(entry: dict[str, Any]) -> Case:
    """A case of one of the golden files of operators, or of int16 activations."""
    into, out = entry["input"], entry["output"]
    is_sparse = "weights" in entry
    weights = entry["weights" if is_sparse else "weights_index"]
    numbers = entry.get("numbers")
    codebook = np.int8(entry.get("codebook", []))
    return Case(
        f"{entry['operator']}_{entry['name']}",
        entry["operator"],
        entry["options"],
        entry["rounding"],
        np.array(into["data"], into.get("type", "int8")).reshape(into["shape"]),
        (np.int8 if is_sparse else np.uint8)(weights["data"]).reshape(weights["shape"]),
        np.int32(entry["bias"]),
        np.float32([float.fromhex(scale) for scale in entry["scale"]]),
        codebook.reshape(entry.get("codebook_shape", (-1, entry["entries"]) if numbers else -1)),
        float.fromhex(into["scale"]),
        into["zero_point"],
        float.fromhex(out["scale"]),
        out["zero_point"],
        tuple(out["shape"]),
        np.uint8(entry["indices"]) if is_sparse else None,
        np.int8(entry["values"]) if is_sparse else None,
        numbers and np.uint8(numbers["data"]).reshape(numbers["shape"]),
        np.int8(entry["points"]) if "points" in entry else None,
    )


def build(output: Path = LIBRARY) -> Path:
    """Builds the library for this machine, any warning being an error."""
    return build_library.build(output, [*build_library.find_compiler(), "-Werror"])


def sanitizing() -> list[str]:
    """The words that start a compiler which puts in what SANITIZE names."""
    return [*build_library.find_compiler(), "-Werror", *SANITIZE]


def build_sanitized() -> Path:
    """Builds the library so that it ends the process at a step outside or undefined behavior."""
    output = LIBRARY.parent / "sanitized" / LIBRARY.name
    return build_library.build(output, sanitizing(), flags=SANITIZED_FLAGS)


def sanitized_environment() -> dict[str, str]:
    """What a Python process needs in its environment to load the sanitized library."""
    compiler = build_library.find_compiler()
    run_time = [
        process.run([*compiler, f"-print-file-name={name}.so"], timeout_s=60).output.strip()
        for name in ("libasan", "libubsan")
    ]
    return {
        SANITIZE_VARIABLE: "1",
        "LD_PRELOAD": " ".join(run_time),
        "ASAN_OPTIONS": "detect_leaks=0",  # those seen are Python's and the interpreters' own
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONPATH": str(places.REPOSITORY),
    }


@functools.cache
def load() -> ctypes.CDLL:
    """The library, built when its sources changed; the sanitized one where SANITIZE_VARIABLE is 1.

    A copy of it is loaded: a process that maps the file must not see it replaced.
    """
    built = build_sanitized() if os.environ.get(SANITIZE_VARIABLE) == "1" else build()
    copy = built.with_name(f"loaded-{built.stat().st_mtime_ns}-{built.name}")
    if not copy.exists():
        shutil.copy2(built, copy)
    library = ctypes.CDLL(str(copy))
    library.edgeax_isa_name.restype = ctypes.c_char_p
    library.edgeax_quantize_multiplier.argtypes = [
        ctypes.c_double,
        ctypes.POINTER(ctypes.c_int32),
        ctypes.POINTER(ctypes.c_int32),
    ]
    return library


def isas() -> list[str]:
    """Instruction sets that this machine runs, "reference" first."""
    library = load()
    names = [library.edgeax_isa_name(i) for i in range(library.edgeax_isa_count())]
    return [name.decode() for name in names if library.edgeax_isa_supported(name)]


def quantization(case: Case) -> Quantization:
    return Quantization(
        case.input_scale,
        case.input_zero_point,
        case.output_scale,
        case.output_zero_point,
        case.options["output_min"],
        case.options["output_max"],
        KINDS.index(case.kind),
    )


def arguments(case: Case) -> ctypes.Structure:
    """The C arguments of a case."""
    dense = _dense_arguments(case)
    more: tuple[str, ...] = ()
    if case.points is not None:
        return FUNCTIONS[case.operator][1](dense, case.bits)
    if case.numbers is not None:
        return FUNCTIONS[case.operator][1](dense, case.bits, case.options["group_bits"])
    if case.is_sparse:
        more = ("block", "places")
    elif case.is_binary:
        more = ("input_packed", "output_packed", *(["pad_value"] * ("pad_value" in case.options)))
    elif case.is_vector:
        tables, length, entries = case.codebook.shape
        return FUNCTIONS[case.operator][1](dense, tables, entries, length)
    if not more:
        return dense
    return FUNCTIONS[case.operator][1](dense, *(case.options[name] for name in more))


def _dense_arguments(case: Case) -> ctypes.Structure:
    depth = case.options.get("input_channels", case.input.shape[-1])
    if case.operator.endswith("FullyConnected"):
        rows = int(np.prod(case.input.shape[:-1]))
        return FullyConnectedArgs(rows, depth, len(case.weights), quantization(case))
    window = Window(*(case.options[name] for name, _ in Window._fields_))
    if case.operator != "EdgeaxDepthwiseConv2D":
        channels = (len(case.weights), case.options["groups"])
        return Conv2DArgs(*case.input.shape[:3], depth, *channels, window, quantization(case))
    multiplier = case.options["depth_multiplier"]
    return DepthwiseConv2DArgs(*case.input.shape, multiplier, window, quantization(case))


def tensors(case: Case, memory: Any, output: np.ndarray) -> Tensors | SparseTensors | LookupTensors:
    """The C tensors of a case.

    Args:
        case: The case.
        memory: Places an array into memory of its own: array -> array.
        output: int8 or int16; where the kernel writes.
    """
    placed = {
        "input": memory(case.input),
        "weights": memory(case.packed()),
        "bias": memory(case.bias),
        "scale": memory(case.scale),
    }
    if case.indices is None:
        kind, more = Tensors, {"codebook_size": case.codebook.size}
        placed["codebook"] = memory(case.codebook)
        if case.points is not None:
            kind, more = LookupTensors, more | {"points_size": case.points.size}
            placed["points"] = memory(case.points)
    else:
        kind, more = SparseTensors, {"indices_size": case.indices.size}
        placed["indices"] = memory(case.indices)
    result = kind(
        input_size=case.input.size,
        weights_size=placed["weights"].size,
        channels=case.bias.size,
        output=output.ctypes.data,
        output_size=output.size,
        **more,
        **{name: array.ctypes.data for name, array in placed.items()},
    )
    result.placed = placed  # kept alive
    return result


def function(case: Case) -> Any:
    """The C function of a case."""
    name, _ = FUNCTIONS[case.operator]
    return getattr(load(), f"{name}_int16" if case.is_int16 else name)


def call(isa: str, case: Case, memory: Any = np.ascontiguousarray) -> tuple[int, np.ndarray]:
    """Runs a case.

    Returns:
        The status and the output, in the type of the input and the shape of the case; 77 where
        nothing was written.
    """
    output = memory(np.full(case.output_shape, 77, case.input.dtype))
    status = function(case)(
        isa.encode(),
        ctypes.byref(arguments(case)),
        ctypes.byref(tensors(case, memory, output)),
    )
    return status, output


def run(isa: str, case: Case, memory: Any = np.ascontiguousarray) -> np.ndarray:
    """Runs a case that has to work; returns the output."""
    status, output = call(isa, case, memory)
    assert status == OK, f"{case.name} on {isa}: status {status}"
    return output
