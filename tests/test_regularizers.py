import edgeax
import edgeax.training
from edgeax.constraints import WeightClip
from edgeax.regularizers import Bipolar


def test_both_spellings_give_the_same_regularizers_and_constraints():
    assert edgeax.regularizers.Bipolar is Bipolar is edgeax.training.Bipolar
    assert edgeax.constraints.WeightClip is WeightClip is edgeax.training.WeightClip
    for facade in (edgeax.regularizers, edgeax.constraints):
        assert all(getattr(edgeax.training, name) for name in facade.__all__)
