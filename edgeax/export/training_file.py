"""A file that can be trained: six signatures over variables that it initializes itself.

What is trained, and all behind the first layer that is, becomes TensorFlow functions, which the
converter lowers with the gradients as custom operators. The layers in front become a file of their
own, as compressed as any, whose operators are then put in front of the others.
"""

import dataclasses
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.export.assemble import Assembled, assemble
from edgeax.export.convert import converting, output_names
from edgeax.export.cut import Cut, cut, plain_graph
from edgeax.export.frugal import order_frugally
from edgeax.export.input_gradients import name_input_gradients
from edgeax.export.integer_weights import steps_of_kernels
from edgeax.export.on_device_training import OnDeviceTraining
from edgeax.export.slice_gradients import pad_slice_gradients
from edgeax.export.training_report import TrainingReport
from edgeax.export.training_step import TrainingStep
from edgeax.export.variable_layers import name_variable_layers
from edgeax.formats import training_signature
from edgeax.formats.flatbuffer import Model, Signature, Subgraph
from edgeax.formats.operators import GRADIENT_OPERATORS, OPERATORS, TRAINING_OPERATORS
from edgeax.formats.training_signature import Ends, TrainingSignature, shape_at_end
from edgeax.model.copying import clone, plain_copy
from edgeax.model.device_optimizer import described, learning_rate_of
from edgeax.model.graph import Graph, is_nested
from edgeax.model.trained_weights import TrainedWeight, trained_weights
from edgeax.model.training_cost import training_cost
from edgeax.model.update_plan import UpdatePlan

_AUTOMATIC = re.compile(r"(input_layer|keras_tensor|input)(_\d+)?")

_WITH_INPUTS = ("infer", "train", "gradients")


@dataclasses.dataclass(frozen=True)
class TrainingFile:
    """A file that can be trained, complete but for the metadata of its writer.

    Attributes:
        file: The file.
        signature: What its metadata says.
        trunk: The file of the layers in front of those that are trained; None if there are none.
        report: What is trained.
    """

    file: Model
    signature: TrainingSignature
    trunk: Assembled | None
    report: TrainingReport


def training_file(
    model: keras.Model,
    samples: Sequence[np.ndarray],
    training: OnDeviceTraining,
    **settings: Any,
) -> TrainingFile:
    """Returns the file of a model that goes on learning.

    Args:
        model: Sequential or functional, compressed or plain. Not changed.
        samples: One array per input.
        training: What it learns.
        **settings: How `assemble` makes the file of the layers in front of those that are trained.

    Raises:
        ValueError: The model cannot be trained so, or needs an operator that no runtime has.
    """
    graph = plain_graph(model)
    weights = trained_weights(graph, training.trainable, training.batch_norm == "live")
    parts = cut(model, graph, weights)
    steps = steps_of_kernels(model, graph) if training.weights == "int8" else None
    step = TrainingStep(parts.back, weights, training, steps)
    ends = _ends(graph, step)
    trunks = {}
    for size in {training.batch_size, training.infer_batch_size} if parts.front else ():
        arrays = [samples[number] for number in parts.front_inputs]
        trunks[size] = assemble(parts.front, arrays, batch=size, **settings)
    file = _converted(step, ends, training, graph)
    for name in training_signature.SIGNATURES:
        size = training.infer_batch_size if name == "infer" else training.batch_size
        trunk = trunks[size].file if trunks and name in _WITH_INPUTS else None
        made = _finish(file, name, ends[name], parts, trunk)
        if name in _WITH_INPUTS:
            order_frugally(made)
    file.share_buffers()
    file.prune()
    energy = _energy(model, {weight.path for weight in weights}, step, training.batch_size)
    signature = _signature(file, step, ends, training, trunks, energy)
    training_signature.write(file, signature)
    return TrainingFile(
        file,
        signature,
        trunks.get(training.infer_batch_size),
        _report(file, signature, weights, parts, training.trainable),
    )


def _ends(graph: Graph, step: TrainingStep) -> dict[str, Ends]:
    """Returns the ends of each signature."""
    inputs = _input_names(graph)
    outputs = tuple(output_names(graph.outputs))
    state = tuple(step.state)
    labels = (
        *inputs,
        training_signature.LABELS,
        *([training_signature.KEEP] if step.blocks else []),
    )
    ends = {
        "infer": Ends(inputs, outputs),
        "train": Ends(
            (*labels, training_signature.LEARNING_RATE), (training_signature.LOSS, *outputs)
        ),
        "gradients": Ends(labels, (training_signature.LOSS, *step.names)),
        "save": Ends((), state),
        "restore": Ends(state, (training_signature.RESTORED,)),
        "reset": Ends((), (training_signature.RESET,)),
    }
    for name, one in ends.items():
        for names in (one.inputs, one.outputs):
            twice = {end for end in names if names.count(end) > 1}
            if twice:
                raise ValueError(
                    f"`model` must have no input or output that is named like one of {name!r}. "
                    f"Received: {sorted(twice)}. Rename it."
                )
    return ends


def _input_names(graph: Graph) -> tuple[str, ...]:
    """Returns the names of the inputs, `x` for one that Keras named."""
    names: list[str] = []
    for tensor in keras.tree.flatten(graph.inputs):
        name = "x" if _AUTOMATIC.fullmatch(tensor.name) else tensor.name
        count = sum(other == name or other.startswith(f"{name}_") for other in names)
        names.append(f"{name}_{count}" if name in names else name)
    return tuple(names)


def _key(name: str) -> str:
    """Returns what a signature is called until it is finished: graphs are sorted by these."""
    return f"s{training_signature.SIGNATURES.index(name)}_{name}"


def _converted(
    step: TrainingStep, ends: dict[str, Ends], training: OnDeviceTraining, graph: Graph
) -> Model:
    """Returns the file of a training step; ends have numbers instead of names.

    Raises:
        ValueError: The converter cannot express it, or not in operators that a runtime has.
    """
    values = [keras.ops.convert_to_numpy(variable) for variable in step.state.values()]
    labels = _labels(step, training)
    rate = tf.TensorSpec(shape_at_end(()), tf.float32)
    given = step.input_specs(training.batch_size)
    calls = {
        "infer": (step.infer, step.input_specs(training.infer_batch_size)),
        "train": (step.train, [*given, *labels, rate]),
        "gradients": (step.gradients, [*given, *labels]),
        "save": (step.save, []),
        "restore": (
            step.restore,
            [tf.TensorSpec(shape_at_end(one.shape), one.dtype) for one in values],
        ),
        "reset": (step.reset_to(values), []),
    }
    functions = {_key(name): _traced(*call) for name, call in calls.items()}
    must = "be trained in layers that TFLite has operators for"
    with tempfile.TemporaryDirectory() as folder, converting(must, "Train fewer layers."):
        tf.saved_model.save(step.trackable, folder, signatures=functions)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.experimental_enable_resource_variables = True
        converter.allow_custom_ops = True
        content = bytes(converter.convert())
    file = Model.from_bytes(content)
    step.signs.name(file)
    name_input_gradients(file)
    pad_slice_gradients(file)
    name_variable_layers(file)
    _check_operators(file, graph)
    return file


def _traced(function: Any, specs: Sequence[tf.TensorSpec]) -> Any:
    """Returns a function with numbered inputs and outputs, traced."""

    def numbered(*arguments: tf.Tensor) -> dict[str, tf.Tensor]:
        results = function(*arguments)
        return {f"o{number}": tf.identity(result) for number, result in enumerate(results)}

    named = [
        tf.TensorSpec(spec.shape, spec.dtype, name=f"i{number}")
        for number, spec in enumerate(specs)
    ]
    return tf.function(numbered, autograph=False).get_concrete_function(*named)


def _labels(step: TrainingStep, training: OnDeviceTraining) -> list[tf.TensorSpec]:
    """Returns shape and type of `y`, and of `keep` where blocks can be left out."""
    keep = [tf.TensorSpec((len(step.blocks),), tf.float32)] if step.blocks else []
    if training.loss == "cross_entropy":
        return [tf.TensorSpec((training.batch_size,), tf.int32), *keep]
    return [tf.TensorSpec((training.batch_size, *step.output_shape), tf.float32), *keep]


def _finish(file: Model, name: str, ends: Ends, parts: Cut, trunk: Model | None) -> Subgraph:
    """Puts the layers in front of a signature's graph and names its ends; returns the graph."""
    signature = next(one for one in file.signatures if one.name == _key(name))
    graph = file.subgraphs[signature.subgraph]
    given = [signature.inputs[f"i{number}"] for number in range(len(signature.inputs))]
    results = [signature.outputs[f"o{number}"] for number in range(len(signature.outputs))]
    if name in _WITH_INPUTS:
        made = len(parts.back.inputs) - len(parts.back_inputs)
        inputs = dict(zip(parts.back_inputs, given[made:], strict=False))
        if trunk is not None:
            places = file.graft(graph, trunk)
            front = trunk.subgraphs[0]
            for index, output in zip(given[:made], front.outputs, strict=True):
                graph.redirect(index, places[output])
            for number, index in zip(parts.front_inputs, front.inputs, strict=True):
                if number in inputs:
                    graph.redirect(places[index], inputs[number])
                inputs.setdefault(number, places[index])
        others = given[len(parts.back.inputs) :]
        given = [*(inputs[number] for number in sorted(inputs)), *others]
    graph.inputs, graph.outputs = given, results
    file.replace_signature(
        signature.name,
        Signature(
            name,
            signature.subgraph,
            dict(zip(ends.inputs, given, strict=True)),
            dict(zip(ends.outputs, results, strict=True)),
        ),
    )
    return graph


def _check_operators(file: Model, graph: Graph) -> None:
    """Checks that interpreters with the plugin have all operators.

    Raises:
        ValueError: They lack one; the message names its layer.
    """
    known = {*OPERATORS, *TRAINING_OPERATORS}
    layers = {path.rpartition("/")[2]: path for path in graph.paths.values()}
    for part in file.subgraphs:
        for operator in part.operators:
            if operator.is_custom and operator.name not in known:
                name = part.tensors[operator.outputs[0]].name
                tokens = [token for piece in name.split("/") for token in _without_number(piece)]
                place = next((layers[token] for token in tokens if token in layers), name)
                raise ValueError(
                    "`model` must be trained in layers whose gradients the plugin has. Received: "
                    f"{place!r}, which needs {operator.name}. Train only layers behind it, or "
                    "put another layer in its place."
                )


def _without_number(piece: str) -> tuple[str, str]:
    """Returns part of a tensor's name, and the same without what TensorFlow puts behind it."""
    return piece, re.sub(r"_\d+$", "", piece)


def _signature(
    file: Model,
    step: TrainingStep,
    ends: dict[str, Ends],
    training: OnDeviceTraining,
    trunks: dict[int, Assembled],
    energy: dict[str, float],
) -> TrainingSignature:
    variables = step.variables
    constants = [*step.constants]
    if trunks:
        front = trunks[training.infer_batch_size].file
        tensors = front.subgraphs[0].tensors
        constants += [tensor.content for tensor in tensors if tensor.is_constant]
    memory = {"state_bytes": sum(variable.size_bytes for variable in variables)}
    for name, signature in (("activation_bytes", "train"), ("infer_activation_bytes", "infer")):
        sizes = [file.peak_activation_bytes(graph) for graph in _graphs_of(file, signature)]
        if None not in sizes:
            memory[name] = sum(size or 0 for size in sizes)
    return TrainingSignature(
        model_id=training_signature.model_id(variables, constants),
        signatures=ends,
        variables=variables,
        batch_size=training.batch_size,
        infer_batch_size=training.infer_batch_size,
        loss=training.loss,
        optimizer=described(step.optimizer),
        learning_rate=learning_rate_of(step.optimizer),
        blocks=tuple(step.blocks),
        classes=step.classes if training.loss == "cross_entropy" else None,
        from_logits=not step.gives_probabilities if training.loss == "cross_entropy" else None,
        memory=memory,
        energy=energy,
    )


def _energy(
    model: keras.Model, trained: set[str], step: TrainingStep, batch_size: int
) -> dict[str, float]:
    """Returns the joules of a step by phase, as modelled for 45 nm and float32.

    A layer of which a part is trained counts as a whole.
    """
    made: dict[int, Any] = {}
    copied = clone(model, plain_copy, made)
    names = {path.rpartition("/")[2] for path in trained}
    for layer in made.values():
        if isinstance(layer, keras.layers.Layer) and not is_nested(layer):
            layer.trainable = layer.name in names
    cost = training_cost(copied, batch_size, slots=step.slots)
    return {phase: 1e-12 * part.energy_pj for phase, part in cost.phases.items()}


def _graphs_of(file: Model, name: str) -> list[Subgraph]:
    """Returns the graph of a signature and those of its branches, each of which has memory of its
    own.
    """
    numbers = [next(one.subgraph for one in file.signatures if one.name == name)]
    for number in numbers:
        for operator in file.subgraphs[number].operators:
            if operator.name == "IF":
                options = operator.options
                numbers += [options["then_subgraph_index"], options["else_subgraph_index"]]
    return [file.subgraphs[number] for number in dict.fromkeys(numbers)]


def _report(
    file: Model,
    signature: TrainingSignature,
    weights: Sequence[TrainedWeight],
    parts: Cut,
    trainable: Any,
) -> TrainingReport:
    trained = dict.fromkeys(weight.path for weight in weights)
    behind = {
        parts.back.path(call.operation): None
        for call in parts.back.calls
        if getattr(call.operation, "weights", ())
    }
    graphs = _graphs_of(file, "train")
    names = (operator.name for graph in graphs for operator in graph.operators)
    counts = Counter(name for name in names if name in GRADIENT_OPERATORS)
    planned = trainable.memory_bytes if isinstance(trainable, UpdatePlan) else {}
    return TrainingReport(
        layers=tuple(trained),
        integer=tuple(v.name for v in signature.variables if v.trained and v.dtype == "int8"),
        channels={one.path: one.channels for one in weights if one.channels is not None},
        float_behind=tuple(path for path in behind if path not in trained),
        optimizer=str(signature.optimizer["class"]),
        loss=signature.loss,
        batch_size=signature.batch_size,
        state_bytes=signature.state_bytes,
        activation_bytes=signature.memory.get("activation_bytes"),
        gradient_operators=dict(counts),
        planned_bytes=sum(planned.values()) if planned else None,
    )
