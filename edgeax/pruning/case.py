"""Criterion: how much each weight of a case matters, and which masks come of it."""

import numpy as np

from edgeax.model.case import Case
from edgeax.pruning.selection import Choice, chosen_masks


class Criterion:
    """Says how much each weight matters. A new one is a subclass with a name in
    `criteria.CRITERIA`.

    Attributes:
        needs: What it must be given, of `"samples"`, `"labels"` and `"loss"`.
    """

    needs: tuple[str, ...] = ()

    def scores(self, case: Case) -> list[np.ndarray]:
        """Returns how much each weight of `case.weights` matters: at least 0, canonical layout."""
        raise NotImplementedError

    def prune(self, case: Case, choice: Choice) -> None:
        """Sets the masks of `case.weights`; a weight that is not choosable has the score 0."""
        scores = [
            np.where(weight.choosable, score, 0.0)
            for weight, score in zip(case.weights, self.scores(case), strict=True)
        ]
        masks = chosen_masks(case.weights, scores, choice)
        for weight, mask in zip(case.weights, masks, strict=True):
            weight.set_mask(mask)
