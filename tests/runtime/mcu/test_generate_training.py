import re
import subprocess

import numpy as np
import pytest

import edgeax
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
