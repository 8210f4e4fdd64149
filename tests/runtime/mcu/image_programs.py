"""Programs of steps on images that have no kernels: only rows, bytes and graphs."""

from collections.abc import Sequence

import numpy as np

from edgeax.runtime.mcu.program import Elements, Program, Step, Struct, Value, Window


class Maker:
    """Adds steps one after the other; values are numbered as they come."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.steps: list[Step] = []
        self.aliases: dict[int, int] = {}

    def value(self, rows: int, width: int, channels: int) -> int:
        """Adds an image of codes; returns its number."""
        number = len(self.values)
        self.values.append(Value(number, f"v{number}", "int8", (1, rows, width, channels)))
        return number

    def window(
        self,
        source: int,
        row_bytes: int,
        kernel: int = 1,
        stride: int = 1,
        dilation: int = 1,
        pad: tuple[int, int] = (0, 0),
        scratch: int = 0,
    ) -> int:
        """Adds a convolution with padding above and below; returns its output."""
        rows = self.values[source].shape[1]
        output = (rows + sum(pad) - (kernel - 1) * dilation - 1) // stride + 1
        window = Window(rows, output, kernel, stride, dilation, pad[0])
        return self._add((source,), self.value(output, row_bytes, 1), window, (), scratch)

    def sum(self, one: int, other: int) -> int:
        """Adds an element-wise step in place over either input; returns its output."""
        _, rows, width, channels = self.values[one].shape
        extent = Elements(rows * width * channels)
        in_place = ((0, 0), (1, 0)) if one != other else ()
        return self._add((one, other), self.value(rows, width, channels), extent, in_place, 0)

    def whole(self, source: int, row_bytes: int) -> int:
        """Adds a step that always computes everything; returns its output."""
        return self._add((source,), self.value(1, row_bytes, 1), None, (), 0)

    def program(self, inputs: Sequence[int], outputs: Sequence[int]) -> Program:
        """Returns the program."""
        values = {value.index: value for value in self.values}
        return Program(values, tuple(self.steps), self.aliases, tuple(inputs), tuple(outputs))

    def _add(
        self,
        reads: tuple[int, ...],
        write: int,
        extent: Window | Elements | None,
        in_place: tuple[tuple[int, int], ...],
        scratch: int,
    ) -> int:
        label = f"{len(self.steps)} STEP"
        self.steps.append(
            Step(
                label=label,
                kernel="Kernel",
                header="kernel.h",
                arguments=Struct("KernelArgs", {}),
                reads=reads,
                writes=(write,),
                extent=extent,
                scratch_bytes=scratch,
                in_place=in_place,
                macs=1000,
            )
        )
        return write


def separable() -> Program:
    """9 rows of 8 bytes -> depthwise 3x3 -> pointwise to 16 bytes."""
    maker = Maker()
    image = maker.value(9, 8, 1)
    between = maker.window(image, 8, kernel=3, pad=(1, 1))
    return maker.program([image], [maker.window(between, 16)])


def residual() -> Program:
    """8 rows of 8 bytes -> two 3x3 convolutions, added to what they began with."""
    maker = Maker()
    image = maker.value(8, 8, 1)
    one = maker.window(image, 8, kernel=3, pad=(1, 1))
    two = maker.window(one, 8, kernel=3, pad=(1, 1))
    return maker.program([image], [maker.sum(two, image)])


def drawn(seed: int) -> Program:
    """A chain of drawn convolutions with sums of equal images here and there."""
    rng = np.random.default_rng(seed)
    maker = Maker()
    latest = first = maker.value(int(rng.integers(9, 30)), int(rng.integers(1, 9)), 4)
    outputs = []
    for _ in range(int(rng.integers(2, 8))):
        rows = maker.values[latest].shape[1]
        equal = [
            value.index for value in maker.values[:-1] if value.shape == maker.values[latest].shape
        ]
        if equal and rng.random() < 0.5:
            latest = maker.sum(latest, int(rng.choice(equal)))
            continue
        latest = _drawn_window(rng, maker, latest, rows)
        if rng.random() < 0.1:
            outputs.append(latest)
    return maker.program([first], list(dict.fromkeys([*outputs, latest])))


def _drawn_window(rng: np.random.Generator, maker: Maker, source: int, rows: int) -> int:
    kernel, dilation = int(rng.integers(1, 4)), int(rng.integers(1, 3))
    reach = (kernel - 1) * dilation + 1
    stride = int(rng.choice([1, 1, 1, 2, 3]))
    above = int(rng.integers(reach))
    below = int(rng.integers(reach))
    if rows + above + below < reach:
        kernel, reach, above, below = 1, 1, 0, 0
    if stride == 1 and rng.random() < 0.5:  # the same size, so that it can be added
        above, below = (reach - 1) // 2, reach - 1 - (reach - 1) // 2
        size = maker.values[source].size_bytes // rows
    else:
        size = int(rng.integers(1, 40))
    same = maker.values[source].shape
    output = maker.window(
        source, size, kernel, stride, dilation, (above, below), int(rng.choice([0, 24]))
    )
    made = maker.values[output]
    if made.size_bytes == maker.values[source].size_bytes and made.shape[1] == same[1]:
        maker.values[output] = Value(output, made.name, "int8", same)
    return output
