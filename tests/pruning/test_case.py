import numpy as np

from edgeax.model.case import Case
from edgeax.pruning.case import Criterion
from edgeax.pruning.selection import Choice
from edgeax.pruning.weights import weights_of
from tests.pruning import nets


def test_what_is_masked_and_not_trained_stays_masked_whatever_its_score():
    class Rising(Criterion):
        def scores(self, case):
            return [np.arange(w.size, 0.0, -1).reshape(w.shape) for w in case.weights]

    for updates, wanted in (("masked", [[0, 1], [1, 0]]), ("dense", [[1, 1], [0, 0]])):
        small = nets.masked(nets.dense(2, inputs=2), updates=updates)
        weight = weights_of(small)[0]
        weight.set_mask(np.array([[False, True], [True, True]]))
        Rising().prune(Case(small, [weight]), Choice(0.5))
        assert weight.active.astype(int).tolist() == wanted
