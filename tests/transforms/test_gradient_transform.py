import numpy as np
import pytest

from edgeax.transforms import Chain, DoReFaGradient, GradientTransform, LearnedStep, WAGEError
from tests.transforms.bound import activation_chain, value_and_gradients, weight_chain

TENSOR = np.float32([[1.0, -2.0], [3.0, 4.0]])


class Doubled(GradientTransform):
    """Doubles gradients, and adds the number of steps done."""

    def backward(self, upstream, step):
        return 2.0 * upstream + float(step)


def test_only_the_gradient_is_changed():
    for chain in (weight_chain(Doubled(), TENSOR), activation_chain(Doubled())):
        chain.calls.assign(7)
        value, gradient = value_and_gradients(chain, TENSOR, TENSOR)
        assert np.array_equal(value, TENSOR)
        assert np.array_equal(gradient, 2 * TENSOR + 7)


def test_the_codes_of_a_quantizer_before_it_stay():
    chain = Chain([LearnedStep(4), Doubled()])
    chain.bind("weight", TENSOR.shape)
    chain.initialize(TENSOR)
    assert np.array_equal(chain.freeze(TENSOR).decode(), chain.call(TENSOR))


def test_it_comes_last_and_alone():
    with pytest.raises(ValueError, match="`DoReFaGradient` must come last"):
        Chain([DoReFaGradient(4), LearnedStep(4)])
    with pytest.raises(ValueError, match="must be the only one in a chain that changes gradients"):
        Chain([DoReFaGradient(4), WAGEError(4)])
