"""The training step of a model as functions of TensorFlow over variables of its own."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.export import device_gradients
from edgeax.export.held_weights import hold, variable_of
from edgeax.export.integer_weights import moved
from edgeax.export.on_device_training import OnDeviceTraining
from edgeax.export.partial_kernels import run_with_part, whole_of
from edgeax.export.predicted_signs import SignOperators
from edgeax.formats.training_signature import Variable, shape_at_end
from edgeax.model.device_optimizer import device_optimizer, kept_variables
from edgeax.model.graph import Call, Graph
from edgeax.model.trained_weights import NORMALIZATION, TrainedWeight, names_of

_layers = keras.layers


class TrainingStep:
    """The part of a model that is trained, its loss and its optimizer.

    Weights that are trained, statistics that follow the batches and what the optimizer keeps are
    variables, all other weights constants.

    Attributes:
        state: The variables by name: first those that are trained, in the order of the layers.
        names: Names of those that are trained.
        blocks: Paths of the blocks that a step can leave out, where it has an input for that.
        output_shape: Shape of the output, without the batch.
        classes: Size of the output's last axis.
        optimizer: The optimizer, over the variables.
        signs: The operators of layers that predict signs.
    """

    def __init__(
        self,
        graph: Graph,
        weights: Sequence[TrainedWeight],
        training: OnDeviceTraining,
        steps: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Makes the variables.

        Args:
            graph: Of plain layers that may be changed; its inputs may be results of other layers.
            weights: What is trained.
            training: How.
            steps: Steps of the codes of kernels that are trained in int8, by path; see
                `integer_weights.steps_of_kernels`.

        Raises:
            ValueError: The model has several outputs, or one that the loss is not for, layers do
                not compute in float32, or the optimizer is none for a device.
        """
        self._graph = graph
        self._training = training
        self.signs = SignOperators()
        _check_types(graph)
        (output,) = _one_output(graph)
        _check_output(output, training.loss)
        device_gradients.prepare(_layers_in(graph))
        self.output_shape = tuple(map(int, output.shape[1:]))
        self.classes = self.output_shape[-1] if self.output_shape else 1
        self._softmax = training.loss == "cross_entropy" and _take_softmax(graph, output)
        self.names = names_of(weights)
        for layer in _layers_in(graph):
            self.signs.give(layer)
        self._held = [
            hold(name, weight, (steps or {}).get(weight.path))
            for name, weight in zip(self.names, weights, strict=True)
        ]
        references = [held.reference for held in self._held]
        self.optimizer = device_optimizer(training.optimizer, references)
        if steps and not hasattr(self.optimizer, "direction"):
            raise ValueError(
                "`weights` can be 'int8' only for an optimizer that knows its direction: "
                "edgeax.optimizers.SignSGD, Signum or PredictiveSignSGD. Received: "
                f"{type(self.optimizer).__name__}. Use one of these, or weights='float32'."
            )
        self._followed = self._statistics() if training.batch_norm == "live" else {}
        self.state: dict[str, keras.Variable] = {
            name: held.variable for name, held in zip(self.names, self._held, strict=True)
        }
        self.state.update({name: mine for name, (_, mine) in self._followed.items()})
        for kept in kept_variables(self.optimizer):
            self.state[f"optimizer/{_name_among(kept, self.state)}"] = kept
        self._blocks = _blocks_in(graph) if training.keep else []
        self.blocks = [graph.path(block) for block in self._blocks]
        if training.keep and not self._blocks:
            raise ValueError(
                "`keep` can be True only where SelectiveBlocks are trained or behind what is. "
                "Received: keep=True for a model without. Leave it out."
            )
        self._constants = {
            id(variable): (variable, keras.ops.convert_to_numpy(variable))
            for layer in _layers_in(graph)
            for variable in layer.variables
        }

    @property
    def slots(self) -> int:
        """How many numbers the optimizer keeps of each weight, rounded."""
        held = sum(math.prod(one.reference.shape) for one in self._held)
        kept = sum(math.prod(one.shape) for one in kept_variables(self.optimizer))
        return int(round(kept / held))

    @property
    def gives_probabilities(self) -> bool:
        """Whether the outputs are classes' probabilities: a softmax was taken off for the loss."""
        return self._softmax

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What the file says of the variables."""
        return tuple(
            Variable(
                name,
                shape_at_end(one.shape),
                np.dtype(one.dtype).name,
                name in self.names,
            )
            for name, one in self.state.items()
        )

    @property
    def constants(self) -> list[bytes]:
        """Contents of the weights that are not trained."""
        values = {key: value for key, (_, value) in self._constants.items()}
        for variable, _ in self._followed.values():
            del values[id(variable)]
        for weight in (held.weight for held in self._held):
            whole = values.pop(id(weight.variable))
            if weight.channels is not None:
                rest = np.delete(whole, np.arange(weight.channels), weight.axis)
                values[id(weight.variable)] = rest
        return [value.tobytes() for value in values.values()]

    def input_specs(self, batch_size: int) -> list[tf.TensorSpec]:
        """Returns shapes and types of the inputs.

        Raises:
            ValueError: A size other than the batch is unknown.
        """
        specs = []
        for tensor in keras.tree.flatten(self._graph.inputs):
            if None in tensor.shape[1:]:
                raise ValueError(
                    "`model` must have inputs of known sizes to be trained on the device. "
                    f"Received: {tensor.name!r} of shape {tuple(tensor.shape)}. Build it with "
                    "sizes, and take the weights over by set_weights."
                )
            specs.append(tf.TensorSpec((batch_size, *tensor.shape[1:]), tensor.dtype))
        return specs

    @property
    def trackable(self) -> tf.Module:
        """What a SavedModel has to hold."""
        module = tf.Module()
        module.state = [one.value for one in self.state.values()]
        module.rate = self.optimizer.learning_rate.value
        return module

    def infer(self, *inputs: tf.Tensor) -> list[tf.Tensor]:
        """Returns the outputs of the model."""
        outputs, _ = self._run(inputs, [held.value() for held in self._held], training=False)
        return [self._outputs(outputs)]

    def gradients(self, *arguments: tf.Tensor) -> list[tf.Tensor]:
        """Returns the loss and the gradient of each trained variable.

        Args:
            *arguments: The inputs, `y`, and `keep` where blocks can be left out.
        """
        loss, _, gradients, _ = self._differentiate(*arguments)
        return [loss, *gradients]

    def train(self, *arguments: tf.Tensor) -> list[tf.Tensor]:
        """Does a step and returns the loss and the outputs before it.

        Args:
            *arguments: The inputs, `y`, `keep` where blocks can be left out, the learning rate.
        """
        *arguments, rate = arguments  # type: ignore[assignment]
        self.optimizer.learning_rate.assign(tf.reshape(rate, ()))
        loss, outputs, gradients, followed = self._differentiate(*arguments)
        before = [(kept, kept.value.read_value(), number) for kept, number in self._of_blocks()]
        self._move(gradients)
        for kept, value, number in before:
            ran = arguments[-1][number] > 0.5
            kept.assign(tf.where(ran, kept.value.read_value(), value))
        for variable, value in followed:
            variable.assign(value)
        return [loss, self._outputs(outputs)]

    def save(self) -> list[tf.Tensor]:
        """Returns all variables."""
        values = [one.value.read_value() for one in self.state.values()]
        return [tf.reshape(value, shape_at_end(value.shape)) for value in values]

    def restore(self, *values: tf.Tensor) -> list[tf.Tensor]:
        """Sets all variables."""
        for variable, value in zip(self.state.values(), values, strict=True):
            variable.value.assign(tf.reshape(value, variable.shape))
        return [tf.constant(1)]

    def reset_to(self, values: Sequence[np.ndarray]) -> Callable[[], list[tf.Tensor]]:
        """Returns a function that sets all variables to constants."""
        return lambda: self.restore(*map(tf.constant, values))

    def _differentiate(self, *arguments: tf.Tensor) -> Any:
        """Returns loss, raw outputs, gradients, and what statistics become."""
        *inputs, labels, keep = arguments if self._blocks else (*arguments, None)
        values = [held.value() for held in self._held]
        with tf.GradientTape() as tape:
            tape.watch(values)
            outputs, followed = self._run(inputs, values, training=True, keep=keep)
            loss = self._loss(labels, outputs)
        found = tape.gradient(loss, values, unconnected_gradients="zero")
        gradients = list(map(tf.convert_to_tensor, found))  # that of an embedding comes by rows
        return loss, outputs, gradients, followed

    def _loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        if self._training.loss == "mean_square":
            return tf.reduce_mean(tf.square(outputs - labels))
        classes = tf.one_hot(labels, self.classes)
        return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(classes, outputs))

    def _outputs(self, outputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(outputs) if self._softmax else outputs

    def _move(self, gradients: Sequence[tf.Tensor]) -> None:
        """Lets the optimizer move what is trained."""
        pairs = list(zip(gradients, self._held, strict=True))
        floats = [(gradient, held.reference) for gradient, held in pairs if held.steps is None]
        if floats:
            self.optimizer.apply(*map(list, zip(*floats, strict=True)))
        else:
            self.optimizer.iterations.assign_add(1)
        rate = tf.convert_to_tensor(self.optimizer.learning_rate.value)
        for gradient, held in pairs:
            if held.codes is not None:
                direction = self.optimizer.direction(gradient, held.reference, held.value())
                codes = tf.convert_to_tensor(held.codes.value)
                held.codes.assign(moved(codes, rate * direction, tf.constant(held.steps)))

    def _of_blocks(self) -> Iterator[tuple[keras.Variable, int]]:
        """Yields the variables that belong to a block, and the block's number."""
        numbers = {id(block): number for number, block in enumerate(self._blocks)}
        of_weights = {
            held.reference.name: numbers[id(held.weight.layer)]
            for held in self._held
            if id(held.weight.layer) in numbers
        }
        every = {held.reference.name for held in self._held}
        variables = [held.variable for held in self._held]
        for variable in [*variables, *kept_variables(self.optimizer)]:
            owners = [n for n in every if variable.name == n or variable.name.startswith(f"{n}_")]
            owner = max(owners, key=len, default=None)
            if owner in of_weights:
                yield variable, of_weights[owner]

    def _run(
        self,
        inputs: Sequence[tf.Tensor],
        trained: Sequence[tf.Tensor],
        training: bool,
        keep: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, Any]:
        """Returns the output, logits where the loss wants these, and new statistics."""
        values = {key: (one, tf.constant(value)) for key, (one, value) in self._constants.items()}
        parts = {}
        for held, mine in zip(self._held, trained, strict=True):
            weight = held.weight
            whole = values[id(weight.variable)][1]
            values[id(weight.variable)] = (weight.variable, whole_of(weight, mine, whole))
            if weight.channels is not None:
                parts[id(weight.layer)] = weight, mine
        for variable, mine in self._followed.values():
            values[id(variable)] = (variable, tf.convert_to_tensor(mine.value))

        def emit(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            operation = call.operation
            if id(operation) in parts:
                weight, mine = parts[id(operation)]
                return run_with_part(weight, mine, values[id(weight.variable)][1], *args)
            if keep is not None and operation in self._blocks:
                ran = keep[self._blocks.index(operation)] > 0.5
                given = keras.tree.flatten(args)[0]
                return self._run_or_skip(operation, ran, given, trained)
            if isinstance(operation, NORMALIZATION):
                live = training and self._training.batch_norm == "live"
                kwargs = {**kwargs, "training": live and operation.trainable}
            elif hasattr(operation, "sign_operator"):
                kwargs = {**kwargs, "training": training}
            return device_gradients.run(operation, args, kwargs)

        with keras.StatelessScope(state_mapping=list(values.values())) as scope:
            structure = keras.tree.pack_sequence_as(self._graph.inputs, list(inputs))
            (output,) = keras.tree.flatten(self._graph.rebuild(emit, structure))
        new = [(mine, scope.get_current_value(one)) for one, mine in self._followed.values()]
        return output, new

    def _run_or_skip(
        self, layer: Any, ran: tf.Tensor, inputs: tf.Tensor, trained: Sequence[tf.Tensor]
    ) -> tf.Tensor:
        """Returns what a block makes of its inputs, or these.

        On the way back the block runs once more: what a branch keeps no file can hand on.
        """
        pairs = zip(self._held, trained, strict=True)
        mine = [(h.weight.variable, one) for h, one in pairs if h.weight.layer is layer]
        own = {id(variable) for variable, _ in mine}
        frozen = [self._constants[id(one)] for one in layer.block.variables if id(one) not in own]

        def forward(inputs: tf.Tensor, weights: Sequence[tf.Tensor]) -> tf.Tensor:
            values = [(one, tf.constant(value)) for one, value in frozen]
            values += zip((variable for variable, _ in mine), weights, strict=True)
            with keras.StatelessScope(state_mapping=values):
                return layer.block(inputs, training=False)

        @tf.custom_gradient
        def block(inputs: tf.Tensor, *weights: tf.Tensor) -> Any:
            outputs = tf.cond(ran, lambda: forward(inputs, weights), lambda: tf.identity(inputs))

            def gradients(upstream: tf.Tensor) -> list[tf.Tensor]:
                def backward() -> list[tf.Tensor]:
                    given = [tf.identity(one) for one in (inputs, *weights)]
                    with tf.GradientTape() as tape:
                        tape.watch(given)
                        again = forward(given[0], given[1:])
                    zero = tf.UnconnectedGradients.ZERO
                    return list(tape.gradient(again, given, upstream, zero))

                def nothing() -> list[tf.Tensor]:
                    return [tf.identity(upstream), *map(tf.zeros_like, weights)]

                return list(tf.cond(ran, backward, nothing))

            return outputs, gradients

        return block(inputs, *(value for _, value in mine))

    def _statistics(self) -> dict[str, tuple[keras.Variable, keras.Variable]]:
        """Returns the statistics of normalizations that are trained, and variables for them, by
        name.
        """
        trained = {id(held.weight.layer) for held in self._held}
        found = {
            f"{self._graph.path(layer)}/{variable.name}": variable
            for layer in _layers_in(self._graph)
            if isinstance(layer, NORMALIZATION) and id(layer) in trained
            for variable in layer.non_trainable_variables
        }
        return {name: (one, variable_of(name, one)) for name, one in found.items()}


def _layers_in(graph: Graph) -> list[keras.layers.Layer]:
    found = {
        id(call.operation): call.operation
        for call in graph.calls
        if isinstance(call.operation, keras.layers.Layer)
    }
    return [*found.values()]


def _blocks_in(graph: Graph) -> list[Any]:
    """Returns the layers that hold a block and note whether they ran it, as SelectiveBlocks do."""
    layers = _layers_in(graph)
    return [layer for layer in layers if hasattr(layer, "block") and hasattr(layer, "kept")]


def _check_types(graph: Graph) -> None:
    for layer in _layers_in(graph):
        if layer.compute_dtype != "float32":
            raise ValueError(
                "`model` must compute in float32 where it is trained on the device. Received: "
                f"{layer.compute_dtype} in {graph.path(layer)!r}. Build it with that policy, and "
                "take the weights over by set_weights."
            )


def _one_output(graph: Graph) -> list[keras.KerasTensor]:
    outputs = keras.tree.flatten(graph.outputs)
    if len(outputs) != 1:
        raise ValueError(
            "`model` must have one output to be trained on the device. Received: "
            f"{len(outputs)} outputs. Export a model of the one that the loss is for."
        )
    return list(outputs)


def _check_output(output: keras.KerasTensor, loss: str) -> None:
    shape = tuple(output.shape)
    if loss == "cross_entropy" and (len(shape) != 2 or not shape[1] or shape[1] < 2):
        raise ValueError(
            "`loss` can be 'cross_entropy' only for an output of shape (batch, classes), at least "
            f"2 classes. Received: a model with output {shape}. Use 'mean_square'."
        )
    if None in shape[1:]:
        raise ValueError(
            f"`model` must have an output of known shape. Received: {shape}. Build it with sizes."
        )


def _take_softmax(graph: Graph, output: keras.KerasTensor) -> bool:
    """Takes the softmax off the layer that makes the output; returns whether there was one."""
    call = graph.producer(output)
    if call is None:
        return False
    layer = call.operation
    if isinstance(layer, _layers.Softmax):
        call.operation = _layers.Identity()
        call.kwargs = {}
        return True
    if getattr(layer, "activation", None) is not keras.activations.softmax:
        return False
    layer.activation = keras.activations.linear
    return True


def _name_among(kept: keras.Variable, taken: dict[str, Any]) -> str:
    """Returns the name of an optimizer's variable, different from the others."""
    name, count = kept.name, 1
    while f"optimizer/{name}" in taken:
        count += 1
        name = f"{kept.name}_{count}"
    return name
