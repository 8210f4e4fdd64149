import math

import keras
import numpy as np
import pytest

import edgeax
from edgeax.export import choice as module
from edgeax.export.carriers import integer_codes
from edgeax.model import PRESETS
from edgeax.runtime.interpreter import Interpreter
from tests.export import networks
from tests.export.lowered import (
    INT8,
    cases,
    codes_and_scale,
    constants,
    converted,
    kernel_path,
    kernel_rule,
    operator_of,
)
from tests.export.networks import normal, sequential
from tests.tflite_kernels import oracle

layers = keras.layers

# Reading a file back, without a look at how it was written.


def bias_of(model, path):
    """The bias of a layer in real values, and the size of its steps, from what is stored."""
    graph, operator = model.subgraphs[0], operator_of(model, path)
    source = operator.inputs[2 if operator.name == "TRANSPOSE_CONV" else 0]
    parts = constants(model, path)
    scale = parts["scale"].data if operator.is_custom else parts["kernel"].scale
    steps = graph.tensors[source].scale[0].astype(np.float64) * scale
    index = operator.inputs[3 if operator.name == "TRANSPOSE_CONV" else 2]
    return graph.tensors[index].data * steps, np.abs(steps)


# All presets.


@pytest.fixture(scope="module")
def all_presets():
    """A network with a layer for each preset, named after it."""
    kinds = {
        "static_wi3_ai8": layers.Dense,
        "static_wi4_ai8": layers.DepthwiseConv2D,
        "static_wi8_ai8": layers.Dense,
        "static_wc3_ai8": layers.DepthwiseConv2D,
        "static_wc4_ai8": layers.Dense,
    }
    parts = []
    for name in PRESETS:
        kind = kinds.get(name, layers.Conv2D)
        sizes = {layers.Dense: (12,), layers.DepthwiseConv2D: (3,), layers.Conv2D: (12, 3)}[kind]
        same = {} if kind is layers.Dense else {"padding": "same"}
        parts.append(kind(*sizes, **same, name=name))
    plain = sequential(keras.Input((5, 5, 12)), *parts)
    recipe = edgeax.Recipe([INT8, *(kernel_rule(name, f"^{name}$") for name in PRESETS)])
    return converted(edgeax.compress(plain, recipe), normal(16, 5, 5, 12))


@pytest.fixture(scope="module")
def all_packed(all_presets):
    return all_presets.lower(pack=True)


@pytest.fixture(scope="module")
def all_dense(all_presets):
    return all_presets.lower(pack=False)


@pytest.mark.parametrize("name", PRESETS)
def test_the_file_holds_the_codes_and_scales_of_training(all_presets, all_packed, all_dense, name):
    trained = all_presets.encoded(name)
    expected = integer_codes(trained)
    for model, _ in (all_packed, all_dense):
        codes, scale = codes_and_scale(model, name, trained.shape)
        np.testing.assert_array_equal(codes, expected.codes)
        np.testing.assert_array_equal(scale, expected.scale)
        np.testing.assert_array_equal(scale * codes.astype(np.float32), trained.decode())


@pytest.mark.parametrize("name", PRESETS)
def test_up_to_16_different_codes_are_packed_and_more_are_int8(all_packed, name):
    _, stored = all_packed
    bits = int(name.removeprefix("static_w")[1])
    if bits <= 4:
        fewest = {1: 1, 2: 2, 3: 4, 4: 4}[bits]
        assert (stored[name].how, stored[name].bits, stored[name].why) == ("packed", fewest, "")
    else:
        assert (stored[name].how, stored[name].bits) == ("int8", 8)
        assert stored[name].why == "it has more than 16 different codes"


def test_without_packing_there_are_built_in_operators_only(all_dense):
    model, stored = all_dense
    assert not any(operator.is_custom for operator in model.subgraphs[0].operators)
    assert {(entry.how, entry.bits) for entry in stored.values()} == {("int8", 8)}
    assert {entry.why for entry in stored.values()} == {"built-in operators only were asked for"}


def test_every_operator_gives_the_sums_worked_out_in_integers(all_packed, all_dense):
    x = normal(1, 5, 5, 12, seed=3)
    for model, _ in (all_packed, all_dense):
        found = cases(model, x)
        assert {path for path, _, _ in found} == set(PRESETS)
        for path, case, output in found:
            np.testing.assert_array_equal(output, oracle.run(case), err_msg=path)


def test_packed_and_built_in_operators_give_the_same_file_outputs(all_packed, all_dense):
    # XNNPACK rounds as the plugin does but at ties, which calibration's last bit may bring.
    x = normal(32, 5, 5, 12, seed=4)
    outputs = [
        Interpreter(model_content=model.to_bytes()).run(x) for model, _ in (all_packed, all_dense)
    ]
    graph = all_dense[0].subgraphs[0]
    (step,) = graph.tensors[graph.operators[-1].inputs[0]].scale
    assert graph.operators[-1].name == "DEQUANTIZE"
    assert np.mean(outputs[0] != outputs[1]) < 1e-3
    np.testing.assert_allclose(*outputs, atol=1.001 * step)


def test_packing_halves_the_kernels(all_packed, all_dense):
    sizes = [len(model.to_bytes()) for model, _ in (all_packed, all_dense)]
    saved = sum(
        np.prod(entry.shape) / 2
        for name in PRESETS
        if int(name[9]) <= 4
        for entry in [all_dense[0].subgraphs[0].tensors[operator_of(all_dense[0], name).inputs[1]]]
    )
    assert sizes[1] - sizes[0] > saved


# Normalization, bias and clamps.

GAMMAS = np.float32([0.0, 1e-9, -1e-4, *np.linspace(-1.5, 1.4, 13)])


@pytest.fixture(scope="module")
def folded():
    """Every kind of linear layer, each with a normalization of gamma 0, tiny and negative."""
    plain = sequential(
        keras.Input((5, 5, 16), name="image"),
        layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.DepthwiseConv2D(3, padding="same", name="depthwise"),
        layers.BatchNormalization(),
        layers.ReLU(6),
        layers.SeparableConv2D(16, 3, name="separable"),
        layers.BatchNormalization(),
        layers.Conv2DTranspose(16, 2, use_bias=False, name="transposed"),
        layers.BatchNormalization(),
        layers.EinsumDense("abcd,de->abce", (None, None, 16), name="einsum"),
        layers.BatchNormalization(),
        layers.Dense(16, use_bias=False, name="dense"),
        layers.BatchNormalization(),
        layers.Dense(24, use_bias=False, name="unbiased"),
    )
    for layer in plain.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.gamma.assign(np.random.default_rng(0).permutation(GAMMAS))
    recipe = edgeax.Recipe([INT8, kernel_rule("static_wi4_ai8", ".*")])
    return converted(edgeax.compress(plain, recipe), normal(16, 5, 5, 16))


FOLDED = ("conv", "depthwise", "separable/pointwise", "transposed", "einsum", "dense")


@pytest.fixture(scope="module", params=[True, False], ids=["packed", "int8"])
def folded_file(request, folded):
    return folded.lower(request.param)[0], request.param


def test_gamma_goes_into_the_scale_and_a_negative_one_keeps_or_flips_the_codes(folded, folded_file):
    model, packed = folded_file
    for path in FOLDED:
        trained = folded.encoded(path)
        expected = integer_codes(trained)
        assert (expected.scale < 0).any()
        codes, scale = codes_and_scale(model, path, trained.shape)
        live = np.abs(expected.scale) > 1e-8
        assert live.sum() == 14
        is_packed = packed and path != "transposed"
        sign = np.sign(expected.scale) if not is_packed else np.ones(16)
        np.testing.assert_array_equal(scale[live], (expected.scale * sign)[live])
        np.testing.assert_array_equal(codes[..., live], (expected.codes * sign)[..., live])
        assert (scale > 0).all() or is_packed


def test_a_channel_whose_gamma_went_to_zero_is_its_shift(folded, folded_file):
    model, _ = folded_file
    for path in FOLDED:
        weight = next(w for w in folded.frozen.weights if w.path == path)
        dead = np.abs(integer_codes(weight.encoded).scale) < 1e-8
        codes, _ = codes_and_scale(model, path, weight.encoded.shape)
        bias, _ = bias_of(model, path)
        assert dead.sum() == 2 and not codes[..., dead].any()
        np.testing.assert_allclose(bias[dead], np.asarray(weight.layer.bias)[dead], rtol=1e-6)


def test_every_bias_is_the_trained_one_to_half_a_step(folded, folded_file):
    model, _ = folded_file
    for path in FOLDED:
        weight = next(w for w in folded.frozen.weights if w.path == path)
        bias, steps = bias_of(model, path)
        expected = np.asarray(weight.layer.bias, np.float64)
        assert (np.abs(bias - expected) <= 0.5 * steps + 1e-7 * np.abs(expected)).all(), path


def test_a_layer_without_bias_has_none_or_zeros(folded):
    packed = constants(folded.lower(True)[0], "unbiased")
    assert not packed["bias"].data.any()
    dense = folded.lower(False)[0]
    inputs = operator_of(dense, "unbiased").inputs
    assert len(inputs) == 2 or inputs[2] < 0 or not constants(dense, "unbiased")["bias"].data.any()


def test_folded_operators_give_the_sums_worked_out_in_integers(folded_file):
    model, packed = folded_file
    for seed in range(4):
        for path, case, output in cases(model, normal(1, 5, 5, 16, seed=seed)):
            np.testing.assert_array_equal(output, oracle.run(case), err_msg=path)


def test_an_operator_that_has_no_packed_form_says_so(folded):
    _, stored = folded.lower(pack=True)
    assert stored["transposed"].how == "int8"
    assert stored["transposed"].why == "TRANSPOSE_CONV has no packed kernel"


def test_a_bias_too_large_for_int32_keeps_its_value():
    plain = keras.Sequential([keras.Input((4,)), layers.Dense(40, name="dense")])
    kernel = normal(4, 40) * 1e-3
    bias = np.linspace(-3e5, 3e5, 40, dtype=np.float32)
    plain.layers[0].set_weights([kernel, bias])
    net = converted(edgeax.compress(plain, "static_wi4_ai8"), normal(8, 4) * 1e-3)
    for pack in (True, False):
        model, stored = net.lower(pack)
        assert stored["dense"].how == ("packed" if pack else "int8")
        found, _ = bias_of(model, "dense")
        np.testing.assert_allclose(found, bias, rtol=1e-6)
        run = Interpreter(model_content=model.to_bytes()).run(np.zeros((1, 4), np.float32))
        np.testing.assert_allclose(run[0], bias, atol=6e5 / 255)


# Which operator holds which kernel.


@pytest.fixture(scope="module")
def shared():
    net = edgeax.compress(networks.nested(), "static_wi4_ai8")
    return converted(net, [normal(8, 8, 8, 8), normal(8, 8, 8, 8, seed=2)])


def test_a_kernel_used_several_times_is_stored_once(shared):
    for pack, name in ((True, "weights"), (False, "kernel")):
        model, stored = shared.lower(pack)
        graph = model.subgraphs[0]
        users = [op for op in graph.operators if kernel_path(graph, op) == "block/twice"]
        assert len(users) == 4
        assert len({op.inputs[1] for op in users}) == 1
        assert [t.name for t in graph.tensors].count(f"block/twice/{name}") == 1
        assert stored["block/twice"].how == ("packed" if pack else "int8")


def test_nothing_of_the_converters_kernels_is_left(shared):
    model, _ = shared.lower(pack=True)
    kernels = [t for t in model.subgraphs[0].tensors if t.dtype == "int8" and t.is_constant]
    assert {t.name.rpartition("/")[2] for t in kernels} == {"codebook"}


def test_a_kernel_that_the_file_lacks_is_reported(all_presets):
    other = converted(sequential(keras.Input((7,)), layers.Dense(3, name="dense")), normal(4, 7))
    other.frozen = all_presets.frozen
    _, stored = other.lower(pack=True)
    entry = stored["static_wi4_ai8"]
    assert (entry.how, entry.bits) == ("as converted", None)
    assert entry.why == "no integer operator holds its kernel"


# When packing does not pay or cannot be.


@pytest.fixture(scope="module")
def sizes():
    """Layers of many sizes side by side, dense ones without bias."""
    given = keras.Input((6, 6, 16))
    vector = layers.GlobalAveragePooling2D()(given)
    heads = [layers.Dense(n, use_bias=False, name=f"dense_{n}")(vector) for n in (4, 8, 20, 24, 40)]
    heads += [layers.Conv2D(n, 1, name=f"conv_{n}")(given) for n in (2, 4, 5, 6, 12)]
    model = networks.unsettle(keras.Model(given, heads))
    recipe = edgeax.Recipe([INT8, kernel_rule("static_wi4_ai8", ".*")])
    return converted(edgeax.compress(model, recipe), normal(4, 6, 6, 16))


def test_a_kernel_is_packed_where_that_makes_the_file_smaller(sizes, monkeypatch):
    _, chosen = sizes.lower(pack=True)
    size = {}
    for count in range(len(chosen) + 1):  # pack the first ones only
        choices = iter(range(len(chosen)))
        with monkeypatch.context() as patch:
            dense = lambda *_: math.inf if next(choices) < count else 1.0  # noqa: B023, E731
            patch.setattr(module, "dense_bytes", dense)
            size[count] = len(sizes.lower(pack=True)[0].to_bytes())
    saved = {path: size[i] - size[i + 1] for i, path in enumerate(chosen)}
    for path, entry in chosen.items():
        # Buffers start at multiples of 16 bytes, so that a few kernels come out on the other side.
        # The first packed operator of a kind brings its name.
        if abs(saved[path]) > 96:
            assert entry.how == ("packed" if saved[path] > 0 else "int8"), saved
    assert chosen["dense_4"].how == chosen["conv_2"].how == "int8"
    assert chosen["dense_40"].how == chosen["conv_12"].how == "packed"
    assert chosen["conv_2"].why == "it is so small that packing gains nothing"
