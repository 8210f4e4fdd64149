"""Where real values enter and leave a file: its input and output tensors with their scales."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeax.formats.integer import Integer

# The codes that a type holds, and by how much they are moved up: uint8 are int8 codes of old files.
_CODES = {
    np.dtype(np.int8): (Integer(8, symmetric=False), 0),
    np.dtype(np.uint8): (Integer(8, symmetric=False), 128),
    np.dtype(np.int16): (Integer(16, symmetric=False), 0),
}
_ANY_CODES = Integer(16, symmetric=False)


@dataclass(frozen=True)
class Port:
    """An input or output tensor of a file.

    Attributes:
        name: Name of the tensor in the file.
        index: Its number in the interpreter.
        shape: Its shape; the first dimension is the batch.
        dtype: Type of its elements.
        scale: Step of its codes, `real = scale * (code - zero_point)`; None when not quantized.
        zero_point: The code of 0.0; 0 when not quantized.
    """

    name: str
    index: int
    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float | None
    zero_point: int

    @classmethod
    def from_details(cls, details: Mapping[str, Any]) -> "Port":
        """Reads one entry of the stock `get_input_details()` or `get_output_details()`."""
        scales = details["quantization_parameters"]["scales"]
        zero_points = details["quantization_parameters"]["zero_points"]
        return cls(
            name=str(details["name"]),
            index=int(details["index"]),
            shape=tuple(int(size) for size in details["shape"]),
            dtype=np.dtype(details["dtype"]),
            scale=float(scales[0]) if len(scales) else None,
            zero_point=int(zero_points[0]) if len(zero_points) else 0,
        )

    def checked(self, values: Any, raw: bool) -> np.ndarray:
        """Checks values for this input and turns them into what the tensor stores.

        Args:
            values: Array of the port's shape; its first dimension may differ. Real values, or
                with `raw` exactly what the tensor stores.
            raw: Whether to pass the values through unchanged.
        Returns:
            Array of `dtype` in the shape of `values`.
        Raises:
            ValueError: Another shape or type, or a value that is not finite.
        """
        array = np.asarray(values)
        if array.ndim != len(self.shape) or array.shape[1:] != self.shape[1:]:
            raise ValueError(
                f"Input {self.name!r} must have shape {self.expected_shape}. "
                f"Received: shape {array.shape}. Reshape it, or add the batch dimension."
            )
        if raw:
            return self._stored(array)
        complex_ones = "c" if self.dtype.kind == "c" else ""
        if array.dtype.kind not in f"fiub{complex_ones}":
            raise ValueError(
                f"Input {self.name!r} must hold numbers. Received: dtype {array.dtype}. "
                "Pass raw=True for tensors of other types."
            )
        if not np.isfinite(array).all():
            raise ValueError(
                f"Input {self.name!r} must be finite, expected shape {self.expected_shape}. "
                f"Received: {int((~np.isfinite(array)).sum())} NaN or infinite values of "
                f"{array.size}. Clean the data first."
            )
        return self._encoded(array)

    def real(self, stored: np.ndarray) -> np.ndarray:
        """Returns the real values of what the tensor stores; unchanged when not quantized."""
        if self.scale is None or np.issubdtype(stored.dtype, np.floating):
            return stored
        return _ANY_CODES.decode(stored, self._params(self.zero_point))

    def _stored(self, array: np.ndarray) -> np.ndarray:
        if array.dtype != self.dtype:
            raise ValueError(
                f"Input {self.name!r} must have dtype {self.dtype} when raw=True. Received: "
                f"{array.dtype}. Convert it, or pass real values without raw."
            )
        return array

    def _encoded(self, array: np.ndarray) -> np.ndarray:
        if self.scale is None or np.issubdtype(self.dtype, np.floating):
            return self._cast(array)
        if self.dtype not in _CODES:
            raise ValueError(
                f"Input {self.name!r} must be int8, uint8 or int16 to take real values. Received: "
                f"a file that wants {self.dtype}. Quantize the values and pass raw=True."
            )
        format, offset = _CODES[self.dtype]
        codes = format.encode(array, self._params(self.zero_point - offset))
        return (codes.astype(np.int16) + offset).astype(self.dtype)

    def _cast(self, array: np.ndarray) -> np.ndarray:
        cast = array.astype(self.dtype)
        if not np.issubdtype(self.dtype, np.floating) and not np.array_equal(cast, array):
            raise ValueError(
                f"Input {self.name!r} must hold {self.dtype} values, for it has no scale. "
                "Received: values that change when converted. Round or clip them first."
            )
        return cast

    def _params(self, zero_point: int) -> dict[str, np.ndarray]:
        return {"scale": np.float32(self.scale), "zero_point": np.int32(zero_point)}  # type: ignore[dict-item]

    @property
    def expected_shape(self) -> str:
        """The shape in words; a batch of 1 may have any number of rows."""
        if self.shape[:1] == (1,):
            return str(("batch", *self.shape[1:])).replace("'", "")
        return str(self.shape)
