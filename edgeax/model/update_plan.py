"""UpdatePlan: which weights a device trains, down to the channels of a kernel."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class UpdatePart:
    """What is trained of one layer.

    Attributes:
        path: Path of the layer.
        channels: How many input channels of its kernel are trained, the first ones; of a depthwise
            kernel, how many of its channels. None for all of them, 0 for none.
        bias: Whether its bias is trained.
    """

    path: str
    channels: int | None = None
    bias: bool = True


@dataclasses.dataclass(frozen=True)
class UpdatePlan:
    """Which weights a device trains; see `edgeax.lifelong.plan_update`.

    Attributes:
        parts: One entry for each layer that is trained, in the order in which they run.
        memory_bytes: Memory that a step of training needs: `activation_bytes` alive at once and
            `state_bytes` of variables; empty if it was not planned.
        gain: Share of the decrease of the loss that the plan keeps of training everything, to first
            order; None if it was not planned.
    """

    parts: tuple[UpdatePart, ...]
    memory_bytes: dict[str, int] = dataclasses.field(default_factory=dict)
    gain: float | None = None

    def __post_init__(self) -> None:
        paths = [part.path for part in self.parts]
        if not paths or len(set(paths)) != len(paths):
            raise ValueError(
                f"`parts` must name at least one layer, and each once. Received: {paths}."
            )
        for part in self.parts:
            if part.channels is not None and part.channels < 0:
                raise ValueError(
                    "`channels` of a part must be None or at least 0. Received: "
                    f"{part.channels} for {part.path!r}."
                )

    def __str__(self) -> str:
        lines = [
            f"{part.path}: {_channels_text(part)}{', bias' if part.bias else ''}"
            for part in self.parts
        ]
        lines += [f"{name}: {size:,}" for name, size in self.memory_bytes.items()]
        if self.gain is not None:
            lines.append(f"decrease of the loss, of that of all layers: {self.gain:.0%}")
        return "\n".join(lines)


def _channels_text(part: UpdatePart) -> str:
    if part.channels is None:
        return "kernel"
    return f"{part.channels} channels of its kernel" if part.channels else "no kernel"
