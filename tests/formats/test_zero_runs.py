"""Run lengths of zeros: words by hand, and every array comes back."""

import numpy as np
import pytest

from edgeax.formats.zero_runs import read_zero_runs, write_zero_runs

LAST = 1 << 63


def test_ces16_words_worked_out_by_hand():
    values = np.int16([0, 0, 12, 0, 0, 0, 0, 53, 0, 0, 22])  # the example of the paper's figure
    word = (12 << 5 | 2) | (53 << 5 | 4) << 21 | (22 << 5 | 2) << 42
    assert write_zero_runs(values).tolist() == [word | LAST]


def test_ces16_a_long_run_is_cut():
    words = write_zero_runs(np.int16([0] * 40 + [-1]))
    assert words.tolist() == [31 | (0xFFFF << 5 | 8) << 21 | LAST]


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("count", [1, 2, 97, 500])
def test_every_array_comes_back(density, count):
    generator = np.random.default_rng(count)
    values = generator.integers(-32768, 32768, count) * (generator.random(count) < density)
    words = write_zero_runs(values)
    assert read_zero_runs(words, count).tolist() == values.tolist()


def test_half_of_zeros_is_about_half_of_the_bytes():
    generator = np.random.default_rng(0)
    values = generator.integers(1, 100, 3000) * (generator.random(3000) < 0.25)
    assert write_zero_runs(values).nbytes < 0.4 * 2 * values.size


def test_bad_data_is_told():
    with pytest.raises(ValueError, match="max=40000"):
        write_zero_runs(np.int64([0, 40000]))
    with pytest.raises(ValueError, match="float64"):
        write_zero_runs(np.float64([0.5]))
    words = write_zero_runs(np.int16([0, 0, 1]))
    with pytest.raises(ValueError, match="one at 2"):
        read_zero_runs(words, 2)
    with pytest.raises(ValueError, match="0 words"):
        read_zero_runs(words[:0], 2)
