"""What arithmetic and moving data cost, after two published tables; counts of bit operations.

A product of two tensors (a convolution, a dense layer, or one of their two gradients) is described
by its multiply-accumulates and by how many values each of its three tensors holds and how often a
value, once fetched, is used again. A table makes picojoules of that.
"""

import abc
import dataclasses
import math
from typing import Literal

from edgeax.formats.adaptivfloat import AdaptivFloat
from edgeax.formats.base import NumberFormat
from edgeax.formats.floating import Float32
from edgeax.formats.methods import implements
from edgeax.formats.minifloat import Minifloat
from edgeax.formats.names import format_of
from edgeax.formats.s2fp8 import S2FP8

_TEST = "tests/formats/test_energy.py::"

Level = Literal["register", "array", "buffer", "memory"]
LEVELS: tuple[Level, ...] = ("register", "array", "buffer", "memory")
"""From near to far: registers of a processing element, its neighbour, on-chip memory, DRAM."""

_FLOATS = {"float32": 32, "float16": 16, "bfloat16": 16}


@dataclasses.dataclass(frozen=True)
class Width:
    """How wide a number is in arithmetic.

    Attributes:
        bits: Of one number, at least 1.
        is_float: Whether each number has an exponent of its own.

    Raises:
        ValueError: `bits` is below 1.
    """

    bits: int
    is_float: bool = False

    def __post_init__(self) -> None:
        if self.bits < 1:
            raise ValueError(f"`bits` must be at least 1. Received: bits={self.bits}.")


FLOAT32 = Width(32, is_float=True)


def width_of(format: "str | int | NumberFormat | Width") -> Width:
    """Returns the width of a number format.

    Block floating point, fixed point and codes of a table count as integers: their products are.

    Args:
        format: A name such as `"int8"` or `"fp8_e4m3"`, `"float32"`, `"float16"`, a format object,
            or a number of bits for an integer.

    Raises:
        ValueError: There is no such format.
    """
    if isinstance(format, Width):
        return format
    if isinstance(format, int):
        return Width(format)
    if isinstance(format, str) and format in _FLOATS:
        return Width(_FLOATS[format], is_float=True)
    found = format_of(format) if isinstance(format, str) else format
    return Width(found.bits, isinstance(found, (Float32, Minifloat, AdaptivFloat, S2FP8)))


@dataclasses.dataclass(frozen=True)
class Operand:
    """One of the three tensors of a product.

    Attributes:
        values: How many it holds.
        width: Of each.
        register_uses: How often a processing element uses a value that it has fetched.
        array_uses: How many processing elements hand it on among them.
    """

    values: float
    width: Width
    register_uses: float = 1.0
    array_uses: float = 1.0


@dataclasses.dataclass(frozen=True)
class Product:
    """A product of two tensors.

    Attributes:
        macs: Multiply-accumulates.
        first: An operand.
        second: The other one.
        result: What is summed up; each addition reads and writes it.
        sums: How wide a sum is while it is being made; None: as the table has it.
    """

    macs: float
    first: Operand
    second: Operand
    result: Operand
    sums: Width | None = None

    @property
    def bit_operations(self) -> float:
        """Multiply-accumulates times the widths of both operands."""
        return self.macs * self.first.width.bits * self.second.width.bits

    @property
    def traffic_bytes(self) -> float:
        """Bytes that pass the border of the chip: each tensor once."""
        tensors = (self.first, self.second, self.result)
        return sum(tensor.values * tensor.width.bits / 8 for tensor in tensors)


class EnergyTable(abc.ABC):
    """Picojoules of arithmetic and of access to each level of the memories.

    Attributes:
        sum_bits: Width of a sum while it is being made.
    """

    sum_bits: int

    @abc.abstractmethod
    def mac(self, first: Width, second: Width, sums: Width | None = None) -> float:
        """Returns the picojoules of one multiply-accumulate; `sums`: see `Product`."""

    @abc.abstractmethod
    def access(self, level: Level, width: Width) -> float:
        """Returns the picojoules of one read or write of one number."""

    def on_chip(self, product: Product) -> float:
        """Returns the picojoules of a product's arithmetic and of all levels but DRAM."""
        width = product.sums or Width(self.sum_bits)
        sums = dataclasses.replace(product.result, width=width)
        energy = product.macs * self.mac(product.first.width, product.second.width, product.sums)
        for operand, times in ((product.first, 1), (product.second, 1), (sums, 2)):
            for level, count in accesses(product.macs, operand, times).items():
                energy += count * self.access(level, operand.width)
        return energy

    def off_chip(self, product: Product) -> float:
        """Returns the picojoules of moving each tensor of a product from or to DRAM once."""
        tensors = (product.first, product.second, product.result)
        return sum(self.moved(tensor.values, tensor.width) for tensor in tensors)

    def moved(self, values: float, width: Width) -> float:
        """Returns the picojoules of moving numbers between DRAM and the chip once."""
        return values * self.access("memory", width)


def accesses(macs: float, operand: Operand, times: int) -> dict[Level, float]:
    """Returns how often a product accesses an operand at each level on the chip.

    Row-stationary: a number comes from the buffer once for all that the array makes of it, from a
    neighbour once for all that an element makes of it, from registers each time.

    Args:
        macs: Multiply-accumulates of the product.
        operand: One of its tensors.
        times: Accesses at each use: 1 where it is read, 2 where it is summed up.
    """
    near = macs / operand.register_uses
    return {
        "register": times * macs,
        "array": times * near if operand.array_uses > 1.0 else 0.0,
        "buffer": times * near / operand.array_uses,
    }


def _through(low: tuple[float, float], high: tuple[float, float], at: float) -> float:
    """Returns the power law through two points `(width, picojoules)`, at a width."""
    power = math.log(high[1] / low[1]) / math.log(high[0] / low[0])
    return float(low[1] * (at / low[0]) ** power)


@implements("SH16", test=_TEST + "test_sh16_hlm16_constants_of_the_table")
@implements("HLM16", test=_TEST + "test_sh16_hlm16_constants_of_the_table")
class FortyFiveNanometres(EnergyTable):
    """Energies in a 45 nm process, as Horowitz published them and [SH16] and [HLM16] use them.

    Picojoules: int8 add 0.03, multiply 0.2; int32 0.1, 3.1; fp16 0.4, 1.1; fp32 0.9, 3.7; 32 bits
    from SRAM 5, from DRAM 640. Other widths lie on the power law through the two of their kind:
    over the product of both widths for a multiplication. What passes between processing elements,
    and their registers, the table does not have: it costs nothing here.
    """

    sum_bits = 32

    def mac(self, first: Width, second: Width, sums: Width | None = None) -> float:
        """See `EnergyTable.mac`."""
        is_float = first.is_float or second.is_float
        return self.multiply(first, second) + self.add(sums or Width(self.sum_bits, is_float))

    def multiply(self, first: Width, second: Width) -> float:
        """Returns the picojoules of one multiplication."""
        product = first.bits * second.bits
        if first.is_float or second.is_float:
            return _through((16 * 16, 1.1), (32 * 32, 3.7), product)
        return _through((8 * 8, 0.2), (32 * 32, 3.1), product)

    def add(self, width: Width) -> float:
        """Returns the picojoules of one addition."""
        if width.is_float:
            return _through((16, 0.4), (32, 0.9), width.bits)
        return _through((8, 0.03), (32, 0.1), width.bits)

    def access(self, level: Level, width: Width) -> float:
        """See `EnergyTable.access`."""
        costs: dict[Level, float] = {"register": 0.0, "array": 0.0, "buffer": 5.0, "memory": 640.0}
        return costs[level] * width.bits / 32


@implements("CES16", test=_TEST + "test_ces16_a_convolution_worked_out_by_hand")
class Eyeriss(EnergyTable):
    """The hierarchy of the Eyeriss accelerator [CES16], row-stationary.

    In multiply-accumulates of 16 bits: register 1, neighbouring element 2, buffer 6, DRAM 200, each
    for 16 bits and in proportion to the width. A multiply-accumulate goes with the product of its
    widths; floats are no exception, the accelerator has none. One unit is set to that of 16-bit
    integers in the 45 nm table, so that both tables give picojoules.
    """

    sum_bits = 16
    unit = FortyFiveNanometres().mac(Width(16), Width(16))

    def mac(self, first: Width, second: Width, sums: Width | None = None) -> float:
        """See `EnergyTable.mac`; the sum is part of it, whatever its width."""
        del sums
        return self.unit * first.bits * second.bits / (16 * 16)

    def access(self, level: Level, width: Width) -> float:
        """See `EnergyTable.access`."""
        costs: dict[Level, float] = {"register": 1.0, "array": 2.0, "buffer": 6.0, "memory": 200.0}
        return self.unit * costs[level] * width.bits / 16


TABLES: dict[str, EnergyTable] = {"45nm": FortyFiveNanometres(), "eyeriss": Eyeriss()}


def table_of(table: str | EnergyTable) -> EnergyTable:
    """Returns an energy table by its name.

    Raises:
        ValueError: There is no such table.
    """
    if isinstance(table, EnergyTable):
        return table
    if table not in TABLES:
        raise ValueError(
            f"`energy` must be one of {sorted(TABLES)} or an EnergyTable. Received: {table!r}."
        )
    return TABLES[table]


@implements("FYZ20", test=_TEST + "test_fyz20_shares_of_the_fixed_choices")
@implements("FGL21", test=_TEST + "test_fgl21_savings_of_three_schedules")
def training_share(activation: int, weight: int, gradient: int) -> float:
    """Returns the bit operations of a training step as a share of those in 32 bits.

    Forward `activation * weight`, input gradient `gradient * weight`, weight gradient
    `activation * gradient`, with equal multiply-accumulates.

    Source: [FYZ20], [FGL21].

    Args:
        activation: Bits of an activation.
        weight: Bits of a weight.
        gradient: Bits of the gradient of an output.
    """
    total = activation * weight + gradient * weight + activation * gradient
    return total / (3 * 32**2)
