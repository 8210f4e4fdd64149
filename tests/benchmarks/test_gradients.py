import json

import numpy as np
import pytest

from benchmarks import gradients
from edgeax.formats.operators import GRADIENT_OPERATORS


def test_the_gradients_of_a_network_are_all_there():
    names = {case.operator for case in gradients.cases()}
    known = {name for name in GRADIENT_OPERATORS if not name.startswith("Edgeax")}
    assert names == known - {"LeakyReluGrad", "EluGrad"}


@pytest.mark.parametrize("operator", sorted({case.operator for case in gradients.cases()}))
def test_both_sides_of_a_case_give_the_same_numbers(operator):
    case = min(
        (case for case in gradients.cases() if case.operator == operator),
        key=lambda case: np.prod(case.gradient) * case.layer.kernel**2,
    )
    both = gradients.sides(case)
    both.edgeax()
    for wanted, found in zip(both.tensorflow(), both.outputs(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


def test_a_quick_run_has_a_row_and_a_target_for_each_case(tmp_path, monkeypatch):
    some = [gradients.cases()[0], gradients.cases()[-1]]
    monkeypatch.setattr(gradients, "cases", lambda: some)
    path = tmp_path / "report.json"
    assert gradients.main(["--quick", "--json", str(path)]) == 0
    report = json.loads(path.read_text())
    assert [row["operator"] for row in report["rows"]] == [case.operator for case in some]
    for entry, row in zip(report["wanted"], report["rows"], strict=True):
        assert entry["value"] == row["speed"] > 0 and entry["wanted"] == ">= 1"
