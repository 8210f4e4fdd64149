import edgeax
import edgeax.training
from edgeax.data import drop


def test_both_spellings_give_the_same_function():
    assert edgeax.data.drop is drop is edgeax.training.drop
    assert all(getattr(edgeax.training, name) for name in edgeax.data.__all__)
