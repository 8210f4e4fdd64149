import numpy as np
import pytest

from edgeax.transforms.moving_mean import MovingMean


def test_it_starts_with_the_first_numbers_and_moves_by_its_momentum():
    mean = MovingMean(0.75)
    mean.bind("activation", (2,))
    mean.observe(np.float32([4.0, 8.0]))
    assert mean.mean.numpy().tolist() == [4.0, 8.0]
    mean.observe(np.float32([8.0, 0.0]))
    assert mean.mean.numpy().tolist() == [5.0, 6.0]
    mean.observe(np.float32([np.nan, 0.0]))
    assert mean.mean.numpy().tolist() == [5.0, 6.0]


def test_a_momentum_out_of_its_range_is_refused():
    with pytest.raises(ValueError, match=r"`momentum` must lie in \[0, 1\).*=1.5"):
        MovingMean(1.5)
