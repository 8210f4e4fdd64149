import edgeax
import edgeax.training
from edgeax.optimizers import SkipAware


def test_both_spellings_give_the_same_optimizer():
    assert edgeax.optimizers.SkipAware is SkipAware is edgeax.training.SkipAware
    assert all(getattr(edgeax.training, name) for name in edgeax.optimizers.__all__)
