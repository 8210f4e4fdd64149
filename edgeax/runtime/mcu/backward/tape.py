"""What a step of training computes, recorded operator by operator in the order in which it runs."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgeax.formats.flatbuffer import Tensor
from edgeax.runtime.mcu.node import Node, value_of
from edgeax.runtime.mcu.operators import HANDLERS
from edgeax.runtime.mcu.program import Alias, Array, Lowered, Step, Struct, Value

Backward = Callable[[int], None]
"""Takes the number of the gradient by an operator's output, and records what follows from it."""

_HEADS = {"int16": 4, "int32": 2}  # elements before the codes: kGradientHead, kSumsHead


@dataclasses.dataclass(frozen=True)
class Rule:
    """How weights move; the meaning of all stands in tflite_kernels/micro/sign_update.h.

    Attributes:
        rate_bits: A weight moves in one of `2**rate_bits` cases, in `[0, 16]`.
        dead_zone: 256ths of the largest gradient below which no weight moves, in `[0, 256]`.
        least_error: The least error of an output whose weights move, in units of 2**-15.
        seed: First state of the random numbers, above 0.
    """

    rate_bits: int
    dead_zone: int
    least_error: int
    seed: int

    def struct(self) -> Struct:
        """Returns what C++ calls SignRule."""
        return Struct("SignRule", {"dead_zone": self.dead_zone, "rate_bits": self.rate_bits})


@dataclasses.dataclass(frozen=True)
class Part:
    """What is trained of a layer.

    Attributes:
        share: Of the input channels of its kernel, of a depthwise one of its channels: the first
            ones, in `[0, 1]`.
        channels: How many; None: as `share` says.
        bias: Whether its bias is trained.
    """

    share: float = 1.0
    channels: int | None = None
    bias: bool = True

    def columns(self, channels: int) -> int:
        """Returns how many of so many channels are trained."""
        wanted = math.ceil(self.share * channels) if self.channels is None else self.channels
        return min(wanted, channels)


class Tape:
    """Steps and values of a training step.

    Args:
        tensors: Of the file's graph.
        first_number: From which on numbers of values are free.
        differentiated: Tensors whose gradient is wanted.
        parts: What is trained, by the operator's place.
        rule: How weights move.
        last: Place of the operator that computes the outputs, which alone has a least error.

    Attributes:
        values: New values by number, states among them.
        forward: Steps from the first trained layer to the outputs.
        kept: Those of them that only training needs, by `id`.
        backward: Steps from the loss back.
        learnt: Numbers of the states that are trained.
        random: Number of the state of the random numbers.
        stock: Places of operators whose steps programs without training have too, by their `id`.
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        first_number: int,
        differentiated: set[int],
        parts: Mapping[int, Part],
        rule: Rule,
        last: int,
    ) -> None:
        self._tensors = tensors
        self._next = first_number
        self._differentiated = differentiated
        self._parts = parts
        self._last = last
        self._gradients: dict[int, int] = {}
        self.rule = rule
        self.values: dict[int, Value] = {}
        self.forward: list[Step | Alias] = []
        self.kept: set[int] = set()
        self.backward: list[Step] = []
        self.learnt: list[int] = []
        self.stock: dict[int, int] = {}
        self.random = self._state("random numbers", Array("seed", np.array([rule.seed], np.uint32)))

    def part(self, node: Node) -> Part | None:
        """Returns what is trained of an operator; None: nothing."""
        return self._parts.get(node.index)

    def least_error(self, node: Node) -> int:
        """Returns the least error of the operator's outputs."""
        return self.rule.least_error if node.index == self._last else 0

    def wants(self, tensor: int) -> bool:
        """Returns whether the gradient by a tensor is wanted."""
        return tensor in self._differentiated

    def gradient(self, tensor: int) -> int | None:
        """Returns the number of the gradient by a tensor; None: nothing depends on it."""
        return self._gradients.get(tensor)

    def new(self, name: str, dtype: str, count: int) -> int:
        """Returns the number of a new value; gradients and sums get room for their exponent."""
        value = Value(self._next, name, dtype, (count + _HEADS.get(dtype, 0),))
        self.values[self._next] = value
        self._next += 1
        return value.index

    def word(self, name: str, dtype: str, count: int) -> int:
        """Returns the number of a new value that has no exponent."""
        value = Value(self._next, name, dtype, (count,))
        self.values[self._next] = value
        self._next += 1
        return value.index

    def trained(self, name: str, array: Array) -> int:
        """Returns the number of a new state that is trained."""
        self.learnt.append(self._state(name, array))
        return self.learnt[-1]

    def keep(self, step: Step) -> None:
        """Records a step behind the forward ones that only training needs."""
        self.forward.append(step)
        self.kept.add(id(step))

    def run_stock(self, node: Node) -> None:
        """Records an operator as programs without training run it."""
        lowered = HANDLERS[node.operator.name](node)
        self.run(node, lowered)
        self.stock.update((id(part), node.index) for part in lowered)

    def run(self, node: Node, lowered: Lowered) -> None:
        """Records what computes an operator."""
        self.forward += lowered
        for index in (*node.inputs, *node.outputs):
            if index >= 0 and not self._tensors[index].is_constant:
                self.values[index] = value_of(index, self._tensors[index])

    def mask(self, node: Node, limits: tuple[int, int]) -> Callable[[int], int]:
        """Keeps which codes of an operator's output pass gradients.

        Returns:
            What records that the others do not, and returns the number of the gradient then.
        """
        output = node.output()
        count = math.prod(output.shape)
        mask = self.word(f"mask of {output.name}", "uint8", -(-count // 8))
        clamp = Struct("Clamp", {"min": limits[0], "max": limits[1]})
        arguments = Struct("ClampMaskArgs", {"count": count, "clamp": clamp})
        self.keep(self._step(node, "ClampMask", arguments, (node.outputs[0],), (mask,)))

        def masked(gradient: int) -> int:
            result = self.new(f"gradient before {node.label}", "int16", count)
            step = self._step(node, "MaskGradient", _count(count), (gradient, mask), (result,))
            self.backward.append(dataclasses.replace(step, in_place=((0, 0),)))
            return result

        return masked

    def give(self, node: Node, position: int, gradient: int) -> None:
        """Adds a gradient to that by an input of an operator."""
        tensor = node.inputs[position]
        before = self._gradients.get(tensor)
        if before is not None:
            count = math.prod(self._tensors[tensor].shape)
            both = self.new(f"gradient of {self._tensors[tensor].name}", "int16", count)
            step = self._step(node, "JoinGradients", _count(count), (before, gradient), (both,))
            self.backward.append(dataclasses.replace(step, in_place=((0, 0), (1, 0))))
            gradient = both
        self._gradients[tensor] = gradient

    def start(self, tensor: int, gradient: int) -> None:
        """Sets the gradient by the outputs, which the loss gives."""
        self._gradients[tensor] = gradient

    def give_sums(
        self,
        node: Node,
        kernel: str,
        header: str,
        arguments: Struct,
        reads: tuple[int | Array, ...],
    ) -> None:
        """Records a kernel that writes the gradient by an operator's first input as sums."""
        tensor = node.input(0)
        count = math.prod(tensor.shape)
        sums = self.new(f"sums for {tensor.name}", "int32", count)
        narrow = self.new(f"gradient of {tensor.name}", "int16", count)
        self.backward.append(Step(node.label, kernel, header, arguments, reads, (sums,)))
        step = self._step(node, "NarrowGradient", _count(count), (sums,), (narrow,))
        self.backward.append(dataclasses.replace(step, in_place=((0, 0),)))
        self.give(node, 0, narrow)

    def _step(
        self,
        node: Node,
        kernel: str,
        arguments: Struct,
        reads: tuple[int, ...],
        writes: tuple[int, ...],
    ) -> Step:
        return Step(node.label, kernel, "gradients.h", arguments, reads, writes)

    def _state(self, name: str, array: Array) -> int:
        value = Value(
            self._next,
            name,
            array.data.dtype.name,
            (array.data.size,),
            is_state=True,
            initial=array,
        )
        self.values[self._next] = value
        self._next += 1
        return value.index


def _count(count: int) -> Struct:
    return Struct("GradientArgs", {"count": count})
