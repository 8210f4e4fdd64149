"""CompressedModel: a subclassed model whose layers compute with transformed tensors.

Keras reloads a subclassed model by running its constructor again. What was changed in it afterwards
would be lost. So a compressed one keeps its origin's configuration and, beside it, what is done to
which of its layers, and does that again whenever it is built.
"""

import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

import keras

from edgeax.model import passes
from edgeax.model.hook import hook
from edgeax.model.wrapper import Compressed, RecordingScope, symbols_like

# Attributes in which Keras itself holds layers.
_OF_KERAS = frozenset(vars(keras.Model(name="model")))


@dataclasses.dataclass
class Origin:
    """What a compressed model is made from; Keras must not track it.

    Attributes:
        config: The plain model, serialized.
        wrapped: For each wrapped layer its `index` in the flattened model, `kind`, `path` and
            `settings`.
        frozen: Indices of the layers that are not trained; None while they are as constructed.
        layers: The flattened model's layers, once it is built.
        paths: The wrappers by the path of their layers, once it is built.
        held: Which layers the model's attributes held when the wrappers were put in.
    """

    config: dict[str, Any]
    wrapped: list[dict[str, Any]]
    frozen: list[int] | None = None
    layers: list[keras.layers.Layer] = dataclasses.field(default_factory=list)
    paths: dict[str, Compressed] = dataclasses.field(default_factory=dict)
    held: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)


@keras.saving.register_keras_serializable("edgeax")
class CompressedModel(keras.Model):
    """The subclassed models that `edgeax.compress` returns; they are made by it alone.

    Such a model is an instance of the user's class too: its methods, among them a `train_step` of
    its own, and its attributes are there. A file of it loads where `edgeax` and that class are
    imported. All weights are transformed at the beginning of each forward pass, so that they read
    the same in whatever part of the model uses them. A training step is one step of the schedules,
    however often it calls the model.
    """

    _origin: Origin

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._origin.layers:
            like_args, like_kwargs = symbols_like((args, kwargs))
            super().__call__(*like_args, **like_kwargs)
            self.rewire(like_args, like_kwargs)
        with passes.called_with(kwargs.get("training")):
            return super().__call__(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the user's model with transformed weights."""
        self._check_unchanged()
        bound = inspect.signature(super().call).bind_partial(*args, **kwargs)
        training = passes.is_training(bound.arguments.get("training"))
        given = [
            pair
            for wrapper in self._origin.paths.values()
            if wrapper.built
            for pair in wrapper.weights_for_one_pass(training)
        ]
        variables = [variable for variable, _ in given]
        with RecordingScope(given) as scope, passes.weights_given(variables):
            outputs = super().call(*args, **kwargs)
        scope.apply(self)
        return outputs

    def train_step(self, data: Any) -> Any:
        """Runs the user's training step as one step of the schedules."""
        with passes.training_step():
            return super().train_step(data)

    def make_train_function(self, *args: Any, **kwargs: Any) -> Any:
        """Makes what `fit` runs; see keras.Model."""
        self._check_unchanged()
        return super().make_train_function(*args, **kwargs)

    def make_test_function(self, *args: Any, **kwargs: Any) -> Any:
        """Makes what `evaluate` runs; see keras.Model."""
        self._check_unchanged()
        return super().make_test_function(*args, **kwargs)

    def make_predict_function(self, *args: Any, **kwargs: Any) -> Any:
        """Makes what `predict` runs; see keras.Model."""
        self._check_unchanged()
        return super().make_predict_function(*args, **kwargs)

    @property
    def wrappers(self) -> dict[str, Compressed]:
        """The wrappers by the path of their layers."""
        return self._origin.paths

    @property
    def origin(self) -> Origin:
        """What the model was made from."""
        return self._origin

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the user's model and wraps its layers again."""
        super().build_from_config(config)
        self.rewire(*symbols_for(self, config))

    def rewire(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Wraps the layers of the built model.

        Args:
            args: Symbolic arguments to call it with, by position.
            kwargs: And by name.

        Raises:
            ValueError: The model has not got the layers that its origin had.
        """
        origin = self._origin
        layers = [*self._flatten_layers(include_self=False)]
        for entry in origin.wrapped:
            index, kind = entry["index"], entry["kind"]
            if index >= len(layers) or type(layers[index]).__name__ != kind:
                raise ValueError(
                    f"`{type(self).__name__}` must make the layers that it made when it was "
                    f"compressed. Received: no {kind} where {entry['path']!r} was. Load the file "
                    "with the class that it was saved with."
                )
        if origin.frozen is not None:
            for index, layer in enumerate(layers):
                layer.trainable = index not in origin.frozen
        origin.layers = layers
        for entry in origin.wrapped:
            layer = layers[entry["index"]]
            wrapper = Compressed.from_settings(layer, entry["settings"])
            origin.paths[entry["path"]] = wrapper
            hook(layer, wrapper)
        self._tracker.unlock()  # Keras lets nobody add layers to a built model.
        self._compressed_layers = [*origin.paths.values()]
        self._tracker.lock()
        origin.held = dict(_held(self, layers))
        self.compute_output_spec(*args, **kwargs)
        for wrapper in origin.paths.values():
            if not wrapper.built:  # what is called in training only
                wrapper.build_from_config(wrapper.layer.get_build_config())
        self.built = True

    def _check_unchanged(self) -> None:
        """Checks that the model holds the layers that it held when they were wrapped.

        Keras does not notice that an entry of a list is replaced: the new layer would compute, but
        not be trained, saved or compressed.
        """
        origin = self._origin
        held = dict(_held(self, origin.layers))
        for place in sorted({*held, *origin.held}):
            if origin.paths and held.get(place) != origin.held.get(place):
                raise ValueError(
                    f"`{place}` must hold the layers that it held when the model was compressed. "
                    f"Received: a change of them. Change the plain model (edgeax.strip returns "
                    "it) and compress it again."
                )

    def get_config(self) -> dict[str, Any]:
        """Returns the origin's configuration and what is done to its layers."""
        origin = self._origin
        frozen = origin.frozen
        if origin.layers:
            frozen = [i for i, layer in enumerate(origin.layers) if not layer.trainable]
        return {
            "model": origin.config,
            "wrapped": origin.wrapped,
            "frozen": frozen,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "CompressedModel":
        """Returns the model that `get_config` described, not built yet."""
        model = keras.saving.deserialize_keras_object(
            config["model"], custom_objects=custom_objects
        )
        origin = Origin(config["model"], config["wrapped"], config["frozen"])
        compressed = as_compressed(model, origin)
        compressed.trainable = config["trainable"]
        return compressed


def as_compressed(model: keras.Model, origin: Origin) -> CompressedModel:
    """Turns a subclassed model into a compressed one, whose layers `rewire` wraps."""
    compressed: Any = model
    compressed.__class__ = _compressed_class(type(model))
    object.__setattr__(compressed, "_origin", origin)
    return compressed


_classes: dict[type, Any] = {}


def _compressed_class(kind: type) -> Any:
    """Returns the subclass of the user's class that Keras saves as `CompressedModel`."""
    if kind in _classes:
        return _classes[kind]
    members = {"__doc__": kind.__doc__, "__module__": __name__, "_edgeax_plain_class": kind}
    made = _classes[kind] = type("CompressedModel", (CompressedModel, kind), members)
    register = keras.saving.register_keras_serializable("edgeax", "CompressedModel")
    register(made)
    register(CompressedModel)  # The name shall be read as this class.
    return made


def symbols_for(
    model: keras.Model, config: dict[str, Any] | None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns symbolic arguments, positional and by name, for a model with this build config.

    Keras keeps shapes only; as it does itself, this takes values to be of its default float type.
    The batch may vary unless a layer keeps a state of each sample.

    Raises:
        ValueError: The configuration says nothing of shapes.
    """
    fixed = any(getattr(layer, "stateful", False) for layer in model._flatten_layers())

    def symbols(shape: Any) -> Any:
        if isinstance(shape, dict):
            return {name: symbols(part) for name, part in shape.items()}
        if all(size is None or isinstance(size, int) for size in shape):
            return keras.Input(batch_shape=(shape[0] if fixed else None, *shape[1:]))
        return [symbols(part) for part in shape]

    config = config or {}
    if "input_shape" in config:
        return (symbols(config["input_shape"]),), {}
    if "shapes_dict" in config:
        shapes = config["shapes_dict"].items()
        return (), {name.removesuffix("_shape"): symbols(shape) for name, shape in shapes}
    raise ValueError(
        "`model` must be one that Keras can build from get_build_config(). "
        f"Received: build config {config!r}. Call the model on a batch before it is compressed."
    )


def _held(
    model: keras.Model, layers: list[keras.layers.Layer]
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yields which layers each attribute of a model and of its layers holds, by its place."""
    for number, owner in enumerate([model, *layers]):
        for name, value in vars(owner).items():
            if name in _OF_KERAS or name == "_compressed_layers":
                continue
            found = tuple(id(layer) for layer in _layers_in(value))
            if found:
                yield f"{owner.name}[{number}].{name}" if number else f"{owner.name}.{name}", found


def _layers_in(value: Any) -> Iterator[keras.layers.Layer]:
    if isinstance(value, keras.layers.Layer):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _layers_in(part)
    elif isinstance(value, (list, tuple, set)):
        for part in value:
            yield from _layers_in(part)
