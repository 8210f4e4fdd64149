"""Compressed: the one generic wrapper that makes any Keras layer compute with transformed tensors.

The wrapped layer never knows. Its variables stay what the optimizer trains; inside a scope they
read as their transformed values, so the gradient flows through the transforms to the raw variables.
"""

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.formats import EncodedTensor
from edgeax.model import passes
from edgeax.model.device import activated, in_halves, is_swish, note_grid, rounded_averages
from edgeax.model.hook import call_plain
from edgeax.model.layer_arithmetic import StoredWeight, activation_to_take, salt_of
from edgeax.model.layout import Layout, layout_of
from edgeax.model.slots import Slot, as_named_transforms, as_transforms, deserialized, serialized
from edgeax.transforms.accumulated import accumulated_call, check_accumulates
from edgeax.transforms.arithmetic import Arithmetic
from edgeax.transforms.base import Chain, Transform, fresh
from edgeax.transforms.quantize import Quantizer

KERNEL = re.compile(r"(^|_)(kernel|embeddings)$")
BIAS = re.compile(r"(^|_)bias$")

SLOTS = ("kernel", "bias", "input", "output", "before_activation", "between")


@keras.saving.register_keras_serializable("edgeax")
class Compressed(keras.layers.Wrapper):
    """A Keras layer whose weights, inputs and outputs pass through chains of transforms.

    It has the name of the layer it wraps, forwards that layer's public attributes, and keeps its
    losses, masks, state and dtypes. While its `trainable` or that of the layer is False, the
    transforms of its weights keep their state and their schedules stand still; ranges of
    activations are still followed. As for Dropout, a subclassed model around it must take
    `training` for it to know that it trains; the models that `edgeax.compress` returns always know.

    Args:
        layer: The layer to wrap, built or not.
        kernel: Transforms of its kernels, each kernel with state of its own.
        bias: Transforms of its biases.
        input: Transforms of its floating-point inputs (those in its first argument), each with
            state of its own.
        output: Transforms of its output, after `activation`.
        activation: An activation taken over from the layer, so that `before_activation` can act on
            its input. The layer's own is then linear.
        before_activation: Transforms of the input of `activation`.
        between: Transforms of what passes from one half of a separable convolution to the other.
        uses: How many times one forward pass of the model calls this layer, where that is known
            beforehand; 1 finds it out. Schedules advance once per pass.
        input_places: Which of the inputs the transforms of `input` act on, counted in the flattened
            first argument; None for all.
        weights: Transforms of single weights by the names of their variables, such as
            `{"recurrent_kernel": "int8"}`, instead of those of `kernel` and `bias`.
        arithmetic: How the layer computes while it is trained, an `edgeax.training.Arithmetic`. It
            acts within what the slots do: on inputs behind theirs, on the result before theirs.

    A slot takes a transform, a number format, the name of one, or a list of these.

    Raises:
        ValueError: The layer's `call` has a signature that cannot be forwarded to, or a slot is
            given what is none of these.

    Input shape and output shape: those of the wrapped layer.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        kernel: Slot = None,
        bias: Slot = None,
        input: Slot = None,
        output: Slot = None,
        activation: Any = None,
        before_activation: Slot = None,
        between: Slot = None,
        uses: int = 1,
        input_places: Sequence[int] | None = None,
        weights: Mapping[str, Slot] | None = None,
        arithmetic: Arithmetic | None = None,
        **kwargs: Any,
    ) -> None:
        reason = unwrappable(layer)
        if reason:
            raise ValueError(
                f"`layer` must be one that can be wrapped. Received: {layer.name!r} of type "
                f"{type(layer).__name__}; {reason}."
            )
        slots = _Slots(
            {
                "kernel": as_transforms("kernel", kernel),
                "bias": as_transforms("bias", bias),
                "input": as_transforms("input", input),
                "output": as_transforms("output", output),
                "before_activation": as_transforms("before_activation", before_activation),
                "between": as_transforms("between", between),
            },
            as_named_transforms(weights),
        )
        kwargs.setdefault("name", layer.name)
        kwargs.setdefault("trainable", layer.trainable)
        # The wrapper leaves casting to the layer: raw variables must be read in full precision.
        kwargs.setdefault("dtype", "float32")
        super().__init__(layer, autocast=False, **kwargs)
        self.supports_masking = layer.supports_masking
        if getattr(layer, "_input_shape_arg", None) is not None:
            self._input_shape_arg = layer._input_shape_arg  # a Sequential asks its first layer
        self.slots = slots
        self.arithmetic = arithmetic
        if arithmetic is not None:
            if arithmetic.accumulate is not None:
                check_accumulates(layer)
            activation = activation or activation_to_take(layer, arithmetic)
        self.taken_activation = (
            keras.activations.get(activation) if activation is not None else None
        )
        if self.taken_activation is not None:
            layer.activation = keras.activations.linear
        self.uses = int(uses)
        self.input_places = None if input_places is None else tuple(map(int, input_places))
        # Looks at the built layer behind a call; once it returns True, no more.
        self.when_built: Callable[[Compressed], bool] | None = None
        self.chains: list[Chain] = []
        # Keras shall bind the arguments to the layer's own signature: in a catch-all it refuses to
        # see tensors and settings side by side, and finds no masks.
        self._call_signature = _with_training(inspect.signature(layer.call))
        self._arguments = tuple(inspect.signature(layer.call).parameters)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not args and self._arguments[0] in kwargs:  # it may be called otherwise than `inputs`
            args = (kwargs.pop(self._arguments[0]),)
        if not self.built and args:
            self._check_inputs(args[0])
        if not self.layer.built and _tensors((args[1:], kwargs)):
            # Keras would hand over the first argument's shape only. The layer itself knows how to
            # be built from several.
            like_args, like_kwargs = symbols_like((args, kwargs))
            call_plain(self.layer, *like_args, **like_kwargs)
        with passes.inside_a_call():
            outputs = super().__call__(*args, **kwargs)
        if self.when_built is not None and self.when_built(self):
            self.when_built = None
        return outputs

    def build(self, input_shape: Any) -> None:
        """Builds the layer, and a chain for each tensor that has one.

        Raises:
            ValueError: A transform cannot work on its tensor.
        """
        if not self.layer.built:
            self.layer.build(input_shape)
        self._weights_of = [*self._weight_chains()]
        templates = self.slots.templates
        count = _count_of_shapes(input_shape)
        places = range(count) if self.input_places is None else self.input_places
        self._inputs = [
            self._chain(templates["input"], "activation") if place in places else None
            for place in range(count)
        ]
        self._before_activation = self._chain(templates["before_activation"], "activation")
        self._output = self._chain(templates["output"], "activation")
        self._between = self._chain(templates["between"], "activation")
        self._build_arithmetic()
        self.built = True

    def _build_arithmetic(self) -> None:
        """Creates the chains of the operands and of the error, and sees to stored weights."""
        self._operands: list[Chain | None] = [None] * len(self._inputs)
        self._error: Chain | None = None
        arithmetic, salt = self.arithmetic, salt_of(self.name)
        if arithmetic is None:
            return
        for place in range(len(self._inputs)):
            members = arithmetic.input_members(salt + 7 * place)
            self._operands[place] = self._chain(members, "activation")
        self._error = self._chain(arithmetic.error_members(salt), "activation")
        stochastic = arithmetic.rounding["update"] == "stochastic"
        self._updates = None
        if arithmetic.update_format is not None and stochastic:
            self._updates = self.add_weight(
                name="updates",
                dtype="int32",
                initializer="zeros",
                trainable=False,
                autocast=False,
                aggregation="only_first_replica",
            )
        owned = [(o, v) for o in self.layer._flatten_layers() for v in o._trainable_variables]
        for place, (owner, variable) in enumerate(owned):
            variable.constraint = StoredWeight(
                variable.constraint,
                layout_of(owner, variable.name, variable.shape),
                arithmetic.update_format,
                self._updates,
                (arithmetic.seed + salt + 3 + place) % 2**31,
                f"`{variable.name}` of layer {self.name!r}",
            )

    def _check_inputs(self, inputs: Any) -> None:
        """Checks that the transforms of inputs have one to act on.

        Raises:
            ValueError: All inputs are integers.
        """
        tensors = _tensors(inputs)
        if not self.slots.templates["input"] or not tensors:
            return
        dtypes = [keras.backend.standardize_dtype(tensor.dtype) for tensor in tensors]
        if not any(keras.backend.is_float_dtype(dtype) for dtype in dtypes):
            raise ValueError(
                "`input` must stand at a layer whose inputs are floating-point. Received: "
                f"{dtypes[0]} at layer {self.name!r}. Indices and other integers have no number "
                "format: transform the layer's output instead, or the embedding's kernel."
            )

    def _weight_chains(self) -> Iterator["_WeightChain"]:
        """Yields each variable that is transformed, with its layout and its chain."""
        names = set()
        for owner in self.layer._flatten_layers():
            for variable in owner._trainable_variables:
                names.add(variable.name)
                members = [*self.slots.of_weight(variable.name)]
                if self.arithmetic is not None and slot_of(variable.name) == "kernel":
                    members += self.arithmetic.kernel_members(salt_of(self.name + variable.name))
                if not members:
                    continue
                layout = layout_of(owner, variable.name, variable.shape)
                chain = self._chain(members, "weight", layout.canonical_shape, layout.input_axes)
                if chain is not None:
                    yield _WeightChain(variable, layout, chain)
        unknown = sorted({*self.slots.weights} - names)
        if unknown:
            raise ValueError(
                f"`weights` must name weights of layer {self.name!r}, which has {sorted(names)}. "
                f"Received: {unknown}."
            )

    def _chain(
        self,
        members: Sequence[Transform],
        role: Any,
        shape: Sequence[int] = (),
        input_axes: tuple[int, ...] | None = None,
    ) -> Chain | None:
        if not members:
            return None
        chain = Chain([fresh(member) for member in members], uses=self.uses)
        for member in chain.transforms:
            member.input_axes = input_axes
        try:
            chain.bind(role, shape)
        except ValueError as error:
            raise ValueError(f"{error} It stands in layer {self.name!r}.") from error
        self.chains.append(chain)
        return chain

    def call(self, inputs: Any, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        """Calls the layer with transformed tensors."""
        if training is not None and "training" in self._arguments:
            kwargs["training"] = training
        training = passes.is_training(training)
        inputs = self._transformed_inputs(inputs, training)
        passes.show(self, inputs)
        if len(self._inputs) == 1 and self._inputs[0] is not None and not passes.is_unrounded(self):
            note_grid(inputs, getattr(self.quantizer("input"), "grid", None))
        inputs = self._operands_of(inputs, training)
        with RecordingScope(self._transformed_weights(training)) as scope:
            sums = None if self.arithmetic is None else self.arithmetic.accumulate_format
            if self.arithmetic is not None and sums is not None and not passes.is_unrounded(self):
                outputs = accumulated_call(self.layer, inputs, sums, self.arithmetic.chunk)
            elif self._between is None:
                outputs = call_plain(self.layer, inputs, *args, **kwargs)
            else:
                outputs = in_halves(
                    self.layer, inputs, lambda half: self._through(self._between, half, training)
                )
        scope.apply(self)
        if self._error is not None:
            outputs = keras.tree.map_structure(
                lambda part: self._through(self._error, part, training), outputs
            )
        outputs = rounded_averages(self.layer, inputs, outputs)
        output = self.quantizer("output")
        grid = None if output is None or passes.is_unrounded(self) else output.grid
        if self.taken_activation is not None:
            outputs = self._through(self._before_activation, outputs, training)
            outputs = activated(self.taken_activation, outputs, grid)
        elif isinstance(self.layer, keras.layers.Activation) and is_swish(self.layer.activation):
            outputs = activated(self.layer.activation, keras.ops.cast(inputs, outputs.dtype), grid)
        outputs = self._through(self._output, outputs, training)
        note_grid(outputs, grid)
        return outputs

    def _transformed_weights(self, training: bool) -> list[tuple[keras.Variable, Any]]:
        """Returns the transformed weights that nobody around this call has given yet."""
        if passes.is_unrounded(self):
            return []
        training = training and self.is_trained
        return [
            (weight.variable, self._transformed_weight(weight, training))
            for weight in self._weights_of
            if not passes.is_given(weight.variable)
        ]

    def _transformed_weight(self, weight: "_WeightChain", training: bool) -> Any:
        """Returns a transformed weight, the same one in all calls of a forward pass unless `uses`
        says how many these are.
        """

        def transformed(is_first: bool) -> Any:
            advances = training and is_first and passes.advances(weight.chain, 1)
            return weight.transformed(advances)

        return transformed(True) if self.uses > 1 else passes.once(self, weight.chain, transformed)

    def weights_for_one_pass(self, training: bool) -> list[tuple[keras.Variable, Any]]:
        """Returns the transformed weights, for all `uses` calls of one forward pass together."""
        if passes.is_unrounded(self):
            return []
        training = training and self.is_trained
        return [(weight.variable, weight.transformed_once(training)) for weight in self._weights_of]

    @property
    def weight_chains(self) -> Sequence["_WeightChain"]:
        """Each variable that is transformed, with its layout and its chain."""
        return tuple(self._weights_of)

    @property
    def transforms_kernel(self) -> bool:
        """Whether a kernel of the layer, which must be built, has transforms."""
        return any(slot_of(weight.variable.name) == "kernel" for weight in self._weights_of)

    @property
    def is_trained(self) -> bool:
        """Whether training goes on: neither this wrapper nor its layer is frozen."""
        return self.trainable and self.layer.trainable

    def _transformed_inputs(self, inputs: Any, training: bool) -> Any:
        if not self.slots.templates["input"]:
            return inputs
        flat = keras.tree.flatten(inputs)
        changed = [
            self._through(chain, tensor, training)
            for chain, tensor in zip(self._inputs, flat, strict=True)
        ]
        return keras.tree.pack_sequence_as(inputs, changed)

    def _operands_of(self, inputs: Any, training: bool) -> Any:
        """Returns inputs as the arithmetic of the layer has them for operands."""
        if not any(self._operands):
            return inputs
        flat = keras.tree.flatten(inputs)
        changed = [
            self._through(chain, tensor, training)
            for chain, tensor in zip(self._operands, flat, strict=True)
        ]
        return keras.tree.pack_sequence_as(inputs, changed)

    def _through(self, chain: Chain | None, tensor: Any, training: bool) -> Any:
        """Returns `tensor` transformed, with its dtype and its mask."""
        if chain is None or not keras.backend.is_float_dtype(tensor.dtype):
            return tensor
        passes.show(chain, tensor)
        if passes.is_unrounded(self):
            return tensor
        changed = chain.call(keras.ops.cast(tensor, "float32"), training)
        changed = keras.ops.cast(changed, tensor.dtype)
        mask = getattr(tensor, "_keras_mask", None)
        if mask is not None:
            changed._keras_mask = mask
        return changed

    def freeze_weights(self) -> list[tuple[keras.Variable, Layout, EncodedTensor]]:
        """Returns each transformed weight of the layer, encoded in canonical layout."""
        return [
            (weight.variable, weight.layout, weight.chain.freeze(weight.value()))
            for weight in self._weights_of
        ]

    def initialize(self) -> None:
        """Gives transforms that start at step 0 their first state, from the current weights.

        Raises:
            ValueError: A weight has none for a transform; says in which layer it stands.
        """
        for weight in self._weights_of:
            try:
                weight.chain.initialize(keras.ops.convert_to_tensor(weight.value()))
            except ValueError as error:
                raise ValueError(f"{error} It stands in layer {self.name!r}.") from error

    def quantizer(self, slot: str, place: int = 0) -> Any:
        """Returns the quantizer that ends the chain of the slot `"input"`, `"between"`,
        `"before_activation"` or `"output"`, or None; of several inputs that of the one at `place`.
        """
        chain = self.chain(slot, place)
        members = reversed(chain.transforms) if chain is not None else ()
        return next((member for member in members if isinstance(member, Quantizer)), None)

    def chain(self, slot: str, place: int = 0) -> Chain | None:
        """Returns what an activation passes through, None where nothing is done to it.

        Args:
            slot: `"input"`, `"between"`, `"before_activation"` or `"output"`; of the arithmetic
                `"operand"`, an input behind its slot, or `"error"`, the result before its slots.
            place: Of several inputs, which.
        """
        return {
            "input": self._inputs[place],
            "operand": self._operands[place],
            "error": self._error,
            "before_activation": self._before_activation,
            "output": self._output,
            "between": self._between,
        }[slot]

    def around(self, layer: keras.layers.Layer) -> "Compressed":
        """Returns a wrapper of the same settings around another layer, with new state."""
        return type(self)(
            layer,
            **self.slots.templates,
            activation=self.taken_activation,
            uses=self.uses,
            input_places=self.input_places,
            weights=self.slots.weights,
            arithmetic=self.arithmetic,
            name=self.name,
            trainable=self.trainable,
            dtype=self.dtype_policy,
        )

    def settings(self) -> dict[str, Any]:
        """Returns what is done to the layer, as data: arguments of `from_settings`."""
        activation = self.taken_activation and keras.activations.serialize(self.taken_activation)
        return {
            **serialized(self.slots.templates),
            "activation": activation,
            "uses": self.uses,
            "input_places": self.input_places,
            "weights": serialized(self.slots.weights),
            "arithmetic": arithmetic_as_data(self.arithmetic),
        }

    @classmethod
    def from_settings(
        cls, layer: keras.layers.Layer, settings: dict[str, Any], **kwargs: Any
    ) -> "Compressed":
        """Returns a wrapper of `layer` with what `settings` returned, and new state."""
        slots = deserialized({slot: settings[slot] for slot in SLOTS})
        weights = deserialized(settings["weights"])
        arithmetic = settings.get("arithmetic")
        if arithmetic is not None:
            arithmetic = keras.saving.deserialize_keras_object(arithmetic)
        given = {**settings, **slots, "weights": weights, "arithmetic": arithmetic}
        return cls(layer, **given, **kwargs)

    @property
    def input_spec(self) -> Any:
        """What the layer demands of its inputs."""
        return self.layer.input_spec

    @property
    def activation(self) -> Any:
        """The activation that comes last, the layer's own or the one taken over from it."""
        return self.taken_activation or self.layer.activation

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the layer's output shape."""
        return self.layer.compute_output_shape(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Returns the layer's output as symbolic tensors; transforms keep shapes."""
        if "training" not in self._arguments:
            kwargs.pop("training", None)
        return self.layer.compute_output_spec(*args, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Returns the layer's mask."""
        return self.layer.compute_mask(inputs, previous_mask)

    def __getattr__(self, name: str) -> Any:
        layer = self.__dict__.get("layer")
        if layer is None or name.startswith("_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(layer, name)

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), **self.settings()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Compressed":
        """Returns the wrapper that `get_config` described, with new state."""
        config = dict(config)
        layer_config = config.pop("layer")
        if "go_backwards" in config:  # how Bidirectional turns a layer round
            settings = {**layer_config["config"], "go_backwards": config.pop("go_backwards")}
            layer_config = {**layer_config, "config": {**settings, "name": config["name"]}}
        layer = keras.saving.deserialize_keras_object(layer_config, custom_objects=custom_objects)
        return cls.from_settings(layer, config)


@dataclasses.dataclass
class _Slots:
    """The transforms that chains are made from; Keras must not track these as sublayers."""

    templates: dict[str, list[Transform]]
    weights: dict[str, list[Transform]]

    def of_weight(self, name: str) -> list[Transform]:
        """Returns the transforms of a weight by the name of its variable."""
        if name in self.weights:
            return self.weights[name]
        slot = slot_of(name)
        return self.templates[slot] if slot is not None else []


@dataclasses.dataclass
class _WeightChain:
    """A variable of the wrapped layer and what it passes through; Keras must not track it twice."""

    variable: keras.Variable
    layout: Layout
    chain: Chain

    def transformed(self, training: bool) -> Any:
        """Returns the value that the layer sees, with a gradient to the variable."""
        weight = keras.ops.cast(self.variable.value, "float32")
        return self.layout.from_canonical(
            self.chain.call(self.layout.to_canonical(weight), training)
        )

    def transformed_once(self, training: bool) -> Any:
        """Returns `transformed` for all the calls of one forward pass together."""
        training = training and passes.advances(self.chain, self.chain.uses)
        value = self.transformed(training)
        if training and self.chain.uses > 1:
            self.chain.calls.assign(self.chain.calls.value + (self.chain.uses - 1))
        return value

    def value(self) -> np.ndarray:
        """Returns the raw weight in canonical layout, float32."""
        raw = np.asarray(self.variable, np.float32)
        return self.layout.to_canonical(raw)


class RecordingScope(keras.StatelessScope):
    """Makes variables read as other values, and records what is assigned meanwhile.

    All other variables read as they do around the scope, which may lie in another one.
    """

    def __init__(self, values: list[tuple[keras.Variable, Any]]) -> None:
        super().__init__(state_mapping=values, collect_losses=True)
        self._given = {id(variable) for variable, _ in values}
        self._updates: dict[int, tuple[keras.Variable, Any]] = {}

    def add_update(self, update: tuple[keras.Variable, Any]) -> None:
        if id(update[0]) in self._given:
            raise ValueError(
                "A layer must not assign a weight that is transformed, because its raw value "
                f"would be lost. Received: an assignment to {update[0].path!r} in a call. "
                "Leave the layer out, by a rule with an empty list such as Rule('norm', kernel=[])."
            )
        super().add_update(update)
        self._updates[id(update[0])] = update

    def get_current_value(self, variable: keras.Variable) -> Any:
        value = super().get_current_value(variable)
        if value is None and self.original_scope is not None:
            value = self.original_scope.get_current_value(variable)
        return value

    @property
    def updates(self) -> list[tuple[keras.Variable, Any]]:
        """What was last assigned to each variable inside the scope."""
        return [*self._updates.values()]

    def apply(self, owner: keras.layers.Layer) -> None:
        """Assigns what was assigned inside the scope; its losses become those of `owner`."""
        for variable, value in self.updates:
            variable.assign(value)
        for loss in self.losses:
            owner.add_loss(loss)


def arithmetic_as_data(arithmetic: Arithmetic | None) -> Any:
    """Returns an arithmetic as data, None for none."""
    return None if arithmetic is None else keras.saving.serialize_keras_object(arithmetic)


def slot_of(name: str) -> str | None:
    """Returns the slot (`"kernel"`, `"bias"`) of a variable called `name`, or None."""
    if KERNEL.search(name):
        return "kernel"
    return "bias" if BIAS.search(name) else None


def has_kernel(operation: Any) -> bool:
    """Returns whether an operation is a layer, wrapped or not, with a kernel in it."""
    layer = operation.layer if isinstance(operation, Compressed) else operation
    weights = layer.weights if isinstance(layer, keras.layers.Layer) else ()
    return any(slot_of(variable.name) == "kernel" for variable in weights)


def unwrappable(layer: keras.layers.Layer) -> str:
    """Returns why a layer cannot be wrapped, `""` if it can.

    The wrapper hands its first argument on by position.
    """
    try:
        parameters = [*inspect.signature(layer.call).parameters.values()]
    except (TypeError, ValueError) as error:
        return f"its call has no signature that Python can read ({error})"
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or parameters[0].kind not in by_position or parameters[0].name == "training":
        return "its call takes no tensor as its first positional argument"
    return ""


def _with_training(signature: inspect.Signature) -> inspect.Signature:
    """Returns a signature of a call, with the argument `training` if it had none."""
    parameters = [*signature.parameters.values()]
    if "training" in signature.parameters:
        return signature
    rest = [part for part in parameters if part.kind is inspect.Parameter.VAR_KEYWORD]
    training = inspect.Parameter("training", inspect.Parameter.KEYWORD_ONLY, default=None)
    return signature.replace(
        parameters=[*parameters[: len(parameters) - len(rest)], training, *rest]
    )


def _count_of_shapes(shape: Any) -> int:
    """Returns how many tensors an `input_shape` of Keras describes: a shape, or several."""
    if isinstance(shape, dict):
        return sum(_count_of_shapes(part) for part in shape.values())
    if isinstance(shape, (list, tuple)) and any(isinstance(p, (list, tuple, dict)) for p in shape):
        return sum(_count_of_shapes(part) for part in shape)
    return 1


def _tensors(structure: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(structure) if _is_tensor(leaf)]


def _is_tensor(value: Any) -> bool:
    """Returns whether a value is a tensor, symbolic or not, or an array."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def symbols_like(structure: Any) -> Any:
    """Returns a structure with each tensor or array in it replaced by a symbolic one."""

    def like(value: Any) -> Any:
        if not _is_tensor(value):
            return value
        dtype = keras.backend.standardize_dtype(value.dtype)
        return keras.Input(batch_shape=value.shape, dtype=dtype)

    return keras.tree.map_structure(like, structure)
