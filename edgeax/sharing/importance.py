"""Importance: how much the error of each weight counts."""

import dataclasses
from typing import Any

import keras
import numpy as np

from edgeax.formats.methods import implements
from edgeax.model.case import Case
from edgeax.model.copying import compressed_layers
from edgeax.model.derivatives import gauss_newton_diagonal
from edgeax.model.rewrite import strip
from edgeax.sharing.weights import originals_of
from edgeax.training.optimizer_state import slots_of
from edgeax.transforms.checks import named_object

MOST_SAMPLES = 1000
_TEST = "tests/sharing/test_importance.py::"


class Importance:
    """Says how much the squared error of each weight counts. A new one is a subclass with a name in
    `IMPORTANCES`.

    Attributes:
        needs: What it must be given, of `"samples"`, `"labels"` and `"loss"`.
    """

    needs: tuple[str, ...] = ()

    def of(self, case: Case, model: keras.Model) -> list[np.ndarray]:
        """Returns how much each weight of `case.weights` counts, at least 0, canonical layout.

        Args:
            case: A case.
            model: That which the case's model is a copy of.

        Raises:
            ValueError: That cannot be known.
        """
        raise NotImplementedError


@implements("CEL16", test=_TEST + "test_cel16_the_hessian_says_what_the_loss_gains")
class Hessian(Importance):
    """The diagonal of the Hessian of the loss, as `derivatives.gauss_newton_diagonal` has it, from
    up to 1000 samples: half of it times the squared error is what the loss gains. Of a compressed
    model activations are not rounded for that. Source: [CEL16].
    """

    needs = ("samples", "loss")

    def of(self, case: Case, model: keras.Model) -> list[np.ndarray]:
        """See `Importance.of`."""
        plain = model if next(compressed_layers(model), None) is None else strip(model)
        found = gauss_newton_diagonal(
            dataclasses.replace(case, model=plain), originals_of(case.weights, case.model, plain)
        )
        return [
            weight.layout.to_canonical(diagonal)
            for weight, diagonal in zip(case.weights, found, strict=True)
        ]


@implements("CEL16", test=_TEST + "test_cel16_the_optimizer_gives_the_root_of_its_second_moment")
class SecondMoment(Importance):
    """The square root of the second moment that Adam, or another optimizer with a `velocity`, keeps
    of the gradients of each weight: it stands for the Hessian and costs nothing. Source: [CEL16].
    """

    def of(self, case: Case, model: keras.Model) -> list[np.ndarray]:
        """See `Importance.of`."""
        variables = originals_of(case.weights, case.model, model)
        return [
            weight.layout.to_canonical(np.sqrt(_second_moment(model, variable)))
            for weight, variable in zip(case.weights, variables, strict=True)
        ]


def _second_moment(model: keras.Model, variable: keras.Variable) -> np.ndarray:
    optimizer = getattr(model, "optimizer", None)
    for slot in slots_of(optimizer, variable):
        if "velocity" in slot.name and np.any(slot):
            return np.asarray(slot, np.float64)
    raise ValueError(
        "`importance` can be 'optimizer' for a model that was trained by Adam or another optimizer "
        f"with a second moment. Received: {getattr(optimizer, 'name', None)}, which has none of "
        f"{variable.path!r}. Train it by fit() first, or use importance='hessian'."
    )


IMPORTANCES = {"hessian": Hessian, "optimizer": SecondMoment}


def importance_of(given: Any) -> Importance | None:
    """Returns the importance that a word or an object stands for; None for None.

    Raises:
        ValueError: There is no such importance.
    """
    if given is None:
        return None
    return named_object("importance", given, IMPORTANCES, (Importance,))
