"""lookup_tables(): a trained model's layers without multiplications."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import arrays, implements
from edgeax.formats.lookup import product_table, weight_tables
from edgeax.formats.lookup_layer import LookupLayer, Window, boundaries, why_no_table
from edgeax.formats.points import Points
from edgeax.model import placement
from edgeax.model.copying import clone, fresh_copy, originals_of
from edgeax.model.device import averages
from edgeax.model.graph import Call, Graph, trace
from edgeax.model.rewrite import check_model
from edgeax.model.wrapper import Compressed

_layers = keras.layers
_TEST = "tests/export/test_lookup.py::"


@implements(
    "RIKR17", test=_TEST + "test_rikr17_looked_up_a_network_gives_every_bit_of_the_keras_model"
)
def lookup_tables(model: keras.Model) -> dict[str, LookupLayer]:
    """Returns the tables of the layers whose weights and inputs both take few values, by path.

    These are dense layers and convolutions of a compressed model. Their inputs are put on
    `edgeax.formats.points.Points`, as `ClusterActivations` does, by their own `input` or by the
    `output` of the layer before; their kernels are clustered, those of each neuron by
    `Cluster(..., scope="channel")`, or in any format of few values. Where the layer's own outputs
    are put on points and its activation is a function of each value that never falls, the function
    is a table too, together with the points that its sums are put on, if any. Batch normalizations
    stay what they are: fold them first.

    Source: [RIKR17], details as recalled.

    Args:
        model: Sequential or functional, compressed and trained.

    Raises:
        ValueError: The model has no such layer; it says what keeps each compressed one from it.
    """
    check_model(model)
    copies: dict[int, Any] = {}
    graph = trace(clone(model, fresh_copy, copies))
    originals = originals_of(model, copies)
    points = _Points(graph, originals)
    found: dict[str, LookupLayer] = {}
    reasons: dict[str, str] = {}
    for copy in {id(call.operation): call.operation for call in graph.calls}.values():
        layer, path = originals.get(id(copy)), graph.path(copy)
        if not isinstance(layer, Compressed) or not layer.transforms_kernel:
            continue
        given = points.of_inputs(layer, graph.calls_of(copy))
        reasons[path] = _why_not(layer, given)
        if not reasons[path] and given is not None:
            found[path] = _as_lookups(layer, given)
    if not found:
        raise ValueError(
            "`model` must have a dense layer or a convolution whose kernel and inputs take few "
            f"values. Received: {reasons or 'no compressed kernel'}. Compress it with kernel="
            "edgeax.Cluster(16, scope='channel') and input=edgeax.ClusterActivations(16)."
        )
    return found


class _Points:
    """The points that the tensors of a model lie on, as far as training has found any."""

    def __init__(self, graph: Graph, originals: dict[int, keras.layers.Layer]) -> None:
        self._of: dict[int, np.ndarray] = {}
        for call in graph.calls:
            layer = originals.get(id(call.operation), call.operation)
            found = output_points(layer)
            moves = isinstance(placement.plain(layer), placement.MOVING) and not averages(
                placement.plain(layer)
            )
            if found is None and moves and call.input_tensors:
                found = self._given(layer, call)
            if found is not None:
                self._of.update({id(tensor): found for tensor in call.output_tensors})

    def _given(self, layer: Any, call: Call) -> np.ndarray | None:
        own = _points_at(layer, "input")
        return self._of.get(id(call.input_tensors[0])) if own is None else own

    def of_inputs(self, layer: Compressed, calls: list[Call]) -> np.ndarray | None:
        """Returns those that the inputs of all calls of a layer lie on."""
        given = [self._given(layer, call) for call in calls]
        first = given[0]
        if first is None or any(one is None or not np.array_equal(one, first) for one in given):
            return None
        return first


def output_points(layer: Any) -> np.ndarray | None:
    """Returns the points that the outputs of a layer are put on, or None."""
    return _points_at(layer, "output")


def _points_at(layer: Any, slot: str) -> np.ndarray | None:
    quantizer = layer.quantizer(slot) if isinstance(layer, Compressed) else None
    if quantizer is None or not isinstance(quantizer.number_format, Points):
        return None
    params = quantizer.activation_params()
    return None if params is None else np.asarray(params["points"], np.float32)


def _why_not(layer: Compressed, points: np.ndarray | None) -> str:
    """Returns why a layer cannot be looked up, `""` if it can."""
    inner = layer.layer
    if not isinstance(inner, (_layers.Dense, _layers.Conv1D, _layers.Conv2D)):
        return f"it is a {type(inner).__name__}"
    if not isinstance(inner, _layers.Dense):
        if inner.data_format != "channels_last" or inner.groups != 1:
            return "its channels come first or in groups"
        if inner.padding not in ("same", "valid"):
            return f"its padding is {inner.padding!r}"
    if points is None:
        return "its inputs are not put on points, or no batch was seen yet"
    return ""


def _as_lookups(layer: Compressed, points: np.ndarray) -> LookupLayer:
    inner = layer.layer
    values = {v.name: layout.from_canonical(e.decode()) for v, layout, e in layer.freeze_weights()}
    table, codes = weight_tables(values["kernel"])
    bias = np.zeros(codes.shape[1], np.float32)
    if inner.use_bias:
        bias = np.asarray(values.get("bias", inner.bias), np.float32)
    found, edges = output_points(layer), None
    function = _activation(layer)
    if found is not None and function is not None and not why_no_table(function):
        edges = boundaries(function, found)
    return LookupLayer(
        points=points,
        table=product_table(table, points),
        codes=codes,
        bias=bias,
        window=None if isinstance(inner, _layers.Dense) else _window(inner),
        output_points=None if edges is None else found,
        boundaries=edges,
    )


def _window(layer: Any) -> Window:
    return Window(
        tuple(layer.kernel_size),
        tuple(layer.strides),
        tuple(layer.dilation_rate),
        layer.padding == "same",
    )


def _activation(layer: Compressed) -> Callable[[np.ndarray], np.ndarray] | None:
    """Returns what a layer does to its sums, with what they are put on before its activation; None
    where these are no points.
    """
    before = _points_at(layer, "before_activation")
    if before is None and layer.quantizer("before_activation") is not None:
        return None

    def function(sums: np.ndarray) -> np.ndarray:
        if before is not None:
            sums = Points(len(before)).rounded(sums, {"points": before}, arrays)
        return np.asarray(layer.activation(tf.constant(sums, tf.float32)))

    return function
