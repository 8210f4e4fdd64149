import edgeax
import edgeax.training.lars
from edgeax.optimizers import LARS


def test_both_spellings_give_the_same_optimizer():
    assert edgeax.optimizers.LARS is LARS is edgeax.training.lars.LARS
    assert all(getattr(edgeax.training, name) for name in edgeax.optimizers.__all__)
