"""What was seen of a tensor."""

import numpy as np
import pytest

from edgeax.post_training.seen import BINS, Histogram, Seen


def test_a_weight_has_a_column_for_each_range():
    value = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    seen = Seen.of_weight(value, per_channel=True)
    assert seen.values.shape == (4, 3) and seen.high.tolist() == [9.0, 10.0, 11.0]
    assert seen.size.tolist() == [4.0, 4.0, 4.0]
    assert Seen.of_weight(value, per_channel=False).values.shape == (12, 1)


def test_a_histogram_keeps_counts_means_and_zeros():
    rng = np.random.default_rng(0)
    batches = [np.maximum(rng.normal(size=(50, 7)), 0).astype(np.float32) for _ in range(3)]
    histogram = Histogram(np.array([(b.min(), b.max()) for b in batches]))
    for batch in batches:
        histogram.add(batch)
    seen, values = histogram.seen(), np.concatenate(batches)
    width = float(values.max()) / BINS
    assert seen.size[0] == values.size
    assert seen.counts[0, 0] == np.count_nonzero(values == 0.0)
    assert seen.mean(seen.values)[0] == pytest.approx(float(values.mean()), abs=width)
    assert seen.low[0] == 0.0 and seen.high[0] == values.max()


def test_importance_is_the_mean_of_each_bin():
    histogram = Histogram(np.array([(0.0, 1.0)]))
    histogram.add(np.float32([0.25, 0.25, 1.0]), np.float32([1.0, 3.0, 5.0]))
    seen = histogram.seen()
    held = seen.counts[:, 0] > 0
    assert seen.importance[held, 0].tolist() == [2.0, 5.0]


def test_a_histogram_of_one_value_has_a_range():
    histogram = Histogram(np.array([(0.0, 0.0)]))
    histogram.add(np.zeros(5, np.float32))
    assert histogram.seen().size[0] == 5
