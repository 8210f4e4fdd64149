"""Arithmetic: the number formats of one layer's training, part by part."""

from collections.abc import Mapping
from typing import Any

import keras

from edgeax.formats import NumberFormat
from edgeax.formats import names as format_names
from edgeax.formats.fixed_point import FixedPoint
from edgeax.formats.minifloat import Minifloat
from edgeax.transforms.base import Transform
from edgeax.transforms.checks import checked_choice, checked_count
from edgeax.transforms.quantize import ROUNDINGS, Quantize, trainable_format
from edgeax.transforms.quantized_gradient import QuantizeGradient
from edgeax.transforms.round_to import RoundTo

PARTS = ("forward", "backward", "gradient", "update", "accumulate")
OPERANDS = ("kernel", "input")
LOSS_SCALES = ("dynamic", "enhanced")

Given = str | NumberFormat | Transform | None


@keras.saving.register_keras_serializable("edgeax")
class Arithmetic:
    """How a layer computes while it is trained: a number format for each part of a step.

    Where a part is None it stays in float32. Products of the layer itself are what the formats
    apply to: normalizations, activations and losses stay in float32, and so do the sums of a
    layer's bias. Of a layer with several products inside (recurrent, separable, attention) the
    kernels, the inputs and the error of its output are rounded, nothing in between.

    A weight that is not finite after a step raises an error with the name of its layer, unless XLA
    compiles the step (`jit_compile=True`), which drops such checks. Under dynamic loss scaling a
    step whose gradients are not finite is left out instead.

    What `edgeax.export` writes has the kernels as they are multiplied; all else ends with the
    training. What the device rounds is said by the slots of a rule, such as `output="int8"`.

    Args:
        forward: Of kernels and inputs in the forward pass; they are the operands of the backward
            products too. A mapping `{"kernel": ..., "input": ...}` gives each its own.
        backward: Of the error: the gradient of the layer's output, before its activation.
        gradient: Of the kernels' gradients.
        update: Of the weights as they are stored after each step of the optimizer, all of the
            layer's. None keeps a float32 master copy.
        accumulate: A floating-point format that every sum of products is kept in, addition by
            addition, for Dense and convolutions. None accumulates in float32.
        chunk: How many products are summed up before such a sum joins those of other chunks; None
            for one sum over all.
        rounding: `"nearest"`, or `"stochastic"` while training; or a mapping of `"forward"`,
            `"backward"`, `"gradient"`, `"update"` to one of these, nearest where left out.
        loss_scale: A number that the loss is multiplied by and gradients are divided by before the
            update; `"dynamic"`, which starts at 2**24, is halved and the step left out where a
            gradient is not finite, and doubled after 2000 good steps; `"enhanced"`, the same with a
            rising minimum. `edgeax.compress` gives the copy such an optimizer.
        seed: Of stochastic rounding.

    A part takes the name of a number format, a format object of `edgeax.formats`, or a transform of
    `edgeax.transforms`: for `forward` one of values, for `backward` and `gradient` one of
    gradients. Gradients beyond the range of a format with infinities become infinite, all other
    values become the largest that there is.

    Raises:
        ValueError: No part is given, or an argument is out of its range: a format that does not
            hold the loss scale, or that accumulates fewer bits than a product has.

    Example: `Recipe(arithmetic=Arithmetic("fp16", "fp16", "fp16", loss_scale="dynamic"))`
    """

    def __init__(
        self,
        forward: Given | Mapping[str, Given] = None,
        backward: Given = None,
        gradient: Given = None,
        update: str | NumberFormat | None = None,
        accumulate: str | NumberFormat | None = None,
        *,
        chunk: int | None = None,
        rounding: str | Mapping[str, str] = "nearest",
        loss_scale: float | str | None = None,
        seed: int = 0,
    ) -> None:
        self.forward = _checked_operands(forward)
        self.backward = backward
        self.gradient = gradient
        self.update = update
        self.accumulate = accumulate
        if not any([*self.forward.values(), backward, gradient, update, accumulate]):
            raise ValueError(
                f"`Arithmetic` must be given a format for at least one of {PARTS}. Received: none. "
                "Leave it out for float32."
            )
        self.chunk = None if chunk is None else checked_count("chunk", chunk)
        self.rounding = _checked_rounding(rounding)
        self.loss_scale = _checked_loss_scale(loss_scale)
        self.seed = checked_count("seed", seed, least=0)
        for given in self.forward.values():
            self._format("forward", given)
        self._format("backward", backward)
        self._format("gradient", gradient)
        self.update_format = None if update is None else _named("update", update, -1)
        self.accumulate_format = _checked_accumulator(accumulate, chunk)
        self._check_product()
        self._check_loss_scale()

    def kernel_members(self, salt: int = 0) -> list[Transform]:
        """Returns what a kernel passes through, and on the way back its gradient.

        Args:
            salt: Added to the seed, so that no two layers draw the same noise.
        """
        forward = self._made("forward", self.forward["kernel"], Quantize, salt, axis=-1)
        return [*forward, *self._gradient_members("gradient", self.gradient, salt)]

    def input_members(self, salt: int = 0) -> list[Transform]:
        """Returns what an input passes through; see `kernel_members`."""
        return self._made("forward", self.forward["input"], RoundTo, salt + 1)

    def error_members(self, salt: int = 0) -> list[Transform]:
        """Returns what the gradient of the output passes through; see `kernel_members`."""
        return self._gradient_members("backward", self.backward, salt + 2)

    def _gradient_members(self, part: str, given: Given, salt: int) -> list[Transform]:
        return self._made(part, given, QuantizeGradient, salt, overflow="infinity")

    def _made(
        self, part: str, given: Given, kind: Any, salt: int, axis: int | None = None, **kwargs: Any
    ) -> list[Transform]:
        if given is None:
            return []
        if isinstance(given, Transform):
            return [_salted(given, salt)]
        seed = (self.seed + salt) % 2**31
        format = _named(part, given, axis)
        return [kind(format, rounding=self.rounding[part], seed=seed, **kwargs)]

    def _check_product(self) -> None:
        """Checks that the accumulator holds a product.

        Raises:
            ValueError: It has fewer significant bits than one of the products.
        """
        if self.accumulate_format is None:
            return
        kernel, value = (self._format("forward", self.forward[name]) for name in OPERANDS)
        error = self._format("backward", self.backward)
        own = _significant_bits(self.accumulate_format)
        for first, second in ((kernel, value), (kernel, error), (value, error)):
            needed = _significant_bits(first) + _significant_bits(second)
            if own < needed:
                raise ValueError(
                    "`accumulate` must not be narrower than a product of the operands, which has "
                    f"{needed} significant bits for {_called(first)} times {_called(second)}. "
                    f"Received: accumulate={self.accumulate!r} with {own}. Use a wider format, or "
                    "narrower operands."
                )

    def _check_loss_scale(self) -> None:
        """Checks that gradients can be as large as the loss scale.

        Raises:
            ValueError: They cannot.
        """
        if not isinstance(self.loss_scale, float):
            return
        for part in ("backward", "gradient"):
            largest = _largest(self._format(part, getattr(self, part)))
            if largest is not None and largest < self.loss_scale:
                raise ValueError(
                    f"`loss_scale` must be a number that the format of `{part}` can represent, at "
                    f"most {largest:g}. Received: loss_scale={self.loss_scale:g}. Use a smaller "
                    "one, or 'dynamic', which finds one that fits."
                )

    @staticmethod
    def _format(part: str, given: Given) -> NumberFormat | None:
        """Returns the format of a part; None for float32 and for a transform that names none.

        Raises:
            ValueError: It is given what is none.
        """
        if isinstance(given, Transform):
            return getattr(given, "number_format", None)
        return None if given is None else _named(part, given, None)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "forward": {name: _as_data(given) for name, given in self.forward.items()},
            "backward": _as_data(self.backward),
            "gradient": _as_data(self.gradient),
            "update": _as_data(self.update),
            "accumulate": _as_data(self.accumulate),
            "chunk": self.chunk,
            "rounding": dict(self.rounding),
            "loss_scale": self.loss_scale,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Arithmetic":
        """Returns what `get_config` described."""
        config = dict(config)
        config["forward"] = {name: _from_data(given) for name, given in config["forward"].items()}
        for part in PARTS[1:]:
            config[part] = _from_data(config[part])
        return cls(**config)


def _salted(given: Transform, salt: int) -> Transform:
    """Returns a transform of the same settings, its seed moved by `salt`, with no state."""
    config = given.get_config()
    if "seed" in config:
        config["seed"] = (config["seed"] + salt) % 2**31
    return type(given).from_config(config)


def _checked_operands(given: Any) -> dict[str, Given]:
    if not isinstance(given, Mapping):
        return dict.fromkeys(OPERANDS, given)
    if not {*given} <= {*OPERANDS}:
        raise ValueError(
            f"`forward` must be one format, or a mapping with keys of {OPERANDS}. "
            f"Received: forward={given!r}."
        )
    return {name: given.get(name) for name in OPERANDS}


def _checked_rounding(given: Any) -> dict[str, str]:
    parts = PARTS[:-1]
    if not isinstance(given, Mapping):
        return dict.fromkeys(parts, checked_choice("rounding", given, ROUNDINGS))
    if not {*given} <= {*parts}:
        raise ValueError(
            f"`rounding` must be one of {ROUNDINGS}, or a mapping with keys of {parts}. "
            f"Received: rounding={given!r}."
        )
    return {
        part: checked_choice(f"rounding[{part!r}]", given.get(part, "nearest"), ROUNDINGS)
        for part in parts
    }


def _checked_loss_scale(given: Any) -> float | str | None:
    if given is None or given in LOSS_SCALES:
        return given
    is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not is_number or not 0.0 < given < float("inf"):
        raise ValueError(
            f"`loss_scale` must be None, a number above 0, or one of {LOSS_SCALES}. "
            f"Received: loss_scale={given!r}."
        )
    return float(given)


def _checked_accumulator(given: Any, chunk: int | None) -> Minifloat | None:
    if given is None:
        if chunk is not None:
            raise ValueError(
                "`chunk` must be None where nothing accumulates in a format of its own. "
                f"Received: chunk={chunk}, accumulate=None."
            )
        return None
    format = _named("accumulate", given, None)
    if not isinstance(format, Minifloat) or format.scaled:
        raise ValueError(
            "`accumulate` must be a floating-point format without a scale, such as 'fp16_e6m9'. "
            f"Received: accumulate={given!r}."
        )
    return format


def _named(part: str, given: Any, axis: int | None) -> NumberFormat:
    try:
        return trainable_format(given, axis)
    except ValueError as error:
        raise ValueError(f"`{part}` cannot be {given!r}: {error}") from error


def _significant_bits(format: NumberFormat | None) -> int:
    """Returns how many bits the significand of a value has at most, 24 in float32."""
    if format is None:
        return 24
    return format.mantissa_bits + 1 if isinstance(format, Minifloat) else format.bits - 1


def _largest(format: NumberFormat | None) -> float | None:
    """Returns the largest value of a format, None where it adapts to what it is given."""
    if isinstance(format, Minifloat) and not format.scaled:
        return format.largest
    if isinstance(format, FixedPoint):
        return 2.0 ** (format.integer_bits - 1) - format.step
    return None


def _called(format: NumberFormat | None) -> str:
    return "float32" if format is None else format_names.described(format)


def _as_data(given: Any) -> Any:
    if isinstance(given, Transform):
        return keras.saving.serialize_keras_object(given)
    return format_names.serialized(given) if isinstance(given, NumberFormat) else given


def _from_data(data: Any) -> Any:
    if not isinstance(data, Mapping):
        return data
    if "class" in data:
        return format_names.deserialized(dict(data))
    return keras.saving.deserialize_keras_object(data)
