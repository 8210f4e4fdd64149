import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.assemble import assemble
from edgeax.export.choice import Choice
from edgeax.formats import coded
from edgeax.formats.flatbuffer import Model
from tests.export.networks import normal

layers = keras.layers

SAMPLES = normal(24, 12, 12, 2)


def shared(clusters, axis):
    return [edgeax.Cluster(clusters, "density"), edgeax.Quantize("int8", axis=axis)]


def pruned(sparsity, clusters, axis):
    return [edgeax.Prune(edgeax.ConstantSparsity(sparsity, 0)), *shared(clusters, axis)]


@pytest.fixture(scope="module")
def compressed():
    """Layers that are decoded to sparse and to packed rows, with a scale each and with many."""
    keras.utils.set_random_seed(0)
    plain = keras.Sequential(
        [
            keras.Input((12, 12, 2)),
            layers.Conv2D(16, 3, activation="relu", name="first"),
            layers.Conv2D(24, 3, strides=2, groups=2, name="grouped"),
            layers.DepthwiseConv2D(3, name="depthwise"),
            layers.Flatten(),
            layers.Dense(60, activation="relu", name="thin"),
            layers.Dense(32, name="fine"),
            layers.Dense(10, name="plain"),
        ]
    )
    for layer in plain.layers:
        if getattr(layer, "use_bias", False):
            layer.bias.assign(np.linspace(-0.5, 0.5, layer.bias.shape[0]))
    activation = edgeax.Quantize("int8")
    recipe = edgeax.Recipe(
        [
            edgeax.Rule(".*", kernel=edgeax.Quantize("int8"), input=activation, output=activation),
            edgeax.Rule("first", kernel=pruned(0.9, 6, -1)),
            edgeax.Rule("grouped", kernel=shared(12, -1)),
            edgeax.Rule("thin", kernel=pruned(0.95, 16, None)),
            edgeax.Rule("fine", kernel=pruned(0.5, 40, None)),
        ]
    )
    model = edgeax.compress(plain, recipe)
    model.compile("sgd", "mse")
    model.fit(SAMPLES, np.zeros((24, 10)), epochs=1, verbose=0)
    return model


@pytest.fixture(scope="module")
def made(compressed):
    return assemble(compressed, [SAMPLES], integer=True, pack=True, choice=Choice("size"))


@pytest.fixture(scope="module")
def stored(made):
    return {kernel.path: kernel for kernel in made.kernels}


def outputs(content, isa="auto", x=SAMPLES):
    interpreter = edgeax.Interpreter(model_content=content, delegate_options={"isa": isa})
    return interpreter.run(x)


@pytest.mark.parametrize("isa", ["auto", "reference"])
def test_a_coded_file_computes_as_one_of_built_in_operators(compressed, made, isa):
    stock = assemble(compressed, [SAMPLES], integer=True).file
    x = normal(40, 12, 12, 2, seed=7)
    np.testing.assert_array_equal(
        outputs(made.file.to_bytes(), isa, x), outputs(stock.to_bytes(), x=x)
    )


def test_what_is_stored_and_what_it_takes_in_memory(stored):
    told = {path: (kernel.how, kernel.bits) for path, kernel in stored.items()}
    assert told == {
        "first": ("coded", 3),
        "grouped": ("coded", 4),
        "depthwise": ("int8", 8),
        "thin": ("coded", 4),
        "fine": ("coded", 6),
        "plain": ("coded", 8),
    }
    assert stored["depthwise"].why.endswith("DEPTHWISE_CONV_2D has no kernel for coded weights")
    layouts = {path: kernel.details.get("decoded_to") for path, kernel in stored.items()}
    assert layouts["grouped"] == "packed" and layouts["thin"] == "sparse"
    assert stored["grouped"].details["decoded_bytes"] == 24 * 36 + 16
    assert stored["thin"].details["sparsity"] == pytest.approx(0.95, abs=1e-3)


def test_each_is_smaller_than_uncoded(compressed, made, stored):
    uncoded = assemble(compressed, [SAMPLES], integer=True, pack=True)
    assert len(made.file.to_bytes()) < len(uncoded.file.to_bytes())
    for graph in made.file.subgraphs:
        sizes = {
            t.name.partition("/")[0]: t.size_bytes for t in graph.tensors if "/coded" in t.name
        }
    assert sizes == {
        path: kernel.details["coded_bytes"]
        for path, kernel in stored.items()
        if kernel.how == "coded"
    }


def test_scales_bias_and_codes_lie_in_one_tensor(made):
    graph = made.file.subgraphs[0]
    rows = {t.name: coded.decode(t.data.tobytes()) for t in graph.tensors if "/coded" in t.name}
    assert rows["thin/coded"].scale.shape == (1,) and rows["grouped/coded"].scale.shape == (24,)
    assert rows["thin/coded"].bias.any() and rows["grouped/coded"].codes.shape == (24, 72)
    custom = [one for one in graph.operators if one.name.startswith("EdgeaxCoded")]
    assert {len(one.inputs) for one in custom} == {2}


def damaged(made, change):
    file = Model.from_bytes(made.file.to_bytes())
    tensor = next(t for t in file.subgraphs[0].tensors if t.name == "thin/coded")
    data = change(tensor.data.copy())
    tensor.shape = data.shape
    tensor.data = data
    return file.to_bytes()


def flip(data):
    data[data.size // 2] ^= 4
    return data


def other_rows(data):
    rows = coded.decode(data.tobytes())
    shorter = coded.CodedRows(rows.codes[:, :-1].copy(), rows.bias, rows.scale)
    return np.frombuffer(coded.encode(shorter), np.uint8)


@pytest.mark.parametrize("change", [flip, lambda data: data[::-1].copy(), other_rows])
def test_a_damaged_tensor_is_refused_when_it_is_loaded(made, change):
    with pytest.raises(
        (ValueError, RuntimeError), match=r"EdgeaxCodedFullyConnected.*tensor coded"
    ):
        outputs(damaged(made, change))


def test_export_codes_only_where_size_is_asked_for(compressed, tmp_path):
    files = {
        optimize: edgeax.export(
            compressed, tmp_path / "file.tflite", SAMPLES, measure=False, optimize=optimize
        )
        for optimize in (None, "size")
    }
    assert "EdgeaxCodedConv2D" not in files[None].operators
    assert files["size"].operators["EdgeaxCodedConv2D"] == 2
    assert files["size"].size_bytes < files[None].size_bytes
    assert "decoded_bytes" in str(files["size"]) and files["size"].needs_plugin


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimize": "speed"}, r"`optimize` must be one of \(None, 'size', 'latency'\).*'speed'"),
        ({"optimize": "size", "runtime": "stock"}, r"only with runtime='edgeax'"),
    ],
)
def test_bad_arguments(compressed, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        edgeax.export(compressed, tmp_path / "file.tflite", SAMPLES, **arguments)
    assert not any(tmp_path.iterdir())


def test_kernels_beside_16_bit_activations_are_not_coded():
    keras.utils.set_random_seed(0)
    plain = keras.Sequential([keras.Input((64,)), layers.Dense(64), layers.Dense(8)])
    model = edgeax.compress(plain, edgeax.Recipe([edgeax.Rule(".*", kernel=shared(12, -1))]))
    samples = [normal(8, 64)]
    model(samples[0], training=True)
    made = assemble(model, samples, integer=True, pack=True, wide=True, choice=Choice("size"))
    assert [kernel.how for kernel in made.kernels] == ["packed", "packed"]
