"""Result: what an export gained, lost and left as it was."""

import dataclasses
import os
from typing import Any

from edgeax.export.parity import Parity
from edgeax.export.stored import FLOAT32, Stored
from edgeax.export.training_report import TrainingReport
from edgeax.formats import micro_operators
from edgeax.formats.files import write_atomically
from edgeax.runtime.mcu.generate import generate
from edgeax.runtime.mcu.report import Report

WHERE_DECODE_RUNS = "TensorFlow Lite Micro, and decoded in edgeax.Interpreter; not in LiteRT"
"""Where a file with kernels for the DECODE operator runs."""

LEAST_MARGIN = 0.05
"""By how much, as a part, a file must be faster than dense int8 at least to be called faster."""


@dataclasses.dataclass(frozen=True)
class Result:
    """Receipt of an export. Prints as text.

    Attributes:
        path: The file.
        size_bytes: Its size.
        float_size_bytes: Size of the same model in float32, None if not measured.
        operators: How often each operator stands in the file.
        kernels: How each kernel with a number format is stored.
        stays_float: Operators that compute in float although integers were asked for, and the
            layers that they belong to.
        peak_activation_bytes: Bytes of the activations that live at the same time, at their most.
        parity: How far the file is from Keras.
        latency_ms: Median milliseconds of one run on this machine, `"float32"`, `"file"` and, where
            `dense_size_bytes` is known, `"int8"` of that file, taken in turns; empty if not
            measured.
        needs_plugin: Whether the file has operators of edgeax.
        dense_size_bytes: Size of the same model in int8 with built-in operators only, as
            `runtime="stock"` writes it; None if not measured or if this is that file.
        latency_margin: By how much, as a part, the file had to be faster than dense int8 to be
            called faster: the noise of this measurement (see `edgeax.runtime.latency.noise`), at
            least `LEAST_MARGIN`; None if not measured.
        needs_tflm: Whether the file has kernels for the DECODE operator of TensorFlow Lite Micro,
            which LiteRT lacks. `edgeax.Interpreter` decodes them as it loads the file.
        decode_arena_bytes: By how much `peak_activation_bytes` is above that of the same file with
            plain kernels, because TensorFlow Lite Micro decodes them into its arena; None where
            that is not known.
        target: Where speed decided how kernels are stored: the table of what was measured, with the
            processor and the date.
        training: What the file learns on the device; None if it was not exported for that.
    """

    path: str
    size_bytes: int
    float_size_bytes: int | None
    operators: dict[str, int]
    kernels: tuple[Stored, ...]
    stays_float: tuple[str, ...]
    peak_activation_bytes: int | None
    parity: Parity
    latency_ms: dict[str, float]
    needs_plugin: bool
    dense_size_bytes: int | None = None
    latency_margin: float | None = None
    needs_tflm: bool = False
    decode_arena_bytes: int | None = 0
    target: str = ""
    training: TrainingReport | None = None

    @property
    def gains(self) -> tuple[str, ...]:
        """What the custom operators gained against dense int8: `"smaller"`, `"faster"`, both or
        none. Faster only as measured in this run, by more than `latency_margin`.
        """
        found = {
            "smaller": self.dense_size_bytes is not None
            and self.size_bytes < self.dense_size_bytes,
            "faster": self._speed_up is not None and self._speed_up > 1.0 + self._margin,
        }
        return tuple(word for word, holds in found.items() if holds)

    @property
    def _margin(self) -> float:
        return LEAST_MARGIN if self.latency_margin is None else self.latency_margin

    @property
    def _speed_up(self) -> float | None:
        """How many times as fast as dense int8 the file is, None if not measured."""
        if "int8" not in self.latency_ms:
            return None
        return self.latency_ms["int8"] / self.latency_ms["file"]

    def to_cpp(
        self,
        out_dir: str | os.PathLike[str],
        target: str = "cortex-m4",
        ram_bytes: int | None = None,
        rounding: str = "double",
        name: str | None = None,
    ) -> Report:
        """Writes C++ for a microcontroller that computes what the file does.

        See `edgeax.mcu.generate`; the file must be full-integer, as `io="int8"` writes it, or have
        float at its ends only.
        """
        return generate(self.path, out_dir, target, ram_bytes, rounding, name)

    def op_resolver(self, path: str | os.PathLike[str]) -> None:
        """Writes a C++ header for TensorFlow Lite Micro that registers the file's operators alone.

        It has `OpResolver` and `AddOps(resolver)`, in a namespace that is named like the file.

        Raises:
            ValueError: TensorFlow Lite Micro lacks an operator.

        Example: `edgeax.export(model, "kws.tflite", samples, runtime="tflm").op_resolver("kws.h")`
        """
        text = micro_operators.op_resolver_header(self.operators, os.path.basename(self.path))
        write_atomically(path, text.encode())

    def as_dict(self) -> dict[str, Any]:
        """Returns the receipt as JSON values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.size_bytes:,} bytes"]
        if self.float_size_bytes is not None:
            ratio = self.float_size_bytes / self.size_bytes
            lines.append(f"  float32: {self.float_size_bytes:,} bytes, {ratio:.2f} times as large")
        if self.latency_ms:
            times = ", ".join(f"{name} {ms:.3f} ms" for name, ms in self.latency_ms.items())
            lines.append(f"  median of one run on this machine: {times}")
        lines += self._gain_lines()
        if self.peak_activation_bytes is not None:
            lines.append(f"  activations alive at once: {self.peak_activation_bytes:,} bytes")
        if self.needs_tflm and self.decode_arena_bytes is not None:
            lines.append(f"  of them for decoded kernels: {self.decode_arena_bytes:,} bytes")
        counts = ", ".join(f"{count} {name}" for name, count in self.operators.items())
        lines.append(f"  operators: {counts}")
        if self.target:
            lines.append(f"  as fast as can be by what was measured on {self.target}")
        lines += [f"  {_kernel_line(kernel)}" for kernel in self.kernels]
        lines += [f"  stays float: {name}" for name in self.stays_float]
        if self.training is not None:
            lines += [f"  {line}" for line in self.training.lines()]
        lines += _parity_lines(self.parity)
        if self.needs_plugin:
            lines.append("  runs with the plugin: edgeax.Interpreter, edgeax.load_delegate()")
        if self.needs_tflm:
            lines.append(f"  runs in {WHERE_DECODE_RUNS}")
        return "\n".join(lines)

    def _gain_lines(self) -> list[str]:
        """Returns what the custom operators gained and what they cost, against dense int8."""
        if self.dense_size_bytes is None:
            return []
        part = self.size_bytes / self.dense_size_bytes
        lines = [f"  dense int8: {self.dense_size_bytes:,} bytes; this file is {part:.2f} of it"]
        if self._speed_up is not None:
            lines.append(f"  {self._speed_text(self._speed_up)}")
        return lines

    def _speed_text(self, speed_up: float) -> str:
        if "faster" in self.gains:
            return f"{speed_up:.2f} times as fast as dense int8 on this machine"
        if speed_up >= 1.0:
            return f"as fast as dense int8 on this machine, within {self._margin:.0%}"
        times = f"{self.latency_ms['file']:.3f} against {self.latency_ms['int8']:.3f} ms"
        verdict = "smaller, not faster" if "smaller" in self.gains else "no gain"
        return (
            f"slower than dense int8 on this machine ({times}): {verdict}; "
            'runtime="stock" writes the dense file'
        )


def _kernel_line(kernel: Stored) -> str:
    bits = "" if kernel.bits is None else f", {kernel.bits} bits"
    details = "".join(f", {name} {_short(value)}" for name, value in kernel.details.items())
    why = f" ({kernel.why})" if kernel.why else ""
    return f"{kernel.path}: {kernel.how}{bits}{details}{why}{_format_text(kernel)}"


def _short(value: int | float | str) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _format_text(kernel: Stored) -> str:
    """Returns what it cost to store a kernel in integers that was trained in another format."""
    if not kernel.format:
        return ""
    cost = "exactly" if kernel.snr_db is None else f"at {kernel.snr_db:.1f} dB"
    if kernel.format == FLOAT32:
        return f", rounded after training, {cost}"
    return f" for {kernel.format}, {cost}"


def _parity_lines(parity: Parity) -> list[str]:
    lines = []
    if parity.argmax_agreement is not None:
        lines.append(
            f"  same answer as Keras on {parity.argmax_agreement:.1%} of {parity.samples} samples"
        )
    lines.append(
        f"  largest difference of an output from Keras: {parity.most_output_difference:.4g}"
    )
    worst = parity.worst
    if worst is not None:
        lines.append(
            f"  worst layer: {worst.path}, {worst.mean_steps:.3f} steps on average, "
            f"{worst.most_steps:.0f} at most"
        )
    return lines
