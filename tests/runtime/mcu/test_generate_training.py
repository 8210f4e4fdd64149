import re
import subprocess

import numpy as np
import pytest

import edgeax
from edgeax.runtime.mcu.generate_training import generate_training
from tests.data import data_file
from tests.runtime import files
from tests.runtime.mcu import generated, networks, training_files
from tests.tflite_kernels.models import Model, Tensor


def trained(folder, data, **options):
    """Generates a program, runs its test here; returns what it printed."""
    generate_training(data, folder, **{"target": "host", "name": "net", **options})
    outcome = generated.run_test(folder, "net")
    assert outcome.code == 0, outcome.output
    return outcome.output


@pytest.mark.parametrize(
    "data",
    [
        networks.dense_chain(),
        training_files.classifier(),
        training_files.classifier(has_softmax=True),
    ],
    ids=["dense", "scales", "softmax"],
)
def test_a_program_learns_what_python_learns(tmp_path, data):
    output = trained(tmp_path / "net", data)
    assert len(re.findall(r"loss (\d+), wanted \1\b", output)) == 24


@pytest.mark.parametrize("rate_bits, share", [(0, 0.85), (1, 0.9), (3, 0.97)])
def test_real_samples_lower_the_loss(tmp_path, rate_bits, share):
    samples = training_files.clothes(50)
    data = training_files.classifier()
    options = {"learning_rate_bits": rate_bits, "samples": samples, "test_steps": 4 * 50}
    output = trained(tmp_path / "net", data, **options)
    losses = np.array(re.findall(r"loss (\d+)", output), float).reshape(4, 50).mean(1) / 2**16
    assert losses[0] > 2 and losses[-1] < share * losses[0]
    assert np.all(np.diff(losses) < 0)


@pytest.mark.parametrize("name", ["ic_resnet8_int8", "vww_mobilenetv1_int8"])
def test_the_last_layer_of_a_known_model_learns(tmp_path, name):
    path = data_file(f"models/{name}.tflite")
    trained(tmp_path / "net", path)


def test_make_builds_the_library_and_runs_the_test(tmp_path):
    generate_training(networks.dense_chain(), tmp_path / "net", target="host", name="net")
    command = ["make", "-C", tmp_path / "net", "CXXFLAGS=-Werror", "all", "test"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "0 of 52 saved bytes differ" in done.stdout


@pytest.mark.parametrize("table", ["kLosses", "kSaved", "kScores"])
def test_a_wrong_number_makes_the_test_of_the_program_fail(tmp_path, table):
    generate_training(networks.dense_chain(), tmp_path / "net", target="host", name="net")
    vectors = tmp_path / "net" / "test_vectors.h"
    head, found, tail = vectors.read_text().partition(table)
    changed = re.sub(r"(\{\s+)(-?\d+),", r"\g<1>99,", tail, count=1)
    assert found and changed != tail
    vectors.write_text(head + found + changed)
    assert generated.run_test(tmp_path / "net", "net").code == 1


def test_the_report_tells_ram_of_all(tmp_path):
    found = edgeax.mcu.generate_training(networks.dense_chain(), tmp_path / "net", "cortex-m4")
    learning = 4 * 8 + 4 * 4 + 4 * 4 + 4 + 4  # weights, biases, errors, scores, random numbers
    assert found.state_bytes == learning and found.ram_bytes == 24 + learning
    assert found.steps[-1].label == "1 FULLY_CONNECTED, y" and len(found.steps) == 2
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
        ({"ram_bytes": 72}, "`ram_bytes` must be more than what is trained takes, 72. Received"),
        ({"ram_bytes": 80}, "`ram_bytes` must be at least"),
        ({"trainable": 2}, "must be the last layer, 1 FULLY_CONNECTED, y. Received: 0 FULLY_CON"),
        ({"trainable": 3}, r"`trainable` must be a whole number in \[1, 2\]. Received: 3"),
        ({"trainable": ["h"]}, "Received: 0 FULLY_CONNECTED, h too"),
        ({"trainable": ["z"]}, "must name layers with weights. Received: 'z'. The file has 0 FU"),
        ({"trainable": []}, "`trainable` must be how many last layers learn"),
        ({"learning_rate_bits": 17}, r"`learning_rate_bits` must be .* \[0, 16\]. Received: 17"),
        ({"dead_zone": 1.5}, r"`dead_zone` must be a number in \[0, 1\]. Received: 1.5"),
        ({"least_error": "0"}, "`least_error` must be a number"),
        ({"seed": 0}, "`seed` must be a whole number"),
        ({"test_steps": 0}, "`test_steps` must be a whole number"),
        ({"name": "3d"}, "`name` must be a C.. name"),
        ({"samples": (np.zeros((2, 11), np.int8), [0, 1])}, r"int8 of shape \(n, 12\)"),
        ({"samples": (np.zeros((2, 12)), [0, 1])}, r"Received: float64 \[2, 12\]"),
        ({"samples": (np.zeros((2, 12), np.int8), [0, 4])}, r"class in \[0, 3\] .* \[0, 4\]"),
        ({"samples": (np.zeros((2, 12), np.int8), [0])}, "for each input"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        generate_training(networks.dense_chain(), tmp_path / "net", **options)
    assert not list(tmp_path.iterdir())


def one_layer() -> bytes:
    model = Model(inputs=[0])
    model.add(Tensor("x", (1, 12), np.int8, 0.5, 3))
    model.outputs = [networks.add_dense(model, 0, 4, "y", seed=1)]
    return model.write()


@pytest.mark.parametrize(
    "data, words",
    [
        (networks.images(), "must end in a FULLY_CONNECTED, .* Received: operator 0 CONV_2D, y"),
        (networks.branches(), "and have one output. Received: .* 2 outputs"),
        (networks.dense_chain(batch=2), "operator 1 FULLY_CONNECTED, y: .*a batch of 1"),
        (one_layer(), "operator 0 FULLY_CONNECTED, y: .*must have a layer before it"),
        (training_files.classifier(last_activation=1), "must have no activation. Received: RELU"),
        (training_files.classifier(True, beta=2.0), "2 SOFTMAX, p: .*have beta 1. Received: 2.0"),
        (files.float_dense(), "Quantize the model"),
        (b"", "must be a TFLite model"),
    ],
    ids=["convolution", "two outputs", "batch", "no trunk", "activation", "beta", "float", "empty"],
)
def test_files_that_cannot_be_trained_are_refused(tmp_path, data, words):
    with pytest.raises(ValueError, match=words):
        generate_training(data, tmp_path / "net")
    assert not list(tmp_path.iterdir())
