"""Copies of layers and of whole models: same settings, weights of their own."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import keras

from edgeax.model.graph import block_of, is_nested, new_inputs
from edgeax.model.hook import plain_class
from edgeax.model.wrapper import Compressed


def compressed_layers(model: keras.Model) -> Iterator[Compressed]:
    """Yields every `Compressed` of a model, nested models opened."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, Compressed):
            yield layer


def fresh_copy(layer: Any) -> Any:
    """Returns a layer or operation of the same settings and no weights.

    Raises:
        ValueError: Keras cannot make the layer again.
    """
    if isinstance(layer, Compressed):
        return layer.around(fresh_copy(layer.layer))
    kind: Any = plain_class(layer)
    if kind is keras.layers.Lambda:
        # Its configuration cannot be read back in safe mode; the function itself can be shared.
        return keras.layers.Lambda(
            layer.function,
            output_shape=layer._output_shape,
            mask=layer.mask,
            arguments=layer.arguments,
            name=layer.name,
            dtype=layer.dtype_policy,
        )
    try:
        return kind.from_config(layer.get_config())
    except Exception as error:  # it may run a constructor of the user's
        if not isinstance(layer, keras.layers.Layer):
            return layer  # An operation that Keras cannot describe has no weights: share it.
        raise ValueError(
            "`model` must hold layers that Keras can make again from their get_config(). "
            f"Received: {layer.name!r} of type {kind.__name__}, of which Keras says: {error} "
            "Give the class a get_config that returns the arguments of its constructor; make a "
            "Python lambda a function with a name, registered by "
            "keras.saving.register_keras_serializable."
        ) from error


def clone(
    model: keras.Model,
    copy: Callable[[Any], Any],
    made: dict[int, Any],
    opens_blocks: bool = False,
) -> keras.Model:
    """Returns a model of the same structure, nested models included, with layers from `copy`.

    It is not compiled: a loss or metric that is not registered with Keras cannot be copied.

    Args:
        model: Sequential or functional.
        copy: Gets each layer that is no nested model, returns the new one.
        made: Filled with the new layers and nested models, by the id of the old ones.
        opens_blocks: Whether `copy` gets the layers of blocks too, see `graph.block_of`, in place
            of the layers that hold these.
    """

    def copied(layer: Any) -> Any:
        if id(layer) not in made:
            block = block_of(layer) if opens_blocks else None
            if block is not None:
                made[id(layer)] = layer.with_block(copied(block))
            elif is_nested(layer):
                made[id(layer)] = clone(layer, copy, made, opens_blocks)
            else:
                made[id(layer)] = copy(layer)
        return made[id(layer)]

    if isinstance(model, keras.Sequential):
        make = _class_of(model, keras.Sequential)
        result = make([new_inputs(model), *map(copied, model.layers)], name=model.name)
    else:
        # Keras would compile the clone of a compiled model.
        plain = keras.Model(model.input, model.output, name=model.name)
        make = _class_of(model, type(plain))
        uncompiled = make(model.input, model.output, name=model.name)
        result = keras.models.clone_model(uncompiled, clone_function=copied)
    if not model.trainable:
        result.trainable = False
    return result


def copy_of(model: keras.Model) -> keras.Model:
    """Returns a copy of a model with weights of its own, those of the model, not compiled.

    Args:
        model: Sequential or functional; what is compressed in it is so in the copy.

    Raises:
        ValueError: Keras cannot make one of its layers again.
    """
    made: dict[int, Any] = {}
    copy = clone(model, fresh_copy, made)
    copy_weights(model, made)
    return copy


def _class_of(model: keras.Model, base: type) -> Any:
    """Returns the class of a model if it is constructed like Keras's own `base`, else `base`."""
    own, plain = (
        list(inspect.signature(kind.__init__).parameters)  # type: ignore[misc]
        for kind in (type(model), base)
    )
    return type(model) if own == plain else base


def originals_of(model: keras.Model, made: dict[int, Any]) -> dict[int, keras.layers.Layer]:
    """Returns the layers of `model` by the id of their copies; `made` is what `clone` filled."""
    return {
        id(made[id(layer)]): layer
        for layer in model._flatten_layers(include_self=False)
        if id(layer) in made and not is_nested(layer)
    }


def plain_copy(layer: Any) -> Any:
    """Returns a plain layer of the same settings and no weights."""
    if not isinstance(layer, Compressed):
        return fresh_copy(layer)
    copy = fresh_copy(layer.layer)
    if layer.taken_activation is not None:
        copy.activation = layer.taken_activation
    return copy


def copy_weights(model: keras.Model, made: dict[int, Any]) -> None:
    """Copies the weights of the layers of `model` to those made from them."""
    for layer in model._flatten_layers(include_self=False):
        copy = made.get(id(layer))
        if copy is None or is_nested(layer):
            continue
        if id(block_of(layer)) in made:  # the layers of its block come by themselves
            for source, target in zip(_own_weights(layer), _own_weights(copy), strict=True):
                target.assign(source.value)
            continue
        if isinstance(copy, Compressed) and isinstance(layer, Compressed):
            copy.set_weights(layer.get_weights())
        elif isinstance(copy, Compressed):
            copy.layer.set_weights(layer.get_weights())
        elif isinstance(layer, Compressed):
            set_transformed(copy, layer)
        else:
            copy.set_weights(layer.get_weights())
        finalize = getattr(copy, "finalize_state", None)
        if finalize is not None:
            finalize()


def _own_weights(holder: Any) -> list[keras.Variable]:
    """Returns the weights of a layer that are not those of its block."""
    within = {id(variable) for variable in holder.block.weights}
    return [variable for variable in holder.weights if id(variable) not in within]


def set_transformed(copy: keras.layers.Layer, layer: Compressed) -> None:
    """Gives a built plain copy the weights of a compressed layer as the layer sees them."""
    frozen = {id(variable): (layout, code) for variable, layout, code in layer.freeze_weights()}
    for target, variable in zip(copy.weights, layer.layer.weights, strict=True):
        if id(variable) in frozen:
            layout, code = frozen[id(variable)]
            target.assign(layout.from_canonical(code.decode()))
        else:
            target.assign(variable.value)
