"""What a file that can be trained learns, and what that takes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class TrainingReport:
    """The part of a `Result` about training. Prints as lines.

    Attributes:
        layers: Paths of the layers that are trained.
        channels: How many input channels of a kernel are trained where it is not all, by path.
        integer: Names of the weights that are trained as int8 codes.
        float_behind: Paths of the layers that are not trained and compute in float because a layer
            in front of them is.
        optimizer: Class of the optimizer.
        loss: The loss.
        batch_size: Rows of a step.
        state_bytes: Bytes of all variables: weights that are trained and what the optimizer keeps.
        activation_bytes: Bytes of tensors that are alive at once in a step, at their most; None if
            a size is unknown.
        gradient_operators: Operators of the step that the plugin brings, and how often they stand
            there.
        planned_bytes: What the plan that chose the weights says a step needs; None without one.
    """

    layers: tuple[str, ...]
    channels: dict[str, int]
    integer: tuple[str, ...]
    float_behind: tuple[str, ...]
    optimizer: str
    loss: str
    batch_size: int
    state_bytes: int
    activation_bytes: int | None
    gradient_operators: dict[str, int]
    planned_bytes: int | None = None

    def lines(self) -> list[str]:
        """Returns the report as text."""
        trained = [
            f"{path} ({self.channels[path]} channels)" if path in self.channels else path
            for path in self.layers
        ]
        lines = [
            f"trains {', '.join(trained)}",
            f"a step: {self.optimizer}, {self.loss}, batch {self.batch_size}",
            f"state: {self.state_bytes:,} bytes",
        ]
        if self.activation_bytes is not None:
            lines.append(f"alive at once in a step: {self.activation_bytes:,} bytes")
            planned = self.planned_bytes
            if planned is not None and self.state_bytes + self.activation_bytes > planned:
                lines.append(
                    f"more than the {planned:,} bytes of its plan: give `plan_update` the "
                    "`training` of this file, whose batches and optimizer count"
                )
        if self.integer:
            lines.append(f"int8 codes moved by whole steps: {', '.join(self.integer)}")
        if self.float_behind:
            lines.append(f"float behind what is trained: {', '.join(self.float_behind)}")
        if self.gradient_operators:
            counts = (f"{count} {name}" for name, count in self.gradient_operators.items())
            lines.append(f"gradients of the plugin: {', '.join(counts)}")
        return lines
