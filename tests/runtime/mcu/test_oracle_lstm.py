import re

import numpy as np
import pytest

from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.generate import generate
from edgeax.runtime.mcu.oracle_lstm import lstm, sigmoid_table
from tests.emulation import places, process
from tests.export import tflm
from tests.runtime.mcu import lstm_files
from tests.runtime.mcu.lstm_files import Case
from tests.runtime.mcu.operators.test_lstm import CASES, PLAIN


def computed(case: Case, row: np.ndarray) -> np.ndarray:
    graph = Model.from_bytes(lstm_files.build(case)).subgraphs[0]
    return lstm(graph, graph.operators[0], row)


def test_it_gives_the_codes_of_tflm(tmp_path):
    for name, case in CASES.items():
        (tmp_path / f"{name.replace(' ', '_')}.tflite").write_bytes(lstm_files.build(case))
    rows = lstm_files.inputs(PLAIN, 1)
    results = tflm.run(tmp_path, [rows[:, 0]])
    for name, case in CASES.items():
        wanted = results[name.replace(" ", "_")].outputs[0]
        assert np.array_equal(computed(case, rows[0]), wanted), name


def test_time_first_and_batch_first_give_the_same():
    rows = lstm_files.inputs(Case(batch=2), 1)[0]
    turned = computed(Case(batch=2, time_major=True), rows.swapaxes(0, 1))
    assert np.array_equal(computed(Case(batch=2), rows), turned.swapaxes(0, 1))


def test_coupled_gates_are_refused():
    with pytest.raises(ValueError, match="must have four gates .* Received: three"):
        computed(Case(couples=True), lstm_files.inputs(PLAIN, 1)[0])


def test_the_table_is_the_kernel_s():
    text = (places.REPOSITORY / "tflite_kernels/micro/sigmoid_table.cc").read_text()
    numbers = re.search(r"kSigmoid\[256\] = \{(.*?)\}", text, re.DOTALL).group(1)
    assert sigmoid_table().tolist() == [int(number) for number in numbers.split(",")]


@pytest.mark.parametrize("rounding", ["single", "double"])
def test_a_generated_program_passes_its_own_test(rounding, tmp_path):
    content = lstm_files.build(CASES["gates overflow"])
    folder = tmp_path / "made"
    generate(content, folder, target="host", rounding=rounding)
    outcome = process.run(["make", "-s", "-C", folder, "test"], timeout_s=120)
    assert outcome.code == 0 and outcome.output.count(": 0 of 132 values") == 3
