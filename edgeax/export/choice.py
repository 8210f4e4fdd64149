"""Choice: which of the forms that a kernel can have is taken, and why."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from edgeax.export.carriers import Carrier, Codes
from edgeax.export.lower_custom import CustomForm, rows_of
from edgeax.export.lower_dense import dense_bytes
from edgeax.export.result import LEAST_MARGIN
from edgeax.formats.flatbuffer import Subgraph
from edgeax.formats.layer_shape import CONV, DEPTHWISE, FULLY_CONNECTED, LayerShape
from edgeax.formats.sparse import is_balanced
from edgeax.formats.speeds import Form, Speed, Speeds

Pairs = Sequence[tuple[Carrier, Codes]]
"""The operators that hold a kernel, and its codes in each."""

_PART = "{part:.2f} of int8's bytes"


@dataclasses.dataclass(frozen=True)
class Choice:
    """What decides.

    Attributes:
        optimize: `"size"` and None: the fewest bytes; `"latency"`: the speed that was measured.
        speeds: What was measured, where speed decides.
    """

    optimize: str | None = None
    speeds: Speeds | None = None

    def choose(
        self, graph: Subgraph, pairs: Pairs, candidates: Sequence[list[CustomForm]]
    ) -> tuple[list[CustomForm], str]:
        """Returns the form that gains most against the built-in operators.

        Args:
            graph: The graph of the operators.
            pairs: The operators that hold a kernel.
            candidates: Forms of that kernel, one for each operator.

        Returns:
            The form, and why it was taken, `""` where nothing was to be optimized; or none, and why
            the built-in operators are as good, `""` without candidates.
        """
        if self.speeds is not None:
            return _fastest(graph, pairs, candidates, self.speeds)
        found, why = _smallest(pairs, candidates)
        return found, "" if found and self.optimize is None else why

    def confirm(
        self, graph: Subgraph, pairs: Pairs, found: list[CustomForm]
    ) -> tuple[list[CustomForm], str]:
        """Returns a form that nothing but a measured speed speaks against.

        Args:
            graph: The graph of the operators.
            pairs: The operators that hold a kernel.
            found: The form of that kernel, for each operator.

        Returns:
            As `choose`.
        """
        if self.speeds is None or not found[0].has_rival:
            return found, ""
        return _fastest(graph, pairs, [found], self.speeds)


BY_BYTES = Choice()
"""As without `optimize`."""


def _smallest(pairs: Pairs, candidates: Sequence[list[CustomForm]]) -> tuple[list[CustomForm], str]:
    dense = least = sum(dense_bytes(carrier, codes) for carrier, codes in pairs)
    best: list[CustomForm] = []
    losses = []
    for found in candidates:
        size = sum(one.size_bytes for one in found)
        if size < least and size <= (1.0 - found[0].least_gain) * least:
            best, least = found, size
        else:
            losses.append(found[0].loss.format(part=size / dense))
    return best, _PART.format(part=least / dense) if best else "; ".join(losses)


def _fastest(
    graph: Subgraph, pairs: Pairs, candidates: Sequence[list[CustomForm]], speeds: Speeds
) -> tuple[list[CustomForm], str]:
    found = [(_slowest(graph, pairs, forms, speeds), forms) for forms in candidates]
    gains = [(speed, forms) for speed, forms in found if speed is not None and _gains(speed)]
    if gains:
        speed, forms = max(gains, key=lambda gain: gain[0].speed)
        return forms, _told(speed)
    return [], "; ".join(
        f"{forms[0].how}: {'nothing like it was measured' if speed is None else _told(speed)}"
        for speed, forms in found
    )


def _gains(speed: Speed) -> bool:
    return speed.speed > 1.0 + max(LEAST_MARGIN, speed.noise)


def _told(speed: Speed) -> str:
    return f"{speed.speed:.2f} times as fast as int8, measured at {speed.shape.name}"


def _slowest(
    graph: Subgraph, pairs: Pairs, forms: list[CustomForm], speeds: Speeds
) -> Speed | None:
    """Returns the measured operator that tells most of that operator of a kernel which gains least;
    None where nothing tells of one.
    """
    found: list[Speed] = []
    for (carrier, codes), form in zip(pairs, forms, strict=True):
        shape = None if carrier.is_wide else shape_of(graph, carrier)
        speed = (
            None if shape is None else speeds.nearest(_measured_form(carrier, codes, form), shape)
        )
        if speed is None:
            return None
        found.append(speed)
    return min(found, key=lambda speed: speed.speed)


def _measured_form(carrier: Carrier, codes: Codes, form: CustomForm) -> Form:
    parts = (form.details.get(name, 0) for name in ("block", "length", "group"))
    planes = int(form.details.get("planes", 1))
    measured = Form(form.operator, form.bits, int(max(parts)), planes=planes)
    if not measured.is_sparse:
        return measured
    left = form.constants["weights"].size / codes.codes.size
    return dataclasses.replace(measured, left=left, balanced=is_balanced(rows_of(carrier, codes)))


def shape_of(graph: Subgraph, carrier: Carrier) -> LayerShape | None:
    """Returns what an operator computes; None where a shape cannot tell, as of dilated windows."""
    operator = carrier.operator
    source, kernel, result = (
        graph.tensors[index].shape for index in (*operator.inputs[:2], operator.outputs[0])
    )
    if min(result) < 1 or operator.name not in (CONV, DEPTHWISE, FULLY_CONNECTED):
        return None
    if operator.name == FULLY_CONNECTED:
        rows = int(np.prod(result)) // kernel[0]
        return LayerShape(FULLY_CONNECTED, (rows, 1), (1, 1), (1, 1), kernel[1], kernel[0])
    options = operator.options
    is_plain = options["dilation_h_factor"] == options["dilation_w_factor"] == 1
    if not is_plain or (operator.name == CONV and kernel[3] != source[3]):
        return None
    return LayerShape(
        operator.name,
        (result[0] * result[1], result[2]),
        (kernel[1], kernel[2]),
        (options["stride_h"], options["stride_w"]),
        source[3],
        result[3],
    )
