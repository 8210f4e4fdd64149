import re

import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.assemble import assemble, with_decode
from edgeax.export.lower_decode import lower_decode
from edgeax.export.stored import Stored
from edgeax.formats import decode_graph, decode_lut
from edgeax.formats.decode_graph import is_decode
from edgeax.formats.flatbuffer import Model
from tests.export import networks, tflm
from tests.export.networks import normal, sequential
from tests.rows import soaked
from tests.runtime import files

layers = keras.layers


def rule(filter, count, axis=-1):
    """What kernels of `count` codes need."""
    chain = [edgeax.Cluster(count), edgeax.Quantize("int8", axis=axis)]
    return edgeax.Rule(filter, kernel=chain)


def compressed(model, samples, *rules):
    ends = edgeax.Rule(".*", input=edgeax.Quantize("int8"), output=edgeax.Quantize("int8"))
    small = edgeax.compress(model, edgeax.Recipe([ends, *rules]))
    small(samples, training=True)
    return small


def both(model, samples, **options):
    """Returns a network as `runtime="stock"` and as `runtime="tflm"` have it."""
    samples = samples if isinstance(samples, list) else [samples]
    plain = assemble(model, samples, integer=True, **options)
    return plain, with_decode(plain)


def operators(made):
    return made.file.subgraphs[0].operators


def kernels(file):
    """Returns the constant kernels that operators read, by name, with scales."""
    graph = file.subgraphs[0]
    tensors = [graph.tensors[op.inputs[1]] for op in graph.operators if len(op.inputs) > 1]
    return {
        t.name: (t.data, t.scale) for t in tensors if t.name.endswith("/kernel") and t.is_constant
    }


def mobile(units=12):
    """Returns a network with a convolution, a depthwise one and a dense layer."""
    return sequential(
        keras.Input((8, 8, 8)),
        layers.Conv2D(16, 3, padding="same", activation="relu", name="conv"),
        layers.DepthwiseConv2D(7, depth_multiplier=4, padding="same", name="depthwise"),
        layers.ReLU(6),
        layers.MaxPooling2D(2),
        layers.Conv2D(24, 1, activation="relu", name="point"),
        layers.Flatten(),
        layers.Dense(units, name="head"),
    )


IMAGES = normal(16, 8, 8, 8)


# What is stored.


@pytest.fixture(scope="module", params=[-1, None], ids=["per_channel", "per_tensor"])
def clustered(request):
    axis = request.param
    return axis, both(compressed(mobile(), IMAGES, rule(".*", 4, axis)), IMAGES)


def test_every_kernel_that_is_smaller_so_is_decoded_and_the_rest_is_as_it_was(clustered):
    axis, (plain, made) = clustered
    assert {kernel.how for kernel in plain.kernels} == {"int8"}
    by_path = {kernel.path: kernel for kernel in made.kernels}
    for path in ("conv", "depthwise", "point", "head"):
        kernel = by_path[path]
        assert (kernel.how, kernel.bits, kernel.why) == ("decode", 2, ""), kernel
    channels = {"conv": 16, "depthwise": 64, "point": 24, "head": 12}
    sizes = {"conv": 16 * 72, "depthwise": 64 * 49, "point": 24 * 64, "head": 12 * 384}
    for path, count in channels.items():
        tables = 1 if axis is None else count
        assert by_path[path].details == {"tables": tables, "decoded_bytes": sizes[path]}
    others = [operator.name for operator in operators(made) if not is_decode(operator)]
    assert others == [operator.name for operator in operators(plain)]


def test_the_codes_that_come_out_are_those_of_the_plain_file(clustered):
    axis, (plain, made) = clustered
    file = Model.from_bytes(made.file.to_bytes())
    decode_graph.expand(file)
    expected, found = kernels(plain.file), kernels(file)
    assert set(found) == set(expected) and len(found) == 4
    for name, (codes, scale) in expected.items():
        np.testing.assert_array_equal(found[name][0], codes)
        wanted = scale[:1] if axis is None else scale
        np.testing.assert_array_equal(found[name][1], wanted)


def test_equal_scales_become_one_for_kernel_and_bias(clustered):
    axis, (_, made) = clustered
    graph = made.file.subgraphs[0]
    for operator in operators(made):
        if operator.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            kernel, bias = (graph.tensors[index] for index in operator.inputs[1:])
            assert kernel.scale.size == bias.scale.size
            assert (kernel.scale.size == 1) == (axis is None)
            assert axis is None or bias.quantized_axis == 0


def test_the_plain_file_is_not_touched(clustered):
    _, (plain, made) = clustered
    assert not any(is_decode(operator) for operator in operators(plain))
    assert len(made.file.to_bytes()) < 0.7 * len(plain.file.to_bytes())


@pytest.mark.parametrize(
    "depth, rules, reason",
    [
        (24, rule(".*", 16), r"indices and 40 tables would be 1\.\d\d of int8"),
        (8, rule(".*", 16, None), r"indices and a table would be 1\.\d\d of int8"),
        (
            400,
            edgeax.Rule(".*", kernel=edgeax.Quantize("int8", axis=-1)),
            "a table would have more than 128 codes",
        ),
    ],
)
def test_a_kernel_that_would_not_be_smaller_stays_and_says_why(depth, rules, reason):
    model = sequential(keras.Input((depth,)), layers.Dense(40, name="dense"))
    plain, made = both(compressed(model, normal(8, depth), rules), normal(8, depth))
    (stored,) = made.kernels
    assert (stored.how, stored.bits, stored.details) == ("int8", 8, {})
    assert re.fullmatch(reason, stored.why)
    assert made.file.to_bytes() == plain.file.to_bytes()


def dense_file(channels, kernel):
    """Returns the file of one FULLY_CONNECTED with a scale for each channel."""
    model = Model.from_bytes(files.int8_dense())
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].shape = (1, kernel.shape[1])
    graph.tensors[graph.outputs[0]].shape = (1, channels)
    scale = np.linspace(0.5, 1.0, channels, dtype=np.float32)
    place = graph.add_tensor("dense/kernel", kernel, scale)
    graph.tensors[place].quantized_axis = 0
    graph.operators[0].inputs = (graph.inputs[0], place, -1)
    model.prune()
    return model


PLAIN = (Stored("dense", "int8", 8, "built-in operators only were asked for"),)


@pytest.mark.parametrize("channels", [1, 2, 5, 13, 24])
@pytest.mark.parametrize("count", [2, 4, 9, 16])
def test_no_file_grows_and_hardly_one_that_would_shrink_stays(channels, count):
    decided = set()
    for depth in range(8, 1000 // channels + 70, 7):
        codes = np.random.default_rng(depth).integers(0, count, (channels, depth)).astype(np.int8)
        model = dense_file(channels, codes)
        before = len(model.to_bytes())
        (stored,) = lower_decode(model, PLAIN)
        after = len(model.to_bytes())
        decided.add(stored.how)
        if stored.how == "decode":
            assert after < before
        else:
            (place,) = (i for i, t in enumerate(model.subgraphs[0].tensors) if "kernel" in t.name)
            axis = None if channels == 1 else 0
            decode_graph.insert_decode(model.subgraphs[0], place, decode_lut.encode(codes, axis))
            model.prune()
            assert len(model.to_bytes()) > before - 100
    assert decided == {"decode", "int8"}


def test_a_kernel_that_something_else_reads_stays():
    model = dense_file(4, np.zeros((4, 400), np.int8))
    graph = model.subgraphs[0]
    place = graph.operators[0].inputs[1]
    unread = graph.add_state("copy", "int8", (4, 400), 1.0, is_variable=False)
    graph.insert(0, "RESHAPE", [place], [unread])
    before = model.to_bytes()
    (stored,) = lower_decode(model, PLAIN)
    assert (stored.how, stored.why) == ("int8", "something else reads its tensor too")
    assert model.to_bytes() == before


def test_what_has_no_kernel_of_its_own_keeps_its_entry():
    others = Stored("memory/kernel", "int8", 8, "no"), Stored("x", "as converted", None, "")
    entries = (*PLAIN, *others)
    kept = lower_decode(dense_file(4, np.zeros((4, 400), np.int8)), entries)
    assert kept[0].how == "decode" and kept[1:] == entries[1:]


# In TensorFlow Lite Micro.


def run_both(plain, made, inputs, folder, outputs=1):
    """Runs both files; returns what the plain and the compressed one did."""
    for name, one in (("plain", plain), ("decode", made)):
        (folder / f"{name}.tflite").write_bytes(one.file.to_bytes())
    found = tflm.run(folder, inputs, outputs)
    return found["plain"], found["decode"]


def assert_same(plain, made, distinct=8):
    for one, other in zip(plain.outputs, made.outputs, strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.unique(one).size >= distinct


def codes(*shape):
    return np.random.default_rng(7).integers(-128, 128, shape).astype(np.int8)


@pytest.mark.parametrize("count, axis", [(4, -1), (16, None), soaked(4, None), soaked(16, -1)])
def test_tflm_gives_the_outputs_of_the_plain_file_bit_for_bit(count, axis, tmp_path):
    small = compressed(mobile(), IMAGES, rule(".*", count, axis))
    plain, made = both(small, IMAGES, io="int8")
    decoded = [kernel.path for kernel in made.kernels if kernel.how == "decode"]
    assert {"conv", "depthwise", "head"} <= {*decoded}
    assert len(made.file.to_bytes()) < len(plain.file.to_bytes())
    before, after = run_both(plain, made, [codes(16, 8, 8, 8)], tmp_path)
    assert_same(before, after, distinct=50)
    # The arena grows by what the file's own plan says; tensors begin at multiples of 16 there.
    planned = made.file.peak_activation_bytes() - plain.file.peak_activation_bytes()
    assert planned > 0
    assert abs(after.head_bytes - before.head_bytes - planned) <= 64
    tail = (after.arena_bytes - after.head_bytes) - (before.arena_bytes - before.head_bytes)
    assert 0 < tail <= 256 * len(decoded)


def test_tflm_reads_indices_of_1_to_7_bits(tmp_path):
    keras.utils.set_random_seed(0)
    given = keras.Input((256,))
    heads = [layers.Dense(24, name=f"bits_{bits}")(given) for bits in range(1, 8)]
    model = networks.unsettle(keras.Model(given, heads))
    samples = normal(16, 256)
    rules = [rule(f"bits_{bits}", 2**bits, None) for bits in range(1, 8)]
    plain, made = both(compressed(model, samples, *rules), samples, io="int8")
    stored = {kernel.path: (kernel.how, kernel.bits) for kernel in made.kernels}
    assert stored == {f"bits_{bits}": ("decode", bits) for bits in range(1, 8)}
    assert_same(*run_both(plain, made, [codes(16, 256)], tmp_path, outputs=7), distinct=50)


def test_tflm_runs_a_layer_that_is_called_several_times(tmp_path):
    keras.utils.set_random_seed(0)
    twice = layers.Dense(64, activation="relu", name="twice")
    given = keras.Input((64,))
    model = networks.unsettle(
        keras.Model(given, layers.Dense(12, name="head")(twice(twice(given))))
    )
    samples = normal(16, 64)
    plain, made = both(compressed(model, samples, rule("twice", 4)), samples, io="int8")
    first, second = (operator for operator in operators(made) if is_decode(operator))
    assert first.inputs == second.inputs and first.outputs != second.outputs
    assert len(made.file.to_bytes()) < len(plain.file.to_bytes())
    assert_same(*run_both(plain, made, [codes(16, 64)], tmp_path))


def test_tflm_runs_transposed_convolutions_and_16_bit_activations(tmp_path):
    samples = normal(8, 5, 5, 8)
    small = compressed(networks.transposed(), samples, rule("up", 4))
    plain, made = both(small, samples)
    assert {kernel.path: kernel.how for kernel in made.kernels}["up"] == "decode"
    assert_same(*run_both(plain, made, [normal(8, 5, 5, 8, seed=3)], tmp_path))

    for axis in (-1, None):
        wide = edgeax.compress(mobile(), edgeax.Recipe([rule(".*", 4, axis)]))
        plain, made = both(wide, IMAGES, wide=True)
        assert {kernel.how for kernel in made.kernels} == {"decode"}
        assert_same(*run_both(plain, made, [normal(8, 8, 8, 8, seed=3)], tmp_path))


def test_without_its_environment_a_test_skips_but_where_it_must_not(monkeypatch, tmp_path):
    monkeypatch.setattr(tflm, "PYTHON", tmp_path / "python")
    monkeypatch.delenv(tflm.REQUIRE_VARIABLE, raising=False)
    with pytest.raises(pytest.skip.Exception, match="Run: make build/tflite_micro/.ready"):
        tflm.run(tmp_path, [])
    monkeypatch.setenv(tflm.REQUIRE_VARIABLE, "1")
    with pytest.raises(pytest.fail.Exception, match="EDGEAX_REQUIRE_TFLM=1 makes this a failure"):
        tflm.run(tmp_path, [])
