"""Optimal Brain Damage: what the loss gains when a weight alone is taken out."""

import numpy as np

from edgeax.formats import implements
from edgeax.model import derivatives
from edgeax.model.case import Case
from edgeax.pruning.case import Criterion
from edgeax.pruning.weights import unmasked

_TEST = "tests/pruning/test_brain_damage.py::"


def gauss_newton_diagonal(case: Case) -> list[np.ndarray]:
    """Returns the diagonal of the Gauss-Newton matrix of the loss for each of `case.weights`,
    canonical layout, masked ones as if they were not; see `derivatives.gauss_newton_diagonal`.
    """
    with unmasked(case.weights):
        found = derivatives.gauss_newton_diagonal(case, [w.variable for w in case.weights])
    return [
        weight.layout.to_canonical(diagonal)
        for weight, diagonal in zip(case.weights, found, strict=True)
    ]


@implements(
    "CDS90", test=_TEST + "test_cds90_the_diagonal_is_that_of_the_hessian_of_a_quadratic_net"
)
class BrainDamage(Criterion):
    """`h_kk w_k**2 / 2`: what the loss gains, to second order, when a weight alone becomes 0.

    h_kk is the diagonal of the Gauss-Newton matrix (see `gauss_newton_diagonal`), which passes back
    exact factors of the output's curvature where the paper passes back a diagonal. The model should
    be trained to a minimum: the first order is left out. Source: [CDS90].
    """

    needs = ("samples", "loss")

    def scores(self, case: Case) -> list[np.ndarray]:
        """See `Criterion.scores`."""
        return [
            0.5 * diagonal * np.square(weight.value, dtype=np.float64)
            for weight, diagonal in zip(case.weights, gauss_newton_diagonal(case), strict=True)
        ]
