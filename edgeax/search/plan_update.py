"""Planning: which layers, and which share of their channels, a device with little memory trains.

What a part of a weight is worth is the decrease of the loss that a step of gradient descent gives
it, to first order: the square of its gradient. What it costs are the bytes that a step needs more:
activations that have to live until the gradient is computed, the gradient, and state. Parts are
taken by worth per byte while they fit, and the file that comes out is made and measured, so that
the memory that is promised is that of the file.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.export.cut import cut, plain_graph
from edgeax.export.on_device_training import OnDeviceTraining
from edgeax.export.training_file import training_file
from edgeax.export.training_step import TrainingStep
from edgeax.formats.memory import peak_bytes
from edgeax.model.device_optimizer import device_optimizer, kept_variables
from edgeax.model.graph import Call, Graph
from edgeax.model.rewrite import check_model
from edgeax.model.samples import take_samples
from edgeax.model.subclassed import as_functional
from edgeax.model.trained_weights import input_axis, trained_weights
from edgeax.model.update_plan import UpdatePart, UpdatePlan
from edgeax.runtime.training_rows import as_array, checked_labels
from edgeax.transforms.checks import checked_count, checked_seed

_SHARES = (0.125, 0.25, 0.5, 1.0)
_MOST_BATCHES = 16
_MOST_FILES = 4
_SPARE = 0.9  # a plan that needs less of the memory is tried to be enlarged

_layers = keras.layers


def plan_update(
    model: keras.Model,
    ram_bytes: int,
    samples: Any,
    labels: Any = None,
    training: OnDeviceTraining | None = None,
    activations: str = "int8",
    seed: int = 0,
) -> UpdatePlan:
    """Returns which weights of a model to train in little memory.

    The sparse update of tinyengine's authors, by gradients instead of trials: of each layer the
    bias, all channels of its kernel, a part of them, or nothing.

    Args:
        model: Sequential or functional, compressed or plain. Not changed.
        ram_bytes: What a training step may need: tensors alive at once and all variables. What the
            interpreter itself needs, and the file, come on top.
        samples: Inputs like those that the device will learn from; see `edgeax.export`.
        labels: Their classes, or targets for a mean square, one for each sample. None: classes
            are drawn as the model predicts them.
        training: How the file will learn, whose batches and optimizer take memory; its `trainable`
            does not count. None: the defaults of `edgeax.OnDeviceTraining`, batches of 1.
        activations: As for `edgeax.export`: `"int8"` for the layers in front of those that are
            trained, or `"float32"`.
        seed: Of the classes that are drawn.

    Returns:
        The plan, with the memory that its file needs, for `OnDeviceTraining(trainable=plan)`.

    Raises:
        ValueError: `ram_bytes` is too small for any plan, which the message tells the least for, or
            the model cannot be trained on a device.

    Example: `plan = edgeax.lifelong.plan_update(model, 256 * 1024, images, labels)`
    """
    ram_bytes = checked_count("ram_bytes", ram_bytes)
    if activations not in ("int8", "float32"):
        raise ValueError(
            f"`activations` must be 'int8' or 'float32'. Received: activations={activations!r}."
        )
    seed = checked_seed(seed)
    training = OnDeviceTraining() if training is None else training
    if not isinstance(training, OnDeviceTraining):
        raise ValueError(
            "`training` must be an edgeax.OnDeviceTraining, or None for its defaults. Received: "
            f"{training!r}."
        )
    model = as_functional(model)
    check_model(model)
    arrays = take_samples(samples, model)
    count = len(arrays[0])
    if labels is not None:
        labels = as_array("`labels`", labels)
        if not labels.ndim or len(labels) < count:
            given = len(labels) if labels.ndim else labels
            raise ValueError(
                f"`labels` must be as many as the samples, {count}. Received: {given}."
            )
    graph = plain_graph(model)
    worth = _worth(model, graph, arrays, labels, training, seed)
    search = _Search(graph, worth, training, activations == "int8")
    planner = _Planner(model, arrays, training, activations == "int8")
    return planner.largest(search, ram_bytes)


def _worth(
    model: keras.Model,
    graph: Graph,
    samples: Sequence[np.ndarray],
    labels: Any,
    training: OnDeviceTraining,
    seed: int,
) -> dict[str, dict[str, np.ndarray]]:
    """Returns the mean square of the gradient of each weight, by layer and name; of a kernel of
    which a part can be trained, by input channel.
    """
    everything = dataclasses.replace(training, trainable="all", batch_norm="frozen")
    weights = trained_weights(graph, "all", live_normalization=False)
    parts = cut(model, graph, weights)
    step = TrainingStep(parts.back, weights, everything)
    count, size = len(samples[0]), training.batch_size
    if labels is not None:
        classes = step.classes if training.loss == "cross_entropy" else None
        labels = checked_labels(labels[:count], count, classes, step.output_shape, "labels")
    differentiate = tf.function(step.gradients, autograph=False)
    infer = tf.function(step.infer, autograph=False)
    generator = np.random.default_rng(seed)
    sums: list[Any] = [0.0] * len(weights)
    for rows in _batches(count, size):
        given = [values[rows] for values in samples]
        front = () if parts.front is None else parts.front([given[n] for n in parts.front_inputs])
        inputs = [*keras.tree.flatten(front), *(given[n] for n in parts.back_inputs)]
        tensors = [tf.convert_to_tensor(value) for value in inputs]
        if labels is None:
            targets = _drawn(infer(*tensors)[0].numpy(), step, training.loss, generator)
        else:
            targets = labels[rows]
        targets = targets.astype(np.int32 if training.loss == "cross_entropy" else np.float32)
        _, *gradients = differentiate(*tensors, tf.convert_to_tensor(targets))
        for place, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
            axis = input_axis(weight.layer, weight.variable)
            others = tuple(a for a in range(len(gradient.shape)) if a != axis)
            sums[place] = sums[place] + np.sum(np.square(gradient.numpy()), others)
    worth: dict[str, dict[str, np.ndarray]] = {}
    for weight, total in zip(weights, sums, strict=True):
        is_bias = weight.variable is getattr(weight.layer, "bias", None)
        name = "bias" if is_bias else "kernel"
        own = worth.setdefault(weight.path, {})
        own[name] = own.get(name, 0.0) + np.atleast_1d(total)
    return worth


def _batches(count: int, size: int) -> Iterator[np.ndarray]:
    """Yields the numbers of the samples of some batches, all of one size."""
    for start in range(0, min(count, _MOST_BATCHES * size), size):
        yield np.arange(start, start + size) % count


def _drawn(
    outputs: np.ndarray, step: TrainingStep, loss: str, generator: np.random.Generator
) -> np.ndarray:
    if loss != "cross_entropy":
        return outputs + generator.normal(size=outputs.shape)
    if not step.gives_probabilities:
        outputs = tf.nn.softmax(outputs).numpy()
    drawn = (np.cumsum(outputs, -1) < generator.random((len(outputs), 1))).sum(-1)
    return np.minimum(drawn, outputs.shape[-1] - 1)


@dataclasses.dataclass(frozen=True)
class _Choice:
    """What is trained of a layer: `channels` of its kernel, which are a `share` of it, all of them
    with None, and its bias.
    """

    channels: int | None = 0
    bias: bool = False
    share: float = 0.0


class _Search:
    """Takes parts of weights by worth per byte, as far as it can tell without making a file."""

    def __init__(
        self,
        graph: Graph,
        worth: dict[str, dict[str, np.ndarray]],
        training: OnDeviceTraining,
        integer: bool,
    ) -> None:
        self.graph, self.worth, self.training = graph, worth, training
        self.front_bytes = 1 if integer else 4
        self.layers = {graph.path(call.operation): call.operation for call in graph.calls}
        sample = keras.Variable(np.zeros((2, 3), np.float32))
        kept = kept_variables(device_optimizer(training.optimizer, [sample]))
        self.copies = 1 + sum(tuple(one.shape) == (2, 3) for one in kept)
        self.total = sum(float(np.sum(part)) for own in worth.values() for part in own.values())

    def gain(self, path: str, choice: _Choice) -> float:
        """Returns what a choice for a layer is worth."""
        own = self.worth[path]
        kernel = own.get("kernel", np.zeros(1))
        part = kernel if choice.channels is None else kernel[: choice.channels]
        bias = own.get("bias", np.zeros(1)) if choice.bias else np.zeros(1)
        return float(np.sum(part) + np.sum(bias))

    def choose(self, budget: float) -> dict[str, _Choice]:
        """Returns choices that need a budget of bytes at most; empty if none does."""
        chosen: dict[str, _Choice] = {}
        now = 0.0
        while True:
            best: tuple[float, str, _Choice, float] | None = None
            for path in self.worth:
                had = chosen.get(path, _Choice())
                for choice in self._larger(path, had):
                    more = self.gain(path, choice) - self.gain(path, had)
                    bytes_ = self.estimate({**chosen, path: choice})
                    ratio = more / max(bytes_ - now, 1.0)
                    if bytes_ <= budget and (best is None or ratio > best[0]):
                        best = ratio, path, choice, bytes_
            if best is None:
                return chosen
            _, path, choice, now = best
            chosen[path] = choice

    def least(self) -> dict[str, _Choice]:
        """Returns the choice that needs the fewest bytes."""
        trials = [{path: choice} for path in self.worth for choice in self._larger(path, _Choice())]
        return min(trials, key=self.estimate)

    def plan(self, chosen: dict[str, _Choice], memory: dict[str, int]) -> UpdatePlan:
        """Returns choices as a plan."""
        parts = tuple(
            UpdatePart(path, chosen[path].channels, chosen[path].bias)
            for path in self.worth
            if path in chosen
        )
        gain = sum(self.gain(path, choice) for path, choice in chosen.items())
        return UpdatePlan(parts, memory, gain / self.total if self.total else 0.0)

    def _larger(self, path: str, had: _Choice) -> Iterator[_Choice]:
        own = self.worth[path]
        if "bias" in own and not had.bias:
            yield dataclasses.replace(had, bias=True)
        if "kernel" not in own or had.channels is None:
            return
        count = len(own["kernel"])
        layer = self.layers[path]
        is_parted = getattr(layer, "groups", 1) == 1 and count > 1
        for share in _SHARES if is_parted else (1.0,):
            channels = max(1, math.ceil(share * count))
            if channels > had.channels:
                wanted = None if channels == count else channels
                yield dataclasses.replace(had, channels=wanted, share=channels / count)

    def estimate(self, chosen: dict[str, _Choice]) -> float:
        """Returns about how many bytes a step needs: of variables and of tensors alive at once."""
        walk = _Walk(self.graph, chosen, self.training.batch_size, self.front_bytes)
        return walk.peak() + self.copies * walk.state


class _Walk:
    """The forward and the backward pass as a list of steps over tensors."""

    def __init__(
        self, graph: Graph, chosen: dict[str, _Choice], batch: int, front_bytes: int
    ) -> None:
        self.graph, self.chosen, self.batch, self.front_bytes = graph, chosen, batch, front_bytes
        self.sizes: dict[int, int] = {}
        self.steps: list[tuple[list[int], list[int]]] = []
        self.numbers: dict[Any, int] = {}
        self.state = 0
        self.reached: set[int] = set()

    def peak(self) -> int:
        """Returns the most bytes of tensors that are alive at once."""
        for call in self.graph.calls:
            self._forward(call)
        outputs = [t for call in self.graph.calls[-1:] for t in call.output_tensors]
        for tensor in outputs:
            self._step([("value", id(tensor))], [("gradient", id(tensor))], self._bytes(tensor))
        for call in reversed(self.graph.calls):
            if any(id(tensor) in self.reached for tensor in call.output_tensors):
                self._backward(call)
        inputs = [self.numbers[("value", id(t))] for t in keras.tree.flatten(self.graph.inputs)]
        return peak_bytes(self.sizes, self.steps, inputs, [])

    def _number(self, key: Any, size: int) -> int:
        number = self.numbers.setdefault(key, len(self.numbers))
        self.sizes[number] = max(size, self.sizes.get(number, 0))
        return number

    def _step(self, reads: Sequence[Any], writes: Sequence[Any], size: int) -> None:
        read = [self.numbers[key] for key in reads if key in self.numbers]
        self.steps.append((read, [self._number(key, size) for key in writes]))

    def _bytes(self, tensor: keras.KerasTensor) -> int:
        return self.batch * math.prod(size or 1 for size in tensor.shape[1:]) * 4

    def _choice(self, call: Call) -> _Choice | None:
        return self.chosen.get(self.graph.paths.get(id(call.operation), ""))

    def _forward(self, call: Call) -> None:
        choice = self._choice(call)
        reached = choice is not None or any(id(t) in self.reached for t in call.input_tensors)
        for tensor in call.input_tensors:
            self._number(("value", id(tensor)), self._bytes(tensor) // 4 * self.front_bytes)
        reads = [("value", id(tensor)) for tensor in call.input_tensors]
        if choice is not None and choice.share:
            self._step([], [("kernel", id(call))], _kernel_bytes(call.operation))
            reads.append(("kernel", id(call)))
        for tensor in call.output_tensors:
            size = self._bytes(tensor)
            if reached:
                self.reached.add(id(tensor))
            else:
                size = size // 4 * self.front_bytes
            self._step(reads, [("value", id(tensor))], size)
        if choice is not None and choice.share:
            (given,) = call.input_tensors[:1]
            size = int(choice.share * self._bytes(given))
            self._step([("value", id(given))], [("part", id(call))], size)

    def _backward(self, call: Call) -> None:
        layer, choice = call.operation, self._choice(call)
        (result,) = call.output_tensors[:1]
        gradient = ("gradient", id(result))
        activation = getattr(layer, "activation", None)
        is_relu = isinstance(layer, (_layers.ReLU, _layers.Activation))
        if is_relu or activation not in (None, keras.activations.linear):
            before = ("before activation", id(call))
            self._step([gradient, ("value", id(result))], [before], self._bytes(result))
            gradient = before
        needed = [t for t in call.input_tensors if id(t) in self.reached]
        for tensor in needed:
            reads: list[Any] = [gradient, ("gradient", id(tensor)), ("kernel", id(call))]
            if "Pool" in type(layer).__name__:
                reads += [("value", id(tensor)), ("value", id(result))]
            self._step(reads, [("gradient", id(tensor))], self._bytes(tensor))
        if choice is None:
            return
        if choice.share:
            size = int(choice.share * _kernel_bytes(layer))
            self.state += size
            self._step([gradient, ("part", id(call))], [("update", id(call))], size)
            self._step([("update", id(call))], [("changed", id(call))], size)
        if choice.bias:
            size = 4 * math.prod(layer.bias.shape)
            self.state += size
            self._step([gradient], [("bias", id(call))], size)


def _kernel_bytes(layer: Any) -> int:
    """Returns the bytes of all weights of a layer but its bias."""
    bias = getattr(layer, "bias", None)
    sizes = (math.prod(one.shape) for one in layer.trainable_weights if one is not bias)
    return 4 * sum(sizes)


class _Planner:
    """Makes files of plans, and asks for less or more until one fits well."""

    def __init__(
        self,
        model: keras.Model,
        samples: Sequence[np.ndarray],
        training: OnDeviceTraining,
        integer: bool,
    ) -> None:
        self.model, self.samples, self.training = model, samples, training
        self.integer = integer

    def largest(self, search: _Search, ram_bytes: int) -> UpdatePlan:
        """Returns the plan of the most worth among those that were tried and fit."""
        budget = float(ram_bytes)
        found: UpdatePlan | None = None
        tried: list[dict[str, _Choice]] = []
        for _ in range(_MOST_FILES):
            chosen = search.choose(budget)
            if not chosen or chosen in tried:
                break
            tried.append(chosen)
            memory = self.measured(search.plan(chosen, {}))
            needed = sum(memory.values())
            plan = search.plan(chosen, memory)
            if needed <= ram_bytes and (found is None or (plan.gain or 0) > (found.gain or 0)):
                found = plan
            if _SPARE * ram_bytes <= needed <= ram_bytes:
                break
            budget = search.estimate(chosen) * ram_bytes / needed
        return self._least(search, ram_bytes) if found is None else found

    def _least(self, search: _Search, ram_bytes: int) -> UpdatePlan:
        chosen = search.least()
        plan = search.plan(chosen, self.measured(search.plan(chosen, {})))
        needed = sum(plan.memory_bytes.values())
        if needed > ram_bytes:
            raise ValueError(
                f"`ram_bytes` must be at least {needed} to train {plan.parts[0].path!r} alone, the "
                f"smallest plan. Received: ram_bytes={ram_bytes}. Use a smaller batch, a smaller "
                "model, or an optimizer that keeps less."
            )
        return plan

    def measured(self, plan: UpdatePlan) -> dict[str, int]:
        """Returns the memory of a plan's file."""
        training = dataclasses.replace(self.training, trainable=plan)
        made = training_file(self.model, self.samples, training, integer=self.integer, pack=True)
        memory = made.signature.memory
        return {name: memory[name] for name in ("activation_bytes", "state_bytes")}
