import re
import subprocess

import keras
import numpy as np
import pytest
from keras import layers

import edgeax
from edgeax.model.update_plan import UpdatePart, UpdatePlan
from edgeax.runtime.mcu.generate_training import generate_training
from tests.data import data_file
from tests.runtime import files
from tests.runtime.mcu import generated, networks, trainable_networks, training_files


def trained(folder, data, **options):
    """Generates a program, runs its test here; returns what it printed."""
    generate_training(data, folder, **{"target": "host", "name": "net", **options})
    outcome = generated.run_test(folder, "net")
    assert outcome.code == 0, outcome.output
    return outcome.output


BLOCKS, PIXELS = trainable_networks.blocks(), trainable_networks.pixels()


@pytest.mark.parametrize(
    "data, options",
    [
        (training_files.classifier(has_softmax=True), {}),
        (BLOCKS, {"trainable": 7}),
        (BLOCKS, {"trainable": {0: 0.5, 1: 0.5, 2: 0.3, 5: 0.3, 8: 0.5, 10: 0, 11: 0.5}}),
        (PIXELS, {"trainable": 3, "loss": "mean_square", "dead_zone": 0.0}),
    ],
    ids=["softmax", "all", "shares", "mean square"],
)
def test_a_program_learns_what_python_learns(tmp_path, data, options):
    output = trained(tmp_path / "net", data, test_steps=6, **options)
    assert len(re.findall(r"loss (\d+), wanted \1\b", output)) == 6


def test_the_last_layers_of_a_known_model_learn(tmp_path):
    path = data_file("models/ic_resnet8_int8.tflite")
    trained(tmp_path / "net", path, trainable=2, test_steps=3)


def test_make_builds_the_library_and_runs_the_test(tmp_path):
    generate_training(networks.dense_chain(), tmp_path / "net", target="host", name="net")
    command = ["make", "-C", tmp_path / "net", "CXXFLAGS=-Werror", "all", "test"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "0 of 52 saved bytes differ" in done.stdout


def test_a_wrong_number_makes_the_test_of_the_program_fail(tmp_path):
    generate_training(networks.dense_chain(), tmp_path / "net", target="host", name="net")
    vectors = tmp_path / "net" / "test_vectors.h"
    head, found, tail = vectors.read_text().partition("kSaved")
    changed = re.sub(r"(\{\s+)(-?\d+),", r"\g<1>99,", tail, count=1)
    assert found and changed != tail
    vectors.write_text(head + found + changed)
    assert generated.run_test(tmp_path / "net", "net").code == 1


def test_the_report_tells_ram_of_all(tmp_path):
    found = edgeax.mcu.generate_training(networks.dense_chain(), tmp_path / "net", "cortex-m4")
    assert found.state_bytes == 4 * 8 + 4 * 4 + 8  # weights, biases, random numbers and padding
    # The input, or hidden codes, scores and the gradient with its exponent, beside label and loss.
    assert found.ram_bytes - found.state_bytes == 64
    kernels = [step.kernel for step in found.steps]
    own = ["TrainedConv2D", "CrossEntropy", "UpdateConv2D", "UpdateBias"]
    assert kernels == ["FullyConnected", *own]
    header = (tmp_path / "net" / "model.h").read_text()
    assert f"ram_bytes = {found.ram_bytes};" in header
    assert f"constant_bytes = {found.constant_bytes};" in header


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A file of Keras layers whose first ones take more RAM than all others."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="first"),
            layers.DepthwiseConv2D(3, strides=2, padding="same", activation="relu6", name="spread"),
            layers.Conv2D(16, 1, activation="relu", name="mix"),
            layers.Conv2D(8, 3, strides=2, padding="same", name="narrow"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(5, name="scores"),
        ]
    )
    path = tmp_path_factory.mktemp("exported") / "model.tflite"
    samples = np.random.default_rng(0).uniform(-1, 1, (20, 32, 32, 3)).astype(np.float32)
    edgeax.export(model, path, samples, io="int8", measure=False)
    return path


PLAN = UpdatePlan((UpdatePart("narrow", 5, bias=False), UpdatePart("scores")))
LEARNT = {  # int8 weights, and int32 biases, each rounded up to 8 bytes, and 8 of random numbers
    "last": (1, None, 40 + 24 + 8),
    "biases": ("biases", None, 32 + 32 + 64 + 32 + 24 + 8),
    "names": (["mix", "scores"], None, 16 * 8 + 64 + 40 + 24 + 8),
    "shares": ({"narrow": 0.5, "scores": 1.0}, None, 8 * 9 * 8 + 32 + 40 + 24 + 8),
    "plan": (PLAN, None, 8 * 9 * 5 + 40 + 24 + 8),
    "a channel": (UpdatePlan((UpdatePart("spread", 1),)), None, 16 + 32 + 8),
    "stripes": (1, 8000, 40 + 24 + 8),
    "deeper stripes": (1, 4500, 40 + 24 + 8),
}


@pytest.mark.parametrize("kind", LEARNT)
def test_a_program_reserves_the_ram_that_the_report_tells(tmp_path, exported, kind):
    trainable, most, learnt = LEARNT[kind]
    options = {"name": "net", "trainable": trainable, "ram_bytes": most, "test_steps": 1}
    found = generate_training(exported, tmp_path / "net", "cortex-m4", **options)
    assert found.state_bytes == learnt
    assert most is None or 0.7 * most < found.ram_bytes <= most
    compiled = tmp_path / "net.o"
    command = [
        "g++",
        "-std=c++17",
        "-fno-pie",
        f"-I{tmp_path / 'net'}",
        "-c",
        tmp_path / "net" / "net.cc",
    ]
    subprocess.run([*command, "-o", compiled], check=True)
    names = subprocess.run(["nm", "-S", compiled], capture_output=True, text=True, check=True)
    sizes = re.findall(r"^\w+ (\w+) [bBdD] ", names.stdout, re.MULTILINE)
    assert sum(int(size, 16) for size in sizes) == found.ram_bytes


def test_a_file_of_keras_learns_by_a_plan_and_behind_stripes(tmp_path, exported):
    free = generate_training(exported, tmp_path / "free", trainable=PLAN, test_steps=1).ram_bytes
    options = {"trainable": PLAN, "ram_bytes": free - 1, "test_steps": 2}
    trained(tmp_path / "net", exported, **options)


def test_the_least_ram_is_told_and_enough(tmp_path, exported):
    with pytest.raises(ValueError, match="`ram_bytes` must be at least") as refused:
        generate_training(exported, tmp_path / "net", ram_bytes=100)
    least = int(re.search(r"at least (\d+)", str(refused.value))[1])
    found = generate_training(exported, tmp_path / "net", ram_bytes=least, test_steps=1)
    assert found.ram_bytes == least


@pytest.mark.parametrize("trainable", [1, [1], ["y"]])
def test_the_last_layer_is_chosen_by_count_place_and_name(tmp_path, trainable):
    assert generate_training(networks.dense_chain(), tmp_path / "net", trainable=trainable).files


@pytest.mark.parametrize(
    "options, words",
    [
        ({"target": "z80"}, "`target` must be one of"),
        ({"ram_bytes": 72}, "`ram_bytes` must be at least .* Received: 72"),
        ({"trainable": 3}, r"`trainable` must be a whole number in \[1, 2\]. Received: 3"),
        (
            {"trainable": ["z"]},
            "must name layers with weights. Received: 'z', .* The file has 0 FU",
        ),
        ({"loss": "hinge"}, "`loss` must be one of cross_entropy, mean_square. Received: 'hinge'"),
        ({"learning_rate_bits": 17}, r"`learning_rate_bits` must be .* \[0, 16\]. Received: 17"),
        ({"dead_zone": 1.5}, r"`dead_zone` must be a number in \[0, 1\]. Received: 1.5"),
        ({"least_error": "0"}, "`least_error` must be a number"),
        ({"seed": 0}, "`seed` must be a whole number"),
        ({"test_steps": 0}, "`test_steps` must be a whole number"),
        ({"name": "3d"}, "`name` must be a C.. name"),
        ({"name": 3}, "`name` must be a C.. name.*Received: 3"),
        ({"samples": 5}, "`samples` must be a pair: inputs, and.* Received: int"),
        ({"samples": (np.zeros((2, 12), np.int8),)}, "`samples` must be a pair"),
        ({"samples": (np.zeros((2, 11), np.int8), [0, 1])}, r"int8 of shape \(n, 12\)"),
        ({"samples": (np.zeros((2, 12)), [0, 1])}, r"Received: float64 \[2, 12\]"),
        ({"samples": (np.zeros((2, 12), np.int8), [0, 4])}, r"class in \[0, 3\] .* \[0, 4\]"),
        ({"samples": (np.zeros((2, 12), np.int8), [0])}, "for each input"),
        (
            {"samples": (np.zeros((2, 12), np.int8), [0, 1]), "loss": "mean_square"},
            r"targets, int8 of shape \(2, 4\). Received: int64 \[2\]",
        ),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        generate_training(networks.dense_chain(), tmp_path / "net", **options)
    assert not list(tmp_path.iterdir())


def test_files_that_cannot_be_trained_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Quantize the model"):
        generate_training(files.float_dense(), tmp_path / "net")
    assert not list(tmp_path.iterdir())
