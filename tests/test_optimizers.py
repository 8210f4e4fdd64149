import edgeax
import edgeax.training
from edgeax.optimizers import EnhancedLossScaleOptimizer


def test_both_spellings_give_the_same_optimizers():
    assert edgeax.training.EnhancedLossScaleOptimizer is EnhancedLossScaleOptimizer
    assert all(getattr(edgeax.training, name) for name in edgeax.optimizers.__all__)
