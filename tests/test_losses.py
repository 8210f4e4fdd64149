import edgeax
import edgeax.training
from edgeax.losses import SoftTargets


def test_both_spellings_give_the_same_losses():
    assert edgeax.losses.SoftTargets is SoftTargets is edgeax.training.SoftTargets
    assert all(getattr(edgeax.training, name) for name in edgeax.losses.__all__)
