import json
import subprocess
import sys
import time

import numpy as np
import pytest

import edgeax
from edgeax import cli
from edgeax.formats.layer_shape import fully_connected
from edgeax.runtime import plugin, tune
from tests import environments, source_tree
from tests.runtime import files
from tests.runtime.mcu import networks

COMMANDS = ["inspect", "compress", "run", "tune", "mcu", "methods", "delegate-path"]


@pytest.fixture
def dense(tmp_path):
    """Path of a file that computes x @ [[1, 0, 1], [0, 2, -1]] in int8."""
    path = tmp_path / "dense.tflite"
    path.write_bytes(files.int8_dense())
    return path


@pytest.fixture
def x(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.float32([[1.0, -0.5], [3, 4]]))
    return path


def run(*words) -> int:
    return cli.main([str(word) for word in words])


def refused(capfd, *words) -> str:
    """Runs a command that must fail; returns its one line on stderr, without the prefix."""
    assert run(*words) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("edgeax: ")
    return err.removeprefix("edgeax: ").rstrip()


def test_version(capfd):
    assert run("--version") == 0
    assert capfd.readouterr().out == f"edgeax {edgeax.__version__}\n"


def test_help_names_every_command(capfd):
    assert run("--help") == 0
    out = capfd.readouterr().out
    assert all(f"edgeax {name}" in out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_its_own(command, capfd):
    assert run(command, "--help") == 0
    assert f"usage: edgeax {command}" in capfd.readouterr().out


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Paths of a saved Keras model, of samples for it and of a recipe."""
    import keras

    folder = tmp_path_factory.mktemp("trained")
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(64), keras.layers.Dense(3)])
    model.save(folder / "model.keras")
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(16, 6)).astype(np.float32))
    kernel = [edgeax.Cluster(16, begin_step=100), edgeax.Quantize("int8", axis=-1)]
    rules = [edgeax.Rule(".*", kernel=kernel, output=edgeax.Quantize("int8"))]
    (folder / "recipe.json").write_text(edgeax.Recipe(rules).to_json())
    return folder


@pytest.mark.parametrize("recipe", ["static_wc4_ai8", "recipe.json"])
def test_compress_makes_a_file_of_a_saved_model(trained, tmp_path, capfd, recipe):
    recipe = trained / recipe if recipe.endswith(".json") else recipe
    words = ["--recipe", recipe, "--samples", trained / "x.npy", "--json", tmp_path / "r.json"]
    assert run("compress", trained / "model.keras", *words, "--output", tmp_path / "m.tflite") == 0
    out = capfd.readouterr().out
    assert "m.tflite" in out and "packed, 4 bits" in out
    receipt = json.loads((tmp_path / "r.json").read_text())
    assert receipt["size_bytes"] == (tmp_path / "m.tflite").stat().st_size
    assert receipt["needs_plugin"]


def test_compress_calibrates_and_corrects_when_asked(trained, tmp_path, capfd):
    import keras

    words = ["--recipe", "static_wi2_ai8", "--samples", trained / "x.npy"]
    better = ["--calibration", "mse", "--corrections", "adaround,bias_correction"]
    files = []
    for more in ([], better):
        files.append(tmp_path / f"{len(files)}.tflite")
        command = ["compress", trained / "model.keras", *words, *more, "--output", files[-1]]
        assert run(*command) == 0
    model, x = keras.models.load_model(trained / "model.keras"), np.load(trained / "x.npy")
    plain, corrected = (
        np.mean((edgeax.Interpreter(file).run(x) - model(x).numpy()) ** 2) for file in files
    )
    assert corrected < 0.7 * plain
    capfd.readouterr()
    more = ["--corrections", "rounding", "--output", tmp_path / "none.tflite"]
    line = refused(capfd, "compress", trained / "model.keras", *words, *more)
    assert "`corrections` must be one of" in line and not (tmp_path / "none.tflite").exists()


def test_compress_says_in_one_line_what_is_wrong(trained, tmp_path, capfd):
    model, samples = trained / "model.keras", ["--samples", trained / "x.npy"]
    output = ["--output", tmp_path / "m.tflite"]
    line = refused(capfd, "compress", model, "--recipe", "static_wi8_a8", *samples, *output)
    assert "Did you mean" in line
    line = refused(capfd, "compress", tmp_path / "none.keras", "--recipe", "x", *samples, *output)
    assert "`MODEL` must be a .keras file" in line
    line = refused(capfd, "compress", model, *samples, *output)
    assert "`--recipe` must be given" in line
    lost = ["--output", tmp_path / "no" / "m.tflite"]
    line = refused(capfd, "compress", model, "--recipe", "static_wi8_ai8", *samples, *lost)
    assert "no" in line
    assert list(tmp_path.iterdir()) == []


def test_tune_writes_a_table_that_compress_chooses_by(trained, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(tune, "SHAPES", (fully_connected(8, 64),))
    monkeypatch.setattr(tune, "_SECONDS", 0.0)
    board = tmp_path / "board.json"
    assert run("tune", "--output", board) == 0
    out = capfd.readouterr().out
    assert out.startswith("board (") and "FC 8x64" in out and "times as fast as int8" in out
    words = ["--recipe", "static_wc4_ai8", "--samples", trained / "x.npy", "--target", board]
    command = ["compress", trained / "model.keras", *words, "--optimize", "latency"]
    assert run(*command, "--output", tmp_path / "m.tflite") == 0
    out = capfd.readouterr().out
    assert "as fast as can be by what was measured on board (" in out and "FC 8x64" in out


def test_tune_says_in_one_line_what_is_wrong(tmp_path, capfd, monkeypatch):
    assert "`--output` must be given" in refused(capfd, "tune")
    line = refused(capfd, "tune", "--output", tmp_path / "none" / "board.json")
    assert "must lie in a folder that exists" in line
    monkeypatch.setattr(plugin, "_LIBRARY", tmp_path / "none.so")
    assert "plugin library" in refused(capfd, "tune", "--output", tmp_path / "board.json")
    assert list(tmp_path.iterdir()) == []


def test_inspect_shows_operators_bits_and_the_plugin(tmp_path, capfd):
    path = tmp_path / "packed.tflite"
    path.write_bytes(files.packed_file())
    assert run("inspect", path, "--json", tmp_path / "details.json") == 0
    out = capfd.readouterr().out
    assert "needed for EdgeaxFullyConnected" in out
    details = json.loads((tmp_path / "details.json").read_text())
    assert details["operators"][0]["weight_bits"] == 4
    assert details["size_bytes"] == path.stat().st_size


def test_run_writes_real_outputs(dense, x, tmp_path):
    assert run("run", dense, "--input", x, "--output", tmp_path / "y.npy") == 0
    assert np.load(tmp_path / "y.npy").tolist() == [[1.0, -1.0, 1.5], [3.0, 8.0, -1.0]]


def test_run_raw_writes_codes(dense, tmp_path):
    np.save(tmp_path / "codes.npy", np.int8([[5, 2]]))
    words = ["--raw", "--num_threads", 1, "--input", tmp_path / "codes.npy"]
    assert run("run", dense, *words, "--output", tmp_path / "y.npy") == 0
    y = np.load(tmp_path / "y.npy")
    assert (y.dtype, y.tolist()) == (np.int8, [[-6, -14, -4]])


def test_run_takes_and_gives_several_tensors_as_npz(tmp_path):
    (tmp_path / "two.tflite").write_bytes(files.sum_and_difference())
    np.savez(tmp_path / "in.npz", b=np.float32([[2, 3]]), a=np.float32([[5, 7]]))
    words = ["run", tmp_path / "two.tflite", "--input", tmp_path / "in.npz", "--output"]
    assert run(*words, tmp_path / "out.npz") == 0
    with np.load(tmp_path / "out.npz") as out:
        assert out["sum"].tolist() == [[7, 10]]
        assert out["difference"].tolist() == [[3, 4]]


def test_several_outputs_do_not_fit_a_npy_file(tmp_path, capfd):
    (tmp_path / "two.tflite").write_bytes(files.sum_and_difference())
    np.savez(tmp_path / "in.npz", b=np.float32([[2, 3]]), a=np.float32([[5, 7]]))
    words = ["run", tmp_path / "two.tflite", "--input", tmp_path / "in.npz", "--output"]
    message = refused(capfd, *words, tmp_path / "out.npy")
    assert "must end in .npz" in message
    assert not (tmp_path / "out.npy").exists()


def test_delegate_path_prints_the_library(capfd):
    assert run("delegate-path") == 0
    assert capfd.readouterr().out == plugin.delegate_path() + "\n"


def test_mcu_writes_a_program(tmp_path, capfd):
    model = tmp_path / "my-net.tflite"
    model.write_bytes(networks.dense_chain())
    folder, receipt = tmp_path / "net", tmp_path / "net.json"
    assert run("mcu", model, "--output", folder, "--target", "cortex-m7", "--json", receipt) == 0
    out, err = capfd.readouterr()
    assert "cortex-m7, double rounding" in out and "0 FULLY_CONNECTED, h" in out and err == ""
    assert (folder / "my_net.h").is_file()
    assert json.loads(receipt.read_text())["ram_bytes"] == 24


def test_mcu_writes_a_program_that_trains(tmp_path, capfd):
    model = tmp_path / "net.tflite"
    model.write_bytes(networks.dense_chain())
    updates = []
    for trainable in ([], ["2"], ["h,1"], ["biases"]):
        words = ["--trainable", *trainable] if trainable else []
        assert run("mcu", model, "--output", tmp_path / "net", "--train", *words) == 0
        out, err = capfd.readouterr()
        assert err == ""
        updates.append((out.count("UpdateConv2D"), out.count("UpdateBias")))
    assert updates == [(1, 1), (2, 2), (2, 2), (0, 2)]
    assert "bool train(" in (tmp_path / "net" / "net.h").read_text()


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "`--output` must be given, or `--estimate`. Usage: edgeax mcu FILE --output DIR"),
        (["--output", "net", "--target", "z80"], "flag --target=z80"),
        (["--output", "net", "--ram_bytes", "9"], "`ram_bytes` must be at least 24"),
        (["--output", "net", "--name", "a-b"], "`name` must be a C++ name"),
        (["--output", "net", "--train", "--rounding", "single"], "`--train` must have double"),
        (["--output", "net", "--train", "--trainable", "z"], "`trainable` must name layers"),
    ],
)
def test_mcu_says_what_is_wrong_in_one_line(tmp_path, monkeypatch, capfd, words, said):
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "net.tflite"
    model.write_bytes(networks.dense_chain())
    assert said in refused(capfd, "mcu", model, *words)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.tflite"]


def test_a_receipt_that_cannot_be_written_leaves_no_program(tmp_path, capfd):
    model = tmp_path / "net.tflite"
    model.write_bytes(networks.dense_chain())
    words = ["--output", tmp_path / "net", "--json", tmp_path / "none" / "net.json"]
    assert "folder that exists" in refused(capfd, "mcu", model, *words)
    assert not (tmp_path / "net").exists()


def test_more_threads_than_any_processor_has_are_refused(dense, x, tmp_path, capfd):
    words = ["--num_threads", 99999, "--input", x, "--output", tmp_path / "y.npy"]
    assert "`num_threads` must be an integer" in refused(capfd, "run", dense, *words)


def test_methods_lists_key_name_object_and_test(tmp_path, capfd):
    assert run("methods", "--json", tmp_path / "methods.json") == 0
    rows = json.loads((tmp_path / "methods.json").read_text())
    assert all(set(row) == {"key", "name", "public", "test"} for row in rows)
    assert {"JKC18", "SH16"} <= {row["key"] for row in rows}
    assert "SH16" in capfd.readouterr().out


@pytest.mark.parametrize(
    "words, message",
    [
        (
            [],
            "a command must be one of inspect, compress, run, tune, mcu, methods, "
            "delegate-path. Received: ''",
        ),
        (["train"], "Received: 'train'"),
        (["--verbose"], "Received: '--verbose'"),
        (["inspect"], "`inspect` takes 1 argument(s) besides flags. Received: 0"),
        (["inspect", "a", "b"], "Received: 2"),
        (["inspect", "/missing.tflite"], "'/missing.tflite', which is no file"),
        (["inspect", "x", "--bogus"], "Unknown command line flag 'bogus'"),
        (["inspect", "x", "--json"], "Missing value for flag --json"),
        (["run", "x", "--output", "y"], "`--input` must be given"),
        (["run", "x", "--input", "y"], "`--output` must be given"),
        (["run", "x", "--num_threads=0"], "flag --num_threads=0: 0 is not a positive integer"),
        (["methods", "all"], "`methods` takes 0 argument(s)"),
        (["delegate-path", "--json=x"], "Unknown command line flag 'json'"),
    ],
)
def test_bad_arguments_get_one_line_and_exit_code_2(words, message, capfd):
    assert message in refused(capfd, *words)


def test_a_file_that_is_no_tflite_is_refused(tmp_path, capfd):
    (tmp_path / "notes.tflite").write_text("no flatbuffer\nat all\n")
    assert "must be a TFLite model" in refused(capfd, "inspect", tmp_path / "notes.tflite")


def test_an_input_of_the_wrong_shape_is_refused_and_nothing_is_written(dense, tmp_path, capfd):
    np.save(tmp_path / "wide.npy", np.zeros((1, 5), np.float32))
    words = ["--input", tmp_path / "wide.npy", "--output", tmp_path / "y.npy"]
    message = refused(capfd, "run", dense, *words)
    assert "Input 'x' must have shape (batch, 2). Received: shape (1, 5)" in message
    assert not (tmp_path / "y.npy").exists()


def test_a_missing_output_folder_is_refused(dense, x, tmp_path, capfd):
    output = tmp_path / "missing" / "y.npy"
    assert "folder that exists" in refused(capfd, "run", dense, "--input", x, "--output", output)


def test_a_missing_folder_for_the_json_is_refused(dense, tmp_path, capfd):
    json_file = tmp_path / "missing" / "details.json"
    assert "folder that exists" in refused(capfd, "inspect", dense, "--json", json_file)


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00v\x00{'descr'", b"PK\3\4"])
def test_an_input_that_is_no_array_is_refused(content, dense, tmp_path, capfd):
    (tmp_path / "x.npy").write_bytes(content)
    words = ["--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy"]
    assert "`--input` must be a .npy or .npz file" in refused(capfd, "run", dense, *words)


def test_a_missing_input_file_is_named(dense, tmp_path, capfd):
    words = ["--input", tmp_path / "none.npy", "--output", tmp_path / "y.npy"]
    assert "none.npy" in refused(capfd, "run", dense, *words)


def test_a_plugin_missing_at_run_time_is_one_line(tmp_path, x, monkeypatch, capfd):
    monkeypatch.setattr(plugin, "_LIBRARY", tmp_path / "libedgeax.so")
    (tmp_path / "packed.tflite").write_bytes(files.packed_file())
    words = ["--input", x, "--output", tmp_path / "y.npy"]
    message = refused(capfd, "run", tmp_path / "packed.tflite", *words)
    assert "EdgeaxFullyConnected" in message
    assert "pip install edgeax" in message


def test_inspect_is_quick_and_imports_no_tensorflow(dense):
    program = (
        "import sys; from edgeax.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(code or 3 * ('tensorflow' in sys.modules) or 4 * ('keras' in sys.modules))"
    )
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", program, "inspect", dense], capture_output=True
        )
        times.append(time.perf_counter() - start)
        assert done.returncode == 0, done.stderr
    assert min(times) < 1.5


def test_python_minus_m_is_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "edgeax", "nonsense"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("edgeax: a command must be one of")


def test_without_tensorflow_methods_lists_what_it_can_and_says_so(tmp_path):
    python = environments.make(tmp_path / "core", environments.CORE)
    program = (
        f"import sys; sys.path.insert(0, {str(source_tree.REPOSITORY)!r}); "
        "from edgeax.cli import main; sys.exit(main(['methods']))"
    )
    done = environments.run([python, "-c", program])
    assert done.returncode == 0, done.stderr
    assert "JKC18" in done.stdout
    assert "edgeax: without keras" in done.stderr
    assert 'pip install "edgeax[train]"' in done.stderr
