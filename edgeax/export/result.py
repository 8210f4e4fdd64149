"""Result: what an export gained, lost and left as it was."""

import dataclasses
from typing import Any

from edgeax.export.lower import FLOAT32, Stored
from edgeax.export.parity import Parity


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
        latency_ms: Median milliseconds of one run on this machine, `"float32"` and `"file"`, taken
            in turns; empty if not measured.
        needs_plugin: Whether the file has operators of edgeax.
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
        if self.peak_activation_bytes is not None:
            lines.append(f"  activations alive at once: {self.peak_activation_bytes:,} bytes")
        counts = ", ".join(f"{count} {name}" for name, count in self.operators.items())
        lines.append(f"  operators: {counts}")
        lines += [f"  {_kernel_line(kernel)}" for kernel in self.kernels]
        lines += [f"  stays float: {name}" for name in self.stays_float]
        lines += _parity_lines(self.parity)
        if self.needs_plugin:
            lines.append("  runs with the plugin: edgeax.Interpreter, edgeax.load_delegate()")
        return "\n".join(lines)


def _kernel_line(kernel: Stored) -> str:
    bits = "" if kernel.bits is None else f", {kernel.bits} bits"
    why = f" ({kernel.why})" if kernel.why else ""
    return f"{kernel.path}: {kernel.how}{bits}{why}{_format_text(kernel)}"


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
