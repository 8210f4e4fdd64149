import numpy as np

from tests.runtime.mcu import packed_cases


def kernel_of(rows: np.ndarray, target: str) -> str:
    return packed_cases.step_of(packed_cases.sparse_file(rows), target, "double").kernel


def test_scattered_weights_are_no_blocks():
    random = np.random.default_rng(4)
    rows = np.where(random.random((16, 128)) < 0.2, random.integers(1, 99, (16, 128)), 0)
    assert kernel_of(rows.astype(np.int8), "cortex-m4") == "MaskedConv2D"


def test_dsp_cores_have_room_for_wider_blocks():
    rows = np.zeros((4, 64), np.int8)
    rows[:, :24] = 5
    rows[:, 40] = np.int8([1, 2, 3, 4])
    content = packed_cases.sparse_file(rows)
    m4, m55 = (
        packed_cases.step_of(content, target, "double") for target in ("cortex-m4", "cortex-m55")
    )
    assert m4.kernel == m55.kernel == "SparseConv2D"
    assert m4.arguments.fields["most_blocks"] == m55.arguments.fields["most_blocks"] == 7
    assert m4.arguments.fields["blocks"].data.size == 7 * 16
    assert m55.arguments.fields["blocks"].data.size == 8 * 16  # as 4 are read at once
    assert m4.scratch_bytes > m55.scratch_bytes
