import keras
import numpy as np
from keras import layers

import edgeax
from edgeax.export.cut import cut, plain_graph
from edgeax.model.trained_weights import trained_weights
from edgeax.model.wrapper import Compressed


def parts_of(model, trainable):
    graph = plain_graph(model)
    return cut(model, graph, trained_weights(graph, trainable, live_normalization=False))


def whole_again(model, parts, *inputs):
    """Runs the front part, then the rest on what it gives."""
    given = [inputs[number] for number in parts.front_inputs]
    front = [] if parts.front is None else keras.tree.flatten(parts.front(given))
    behind = [*front, *(inputs[number] for number in parts.back_inputs)]
    run = lambda call, args, kwargs: call.operation(*args, **kwargs)  # noqa: E731
    return parts.back.rebuild(run, [keras.ops.convert_to_tensor(value) for value in behind])


def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def shortcut():
    """Two inputs, one of them read on both sides of a cut, and a nested model."""
    keras.utils.set_random_seed(0)
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="hidden")], name="inner")
    x = layers.Add()([inner(a), layers.Dense(4, name="beside")(b)])
    y = layers.Dense(4, name="trained")(x)
    return keras.Model([a, b], layers.Dense(2, name="last")(layers.Add()([y, x, a])))


def test_both_parts_together_compute_what_the_model_does():
    model, given = shortcut(), [normal(3, 4), normal(3, 4) + 1.0]
    for trainable in ("all", ["trained"], ["beside"], 1):
        parts = parts_of(model, trainable)
        found = whole_again(model, parts, *given)
        np.testing.assert_allclose(found, model(given), rtol=1e-5, atol=1e-6)


def test_what_a_trained_layer_reaches_is_behind_the_cut_and_all_else_in_front():
    parts = parts_of(shortcut(), ["trained"])
    names = [call.operation.name for call in parts.back.calls if call.operation.weights]
    assert names == ["trained", "last"]
    assert [layer.name for layer in parts.front.layers if layer.weights] == ["hidden", "beside"]
    assert (parts.front_inputs, parts.back_inputs) == ((0, 1), (0,))


def test_a_layer_beside_a_trained_one_is_in_front():
    parts = parts_of(shortcut(), ["beside"])
    assert [layer.name for layer in parts.front.layers if layer.weights] == ["hidden"]
    assert (parts.front_inputs, parts.back_inputs) == ((0,), (0, 1))


def test_layers_without_weights_in_front_of_all_are_no_part_of_their_own():
    model = keras.Sequential(
        [keras.Input((2, 2)), layers.Rescaling(2.0), layers.Flatten(), layers.Dense(2)]
    )
    parts = parts_of(model, "all")
    assert parts.front is None
    assert len(parts.back.calls) == 3
    given = normal(3, 2, 2)
    np.testing.assert_allclose(whole_again(model, parts, given), model(given), rtol=1e-5)


def test_the_front_stays_compressed_and_the_rest_is_plain_with_the_weights_in_use():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="first"), layers.Dense(4, name="last")]
    )
    small = edgeax.compress(model, [edgeax.Quantize("int4")])
    parts = parts_of(small, 1)
    assert [isinstance(layer, Compressed) for layer in parts.front.layers] == [False, True]
    (last,) = (call.operation for call in parts.back.calls)
    assert type(last) is layers.Dense
    assert len(np.unique(last.kernel.numpy())) <= 15
    given = normal(3, 4)
    np.testing.assert_allclose(whole_again(small, parts, given), small(given), rtol=1e-5, atol=1e-6)
