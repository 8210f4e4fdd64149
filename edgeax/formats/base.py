"""What codes mean: the NumberFormat protocol and a tensor stored in one (EncodedTensor)."""

import abc
import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

Params = dict[str, np.ndarray]


def signed_range(bits: int) -> tuple[int, int]:
    """Returns the lowest and the highest two's-complement integer of `bits` bits (1 or more)."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


class NumberFormat(abc.ABC):
    """Maps real values to integer codes and back: `real = scale * (code - zero_point)`.

    A format holds settings only (a frozen dataclass whose fields are JSON values). What `fit`
    finds in a tensor (scale, zero point, codebook) are its params, a dict of numpy arrays.
    Tensors come in canonical layout: the last axis is the output channel.

    Attributes:
        encode_only: Names of params that `decode` does not read: nothing stores them.
        channel_axes: Number of axes that a param has when its last one is the output channel.
    """

    encode_only: ClassVar[tuple[str, ...]] = ()
    channel_axes: ClassVar[Mapping[str, int]] = {"scale": 1, "zero_point": 1}

    @property
    @abc.abstractmethod
    def bits(self) -> int:
        """Width of one stored code in bits."""

    @abc.abstractmethod
    def fit(self, x: np.ndarray) -> Params:
        """Finds the params that suit `x` (real values, any shape, all finite)."""

    @abc.abstractmethod
    def encode(self, x: np.ndarray, params: Params) -> np.ndarray:
        """Returns the codes nearest to the finite real values `x`, in the shape of `x`."""

    @abc.abstractmethod
    def decode(self, codes: np.ndarray, params: Params) -> np.ndarray:
        """Returns the float32 values of `codes`, in the shape of `codes`."""

    @abc.abstractmethod
    def per_channel(self) -> "NumberFormat":
        """Returns this format with one scale per output channel, for `EncodedTensor.scaled`."""

    def size_bits(self, codes: np.ndarray, params: Params) -> int:
        """Returns the bits that storing `codes` takes, packed, with the params `decode` reads."""
        read = [np.asarray(p) for name, p in params.items() if name not in self.encode_only]
        return codes.size * self.bits + sum(8 * p.nbytes for p in read)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments as JSON values."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Builds the format from what `get_config` returned.

        Raises:
            ValueError: `config` holds an unknown setting, or one out of range.
        """
        known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        unknown = sorted(set(config) - set(known))
        if unknown:
            raise ValueError(
                f"`config` of {cls.__name__} must hold only {known}. Received: {unknown}. "
                "Remove them."
            )
        return cls(**config)


def check_whole(**values: Any) -> None:
    """Checks that arguments are whole numbers.

    Raises:
        ValueError: One is not.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral):
            raise ValueError(
                f"`{name}` must be an integer. Received: {name}={value!r}. Codes have whole bits."
            )


def finite_float32(x: Any, name: str = "x") -> np.ndarray:
    """Returns `x` as a float32 array.

    Raises:
        ValueError: a value is NaN or infinite, or too large for float32.
    """
    with np.errstate(over="ignore"):
        values = np.asarray(x, dtype=np.float32)
    finite = np.isfinite(values)
    if not finite.all():
        raise ValueError(
            f"`{name}` must be finite in float32. Received: {values.size - int(finite.sum())} of "
            f"{values.size} values are NaN or infinite. Find the training step that made them."
        )
    return values


def optional_scale(params: Params, shape: tuple[int, ...], divides: bool = False) -> np.ndarray:
    """Returns `params["scale"]`, or 1 where a format without a scale was never given one.

    Args:
        params: Of any format.
        shape: Of the tensor.
        divides: Whether the tensor is going to be divided by the scale.
    Returns:
        float32 of shape `()` or `(channels,)`.
    Raises:
        ValueError: the scale has another shape or is not finite; `divides` and it holds a 0.
    """
    scale = finite_float32(params.get("scale", 1.0), "params['scale']")
    if scale.shape not in ((), shape[-1:]):
        raise ValueError(
            f"`params['scale']` must have shape () or {shape[-1:]} for a tensor of shape {shape}. "
            f"Received: shape {scale.shape}. Fit the format to this tensor."
        )
    if divides and not np.all(scale):
        raise ValueError(
            "`params['scale']` must not be 0 to encode. Received: a zero. A channel that was "
            "scaled by 0 can only be decoded."
        )
    return scale


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedTensor:
    """A tensor as it is stored: codes, their format, its params.

    Attributes:
        codes: Integer array in canonical layout (last axis = output channel).
        format: What the codes mean.
        params: What `format.fit` or a training run found, e.g. `{"scale": float32 (channels,)}`.
        mask: bool, shape of `codes`, or None. False = pruned: decodes to exactly 0.0.
    Raises:
        ValueError: `mask` is not boolean or differs from `codes` in shape.
    """

    codes: np.ndarray
    format: NumberFormat
    params: Params
    mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        mask = self.mask
        if mask is not None and (mask.dtype != np.bool_ or mask.shape != self.codes.shape):
            raise ValueError(
                f"`mask` must be bool of the shape of `codes`, {self.codes.shape}. Received: "
                f"{mask.dtype} {mask.shape}. Pass None when nothing is pruned."
            )

    def decode(self) -> np.ndarray:
        """Returns the float32 values, exactly those that training used."""
        return self._masked(self.format.decode(self.codes, self.params))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.codes.shape

    @property
    def bits(self) -> int:
        """Width of one code in bits."""
        return self.format.bits

    @property
    def size_bits(self) -> int:
        """Bits of all codes, packed, and of the params. A mask costs nothing: zeros are codes."""
        return self.format.size_bits(self.codes, self.params)

    @property
    def sparsity(self) -> float:
        """Fraction of values that decode to exactly zero, in 0..1; 0 for an empty tensor."""
        values = self.decode()
        return float(np.mean(values == 0.0)) if values.size else 0.0

    @property
    def distinct_values(self) -> int:
        """How many different values occur, not counting what the scale of a channel adds."""
        params = dict(self.params)
        if "scale" in params:
            params["scale"] = np.ones_like(params["scale"])
        return int(np.unique(self._masked(self.format.decode(self.codes, params))).size)

    def scaled(self, gain: np.ndarray) -> "EncodedTensor":
        """Multiplies every output channel by a gain, in the scale: the codes stay (BN folding).

        Args:
            gain: float32, shape `(channels,)`, finite; negative and zero gains are allowed.
        Returns:
            An EncodedTensor with a per-channel scale, float32 `(channels,)`.
        Raises:
            ValueError: `gain` has another shape, or a new scale is not finite.
        """
        gain = finite_float32(gain, "gain")
        channels = self.shape[-1:]
        if gain.shape != channels:
            raise ValueError(
                f"`gain` must have shape {channels}, one value per output channel. Received: "
                f"shape {gain.shape}. Move the channel axis of the codes last."
            )
        with np.errstate(over="ignore"):
            scale = finite_float32(optional_scale(self.params, self.shape) * gain, "scale * gain")
        params = {**self.params, "scale": scale}
        if "zero_point" in params:
            params["zero_point"] = np.broadcast_to(params["zero_point"], channels)
        return dataclasses.replace(self, format=self.format.per_channel(), params=params)

    def channels(self, part: slice) -> "EncodedTensor":
        """Returns some of the output channels, codes and scales as they are."""
        axes = self.format.channel_axes
        params = {
            name: values[..., part] if np.ndim(values) == axes.get(name) else values
            for name, values in self.params.items()
        }
        mask = None if self.mask is None else self.mask[..., part]
        return dataclasses.replace(self, codes=self.codes[..., part], params=params, mask=mask)

    def _masked(self, values: np.ndarray) -> np.ndarray:
        return values if self.mask is None else np.where(self.mask, values, np.float32(0))
