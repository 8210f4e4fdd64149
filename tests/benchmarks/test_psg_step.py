import json

import numpy as np
import pytest

from benchmarks import psg_step
from edgeax.training.code_bits import codes_of, limit_of
from tests.tflite_kernels import sign_cases


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("psg") / "report.json"
    assert psg_step.main(["--quick", "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_a_quick_run_has_a_row_for_each_layer_and_setting_and_targets_of_bytes(report):
    rows = report["rows"]
    assert [(row["setting"], row["layer"]) for row in rows] == [
        (setting, layer) for setting in psg_step.SETTINGS for layer in psg_step.SHOWN
    ]
    assert all(0 < row["sure"] <= 1 and 0 <= row["wrong"] < 0.5 for row in rows)
    of_bytes = [row for row in rows if row["setting"] == psg_step.BYTES]
    for entry, row in zip(report["wanted"], of_bytes, strict=True):
        assert entry["value"] == row["saved_to_full"] > 0


@pytest.mark.parametrize("kind", [psg_step.layers.Conv2D, psg_step.layers.DepthwiseConv2D])
def test_the_operators_of_a_layer_compute_the_same_gradient(kind):
    layer = kind(3, 3, padding="same", name="conv") if kind is psg_step.layers.Conv2D else kind(3)
    source = np.random.default_rng(0)
    x = source.normal(size=(2, 5, 4, 2)).astype(np.float32)
    gradient = source.normal(size=layer(x).shape).astype(np.float32)
    codes = codes_of(x, limit_of(x, "batch"), 8).numpy()
    errors = codes_of(gradient, limit_of(gradient, "gradient"), 16).numpy()
    for setting in psg_step.SETTINGS:
        cases = psg_step.cases_of(psg_step.Seen(layer, codes, errors), setting)
        found = {}
        for name, case in cases.items():
            interpreter = psg_step.interpreter_of(case)
            found[name] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        np.testing.assert_array_equal(found["full"], np.sign(found["float"]))
        predicted, _ = sign_cases.expected_signs(cases["predicted"])
        np.testing.assert_array_equal(found["predicted"], predicted)
