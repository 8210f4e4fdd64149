import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.lookup import lookup_tables
from edgeax.formats.flatbuffer import Model
from edgeax.formats.lookup import product_table
from edgeax.formats.operators import OPERATORS
from edgeax.runtime import read_details
from edgeax.runtime.interpreter import Interpreter
from tests.export.networks import normal, sequential
from tests.tflite_kernels import native, oracle

layers = keras.layers


def recipe(scope="channel", entries=16, points=16, **slots):
    kernel = edgeax.Cluster(entries, scope=scope, at_most=True)
    rule = edgeax.Rule(".*", kernel=kernel, input=edgeax.ClusterActivations(points), **slots)
    return edgeax.Recipe([rule])


def trained(model, recipe, samples):
    compressed = edgeax.compress(model, recipe)
    compressed(samples, training=True)
    return compressed


def exported(model, path, samples, **options):
    result = edgeax.export(model, path, samples, measure=False, **options)
    return result, path.read_bytes()


def lookups(content):
    graph = Model.from_bytes(content).subgraphs[0]
    return graph, [operator for operator in graph.operators if "Lookup" in operator.name]


def case_of(graph, operator, codes):
    """The operator's constants as a case of the kernels' oracle."""
    weights, bias, scale, codebook, points = (graph.tensors[i].data for i in operator.inputs[1:])
    given, made = (graph.tensors[i] for i in (operator.inputs[0], operator.outputs[0]))
    options = OPERATORS[operator.name].unpack_options(operator.custom_options)
    bits, packed = codebook.shape[1].bit_length() - 1, weights[:, :-1]
    if operator.name.endswith("Conv2D"):
        taps = options["kernel_height"] * options["kernel_width"]
        depth = taps * given.shape[3] // options["groups"]
    else:
        depth = given.shape[-1]
    fields = np.unpackbits(packed, axis=1, bitorder="little").reshape(len(packed), -1, bits)
    unpacked = (fields[:, :depth] << np.arange(bits, dtype=np.uint8)).sum(axis=2)
    return native.Case(
        operator.name, operator.name, options, "single", codes, unpacked.astype(np.uint8), bias,
        scale, codebook, 1.0, 0, float(made.scale[0]), int(made.zero_point[0]), tuple(made.shape),
        numbers=weights[:, -1:], points=points,
    )  # fmt: skip


def test_rikr17_the_file_gives_the_sums_of_looked_up_products(tmp_path):
    """With the bound of the error: a product is half a step of the weights and half a one of the
    points off, the sum half a step of the output more.
    """
    samples = normal(64, 40)
    plain = sequential(keras.Input((40,)), layers.Dense(12, name="dense"))
    model = trained(plain, recipe(), samples)
    _, content = exported(model, tmp_path / "m.tflite", samples)
    graph, (operator,) = lookups(content)
    given, made = (graph.tensors[i] for i in (operator.inputs[0], operator.outputs[0]))
    run = Interpreter(model_content=content)
    outputs = np.concatenate([run.run(x[None]) for x in samples])
    codes = np.rint(samples / given.scale[0] + given.zero_point[0]).clip(-128, 127).astype(np.int8)
    layer = lookup_tables(model)["dense"]
    table = product_table(graph.tensors[operator.inputs[4]].data, np.unique(layer.points))
    assert table.shape == (16, 16, 16)  # of each output, of which there are 12, all products
    for x, found in zip(codes, outputs, strict=True):
        wanted = oracle.run(case_of(graph, operator, x[None]))
        values = (wanted - float(made.zero_point[0])) * made.scale[0]
        np.testing.assert_allclose(found[None], values, rtol=1e-6)
    entered = (codes - np.float32(given.zero_point[0])) * given.scale[0]
    sums = layer.sums(layer.codes_of(entered))
    weight, point = (
        np.abs(layer.table).max() / np.abs(layer.points).max(),
        np.abs(layer.points).max(),
    )
    off = weight * point * (1 / 254 + 1 / 254 + 1 / 254**2)
    assert np.abs(outputs - sums).max() <= 40 * off + 0.51 * made.scale[0]


@pytest.mark.parametrize(
    "scope, entries, bits", [("channel", 16, 4), ("layer", 16, 4), ("channel", 4, 2)]
)
def test_convolutions_and_dense_layers_have_tables(scope, entries, bits, tmp_path):
    plain = sequential(
        keras.Input((9, 8, 8)),
        layers.Conv2D(24, 3, strides=2, padding="same", activation="relu", name="strided"),
        layers.Conv2D(16, 3, groups=2, dilation_rate=1, activation="relu", name="grouped"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(10, name="dense"),
    )
    samples = normal(32, 9, 8, 8)
    model = trained(plain, recipe(scope, entries), samples)
    result, content = exported(model, tmp_path / "m.tflite", samples)
    assert result.stays_float == ()
    found = {kernel.path: kernel for kernel in result.kernels}
    assert {kernel.how for kernel in found.values()} == {"lookup"}
    assert {kernel.bits for kernel in found.values()} == {bits}
    tables = {"strided": 32, "grouped": 16, "dense": 16}
    for path, kernel in found.items():
        wanted = 1 if scope == "layer" else tables[path]
        assert kernel.details == {"tables": wanted, "points": 16}
    graph, operators = lookups(content)
    assert len(operators) == 3
    details = read_details(content)
    assert {op.weight_bits for op in details.operators if "Lookup" in op.name} == {bits}
    assert "EdgeaxLookupConv2D" in str(details)


@pytest.mark.parametrize("slot", ["input", "output"])
def test_the_file_gives_what_the_stock_file_does(slot, tmp_path):
    """Points of inputs and of outputs, which pass through pooling and another shape."""
    plain = sequential(
        keras.Input((8, 8, 4)),
        layers.Conv2D(8, 3, padding="same", activation="tanh", name="conv"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(6, name="dense"),
    )
    points = {slot: edgeax.ClusterActivations(8)}
    rules = [edgeax.Rule(".*", kernel=edgeax.Cluster(8, scope="channel"), **points)]
    samples = normal(32, 8, 8, 4)
    model = trained(plain, edgeax.Recipe(rules), samples)
    result, content = exported(model, tmp_path / "m.tflite", samples)
    _, stock = exported(model, tmp_path / "s.tflite", samples, runtime="stock")
    assert [kernel.how for kernel in result.kernels][-1] == "lookup"
    ours, theirs = (Interpreter(model_content=one) for one in (content, stock))
    for x in samples[:8]:
        np.testing.assert_array_equal(ours.run(x[None]), theirs.run(x[None]))


def test_inputs_and_outputs_of_the_file_may_be_int8(tmp_path):
    samples = normal(16, 12)
    model = trained(
        sequential(keras.Input((12,)), layers.Dense(8, name="dense")), recipe(), samples
    )
    result, content = exported(model, tmp_path / "m.tflite", samples, io="int8")
    assert [operator.name for operator in lookups(content)[0].operators] == [
        "EdgeaxLookupFullyConnected"
    ]


def test_can_export_says_so_before_training():
    plain = sequential(keras.Input((12,)), layers.Dense(8, name="dense"))
    assert edgeax.can_export(plain, recipe()).lookup == ("dense",)
    assert edgeax.can_export(plain, recipe(), runtime="stock").lookup == ()


@pytest.mark.parametrize(
    "layer, shape, rules, why",
    [
        (
            layers.Dense(40, name="kernel"),
            (70,),
            {"kernel": "int8"},
            "different weights, more than 16",
        ),
        (
            layers.Dense(300, name="kernel"),
            (70,),
            {"kernel": edgeax.Cluster(16, scope="channel")},
            "different codebooks, more than 256",
        ),
        (
            layers.DepthwiseConv2D(3, name="kernel"),
            (5, 5, 3),
            {"kernel": edgeax.Cluster(16, scope="layer")},
            "DEPTHWISE_CONV_2D has no kernel that looks products up",
        ),
    ],
    ids=["values", "tables", "depthwise"],
)
def test_other_kernels_tell_why_not_and_are_right_all_the_same(layer, shape, rules, why, tmp_path):
    samples = normal(16, *shape)
    rule = edgeax.Rule(".*", **rules, input=edgeax.ClusterActivations(16))
    model = trained(sequential(keras.Input(shape), layer), edgeax.Recipe([rule]), samples)
    result, content = exported(model, tmp_path / "m.tflite", samples)
    (kernel,) = result.kernels
    assert kernel.how == "int8" and why in kernel.why
    run = Interpreter(model_content=content)
    found = np.concatenate([run.run(x[None]) for x in samples])
    wanted = model.predict(samples, verbose=0)
    assert np.abs(found - wanted).mean() < 0.05 * np.abs(wanted).max()
