import json

import numpy as np
import pytest

from benchmarks import psg_step
from tests.tflite_kernels import sign_cases


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("psg") / "report.json"
    assert psg_step.main(["--quick", "--json", str(path)]) == 0
    return json.loads(path.read_text())


def test_a_quick_run_has_a_row_and_a_target_for_each_layer(report):
    kept = [layer.name for layer in psg_step.network().layers if hasattr(layer, "kernel")]
    assert [row["layer"] for row in report["rows"]] == kept
    for entry, row in zip(report["wanted"], report["rows"], strict=True):
        assert entry["value"] == row["saved_to_full"] > 0 and 0 < row["predicted"] <= 1


def test_the_operators_of_a_layer_compute_the_same_gradient():
    layer = psg_step.layers.Conv2D(3, 3, padding="same", name="conv")
    source = np.random.default_rng(0)
    x, gradient = (source.normal(size=(2, 5, 4, c)).astype(np.float32) for c in (2, 3))
    layer.build(x.shape)
    cases = psg_step.cases_of(psg_step.Seen(layer, x, gradient))
    found = {}
    for name, case in cases.items():
        interpreter = psg_step.interpreter_of(case)
        found[name] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    sure = np.abs(found["float"]) > 0.05 * np.abs(found["float"]).max()  # rounding turns no sign
    np.testing.assert_array_equal(found["full"][sure], np.sign(found["float"])[sure])
    predicted, _ = sign_cases.expected_signs(cases["predicted"])
    np.testing.assert_array_equal(found["predicted"], predicted)
