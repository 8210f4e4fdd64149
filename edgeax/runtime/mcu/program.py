"""What a generated program is made of: values in RAM, constants in flash, and calls of kernels.

`read.py` makes a program of a TFLite file, `operators/` the steps of each operator, `plan.py` gives
values their places, `write.py` writes C++.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from edgeax.formats import dtypes


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor in RAM.

    Attributes:
        index: Its number in the file's graph.
        name: Its name in the file.
        dtype: Name of its type, as in `formats.dtypes`.
        shape: Its shape, all sizes known.
        scale: Step of its codes, `real = scale * (code - zero_point)`; None: not quantized.
        zero_point: The code of 0.0; 0 where it is not quantized.
        is_state: Whether it keeps what it holds from one invocation to the next.
        initial: What a state holds at first and after a reset: its elements, or the number
            of all, 0 unless they are int8.
    """

    index: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | None = None
    zero_point: int = 0
    is_state: bool = False
    initial: "Array | int" = 0

    @property
    def size_bytes(self) -> int:
        """Its bytes."""
        return dtypes.size_bytes(self.dtype, self.shape) or 0


@dataclasses.dataclass(frozen=True, eq=False)
class Array:
    """A constant in flash.

    Attributes:
        name: What it is, as part of a C++ name: "weights".
        data: Its elements, in the order in which the kernel reads them: int8, uint8, int16, int32
            or float32.
        alignment: Bytes that its address is a multiple of.
    """

    name: str
    data: np.ndarray
    alignment: int = 4


@dataclasses.dataclass(frozen=True, eq=False)
class Struct:
    """Arguments of a kernel: an aggregate of C++ in flash.

    Attributes:
        type: Name of the C++ type in `edgeax::micro` (or `edgeax`).
        fields: Every member by its name, in the order of the C++ declaration: a number, a C++
            expression such as an enumerator, other arguments, or a pointer to a constant, None
            being the null pointer.
    """

    type: str
    fields: Mapping[str, "int | float | str | Struct | Array | None"]


@dataclasses.dataclass(frozen=True)
class Window:
    """How output rows of a step follow from input rows, for images of which only rows are computed.

    Output row `o` reads the input rows `o * stride - pad + k * dilation`, `k` in `[0, kernel)`, as
    far as they lie in the image.

    Attributes:
        input_rows: Rows of the input image.
        output_rows: Rows of the output image.
        kernel: Rows of the kernel.
        stride: Input rows between two outputs.
        dilation: Input rows between two taps.
        pad: Rows of padding above the image.
    """

    input_rows: int
    output_rows: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    pad: int = 0

    def needed(self, begin: int, end: int) -> tuple[int, int]:
        """Returns the input rows that the output rows `[begin, end)` read, as `[begin, end)`."""
        first = begin * self.stride - self.pad
        last = (end - 1) * self.stride - self.pad + (self.kernel - 1) * self.dilation
        return max(first, 0), min(last + 1, self.input_rows)


@dataclasses.dataclass(frozen=True)
class Elements:
    """An element-wise step: output element `i` reads element `i` of each input that is no constant.

    Attributes:
        count: Elements of the output.
    """

    count: int


@dataclasses.dataclass(frozen=True, eq=False)
class Step:
    """One call of a kernel: `kernel(arguments, [rows | count,] reads..., writes..., [scratch])`.

    Attributes:
        label: The operator of the file: "3 CONV_2D, model/conv1".
        kernel: Name of the C++ function in `edgeax::micro`.
        header: File of `tflite_kernels/micro` that declares it; the `.cc` of that name defines it.
        arguments: What `arguments` points to.
        reads: Inputs in the order of the C++ parameters: numbers of values, or constants.
        writes: Numbers of the values it writes; states that it reads and writes stand only here.
        extent: What part of the output a call may compute. `Window`: the kernel takes `const Rows&`
            and inputs and outputs are images of batch 1 (or of any batch where all rows are
            computed). `Elements`: it takes `int32_t count`. None: always everything, and the kernel
            has no such parameter.
        rounds: Whether the kernel is a template of `Rounding`.
        scratch_bytes: Bytes at a multiple of 8 that it needs while it runs; 0: it takes none.
        in_place: Pairs of a place in `reads` and one in `writes` that may be the same memory.
        macs: Multiply-accumulates.
    """

    label: str
    kernel: str
    header: str
    arguments: Struct
    reads: tuple["int | Array", ...]
    writes: tuple[int, ...]
    extent: Window | Elements | None = None
    rounds: bool = False
    scratch_bytes: int = 0
    in_place: tuple[tuple[int, int], ...] = ()
    macs: int = 0

    @property
    def values_read(self) -> tuple[int, ...]:
        """Numbers of the values it reads."""
        return tuple(read for read in self.reads if not isinstance(read, Array))


@dataclasses.dataclass(frozen=True)
class Alias:
    """An operator that only renames: `write` is the memory of `read` in another shape."""

    label: str
    read: int
    write: int


@dataclasses.dataclass(frozen=True)
class Program:
    """Steps in the order in which they run.

    Attributes:
        values: All tensors in RAM, by number. Of values that alias each other all are here.
        steps: The calls.
        aliases: Number of a value to the number of the value whose memory it is.
        inputs: Numbers of the values that the user writes.
        outputs: Numbers of the values that the user reads.
        reserved: Numbers below this one are no new value's: a larger program, of which this one
            becomes a part, has values there.
    """

    values: dict[int, Value]
    steps: tuple[Step, ...]
    aliases: dict[int, int]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    reserved: int = 0

    @property
    def free_number(self) -> int:
        """The number that a new value may have."""
        return max(self.reserved, *(number + 1 for number in self.values), 0)

    def storage(self, value: int) -> int:
        """Returns the number of the value that owns the memory of a value."""
        while value in self.aliases:
            value = self.aliases[value]
        return value


Lowered = Sequence[Step | Alias]
