import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.assemble import assemble
from edgeax.export.choice import Choice, shape_of
from edgeax.export.lower import FORMS, lower
from edgeax.formats.flatbuffer import Model
from edgeax.formats.layer_shape import conv, fully_connected
from edgeax.formats.speeds import Form, Speed, Speeds
from tests.export.lowered import INT8, converted, kernel_rule, operator_of
from tests.export.networks import normal, sequential

layers = keras.layers

CONV, DENSE = Form("EdgeaxConv2D", 4), Form("EdgeaxFullyConnected", 4)


def table(*entries):
    return Speeds("board", "neon", "A board", "2026-11-29", "by hand", entries)


@pytest.fixture(scope="module")
def network():
    """A convolution of 4-bit codes, and a dense layer that is pruned to 4 of 16 codes, too."""
    plain = sequential(
        keras.Input((8, 8, 16)),
        layers.Conv2D(32, 3, padding="same", name="conv"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(64, name="dense"),
    )
    pruned = [
        edgeax.Prune(edgeax.ConstantSparsity(0.75, 0), structure="4:16"),
        edgeax.Cluster(16),
        edgeax.Quantize("int8"),
    ]
    rules = [INT8, kernel_rule("static_wi4_ai8", "^conv$"), edgeax.Rule("^dense$", kernel=pruned)]
    model = edgeax.compress(plain, edgeax.Recipe(rules))
    model(normal(4, 8, 8, 16), training=True)
    return converted(model, normal(8, 8, 8, 16))


def chosen(network, choice):
    model = Model.from_bytes(network.content)
    stored = lower(model, network.frozen.weights, FORMS, choice)
    return model, {entry.path: entry for entry in stored}


def by_speed(network, *entries):
    return chosen(network, Choice("latency", table(*entries)))


def test_what_is_faster_is_taken_and_the_reason_is_what_was_measured(network):
    model, stored = by_speed(network, Speed(CONV, conv(8, 16, 32, 3), 1.3, 0.01))
    assert operator_of(model, "conv").name == "EdgeaxConv2D"
    assert (stored["conv"].how, stored["conv"].bits) == ("packed", 4)
    assert stored["conv"].why == "1.30 times as fast as int8, measured at conv3x3 8,16,32"


def test_what_is_slower_keeps_the_built_in_operator_and_says_why(network):
    model, stored = by_speed(network, Speed(CONV, conv(8, 32, 32, 3), 0.9, 0.01))
    assert operator_of(model, "conv").name == "CONV_2D"
    assert stored["conv"].how == "int8"
    assert stored["conv"].why == ("packed: 0.90 times as fast as int8, measured at conv3x3 8,32,32")


def test_speeds_of_int8_say_nothing_of_16_bit_activations():
    plain = sequential(keras.Input((64,)), layers.Dense(64, name="dense"))
    model = edgeax.compress(plain, edgeax.Recipe([kernel_rule("static_wi4_ai8", "dense")]))
    faster = table(Speed(DENSE, fully_connected(64, 64), 2.0, 0.01))
    made = assemble(
        model,
        [normal(4, 64)],
        integer=True,
        pack=True,
        wide=True,
        choice=Choice("latency", faster),
    )
    (kernel,) = made.kernels
    assert (kernel.how, kernel.why) == ("int8", "packed: nothing like it was measured")


def test_what_nobody_measured_keeps_the_built_in_operator(network):
    _, stored = by_speed(network, Speed(CONV, conv(8, 512, 512, 3), 3.0, 0.01))
    assert stored["conv"].how == "int8"
    assert stored["conv"].why == "packed: nothing like it was measured"
    _, stored = by_speed(network)
    assert {entry.how for entry in stored.values()} == {"int8"}


@pytest.mark.parametrize(
    "speed, noise, how",
    [
        (1.04, 0.0, "int8"),  # as any ratio of 5 % might be luck
        (1.06, 0.0, "packed"),
        (1.06, 0.1, "int8"),  # the measurement itself was not sure
        (1.2, 0.1, "packed"),
    ],
)
def test_a_gain_must_be_above_the_noise(network, speed, noise, how):
    _, stored = by_speed(network, Speed(CONV, conv(8, 16, 32, 3), speed, noise))
    assert stored["conv"].how == how


@pytest.mark.parametrize("packed, sparse, how", [(1.5, 2.0, "sparse"), (2.0, 1.5, "packed")])
def test_of_two_that_gain_the_faster_one_is_taken(network, packed, sparse, how):
    shape = fully_connected(32, 64)
    _, stored = chosen(network, Choice())
    block = stored["dense"].details["block"]
    pruned = Form("EdgeaxSparseFullyConnected", 8, block, 0.25 if block == 1 else 1.0)
    _, stored = by_speed(network, Speed(DENSE, shape, packed, 0), Speed(pruned, shape, sparse, 0))
    assert stored["dense"].how == how
    assert stored["dense"].why == "2.00 times as fast as int8, measured at FC 32x64"


def test_the_form_that_is_looked_up_says_what_is_left_and_in_which_order(network, monkeypatch):
    seen = []
    monkeypatch.setattr(Speeds, "nearest", lambda self, form, shape: seen.append((form, shape)))
    by_speed(network)
    assert (CONV, conv(8, 16, 32, 3)) in seen and (DENSE, fully_connected(32, 64)) in seen
    (pruned,) = (form for form, _ in seen if form.block)
    assert pruned.operator == "EdgeaxSparseFullyConnected" and pruned.bits == 8
    assert pruned.balanced and 0.2 < pruned.left <= 1.0


def test_a_file_chosen_by_speed_computes_the_same(network):
    x = normal(8, 8, 8, 16, seed=5)
    fast = by_speed(
        network,
        Speed(CONV, conv(8, 16, 32, 3), 2.0, 0.0),
        Speed(DENSE, fully_connected(32, 64), 2.0, 0.0),
    )[0]
    outputs = [
        edgeax.Interpreter(model_content=model.to_bytes()).run(x)
        for model in (fast, by_speed(network)[0])
    ]
    (step,) = fast.subgraphs[0].tensors[fast.subgraphs[0].operators[-1].inputs[0]].scale
    np.testing.assert_allclose(*outputs, atol=1.001 * step)


def test_where_bytes_decide_the_reason_is_their_part_of_int8_if_it_was_asked_for(network):
    _, plain = chosen(network, Choice())
    _, asked = chosen(network, Choice("size"))
    assert plain["conv"].why == ""
    assert asked["conv"].how == plain["conv"].how == "packed"
    # 2,304 bytes of codes, 16 of the table, 8 for each of 32 biases and scales, in 4 tensors; or
    # 4,608 codes and 28 bytes for each channel, in 2.
    part = (2304 + 16 + 8 * 32 + 4 * 64) / (4608 + 28 * 32 + 2 * 64)
    assert asked["conv"].why == f"{part:.2f} of int8's bytes"


def test_the_slowest_of_several_operators_with_one_kernel_decides():
    given = keras.Input((16,)), keras.Input((16, 16, 16))
    shared = layers.Dense(32, name="shared")
    model = edgeax.compress(
        keras.Model(given, [shared(one) for one in given]),
        edgeax.Recipe([INT8, kernel_rule("static_wi4_ai8", ".*")]),
    )
    tied = converted(model, [normal(4, 16), normal(4, 16, 16, 16)])
    one, many = fully_connected(16, 32), None
    seen = []

    def nearest(self, form, shape):
        seen.append(shape)
        return Speed(form, shape, 2.0 if shape == one else 0.5, 0.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Speeds, "nearest", nearest)
        _, stored = by_speed(tied)
    assert len(seen) == 2
    (many,) = (shape for shape in seen if shape != one)
    assert many.positions == 256 and stored["shared"].how == "int8"
    assert "0.50 times as fast as int8" in stored["shared"].why


# Forms that read inputs in a way of their own, and those that training asks for.

IN_SIGNS, IN_TABLES = Form("EdgeaxSignSumConv2D", 1, planes=2), Form("EdgeaxLookupConv2D", 4)
INT8_AROUND = {"input": "int8", "output": "int8"}
ASKED_FOR = {
    IN_SIGNS: ("binary", {"input": "tbn", "kernel": "ste_sign"}),
    IN_TABLES: (
        "lookup",
        {
            "input": edgeax.ClusterActivations(16),
            "kernel": edgeax.Cluster(16, scope="channel", at_most=True),
        },
    ),
    Form("EdgeaxGroupedConv2D", 4, 16): ("packed", {"kernel": "int4_g16_int8", **INT8_AROUND}),
    Form("EdgeaxVectorConv2D", 4, 8): (
        "vector",
        {"kernel": edgeax.VectorCluster(16, 8), **INT8_AROUND},
    ),
}


def kernel_by_speed(slots, *entries):
    """How the kernel of a convolution is stored, and the operators of its file."""
    only = layers.Conv2D(16, 3, padding="same", name="conv")
    plain = sequential(keras.Input((8, 8, 16)), only)
    model = edgeax.compress(plain, edgeax.Recipe([edgeax.Rule("conv", **slots)]))
    samples = normal(8, 8, 8, 16)
    model(samples, training=True)
    choice = Choice("latency", table(*entries))
    made = assemble(model, [samples], integer=True, pack=True, choice=choice)
    (kernel,) = made.kernels
    return kernel, {operator.name for operator in made.file.subgraphs[0].operators}


@pytest.mark.parametrize("form", ASKED_FOR, ids=lambda form: form.name)
def test_speed_decides_on_every_form_that_has_a_rival(form):
    how, slots = ASKED_FOR[form]
    shape = conv(8, 16, 16, 3)
    kernel, operators = kernel_by_speed(slots, Speed(form, shape, 1.5, 0.01))
    assert (kernel.how, form.operator in operators) == (how, True)
    assert kernel.why == "1.50 times as fast as int8, measured at conv3x3 8,16,16"
    kernel, operators = kernel_by_speed(slots, Speed(form, shape, 0.7, 0.01))
    assert kernel.how == "int8" and "CONV_2D" in operators
    assert f"{how}: 0.70 times as fast as int8, measured at conv3x3 8,16,16" in kernel.why
    kernel, _ = kernel_by_speed(slots)
    assert kernel.how == "int8" and f"{how}: nothing like it was measured" in kernel.why


def test_where_speed_is_known_more_signs_may_be_counted():
    slots = {"input": "tbn", "kernel": "lq2"}
    four = Speed(Form("EdgeaxSignSumConv2D", 2, planes=2), conv(8, 16, 16, 3), 3.0, 0.0)
    assert kernel_by_speed(slots, four)[0].how == "binary"
    assert "count bits 4 times" not in kernel_by_speed(slots)[0].why


def test_sums_of_signs_that_8_bit_integers_do_not_hold_have_no_rival():
    slots = {"input": "multi_step_sign", "kernel": "bwn"}
    slow = Speed(IN_SIGNS, conv(8, 16, 16, 3), 0.1, 0.0)
    kernel, _ = kernel_by_speed(slots, slow)
    assert (kernel.how, kernel.why) == ("binary", "")


def test_what_is_looked_up_no_faster_may_be_packed():
    _, slots = ASKED_FOR[IN_TABLES]
    slots = slots | {"kernel": edgeax.Cluster(16)}
    shape = conv(8, 16, 16, 3)
    kernel, operators = kernel_by_speed(
        slots, Speed(IN_TABLES, shape, 0.9, 0.0), Speed(CONV, shape, 1.2, 0.0)
    )
    assert (kernel.how, kernel.bits) == ("packed", 4)
    assert {"GATHER", "EdgeaxConv2D"} <= operators


# Shapes.

PARTS = {
    "plain": (layers.Conv2D(6, (3, 1), strides=2, padding="valid"), "conv3x1/2x2 4x5,8,6"),
    "same": (layers.Conv2D(6, 5, padding="same"), "conv5x5 9,8,6"),
    "grouped": (layers.Conv2D(8, 3, groups=2), None),
    "dilated": (layers.Conv2D(8, 3, dilation_rate=2), None),
    "depthwise": (layers.DepthwiseConv2D(3, depth_multiplier=2), "depthwise3x3 7,8,16"),
    "dense": (layers.Dense(5), "FC 81 rows, 8x5"),
    "transposed": (layers.Conv2DTranspose(4, 3), None),
}


@pytest.fixture(scope="module")
def parts():
    """A layer of each kind beside each other."""
    given = keras.Input((9, 9, 8))
    heads = []
    for name, (layer, _) in PARTS.items():
        copy = type(layer).from_config(layer.get_config() | {"name": name})
        heads.append(copy(given))
    model = edgeax.compress(
        keras.Model(given, heads), edgeax.Recipe([INT8, kernel_rule("static_wi8_ai8", ".*")])
    )
    return converted(model, normal(4, 9, 9, 8))


@pytest.mark.parametrize("name", PARTS)
def test_the_shape_is_that_of_the_layer(parts, name):
    model, carrier, _ = parts.carrier(name)
    shape = shape_of(model.subgraphs[0], carrier)
    assert (None if shape is None else shape.name) == PARTS[name][1]


def test_a_layer_without_a_shape_is_like_no_measured_one():
    layer = layers.Conv2D(32, 3, dilation_rate=2, name="dilated")
    recipe = edgeax.Recipe([INT8, kernel_rule("static_wi4_ai8", ".*")])
    model = edgeax.compress(sequential(keras.Input((9, 9, 8)), layer), recipe)
    _, stored = by_speed(
        converted(model, normal(4, 9, 9, 8)), Speed(CONV, conv(5, 8, 32, 3), 2.0, 0.0)
    )
    assert stored["dilated"].how == "int8"
    assert stored["dilated"].why == "packed: nothing like it was measured"
