import json
import os
import re
import resource
import signal
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter as StockInterpreter

import edgeax
from edgeax.export import api, assemble
from edgeax.formats.flatbuffer import Model
from edgeax.formats.layer_shape import fully_connected
from edgeax.formats.operators import OPERATORS
from edgeax.formats.speeds import Form, Speed, Speeds
from tests.data import data_file
from tests.export import networks
from tests.export.lowered import constants
from tests.export.networks import normal, sequential

layers = keras.layers


def export(model, samples, folder, **options):
    """Exports without timing; returns the receipt and the file."""
    path = folder / "model.tflite"
    receipt = edgeax.export(model, path, samples, **{"measure": False, **options})
    return receipt, Model.read(path)


def tiny():
    return sequential(
        keras.Input((6, 6, 2)),
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(3),
    )


TINY = normal(8, 6, 6, 2)


# What integers reach.

NETWORKS = {
    "convolutional": (networks.convolutional, normal(16, 16, 16, 3)),
    "depthwise": (networks.depthwise, normal(16, 12, 12, 4)),
    "separable": (networks.separable, normal(16, 10, 10, 8)),
    "one_dimensional": (networks.one_dimensional, normal(16, 24, 8)),
    "transposed": (networks.transposed, normal(16, 5, 5, 8)),
    "einsum": (networks.einsum, normal(16, 6, 16)),
    "embedding": (networks.embedding, np.random.default_rng(0).integers(0, 50, (16, 12))),
    "resampling": (networks.resampling, normal(16, 6, 6, 8)),
    "normalizing": (networks.normalizing, normal(16, 6, 6, 3) * 10),
    "several_ends": (networks.several_ends, [normal(16, 8, 8, 3), normal(16, 5)]),
    "nested": (networks.nested, [normal(16, 8, 8, 8), normal(16, 8, 8, 8, seed=2)]),
}


@pytest.fixture(scope="module", params=NETWORKS)
def exported(request, tmp_path_factory):
    """Every network, with 4-bit kernels, in integers throughout or not at all."""
    make, samples = NETWORKS[request.param]
    model = edgeax.compress(make(), "static_wi4_ai8")
    folder = tmp_path_factory.mktemp(request.param)
    receipt, file = export(model, samples, folder, strict=True)
    return model, samples, receipt, file


def test_a_network_computes_in_integers_and_agrees_with_keras(exported):
    model, _, receipt, file = exported
    assert receipt.stays_float == ()
    float_ends = {"QUANTIZE", "DEQUANTIZE"}
    for operator in file.subgraphs[0].operators:
        ends = (*operator.inputs, *operator.outputs)
        dtypes = {file.subgraphs[0].tensors[index].dtype for index in ends if index >= 0}
        own = {"float32"} if operator.name in {*float_ends, *OPERATORS} else set()
        assert dtypes <= {"int8", "int32", "bool", "uint8"} | own, operator.name
    for layer in receipt.parity.layers:
        assert layer.mean_steps < 0.5 and layer.most_steps <= 3.0, layer


def test_the_batch_is_1_and_no_shape_is_computed_at_run_time(exported):
    _, _, receipt, file = exported
    graph = file.subgraphs[0]
    assert all(graph.tensors[i].shape[0] == 1 for i in (*graph.inputs, *graph.outputs))
    assert not {"SHAPE", "PACK", "FILL", "RANGE"} & set(receipt.operators)
    assert all(-1 not in tensor.shape for tensor in graph.tensors)
    assert receipt.peak_activation_bytes > 0


def test_buffers_start_at_multiples_of_16_bytes(exported):
    _, _, receipt, _ = exported
    content = Path(receipt.path).read_bytes()
    buffers = schema.Model.GetRootAs(content, 0)
    starts = [buffers.Buffers(i)._tab for i in range(buffers.BuffersLength())]
    offsets = [tab.Vector(tab.Offset(4)) for tab in starts if tab.Offset(4)]
    assert offsets and all(offset % 16 == 0 for offset in offsets)


def test_the_metadata_says_who_wrote_the_file_and_what_it_needs(exported):
    _, _, receipt, file = exported
    note = json.loads(file.metadata["edgeax"])
    assert note["version"] == edgeax.__version__
    ours = sorted(set(receipt.operators) & set(OPERATORS))
    assert receipt.needs_plugin == bool(ours)
    if ours:
        assert note["plugin"] == "libedgeax" and note["operators"] == ours
    else:
        assert set(note) == {"version"}


def test_every_kernel_of_a_linear_layer_is_accounted_for(exported):
    model, _, receipt, _ = exported
    kernels = [w for w in model.weights if w.name.endswith("kernel")]
    assert len(receipt.kernels) >= len(kernels)
    ways = {"packed", "sparse", "int8", "as converted"}
    assert {kernel.how for kernel in receipt.kernels} <= ways
    assert [k.path for k in receipt.kernels if k.how == "as converted"] == (
        ["embedding"] if "embedding" in model.name or "GATHER" in receipt.operators else []
    )


@pytest.mark.parametrize("exported", ["several_ends"], indirect=True)
def test_inputs_and_outputs_of_the_file_come_in_the_order_of_the_model(exported):
    model, samples, receipt, _ = exported
    outputs = edgeax.Interpreter(receipt.path).run(*samples)
    for found, expected in zip(outputs, model.predict(samples, verbose=0), strict=True):
        np.testing.assert_allclose(found, expected, atol=0.1)
    by_name = {"z_image": samples[0], "a_vector": samples[1]}
    named = edgeax.Interpreter(receipt.path).run(by_name)
    for one, other in zip(outputs, named, strict=True):
        np.testing.assert_array_equal(one, other)


# What stays float.


@pytest.fixture(scope="module")
def volumes():
    plain = sequential(
        keras.Input((4, 4, 4, 2)),
        layers.Conv3D(6, 2, name="volume"),
        layers.Flatten(),
        layers.Dense(20, name="head"),
    )
    return edgeax.compress(plain, "static_wi4_ai8")


VOLUMES = normal(8, 4, 4, 4, 2)


def test_what_stays_float_is_named_with_its_layer(volumes, tmp_path):
    receipt, _ = export(volumes, VOLUMES, tmp_path)
    assert "CONV_3D in volume" in receipt.stays_float
    assert all(entry.endswith("in volume") for entry in receipt.stays_float)
    by_path = {kernel.path: kernel for kernel in receipt.kernels}
    assert by_path["volume"].how == "as converted"
    assert by_path["volume"].why == "no operator computes in integers from its kernels"
    assert by_path["head"].how == "packed"
    assert "stays float: CONV_3D in volume" in str(receipt)


def test_strict_refuses_what_stays_float_and_writes_nothing(volumes, tmp_path):
    with pytest.raises(ValueError, match=r"`strict` .*'CONV_3D in volume'.*Use strict=False"):
        export(volumes, VOLUMES, tmp_path, strict=True)
    assert list(tmp_path.iterdir()) == []


# Several inputs.


def test_every_input_of_the_model_has_its_own_range(tmp_path):
    keras.utils.set_random_seed(0)
    first, second = keras.Input((4,), name="first"), keras.Input((4,), name="second")
    joined = layers.Concatenate()([first, second])
    model = keras.Model([first, second], layers.Dense(6)(joined))
    small = edgeax.compress(model, "static_wi8_ai8")
    samples = [normal(32, 4), 50.0 * normal(32, 4, seed=3)]
    for _ in range(3):
        small(samples, training=True)
    receipt, _ = export(small, samples, tmp_path)
    assert receipt.parity.worst.most_steps <= 2.0
    outputs = edgeax.Interpreter(tmp_path / "model.tflite").run(*samples)
    wanted = model.predict(samples, verbose=0)
    assert np.std(outputs - wanted) < 0.03 * np.std(wanted)


# What training left undone.


def test_a_recipe_that_had_no_time_to_act_is_reported(tmp_path):
    kernel = [
        edgeax.Prune(edgeax.PolynomialDecay(0.0, 0.5, 0, 10)),
        edgeax.Cluster(16, begin_step=11),
        edgeax.Quantize("int8", axis=-1),
    ]
    recipe = edgeax.Recipe([edgeax.Rule(".*", kernel=kernel)])
    model = edgeax.compress(tiny(), recipe)
    model.compile("sgd", "mse")
    targets = normal(8, 3)
    model.fit(TINY, targets, batch_size=2, epochs=2, verbose=0)
    wanted = "Prune needs 11 steps and got 8.*Cluster needs 12 steps and got 8.*conv2d.*dense"
    with pytest.warns(UserWarning, match=wanted):
        export(model, TINY, tmp_path)
    model.fit(TINY, targets, batch_size=2, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        receipt, _ = export(model, TINY, tmp_path)
    assert {kernel.how for kernel in receipt.kernels} <= {"packed", "sparse", "int8"}


def test_a_model_from_a_file_of_another_process_is_exported(tmp_path):
    """Its layers have the names that Keras gives to the first ones of a process."""
    program = """
        import sys, keras, numpy as np
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
        model.save(sys.argv[1])
    """
    again = """
        import sys, keras, numpy as np, edgeax
        model = keras.models.load_model(sys.argv[1])
        edgeax.export(model, sys.argv[2], np.ones((4, 4), "float32"), measure=False)
    """
    for text in (program, again):
        command = [sys.executable, "-c", textwrap.dedent(text)]
        done = subprocess.run(
            [*command, tmp_path / "m.keras", tmp_path / "m.tflite"], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.tflite").is_file()


# Runtimes.


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A compressed network with our operators and without, and samples."""
    make, samples = NETWORKS["depthwise"]
    model = edgeax.compress(make(), "static_wi4_ai8")
    found = {}
    for runtime in ("edgeax", "stock"):
        folder = tmp_path_factory.mktemp(runtime)
        found[runtime], _ = export(model, samples, folder, runtime=runtime, io="int8")
    return found, samples


def test_stock_files_have_built_in_operators_only_and_packed_ones_are_smaller(both):
    receipts, _ = both
    assert not set(receipts["stock"].operators) & set(OPERATORS)
    assert not receipts["stock"].needs_plugin and receipts["edgeax"].needs_plugin
    assert {"EdgeaxConv2D", "EdgeaxDepthwiseConv2D"} <= set(receipts["edgeax"].operators)
    assert receipts["edgeax"].size_bytes < 0.85 * receipts["stock"].size_bytes


def stock_run(make_interpreter, path, codes):
    """Runs int8 codes through an interpreter made without edgeax."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter = make_interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    (given,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for row in codes:
        interpreter.set_tensor(given["index"], row[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result["index"]))
    return np.concatenate(outputs)


def test_a_stock_file_gives_the_codes_of_the_packed_file_in_interpreters_without_the_plugin(both):
    receipts, samples = both
    codes = np.clip(np.rint(samples * 30), -128, 127).astype(np.int8)
    packed = edgeax.Interpreter(receipts["edgeax"].path).run(codes, raw=True)
    for make in (StockInterpreter, tf.lite.Interpreter):
        stock = stock_run(make, receipts["stock"].path, codes)
        # Equal where XNNPACK rounds once, as on x86; never more than a step apart.
        assert np.abs(stock.astype(int) - packed).max() <= 1
        assert np.mean(stock != packed) < 0.01


def test_a_stock_interpreter_says_which_operator_a_packed_file_lacks(both):
    receipts, samples = both
    with pytest.raises(RuntimeError, match="EdgeaxDepthwiseConv2D|unresolved custom op"):
        stock_run(StockInterpreter, receipts["edgeax"].path, samples.astype(np.int8))


def test_int8_ends_are_int8(both):
    receipts, _ = both
    graph = Model.read(receipts["stock"].path).subgraphs[0]
    assert {graph.tensors[i].dtype for i in (*graph.inputs, *graph.outputs)} == {"int8"}
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(receipts["stock"].operators)


# By measured speed; how that chooses is tested beside choice.


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A table of a board on which a dense layer of 48 to 64 gains and the others do not."""
    form = Form("EdgeaxFullyConnected", 4)
    entries = (
        Speed(form, fully_connected(48, 64), 1.5, 0.01),
        Speed(form, fully_connected(64, 32), 0.5, 0.01),
    )
    path = tmp_path_factory.mktemp("board") / "board.json"
    Speeds("board", "neon", "A board", "2026-11-29", "by hand", entries).write(path)
    return path


def test_the_receipt_tells_each_choice_by_speed_with_its_reason(board, tmp_path):
    plain = sequential(
        keras.Input((48,)), layers.Dense(64, name="first"), layers.Dense(32, name="last")
    )
    model = edgeax.compress(plain, "static_wi4_ai8")
    receipt, file = export(
        model, normal(16, 48), tmp_path, optimize="latency", target=board, measure=False
    )
    assert receipt.operators["EdgeaxFullyConnected"] == receipt.operators["FULLY_CONNECTED"] == 1
    assert receipt.target == "board (A board, 2026-11-29)"
    text = str(receipt)
    assert "as fast as can be by what was measured on board (A board, 2026-11-29)" in text
    assert "first: packed, 4 bits (1.50 times as fast as int8, measured at FC 48x64)" in text
    assert "last: int8, 8 bits (packed: 0.50 times as fast as int8" in text
    json.dumps(receipt.as_dict(), allow_nan=False)


def test_without_a_target_the_table_is_the_one_for_the_kernels_of_this_machine(
    tmp_path, monkeypatch
):
    model = edgeax.compress(tiny(), "static_wi4_ai8")
    monkeypatch.setattr(api, "fastest_kernels", lambda: "avx512")
    receipt, _ = export(model, TINY, tmp_path, optimize="latency", measure=False)
    assert receipt.target.startswith("x86-64-avx512 (")
    monkeypatch.setattr(api, "fastest_kernels", lambda: "reference")
    with pytest.raises(ValueError, match="`target` must be given on a machine whose kernels"):
        edgeax.export(model, tmp_path / "other.tflite", TINY, optimize="latency")
    assert not (tmp_path / "other.tflite").exists()


# For TensorFlow Lite Micro; what it makes of such a file is tested beside lower_decode.


@pytest.fixture(scope="module")
def micro(tmp_path_factory):
    """A clustered network for TensorFlow Lite Micro, and the stock one."""
    plain = sequential(
        keras.Input((48,)),
        layers.Dense(64, activation="relu", name="first"),
        layers.Dense(3, name="last"),
    )
    kernel = [edgeax.Cluster(16), edgeax.Quantize("int8")]
    model = edgeax.compress(plain, edgeax.Recipe([edgeax.Rule(".*", kernel=kernel)]))
    found = {}
    for runtime in ("tflm", "stock"):
        folder = tmp_path_factory.mktemp(runtime)
        options = {"runtime": runtime, "io": "int8", "measure": runtime == "tflm"}
        found[runtime], _ = export(model, normal(16, 48), folder, **options)
    return found


def test_a_file_for_tflm_is_smaller_and_says_what_it_costs_and_where_it_runs(micro):
    receipt, stock = micro["tflm"], micro["stock"]
    assert receipt.operators == {"TFLM_DECODE": 1, "FULLY_CONNECTED": 2}
    assert receipt.needs_tflm and not receipt.needs_plugin
    assert receipt.dense_size_bytes == stock.size_bytes > receipt.size_bytes
    assert receipt.gains == ("smaller",) and receipt.latency_ms == {}
    assert receipt.float_size_bytes > stock.size_bytes
    # 48 codes go in, 64 come out, and beside them there is the decoded kernel.
    assert receipt.peak_activation_bytes == 48 + 64 + 48 * 64
    assert receipt.decode_arena_bytes == 48 * 64
    first, last = receipt.kernels
    assert (first.how, first.bits, first.why) == ("decode", 4, "")
    assert first.details == {"tables": 1, "decoded_bytes": 48 * 64}
    assert last.how == "int8" and "of int8" in last.why
    text = str(receipt)
    assert "of them for decoded kernels: 3,072 bytes" in text
    assert "runs in TensorFlow Lite Micro" in text and "not in LiteRT" in text
    json.dumps(receipt.as_dict(), allow_nan=False)
    note = json.loads(Model.read(receipt.path).metadata["edgeax"])
    assert note["runtime"] == "TensorFlow Lite Micro" and note["operators"] == ["TFLM_DECODE"]


def test_a_file_for_tflm_gives_the_codes_of_the_stock_file_in_our_interpreter(micro):
    x = np.random.default_rng(0).integers(-128, 128, (64, 48)).astype(np.int8)
    found, wanted = (
        edgeax.Interpreter(micro[runtime].path).run(x, raw=True) for runtime in ("tflm", "stock")
    )
    np.testing.assert_array_equal(found, wanted)
    assert micro["tflm"].parity.worst.most_steps <= 1.0


def test_a_stock_interpreter_says_that_it_lacks_decode(micro):
    with pytest.raises(RuntimeError, match=r"unresolved custom op: TFLM_DECODE"):
        stock_run(StockInterpreter, micro["tflm"].path, np.zeros((1, 48), np.int8))


def test_where_nothing_is_gained_the_file_for_tflm_is_the_stock_file(tmp_path):
    model = tiny()
    for options in ({}, {"activations": "float32"}):
        receipt, file = export(model, TINY, tmp_path, runtime="tflm", **options)
        _, stock = export(model, TINY, tmp_path, runtime="stock", **options)
        assert file.to_bytes() == stock.to_bytes()
        assert not receipt.needs_tflm and receipt.decode_arena_bytes == 0
        assert "TensorFlow Lite Micro" not in str(receipt)
        assert {kernel.how for kernel in receipt.kernels} <= {"int8"}


def test_operators_of_edgeax_stand_in_a_file_for_tflm_only_when_asked_for(tmp_path):
    model = edgeax.compress(tiny(), "static_wi4_ai8")
    receipt, ours = export(model, TINY, tmp_path, runtime="tflm+edgeax", measure=False)
    _, plugin = export(model, TINY, tmp_path, runtime="edgeax", measure=False)
    assert ours.to_bytes() == plugin.to_bytes()
    assert receipt.needs_plugin and not receipt.needs_tflm
    receipt.op_resolver(tmp_path / "resolver.h")
    text = (tmp_path / "resolver.h").read_text()
    custom = {name for name in receipt.operators if name.startswith("Edgeax")}
    assert custom and set(re.findall(r'AddCustom\("(\w+)"', text)) == custom
    assert f"MicroMutableOpResolver<{len(receipt.operators)}>" in text


@pytest.mark.parametrize("runtime", ["tflm", "tflm+edgeax"])
def test_a_layer_that_tflm_lacks_is_named_and_nothing_written(runtime, tmp_path):
    first = layers.Dense(4, activation="gelu", name="unknown")
    model = sequential(keras.Input((8,)), first, layers.Dense(2, name="last"))
    path = tmp_path / "model.tflite"
    with pytest.raises(ValueError, match=rf"runtime='{re.escape(runtime)}' with .*GELU.*unknown"):
        edgeax.export(model, path, normal(4, 8), activations="float32", runtime=runtime)
    assert not path.exists()
    assert "GELU" in edgeax.can_export(model, "static_wi8_ai8", runtime=runtime).problem


# Plain models, float files, measurements.


def test_a_plain_model_is_rounded_after_training_with_a_scale_for_each_channel(tmp_path):
    model = tiny()
    receipt, file = export(model, TINY, tmp_path)
    assert receipt.stays_float == () and not receipt.needs_plugin
    for layer in (model.layers[0], model.layers[2]):
        kernel = constants(file, layer.name)["kernel"]
        trained = np.asarray(layer.kernel)
        largest = np.abs(trained.reshape(-1, trained.shape[-1])).max(axis=0)
        np.testing.assert_allclose(kernel.scale, largest / 127, rtol=1e-6)
        stored = np.moveaxis(kernel.data.reshape(trained.shape[-1], *trained.shape[:-1]), 0, -1)
        np.testing.assert_array_equal(stored, np.rint(trained / (largest / np.float32(127))))


def test_a_float_file_equals_keras_to_float_noise(tmp_path):
    make, samples = NETWORKS["separable"]
    model = edgeax.compress(make(), "static_wi4_ai8")
    for runtime in ("stock", "edgeax"):
        receipt, _ = export(model, samples, tmp_path, activations="float32", runtime=runtime)
        assert receipt.needs_plugin == any(kernel.how == "packed" for kernel in receipt.kernels)
        assert receipt.kernels == () or runtime == "edgeax"
        assert receipt.stays_float == () and receipt.parity.layers == ()
        outputs = edgeax.Interpreter(receipt.path).run(samples)
        np.testing.assert_allclose(outputs, model.predict(samples, verbose=0), atol=1e-5)
        assert receipt.parity.argmax_agreement == 1.0


def test_measuring_adds_the_float_files_size_and_both_times(tmp_path):
    as_float, _ = export(tiny(), TINY, tmp_path, activations="float32")
    receipt, _ = export(tiny(), TINY, tmp_path, measure=True)
    assert abs(receipt.float_size_bytes - as_float.size_bytes) < 200  # the metadata
    assert set(receipt.latency_ms) == {"float32", "file"}
    assert all(ms > 0 for ms in receipt.latency_ms.values())
    json.dumps(receipt.as_dict(), allow_nan=False)
    assert receipt.size_bytes == os.path.getsize(receipt.path)


def test_a_file_with_our_operators_is_compared_with_the_one_that_stock_writes(tmp_path):
    plain = sequential(keras.Input((48,)), layers.Dense(64, activation="relu"), layers.Dense(9))
    kernel = [edgeax.Prune(0.8), edgeax.Quantize("int8", axis=-1)]
    model = edgeax.compress(plain, edgeax.Recipe([edgeax.Rule(".*", kernel=kernel)]))
    samples = normal(16, 48)
    for io in ("float32", "int8"):
        stock, _ = export(model, samples, tmp_path, runtime="stock", io=io, measure=True)
        receipt, _ = export(model, samples, tmp_path, io=io, measure=True)
        assert receipt.dense_size_bytes == stock.size_bytes > receipt.size_bytes
        assert set(receipt.latency_ms) == {"float32", "int8", "file"}
        assert receipt.latency_margin >= 0.05 and "smaller" in receipt.gains
        assert f"dense int8: {stock.size_bytes:,} bytes" in str(receipt)
        assert stock.dense_size_bytes is None and stock.gains == ()
        assert set(stock.latency_ms) == {"float32", "file"}
        json.dumps(receipt.as_dict(), allow_nan=False)


def test_without_measuring_nothing_is_compared(tmp_path):
    receipt, _ = export(edgeax.compress(tiny(), "static_wi4_ai8"), TINY, tmp_path)
    assert receipt.dense_size_bytes is None and receipt.latency_ms == {} and receipt.gains == ()


def test_a_corrupted_kernel_is_the_worst_layer_of_the_receipt(tmp_path, monkeypatch):
    lower = assemble.lower

    def corrupt(file, weights, *how):
        stored = lower(file, weights, *how)
        kernel = constants(file, weights[0].path)["kernel"]
        kernel.data = np.ascontiguousarray(kernel.data[::-1])
        return stored

    monkeypatch.setattr(assemble, "lower", corrupt)
    model = tiny()
    receipt, _ = export(model, TINY, tmp_path)
    assert receipt.parity.worst.path == model.layers[0].name
    assert f"worst layer: {model.layers[0].name}," in str(receipt)


def test_exporting_leaves_the_model_as_it_was(tmp_path):
    model = edgeax.compress(tiny(), "static_wi8_ai8")
    model.compile("adam", "mse")
    model(TINY, training=True)
    before = [weight.numpy() for weight in model.weights]
    nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    optimizer, expected = model.optimizer, model.predict(TINY, verbose=0)
    export(model, TINY, tmp_path, measure=True)
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert [len(layer._inbound_nodes) for layer in model._flatten_layers()] == nodes
    assert model.optimizer is optimizer
    np.testing.assert_array_equal(model.predict(TINY, verbose=0), expected)


def test_samples_may_be_a_dataset_with_labels(tmp_path):
    dataset = tf.data.Dataset.from_tensor_slices((TINY, np.arange(8))).batch(3)
    receipt, _ = export(tiny(), dataset, tmp_path)
    assert receipt.parity.samples == 8


# Bad input: refused before any work, and nothing is written.


@pytest.fixture
def no_work(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("work was done before the arguments were checked")

    for step in ("assemble", "compare"):
        monkeypatch.setattr(api, step, fail)


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"activations": "int4"},
            r"`activations` must be one of \('int8', 'int16', 'float32'\).*'int4'",
        ),
        ({"io": "uint8"}, r"`io` must be one of \('float32', 'int8'\).*'uint8'"),
        (
            {"runtime": "micro"},
            r"`runtime` must be one of \('edgeax', 'stock', 'tflm', 'tflm\+edgeax'\).*'micro'",
        ),
        ({"io": "int8", "activations": "float32"}, "`io` can be 'int8' only with activations"),
        ({"optimize": "speed"}, r"`optimize` must be one of \(None, 'size', 'latency'\).*'speed'"),
        ({"optimize": "latency", "runtime": "stock"}, "only with runtime='edgeax'.*'stock'"),
        ({"optimize": "latency", "target": "cortex-a1"}, "`target` must be one of .*'cortex-a1'"),
        ({"optimize": "size", "target": "x86-64-avx512"}, "`target` can be given only with optim"),
        (
            {"optimize": "latency", "activations": "float32"},
            "`optimize` can be 'latency' only where activations are integers.*'float32'",
        ),
        ({"target": "x86-64-avx512"}, "`target` can be given only with optimize='latency'"),
    ],
)
def test_an_unknown_choice_is_refused(no_work, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export(tiny(), TINY, tmp_path, **options)


def test_a_folder_that_does_not_exist_is_refused(no_work, tmp_path):
    with pytest.raises(ValueError, match="`path` must lie in a folder that exists.*missing"):
        edgeax.export(tiny(), tmp_path / "missing" / "model.tflite", TINY)
    with pytest.raises(ValueError, match="which is a folder"):
        edgeax.export(tiny(), tmp_path, TINY)


def test_a_model_or_samples_that_cannot_be_used_are_refused(no_work, tmp_path):
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="`model` must be Sequential, functional, or a subclass"):
        export(Subclassed(), TINY, tmp_path)
    broken = tiny()
    broken.layers[0].bias.assign([np.nan] * 4)
    with pytest.raises(ValueError, match="`model` must have finite weights"):
        export(broken, TINY, tmp_path)
    with pytest.raises(ValueError, match=r"`samples` for input .* \(None, 6, 6, 2\)"):
        export(tiny(), TINY[..., :1], tmp_path)
    with pytest.raises(ValueError, match="`samples` must be finite"):
        export(tiny(), np.where(TINY > 1, np.nan, TINY), tmp_path)


def test_a_layer_that_tflite_lacks_is_named_and_nothing_is_written(tmp_path):
    given = keras.Input((4,))
    odd = layers.Lambda(lambda x: tf.math.igamma(tf.abs(x) + 1.0, tf.abs(x)), name="odd")
    model = keras.Model(given, layers.Dense(2)(odd(given)))
    with pytest.raises(ValueError, match="TFLite has operators for.*Igamma.*odd"):
        export(model, normal(4, 4), tmp_path)
    assert list(tmp_path.iterdir()) == []


# Written whole or not at all.


def in_child(script, folder, **options):
    """Starts a process that exports the tiny network to model.tflite in a folder."""
    prelude = """
        import os, resource, signal, sys
        from edgeax.export import api, assemble
        from tests.export.test_api import TINY, tiny
        def export():
            api.export(tiny(), "model.tflite", TINY, measure=False)
    """
    code = textwrap.dedent(prelude) + textwrap.dedent(script)
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, env=environment, text=True, **options
    )


@pytest.mark.parametrize("former", [b"an older file", None], ids=["replaced", "new"])
def test_a_full_disk_leaves_no_part_of_the_file_and_the_older_one_intact(
    tmp_path, former, monkeypatch
):
    path = tmp_path / "model.tflite"
    if former is not None:
        path.write_bytes(former)
    real = api.write_atomically

    def on_a_full_disk(path, content):
        # No file of this process may grow beyond 1 kB: the kernel's own error for too much data.
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, limits[1]))
        try:
            real(path, content)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)

    monkeypatch.setattr(api, "write_atomically", on_a_full_disk)
    with pytest.raises(OSError, match="File too large"):
        edgeax.export(tiny(), path, TINY, measure=False)
    left = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    assert left == ({} if former is None else {"model.tflite": former})


def test_a_kill_in_the_middle_leaves_the_older_file_intact(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"an older file")
    child = in_child(
        """
        def stop(*args, **kwargs):
            print("reached", flush=True)
            signal.pause()
        assemble.lower = stop
        export()
        """,
        tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdout.readline() == "reached\n"
    child.kill()
    assert child.wait(timeout=30) == -signal.SIGKILL
    child.stdout.close()
    left = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    assert left == {"model.tflite": b"an older file"}


def test_exporting_prints_nothing(capfd, tmp_path):
    for _ in range(2):
        export(tiny(), TINY, tmp_path)
    captured = capfd.readouterr()
    noise = [line for line in captured.err.splitlines() if "XNNPACK delegate" not in line]
    assert captured.out == "" and noise == []


# Real models.


def random_images(size, highest):
    return np.random.default_rng(0).uniform(0, highest, (8, size, size, 3))


def export_packed_and_not(name, samples, folder):
    """The receipts of a real network in int8, and in 4 bits; neither is trained."""
    model = keras.models.load_model(data_file(name))
    stock, _ = export(model, samples, folder, runtime="stock", strict=True)
    compressed = edgeax.compress(model, "static_wc4_ai8")
    packed, _ = export(compressed, samples, folder, strict=True)
    assert not stock.needs_plugin and packed.needs_plugin
    assert packed.size_bytes < 0.65 * stock.size_bytes
    return stock, packed


def test_a_residual_network_becomes_integers_packed_and_not(tmp_path):
    images = random_images(32, 255)
    for receipt in export_packed_and_not("models/ic_resnet8.keras", images, tmp_path):
        convolutions = [layer for layer in receipt.parity.layers if "conv" in layer.path]
        assert len(convolutions) == 9
        assert all(layer.mean_steps < 0.01 and layer.most_steps <= 1 for layer in convolutions)
        # Ties of the average pool go where they go on the device.
        found = {layer.path: layer for layer in receipt.parity.layers}
        assert found["average_pooling2d"].most_steps == 0.0
        assert receipt.parity.worst.mean_steps < 0.05 and receipt.parity.worst.most_steps <= 3


def test_a_mobile_network_becomes_integers_packed_and_not(tmp_path):
    images = random_images(96, 1)
    receipts = export_packed_and_not("models/vww_mobilenetv1_025_96.keras", images, tmp_path)
    for receipt in receipts:
        assert len(receipt.parity.layers) > 27
        for layer in receipt.parity.layers:
            assert layer.mean_steps < 0.02 and layer.most_steps <= 1, layer
    # Most channels of its last layers died in training: nothing was pruned, yet it is sparse.
    counts = receipts[1].operators
    assert counts["EdgeaxSparseConv2D"] >= 6
    assert counts["EdgeaxConv2D"] + counts["EdgeaxSparseConv2D"] >= 12
    assert receipts[1].size_bytes < 0.3 * receipts[0].size_bytes
