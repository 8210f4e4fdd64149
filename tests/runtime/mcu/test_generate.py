import hashlib
import shutil
import subprocess

import pytest

import edgeax
from benchmarks import packed_versions
from benchmarks.drawn_network import separable_network
from edgeax.runtime.mcu import folder
from edgeax.runtime.mcu.generate import generate
from edgeax.runtime.mcu.targets import TARGETS
from tests.data import data_file
from tests.emulation import process
from tests.runtime import files
from tests.runtime.mcu import generated, networks

MODELS = {  # bytes of activations that live at once, and of RAM that TensorFlow Lite Micro takes
    "vww_mobilenetv1_int8": 55_296,
    "ic_resnet8_int8": 49_152,
    "ad_autoencoder_int8": 768,
}


@pytest.mark.parametrize("rounding", ["double", "single"])
@pytest.mark.parametrize(
    "network",
    [
        networks.dense_chain,
        networks.images,
        networks.branches,
        networks.float_ends,
        lambda: networks.reshaped(("a", "b"), ("c", "d")),
    ],
    ids=["dense", "image", "branches", "float ends", "reshaped"],
)
def test_a_program_gives_what_the_interpreter_gives(tmp_path, network, rounding):
    assert generated.is_success(generated.run(network(), tmp_path / "net", rounding=rounding))


@pytest.mark.parametrize("version", ["codebook", "ternary", "block_sparse"])
def test_a_program_of_packed_layers_gives_what_the_interpreter_gives(tmp_path, version):
    data = getattr(packed_versions, version)(separable_network())
    outcome = generated.run(data, tmp_path / "net", rounding="single")
    assert generated.is_success(outcome)


@pytest.mark.parametrize("network", [networks.dense_chain, networks.images])
def test_clang_has_nothing_to_say_either(tmp_path, network):
    if shutil.which("clang++-14") is None:
        pytest.skip("needs clang++-14: apt-get install clang-14")
    generate(network(), tmp_path / "net", target="host", name="net")
    assert generated.is_success(generated.run_test(tmp_path / "net", "net", "clang++-14"))


@pytest.mark.parametrize(
    "target, triple",
    [
        ("rv32", "riscv32-unknown-elf"),
        ("cortex-m0plus", "arm-none-eabi"),
        ("cortex-m4", "arm-none-eabi"),
        ("cortex-m55", "arm-none-eabi"),
    ],
)
def test_clang_takes_the_sources_for_a_target_without_a_library(tmp_path, target, triple):
    if shutil.which("clang++-14") is None:
        pytest.skip("needs clang++-14: apt-get install clang-14")
    generate(networks.images(), tmp_path / "net", target=target, name="net")
    flags = [f"--target={triple}", *TARGETS[target].flags, "-ffreestanding", "-fsyntax-only"]
    for source in generated.sources(tmp_path / "net"):
        if not source.name.endswith("_test.cc"):
            command = ["clang++-14", *generated.WARNINGS, *flags, f"-I{tmp_path / 'net'}", source]
            process.compile_or_raise(command)


@pytest.mark.parametrize("network", [networks.dense_chain, networks.images])
def test_a_batch_is_computed_as_a_whole(tmp_path, network):
    assert generated.is_success(generated.run(network(batch=3), tmp_path / "net"))


def test_a_wrong_weight_makes_the_test_of_the_program_fail(tmp_path):
    generate(networks.dense_chain(), tmp_path / "net", target="host", name="net")
    vectors = tmp_path / "net" / "test_vectors.h"
    text = vectors.read_text()
    at = text.rindex(", ")  # the last output
    vectors.write_text(f"{text[:at].rpartition(' ')[0]} 99{text[at:]}")
    outcome = generated.run_test(tmp_path / "net", "net")
    assert outcome.code == 1 and "vector 1: 0 of 4 values" in outcome.output


def test_make_builds_the_library_and_runs_the_test(tmp_path):
    generate(networks.dense_chain(), tmp_path / "net", target="host", name="net")
    command = ["make", "-C", tmp_path / "net", "CXXFLAGS=-Werror", "all", "test"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "vector 2: 0 of 4 values of y differ" in done.stdout
    assert (tmp_path / "net" / "build" / "libnet.a").is_file()


def test_the_same_file_gives_the_same_bytes(tmp_path):
    for place in ("one", "two"):
        generate(networks.dense_chain(), tmp_path / place, name="net")
    hashes = [
        {
            file.relative_to(tmp_path / place): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in (tmp_path / place).rglob("*")
            if file.is_file()
        }
        for place in ("one", "two")
    ]
    assert hashes[0] == hashes[1] and len(hashes[0]) > 8


def test_a_program_is_generated_again_in_its_place(tmp_path):
    first = generate(networks.dense_chain(), tmp_path / "net", name="first")
    (tmp_path / "net" / "build").mkdir()
    second = generate(networks.dense_chain(), tmp_path / "net", name="second")
    present = {str(f.relative_to(tmp_path / "net")) for f in (tmp_path / "net").rglob("*.*")}
    assert set(second.files) - {"Makefile"} <= present and "first.h" not in present
    assert len(first.files) == len(second.files)
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]


def test_the_receipt_tells_bytes_and_steps(tmp_path):
    receipt = edgeax.mcu.generate(networks.dense_chain(), tmp_path / "net", "cortex-m4")
    assert receipt.ram_bytes == 12 + 4 + 8  # x on a multiple of 8, and h
    assert receipt.state_bytes == 0
    assert [step.macs for step in receipt.steps] == [96, 32]
    assert receipt.steps[0].live_bytes == 20 and receipt.steps[1].live_bytes == 12
    assert "0 FULLY_CONNECTED, h" in str(receipt)
    assert receipt.as_dict()["files"] == receipt.files and "model.h" in receipt.files


def test_a_graph_that_branches_is_ordered_for_less_memory(tmp_path):
    receipt = generate(networks.branches(), tmp_path / "net", target="host")
    assert [step.label[0] for step in receipt.steps] in (["0", "2", "1", "3"], ["1", "3", "0", "2"])
    assert receipt.ram_bytes == 64 + 8 + 8  # a wide layer, the input, and an end


@pytest.mark.parametrize("name", MODELS)
def test_the_plans_of_known_models_reach_the_bytes_that_live_at_once(tmp_path, name):
    path = data_file(f"models/{name}.tflite")
    try:
        receipt = generate(path, tmp_path / "net", target="cortex-m4")
    except ValueError as error:
        pytest.skip(str(error))
    assert receipt.ram_bytes <= MODELS[name] + max(s.scratch_bytes for s in receipt.steps)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"target": "cortex-m3"}, "`target` must be one of cortex-m0plus, cortex-m4"),
        ({"rounding": "up"}, "`rounding` must be one of single, double"),
        ({"ram_bytes": 0}, "`ram_bytes` must be a positive whole number, .* Received: 0"),
        ({"ram_bytes": "40k"}, "`ram_bytes` must be a positive whole number, .* Received: '40k'"),
        ({"ram_bytes": 1.5}, "`ram_bytes` must be a positive whole number, .* Received: 1.5"),
        ({"ram_bytes": 20}, "`ram_bytes` must be at least 24 for this model. Received: 20"),
        ({"name": "3d"}, "`name` must be a C++ name .* Received: '3d'. .*'model_3d'"),
        ({"name": "int"}, "`name` must be a C\\+\\+ name"),
        ({"name": "a__b"}, "`name` must be a C\\+\\+ name"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, options, words):
    with pytest.raises(ValueError, match=words.replace("C++", r"C\+\+")):
        generate(networks.dense_chain(), tmp_path / "net", **options)
    assert not list(tmp_path.iterdir())


def foreign_file() -> bytes:
    """Returns a file with a custom operator of others."""
    return files.packed_file().replace(b"EdgeaxFullyConnected", b"OthersFullyConnected")


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "must be a TFLite model"),
        (networks.dense_chain()[:200], "cut off or damaged"),
        (files.float_dense(), "in float 0 FULLY_CONNECTED. Quantize the model"),
        (foreign_file(), r"0 OthersFullyConnected \(custom\)"),
    ],
    ids=["empty", "cut off", "float", "custom"],
)
def test_bad_files_are_refused_before_anything_is_written(tmp_path, data, words):
    with pytest.raises(ValueError, match=words):
        generate(data, tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="no_such.tflite', which is no file"):
        generate("no_such.tflite", tmp_path / "net")


def test_a_folder_of_somebody_else_stays_as_it_is(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="which holds notes.txt"):
        generate(networks.dense_chain(), tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_after_a_failure_the_former_program_is_there(tmp_path, monkeypatch):
    generate(networks.dense_chain(), tmp_path / "net", name="net")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(folder.Path, "write_bytes", fail)
    with pytest.raises(OSError, match="disk full"):
        generate(networks.dense_chain(), tmp_path / "net", name="other")
    assert (tmp_path / "net" / "net.h").is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]


def test_names_of_tensors_meet_no_others(tmp_path):
    names = "i got_i net net_test kVectors kMostSteps int8_t NULL stdout printf x x_in".split()
    pairs = zip(names[::2], names[1::2], strict=True)
    assert generated.is_success(generated.run(networks.reshaped(*pairs), tmp_path / "net"))


def test_input_and_output_keep_their_numbers(tmp_path):
    generate(networks.dense_chain(("a b", "h", "class")), tmp_path / "net", name="net")
    header = (tmp_path / "net" / "net.h").read_text()
    assert "int8_t* a_b();" in header and "const int8_t* class_0();" in header
    assert "constexpr float a_b_scale = 0.5f;" in header
    assert "void invoke(const int8_t* a_b_in, int8_t* class_0_out);" in header


def test_a_cortex_m_gets_a_twin_by_cmsis_nn(tmp_path):
    receipt = generate(networks.dense_chain(), tmp_path / "net", "cortex-m4", name="net")
    assert {"net_cmsis_nn.cc", "net_cmsis_nn_constants.h"} <= {*receipt.files}
    assert "tflite_kernels/micro/cmsis_nn.cc" in receipt.files
    assert receipt.cmsis_nn.theirs == ("0 FULLY_CONNECTED, h", "1 FULLY_CONNECTED, y")
    assert receipt.cmsis_nn.constant_bytes == 12 * 8 + 8 * 4 + (8 + 4) * 4
    single = generate(
        networks.dense_chain(), tmp_path / "net", "cortex-m4", rounding="single", name="net"
    )
    assert single.cmsis_nn is None and "net_cmsis_nn.cc" not in single.files
    assert "no program by CMSIS-NN: CMSIS-NN rounds twice" in str(single)
