import keras
import numpy as np
import pytest

from edgeax import Compressed
from edgeax.transforms import LearnedClip
from tests.transforms.bound import activation_chain, value_and_gradients


def test_cwv18_alpha_gets_the_gradient_of_what_it_clips():
    chain = activation_chain(LearnedClip(2, alpha=3.0))
    batch = np.float32([[-1.0, 0.0, 1.4, 2.9, 3.0, 7.0]])
    upstream = np.float32([[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]])
    alpha = chain.transforms[0].alpha
    value, to_batch, to_alpha = value_and_gradients(chain, batch, upstream, [alpha])
    assert value.tolist() == [[0.0, 0.0, 1.0, 3.0, 3.0, 3.0]]
    assert to_batch.tolist() == [[0.0, 2.0, 4.0, 8.0, 0.0, 0.0]]
    assert to_alpha == 48.0
    assert chain.transforms[0].extremes == (0.0, 3.0)


def test_cwv18_alpha_has_a_regularizer_of_its_own():
    clip = LearnedClip(4, alpha=5.0, regularizer=keras.regularizers.L2(0.1))
    model = keras.Sequential([Compressed(keras.layers.Dense(2), output=clip)])
    model(np.ones((1, 3), np.float32))
    assert [float(loss) for loss in model.losses] == pytest.approx([0.1 * 25.0])
