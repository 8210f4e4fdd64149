"""Rules: which weights make, carry and read which channels, and why channels have to stay."""

import keras
import numpy as np
import pytest

from edgeax.model.channel_rules import Flow, channels_of
from edgeax.model.graph import trace

layers, ops = keras.layers, keras.ops


def flow_of(function, shape=(4, 4, 2)):
    given = keras.Input(shape)
    return Flow(trace(keras.Model(given, function(given))))


def roles(flow, name):
    """Returns `(weight, axis, role)` of the axes of a layer along which channels can go."""
    return {
        (axis.variable.name, axis.axis, axis.role) for axis in flow.axes if axis.layer.name == name
    }


KERNEL = {("kernel", 2, "reads"), ("kernel", 3, "makes"), ("bias", 0, "makes")}
RECURRENT = {
    *(("kernel", 0, "reads"), ("kernel", 1, "makes"), ("recurrent_kernel", 0, "reads")),
    *(("recurrent_kernel", 1, "makes"), ("bias", 0, "makes")),
}
ROLES = {
    "conv": (layers.Conv2D(3, 2), KERNEL),
    "conv without bias": (layers.Conv2D(3, 2, use_bias=False), KERNEL - {("bias", 0, "makes")}),
    "grouped": (layers.Conv2D(4, 2, groups=2), {("kernel", 3, "carries"), ("bias", 0, "carries")}),
    "transposed": (
        layers.Conv2DTranspose(3, 2),
        {("kernel", 3, "reads"), ("kernel", 2, "makes"), ("bias", 0, "makes")},
    ),
    "depthwise": (layers.DepthwiseConv2D(2), {("kernel", 2, "carries"), ("bias", 0, "carries")}),
    "separable": (
        layers.SeparableConv2D(3, 2),
        {
            ("depthwise_kernel", 2, "carries"),
            ("pointwise_kernel", 2, "reads"),
            ("pointwise_kernel", 3, "makes"),
            ("bias", 0, "makes"),
        },
    ),
    "normalization": (
        layers.BatchNormalization(scale=False),
        {(name, 0, "carries") for name in ("beta", "moving_mean", "moving_variance")},
    ),
    "prelu": (layers.PReLU(shared_axes=[1, 2]), {("alpha", 2, "carries")}),
    "prelu, one for all": (layers.PReLU(shared_axes=[3]), set()),
    "flattened lstm": (
        lambda x: layers.LSTM(3, name="layer")(layers.Reshape((4, 8))(x)),
        RECURRENT,
    ),
}


@pytest.mark.parametrize("name", ROLES)
def test_weights_have_the_axes_that_were_worked_out(name):
    part, expected = ROLES[name]
    if isinstance(part, keras.layers.Layer):
        part = type(part).from_config({**part.get_config(), "name": "layer"})
    assert roles(flow_of(part), "layer") == expected


def test_the_axes_of_a_table_of_embeddings():
    given = keras.Input((4,), dtype="int32")
    flow = Flow(trace(keras.Model(given, layers.Embedding(5, 3, name="layer")(given))))
    assert roles(flow, "layer") == {("embeddings", 1, "makes")}


def reasons(function, shape=(4, 4, 2)):
    """Returns why each channel of the layer `one` has to stay."""
    flow = flow_of(function, shape)
    classes = flow.book.classes()
    found = flow.book.reasons(classes)
    one = next(call for call in flow.graph.calls if call.operation.name == "one")
    labels = flow.labels_of(one.output_tensors[0])
    return [found.get(int(unit), "") for unit in classes[labels]]


def between(*parts, head=True):
    def function(tensor):
        tensor = layers.Conv2D(4, 1, name="one")(tensor)
        for part in parts:
            tensor = part(tensor)
        return layers.Dense(2, name="head")(tensor) if head else tensor

    return function


def own(tensor):
    return tensor * np.arange(4, dtype=np.float32)


class Own(layers.Conv2D):
    pass


STAY = {
    "output": (between(head=False), "its channels are an output of the model."),
    "softmax": (between(layers.Softmax(name="x")), "'x' (Softmax) mixes channels."),
    "activation": (
        between(layers.Activation("softmax", name="x")),
        "'x' (Activation) applies a function that is not known to act on each channel alone.",
    ),
    "layer norm": (
        between(layers.LayerNormalization(name="x")),
        "'x' (LayerNormalization) is not known to keep channels apart.",
    ),
    "lambda": (
        between(layers.Lambda(lambda x: x, output_shape=(4, 4, 4), name="x")),
        "'x' (Lambda) is not known to keep channels apart.",
    ),
    "subclass": (between(Own(3, 1, name="x")), "'x' (Own) is not known to keep channels apart."),
    "normalized along another axis": (
        between(layers.BatchNormalization(axis=1, name="x")),
        "'x' (BatchNormalization) normalizes another axis than the last.",
    ),
    "other axis of channels": (
        between(layers.Conv2D(3, 1, data_format="channels_first", name="x")),
        "'x' (Conv2D) has its channels not last.",
    ),
    "einsum": (
        between(layers.EinsumDense("abcd,de->abec", (4, 3, 4), name="x")),
        "'x' (EinsumDense) computes abcd,de->abec, which is no product of the last axis and a "
        "matrix.",
    ),
    "masking": (
        between(layers.Reshape((16, 4)), layers.Masking(name="x")),
        "'x' (Masking) is not known to keep channels apart.",
    ),
    "constants": (between(own), "(Multiply) has a constant for each channel."),
    "gate of one channel": (
        lambda x: layers.Dense(2)(
            layers.Multiply(name="x")([layers.Conv2D(4, 1)(x), layers.Conv2D(1, 1, name="one")(x)])
        ),
        "'x' (Multiply) spreads it over all channels.",
    ),
    "beside": (
        lambda x: layers.Dense(2)(
            layers.MultiHeadAttention(1, 2, name="x")(x, layers.Conv2D(4, 1, name="one")(x))
        ),
        "'x' (MultiHeadAttention) takes them beside its input.",
    ),
    "own activation": (
        lambda x: layers.Dense(2)(layers.Conv2D(4, 1, activation="softmax", name="one")(x)),
        "the activation of 'one' (Conv2D) is not known to act on each channel alone.",
    ),
}


@pytest.mark.parametrize("name", STAY)
def test_what_makes_channels_stay_is_told(name):
    function, why = STAY[name]
    assert all(reason.endswith(why) for reason in reasons(function))


def test_the_units_of_a_layer_that_keeps_its_state_stay():
    given = keras.Input(batch_shape=(1, 5, 2))
    tensor = layers.GRU(2, stateful=True, name="one")(given)
    flow = Flow(trace(keras.Model(given, layers.Dense(2)(tensor))))
    why = "the state of 'one' (GRU) is kept or given."
    assert why in flow.book.reasons(flow.book.classes()).values()


def test_weights_beside_those_of_the_kind_are_not_known():
    def function(tensor):
        dense = layers.Dense(3, name="x")
        made = dense(layers.Conv2D(4, 1, name="one")(tensor))
        dense.enable_lora(1)
        return layers.Dense(2)(made)

    (why,) = set(reasons(function))
    assert why.startswith("'x' (Dense) has weights that are not known: ['lora_kernel_a'")


def test_a_layer_called_on_tensors_of_two_layers_ties_them():
    def function(tensor):
        shared = layers.Dense(3, name="shared")
        one, two = layers.Conv2D(4, 1, name="one")(tensor), layers.Conv2D(4, 1, name="two")(tensor)
        return layers.Add()([shared(one), shared(two)])

    flow = flow_of(function)
    classes = flow.book.classes()
    made = {
        call.operation.name: classes[flow.labels_of(call.output_tensors[0])]
        for call in flow.graph.calls
    }
    np.testing.assert_array_equal(made["one"], made["two"])
    assert np.unique(made["one"]).size == 4


def test_the_size_of_the_last_axis():
    assert channels_of(keras.Input((3, 5))) == 5
    assert channels_of(keras.Input((3, None))) == 0
    assert channels_of(keras.Input(())) == 0
