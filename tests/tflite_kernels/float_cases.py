"""Products of floats with packed weights: cases, the C call, and an oracle in numpy."""

import ctypes
import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeax.formats import packing
from edgeax.formats.operators import OPERATORS
from tests.golden import cases as golden
from tests.golden import float_cases as golden_floats
from tests.tflite_kernels import models, native

OPERATOR = golden_floats.OPERATOR
ENTRIES = (256, 16, 4, 2)  # of a codebook
CODEBOOKS = ("int8", *(f"float8_e{bits}" for bits in range(1, 6)), "float8_e2_lifted")
LANES = golden_floats.LANES


class Args(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int32)
        for name in ("rows", "depth", "outputs", "bits", "group", "activation")
    ]


class Tensors(ctypes.Structure):
    _fields_ = [
        field
        for name in ("input", "weights", "bias", "scale", "codebook", "output")
        for field in ((name, ctypes.c_void_p), (f"{name}_size", ctypes.c_size_t))
    ]


@dataclass
class FloatCase:
    """One call.

    Attributes:
        name: Of the case.
        options: The options of the operator table.
        input: float32 `[..., depth]`.
        codes: uint8 `(outputs, depth)`.
        bias: float32 `(outputs,)`.
        scale: float32 `(outputs, groups)`.
        codebook: float32, 256, 16, 4 or 2 of them.
        expected: float32, where it is known.
    """

    name: str
    options: dict[str, int]
    input: np.ndarray
    codes: np.ndarray
    bias: np.ndarray
    scale: np.ndarray
    codebook: np.ndarray
    expected: np.ndarray | None = None

    @property
    def bits(self) -> int:
        return self.codebook.size.bit_length() - 1

    @property
    def output_shape(self) -> tuple[int, ...]:
        *rows, _ = self.input.shape
        rows = rows if self.options["keep_num_dims"] else [int(np.prod(rows))]
        return (*rows, len(self.codes))

    def packed(self) -> np.ndarray:
        """The weights as the file holds them; spare bits are set, as nothing may read them."""
        rows = packing.pack(self.codes, self.bits)
        spare = rows.shape[1] * 8 - self.codes.shape[1] * self.bits
        rows[:, -1] |= np.uint8(0xFF00 >> spare & 0xFF)
        return rows


def golden_cases() -> list[FloatCase]:
    """The cases of float.json."""
    found = []
    for entry in golden.load("float.json"):
        outputs, shape = len(entry["bias"]), entry["input"]["shape"]
        found.append(
            FloatCase(
                f"{OPERATOR}_{entry['name']}",
                entry["options"],
                np.float32(entry["input"]["data"]).reshape(shape),
                np.frombuffer(bytes.fromhex(entry["codes"]), np.uint8).reshape(outputs, -1),
                np.float32(entry["bias"]),
                np.float32(entry["scale"]).reshape(outputs, -1),
                np.float32(golden_floats.codebook_of(entry)),
                np.float32(entry["output"]["data"]).reshape(entry["output"]["shape"]),
            )
        )
    return found


def draw(seed: int) -> FloatCase:
    """One case; the same for the same seed."""
    source = np.random.default_rng((99, seed))
    rows, outputs = (int(source.integers(1, most)) for most in (7, 12))
    depth = int(source.integers(1, source.choice([20, 150, 700])))
    group = int(source.choice([0, 0, 8, 24, 32, 64, 128]))
    entries = ENTRIES[seed % len(ENTRIES)]
    options = {"keep_num_dims": 0, "group": group, "activation": int(source.integers(4))}
    codebook = np.float32(source.normal(size=entries))
    if entries == 256 and source.random() < 0.8:
        named = CODEBOOKS[seed // len(ENTRIES) % len(CODEBOOKS)]
        codebook = np.float32(golden_floats.codebook_of({"codebook": named}))
    scale = np.float32(source.normal(size=(outputs, -(-depth // group) if group else 1)))
    return FloatCase(
        f"{OPERATOR}_{seed}",
        options,
        np.float32(source.normal(size=(rows, depth)) * 10.0 ** source.integers(-3, 4)),
        source.choice(np.flatnonzero(np.isfinite(codebook)), (outputs, depth)).astype(np.uint8),
        np.float32(source.normal(size=outputs)),
        scale * np.float32(source.random(scale.shape) > 0.1),
        codebook,
    )


def multiply_add(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """float32 `a * b + c`, rounded once."""
    product = np.float64(a) * np.float64(b)  # exact
    c = np.float64(c)
    total = product + c
    moved = total - product
    lost = (product - (total - moved)) + (c - moved)
    # What is left over decides between two floats only where the total lies halfway: nudge it.
    toward = np.where(lost > 0, np.inf, -np.inf)
    is_even = (total.view(np.int64) & 1) == 0
    total = np.where((lost != 0) & is_even, np.nextafter(total, toward), total)
    return np.float32(total)


def oracle(case: FloatCase) -> np.ndarray:
    """What a case gives."""
    x = case.input.reshape(-1, case.input.shape[-1])
    weights = case.codebook[case.codes]
    depth = x.shape[1]
    group = case.options["group"] or depth
    totals = np.zeros((LANES, len(x), len(weights)), np.float32)
    for number, start in enumerate(range(0, depth, group)):
        sums = np.zeros_like(totals)
        for k in range(start, min(start + group, depth)):
            lane = (k - start) * case.bits // 8 % LANES
            sums[lane] = multiply_add(x[:, k, None], weights[None, :, k], sums[lane])
        totals = multiply_add(case.scale[None, None, :, number], sums, totals)
    while len(totals) > 1:
        half = len(totals) // 2
        totals = totals[:half] + totals[half:]
    low, high = ((-np.inf, np.inf), (0, np.inf), (0, 6), (-1, 1))[case.options["activation"]]
    result = np.clip(case.bias + totals[0], np.float32(low), np.float32(high))
    return result.reshape(case.output_shape)


def arguments(case: FloatCase) -> Args:
    """The C arguments of a case."""
    *rows, depth = case.input.shape
    group, activation = case.options["group"], case.options["activation"]
    return Args(int(np.prod(rows)), depth, len(case.codes), case.bits, group, activation)


def tensors(case: FloatCase, memory: Any, output: np.ndarray) -> Tensors:
    """The C tensors of a case; see `native.tensors`."""
    placed = {
        "input": memory(case.input),
        "weights": memory(case.packed()),
        "bias": memory(case.bias),
        "scale": memory(case.scale),
        "codebook": memory(case.codebook),
        "output": output,
    }
    result = Tensors(
        **{name: array.ctypes.data for name, array in placed.items()},
        **{f"{name}_size": array.size for name, array in placed.items()},
    )
    result.placed = placed  # kept alive
    return result


def call_c(isa: str, args: Args, given: Tensors) -> int:
    """Calls the kernel; returns its status."""
    function = native.load().edgeax_float_fully_connected
    return function(isa.encode(), ctypes.byref(args), ctypes.byref(given))


def run(isa: str, case: FloatCase, memory: Any = np.ascontiguousarray) -> np.ndarray:
    """Runs a case that has to work; returns the output."""
    output = memory(np.full(case.output_shape, 77, np.float32))
    status = call_c(isa, arguments(case), tensors(case, memory, output))
    assert status == native.OK, f"{case.name} on {isa}: status {status}"
    return output


def model_of(case: FloatCase) -> models.Model:
    """A model of one operator: tensors in the order of the operator table, then the output."""
    model = models.Model()
    model.inputs = [model.add(models.Tensor("x", case.input.shape, np.float32))]
    model.outputs = [add_case(model, case, model.inputs[0])]
    return model


def add_case(model: models.Model, case: FloatCase, source: int) -> int:
    """Adds the operator of a case, which reads tensor `source`; returns its output."""
    constants = {
        "weights": case.packed(),
        "bias": case.bias,
        "scale": case.scale,
        "codebook": case.codebook,
    }
    numbers = [
        model.add(models.Tensor(name, array.shape, array.dtype, data=array))
        for name, array in constants.items()
    ]
    output = model.add(models.Tensor("y", case.output_shape, np.float32))
    options = OPERATORS[OPERATOR].pack_options(**case.options)
    model.operators.append(models.Operator([source, *numbers], [output], OPERATOR, options))
    return output


def repeated(case: FloatCase, least_products: int) -> FloatCase:
    """The same case with so many equal rows that several threads are worth it."""
    times = -(-least_products // (case.input.size * len(case.codes)))
    return dataclasses.replace(case, input=np.concatenate([case.input] * times))
