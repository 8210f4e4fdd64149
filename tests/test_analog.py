import edgeax
import edgeax.training.analog
from edgeax.analog import deployed


def test_both_spellings_give_the_same_functions():
    assert edgeax.analog.deployed is deployed is edgeax.training.analog.deployed
    assert all(getattr(edgeax.training.analog, name) for name in edgeax.analog.__all__)
