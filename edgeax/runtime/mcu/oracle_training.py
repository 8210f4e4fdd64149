"""What a generated training step must give, in Python: every kernel of it by its twin."""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edgeax.runtime.mcu import oracle, oracle_gradients, oracle_layers
from edgeax.runtime.mcu.oracle_gradients import Gradient, Random
from edgeax.runtime.mcu.program import Array, Step, Struct
from edgeax.runtime.mcu.training_program import ROUNDING, Training

Fields = Mapping[str, Any]
Compute = Callable[[Fields, Sequence[Any], Sequence[Any]], Sequence[Any]]
"""Takes arguments, what a step reads, and what the values it writes hold; gives what they get."""


class Oracle:
    """A model that learns, with the integers of the generated program.

    Args:
        training: The step of training.

    Attributes:
        memory: What values hold, by number: arrays, gradients, or what draws random numbers.
    """

    def __init__(self, training: Training) -> None:
        self._training = training
        self._stock: dict[int, oracle.OneOperator] = {}
        self.memory: dict[int, Any] = {}
        for value in training.plan.program.values.values():
            if value.is_state and isinstance(value.initial, Array):
                self.memory[value.index] = value.initial.data.copy()
        self.memory[training.random] = Random(int(self.memory[training.random][0]))

    def features(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns what the frozen layers give, for `outputs` and `train`."""
        frozen = self._training.frozen
        return [] if frozen is None else oracle.outputs_of(frozen, inputs, ROUNDING)

    def outputs(self, inputs: Sequence[np.ndarray], features: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the output codes, flat."""
        storage = self._training.plan.program.storage
        given = (*self._training.inputs, *self._training.frozen_outputs)
        for number, codes in zip(given, (*inputs, *features), strict=True):
            self.memory[storage(number)] = codes
        self._run(0, self._training.forward)
        return np.asarray(self.memory[self._training.output]).reshape(-1)

    def train(
        self, inputs: Sequence[np.ndarray], features: Sequence[np.ndarray], wanted: np.ndarray | int
    ) -> int:
        """Takes one step; returns the loss before it, in units of 2**-16."""
        self.outputs(inputs, features)
        self.memory[self._training.wanted] = wanted
        self._run(self._training.forward, len(self._training.steps))
        return int(self.memory[self._training.loss])

    def saved(self) -> bytes:
        """Returns what the program's `save` writes."""
        content = b"".join(self.memory[number].tobytes() for number in self._training.learnt)
        return struct.pack("<I", zlib.crc32(content, self._training.mark)) + content

    def _run(self, first: int, end: int) -> None:
        program = self._training.plan.program
        for at in range(first, end):
            step = self._training.steps[at]
            if at in self._training.stock:
                self._run_stock(at, self._training.stock[at], step)
                continue
            reads = [
                read.data if isinstance(read, Array) else self.memory[program.storage(read)]
                for read in step.reads
            ]
            writes = [self.memory.get(number) for number in step.writes]
            found = KERNELS[step.kernel](step.arguments.fields, reads, writes)
            self.memory.update(zip(step.writes, found, strict=True))

    def _run_stock(self, at: int, place: int, step: Step) -> None:
        """Runs an operator of the file by an interpreter."""
        program = self._training.plan.program
        if at not in self._stock:
            self._stock[at] = oracle.OneOperator(self._training.content, place)
        stock = self._stock[at]
        inputs = [np.asarray(self.memory[program.storage(index)]) for index in stock.inputs]
        self.memory[step.writes[0]] = stock.run(inputs)


def _trained_conv2d(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    shape, codes = _shape(fields), reads[0]
    weights = _whole(fields, reads[1], (shape["output_channels"], -1))
    sums = oracle_layers.convolution(shape, _image(fields, codes), weights) + reads[2]
    return [_requantized(fields, sums)]


def _conv2d_gradient(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    shape = _shape(fields)
    weights = _whole(fields, reads[1], (shape["output_channels"], -1))
    sums = oracle_layers.convolution_gradient(shape, _scaled(fields, reads[0]), weights)
    return [Gradient(sums.reshape(-1), reads[0].exponent + fields["exponent"])]


def _update_conv2d(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    gradient, codes = reads
    weights, random = writes
    shape, columns = _shape(fields), fields["columns"]
    errors = oracle_layers.scaled_errors(shape, gradient, 1, fields["shift"])
    found = oracle_layers.convolution_weights(shape, errors, _image(fields, codes, columns))
    least = _least(fields, found)
    if fields["least_sum"]:
        rests = np.abs(errors.sum((0, 1))) < fields["least_sum"]
        found = np.where(rests[:, None, None], 0, found)
    return [_moved(fields, weights, found, least, random), random]


def _trained_depthwise(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    weights = _whole(fields, reads[1], (-1,))
    sums = oracle_layers.depthwise(_shape(fields), _image(fields, reads[0]), weights) + reads[2]
    return [_requantized(fields, sums)]


def _depthwise_gradient(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    weights = _whole(fields, reads[1], (-1,))
    errors = _scaled(fields, reads[0])
    sums = oracle_layers.depthwise_gradient(_shape(fields), errors, weights)
    return [Gradient(sums.reshape(-1), reads[0].exponent + fields["exponent"])]


def _update_depthwise(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    gradient, codes = reads
    weights, random = writes
    shape, columns = _shape(fields), fields["columns"]
    errors = oracle_layers.scaled_errors(shape, gradient, 1, fields["shift"])
    inputs = _image(fields, codes, fields["kept"])
    found = oracle_layers.depthwise_weights(shape, errors, inputs, columns)
    return [_moved(fields, weights, found, _least(fields, found), random), random]


def _update_bias(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    bias, random = writes
    codes = reads[0].codes.reshape(fields["pixels"], fields["outputs"])
    sums = oracle_gradients.shifted_right(codes, fields["shift"]).sum(0)
    least, bits, step = (fields[name] for name in ("least_sum", "rate_bits", "step"))
    moved = oracle_gradients.moved_bias(bias, sums, least, bits, step, random)
    return [moved, random]


def _cross_entropy(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    scores, label = reads
    return [
        *oracle_gradients.cross_entropy(
            np.asarray(scores).reshape(-1),
            int(label),
            fields["exponentials"].data,
            fields["loss_step"],
            fields["least_error"],
        )
    ]


def _mean_square(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    output, target = (np.asarray(read).reshape(-1) for read in reads)
    factor = fields["loss_factor"].fields
    pair = factor["multiplier"], factor["shift"]
    return [*oracle_gradients.mean_square(output, target, pair, fields["least_error"])]


def _clamp_mask(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    codes, clamp = np.asarray(reads[0]).reshape(-1), fields["clamp"].fields
    return [(codes > clamp["min"]) & (codes < clamp["max"])]


def _mask_gradient(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    gradient, mask = reads
    return [Gradient(np.where(mask, gradient.codes, 0), gradient.exponent)]


def _keep_channels(fields: Fields, reads: Sequence[Any], writes: Sequence[Any]) -> list[Any]:
    rows = np.asarray(reads[0]).reshape(fields["pixels"], fields["channels"])
    return [rows[:, : fields["kept"]].copy()]


KERNELS: Mapping[str, Compute] = {
    "TrainedConv2D": _trained_conv2d,
    "Conv2DGradient": _conv2d_gradient,
    "UpdateConv2D": _update_conv2d,
    "TrainedDepthwise": _trained_depthwise,
    "DepthwiseGradient": _depthwise_gradient,
    "UpdateDepthwise": _update_depthwise,
    "UpdateBias": _update_bias,
    "CrossEntropy": _cross_entropy,
    "MeanSquare": _mean_square,
    "ClampMask": _clamp_mask,
    "MaskGradient": _mask_gradient,
    "KeepChannels": _keep_channels,
    "NarrowGradient": lambda fields, reads, writes: [oracle_gradients.narrowed(reads[0])],
    "JoinGradients": lambda fields, reads, writes: [oracle_gradients.joined(*reads)],
    "AveragePoolGradient": lambda fields, reads, writes: [
        oracle_layers.average_gradient(_shape(fields), reads[0], fields["bits"])
    ],
    "MaxPoolTaps": lambda fields, reads, writes: [
        oracle_layers.largest_taps(_shape(fields), np.asarray(reads[0]))
    ],
    "MaxPoolGradient": lambda fields, reads, writes: [
        oracle_layers.largest_gradient(_shape(fields), *reads)
    ],
}
"""What each kernel of training computes; of all others an interpreter tells."""


def _shape(fields: Fields) -> Mapping[str, int]:
    shape: Struct = fields["shape"]
    return shape.fields  # type: ignore[return-value]


def _image(fields: Fields, codes: Any, channels: int | None = None) -> np.ndarray:
    """Returns codes less the zero point, `(height, width, channels)`."""
    shape = _shape(fields)
    size = shape["input_height"], shape["input_width"], channels or shape["input_channels"]
    return np.asarray(codes).reshape(size).astype(np.int64) - fields["input_zero_point"]


def _whole(fields: Fields, weights: np.ndarray, front: tuple[int, ...]) -> np.ndarray:
    """Returns both pieces of weights together, their last axis that of the pieces."""
    pieces = [weights.reshape(*front, fields["columns"])]
    if fields["rest"] is not None:
        channels = _shape(fields)["output_channels" if len(front) == 1 else "input_channels"]
        pieces.append(fields["rest"].data.reshape(*front, channels - fields["columns"]))
    return np.concatenate(pieces, axis=-1).astype(np.int64)


def _requantized(fields: Fields, sums: np.ndarray) -> np.ndarray:
    factors, clamp = fields["factors"].fields, fields["clamp"].fields
    return oracle_layers.requantized(
        sums,
        factors["multiplier"].data,
        factors["shift"].data,
        fields["output_zero_point"],
        (clamp["min"], clamp["max"]),
    )


def _scaled(fields: Fields, gradient: Gradient) -> np.ndarray:
    scale = fields["scale"].data.astype(np.int64)
    return oracle_layers.scaled_errors(_shape(fields), gradient, scale, fields["shift"])


def _least(fields: Fields, gradients: np.ndarray) -> int:
    rule = fields["rule"].fields
    return oracle_gradients.least_gradient(rule["dead_zone"], int(np.abs(gradients).max()))


def _moved(
    fields: Fields, weights: np.ndarray, gradients: np.ndarray, least: int, random: Random
) -> np.ndarray:
    bits = fields["rule"].fields["rate_bits"]
    return oracle_gradients.moved_weights(weights, gradients, least, bits, random)
