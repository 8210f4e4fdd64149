import numpy as np
import pytest

from edgeax.transforms import RecurrentState
from tests.transforms.bound import activation_chain, value_and_gradients


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_hwz16_states_lie_on_even_levels_of_their_range(bits):
    batch = np.random.default_rng(0).uniform(-1.3, 1.3, size=(4, 30)).astype(np.float32)
    top = 2**bits - 1
    for signed, low in ((True, -1.0), (False, 0.0)):
        chain = activation_chain(RecurrentState(bits, signed))
        value, gradient = value_and_gradients(chain, batch, np.ones_like(batch))
        unit = np.clip((batch - low) / (1 - low), 0, 1)
        assert np.allclose(value, np.round(unit * top) / top * (1 - low) + low, atol=1e-6)
        assert np.array_equal(gradient, np.float32((batch >= low) & (batch <= 1)))
        assert not chain.transforms[0].weights
