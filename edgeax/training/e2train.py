"""E2Train: dropped batches, skipped blocks and predicted signs, set up together."""

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import keras

from edgeax.formats import implements
from edgeax.training.minibatch_dropping import MinibatchDropping
from edgeax.training.predicted_signs import PredictedSigns
from edgeax.training.predictive_models import (
    with_predictive_gradients,
    without_predictive_gradients,
)
from edgeax.training.psg import RULES
from edgeax.training.residual_blocks import with_selective_blocks, without_selective_blocks
from edgeax.training.selection_gate import SelectionGate
from edgeax.training.sign_optimizers import PredictiveSignSGD
from edgeax.training.skip_aware import SkipAware
from edgeax.training.training_cost import TrainingCost


@implements(
    "WJC19",
    test="tests/training/test_e2train.py::test_wjc19_the_three_savings_multiply",
)
@keras.saving.register_keras_serializable("edgeax")
class E2Train:
    """Trains for less in plain `fit`: mini-batches, residual blocks and low bits are left out.

    What each of the three does stands in `edgeax.callbacks.MinibatchDropping`,
    `edgeax.layers.SelectiveBlock` and `edgeax.with_predictive_gradients`; any of them can be
    switched off. The dropping saves its share of the time; skipped blocks save theirs; what
    predicted signs save is modelled, for in `fit` both gradients are computed.

    Source: [WJC19].

    Args:
        drop: Probability that a batch is dropped, in [0, 1); 0 drops none.
        keep: Share of the selective blocks that a step runs, above 0 and at most 1; 1 leaves the
            blocks as they are.
        predict: Whether signs of gradients are predicted; or settings of
            `edgeax.with_predictive_gradients`, such as `{"beta": 0.1}`.
        stretch: How many steps are seen for each step of a training without dropping; see
            MinibatchDropping.
        gate: Settings of `edgeax.layers.SelectionGate` beside `target`. Its `strength` is 1e-3 if
            they do not say another: with less, SGD at high rates lets the task close the gate.
        seed: Of what is dropped and skipped, an integer, at least 0.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        e2 = edgeax.lifelong.E2Train(drop=0.5, keep=0.4)
        model = e2.prepare(resnet)
        e2.compile(model, 0.003, "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(x, y, batch_size=64, epochs=e2.epochs(20), callbacks=e2.callbacks(batch_size=64))
        edgeax.export(e2.finished(model, x[:256]), "model.tflite", x)
    """

    def __init__(
        self,
        drop: float = 0.5,
        keep: float = 0.4,
        predict: bool | Mapping[str, Any] = True,
        stretch: float = 1.0,
        gate: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        dropping = MinibatchDropping(drop, seed, stretch)
        self.drop, self.seed, self.stretch = dropping.rate, dropping.seed, dropping.stretch
        self.gate = dict(gate or {})
        if "target" in self.gate:
            raise ValueError(
                "`gate` must leave the target to `keep`. Received: "
                f"gate={self.gate}. Pass keep={self.gate['target']}."
            )
        self.keep = self._new_gate(keep).target
        self.predict = _checked_predict(predict)

    @property
    def compute_ratio(self) -> float:
        """Steps that are run, as a share of those of a training without dropping."""
        return MinibatchDropping(self.drop, self.seed, self.stretch).compute_ratio

    def epochs(self, count: int) -> int:
        """Returns how many epochs stand for `count` without dropping."""
        return MinibatchDropping(self.drop, self.seed, self.stretch).epochs(count)

    def prepare(self, model: keras.Model, blocks: Iterable[str] | None = None) -> keras.Model:
        """Returns a copy of a model that is trained so, not compiled.

        Args:
            model: Sequential or functional, built, plain or compressed.
            blocks: Which residual blocks can be skipped; see
                `edgeax.lifelong.with_selective_blocks`. None: all that are found but the first.

        Raises:
            ValueError: The model has no graph; with `keep` below 1 no residual blocks, or none of
                these names; with `predict` no layer whose gradient has a rule.
        """
        if self.predict is not False:
            model = with_predictive_gradients(model, **self._predictive_settings())
        if self.keep < 1.0:
            model = with_selective_blocks(model, self._new_gate(self.keep), blocks)
        return model

    def optimizer(self, optimizer: Any) -> keras.optimizers.Optimizer:
        """Returns an optimizer that leaves skipped blocks alone.

        Args:
            optimizer: A learning rate or a schedule: of PredictiveSignSGD where signs are
                predicted, else of SGD with a momentum of 0.9. A schedule is stretched and counts
                dropped steps too. Or a Keras optimizer, which is taken as it is.

        Raises:
            ValueError: It is none of these.
        """
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            if isinstance(optimizer, keras.optimizers.schedules.LearningRateSchedule):
                dropping = MinibatchDropping(self.drop, self.seed, self.stretch)
                rate: Any = dropping.schedule(optimizer)
            else:
                rate = _checked_rate(optimizer)
            if self.predict is not False:
                optimizer = PredictiveSignSGD(rate)
            else:
                optimizer = keras.optimizers.SGD(rate, momentum=0.9)
        return SkipAware(optimizer) if self.keep < 1.0 else optimizer

    def compile(self, model: keras.Model, optimizer: Any, loss: Any, **settings: Any) -> None:
        """Compiles a model that `prepare` returned.

        Args:
            model: The model.
            optimizer: As for `optimizer`.
            loss: As for `keras.Model.compile`.
            **settings: The same, such as `metrics`.
        """
        model.compile(self.optimizer(optimizer), loss, **settings)

    def callbacks(self, batch_size: int, energy: str = "45nm") -> list[keras.callbacks.Callback]:
        """Returns callbacks for `fit`: what drops batches, and what tells savings in `logs`.

        Args:
            batch_size: Samples in a step.
            energy: Table of `edgeax.callbacks.TrainingCost`.
        """
        made: list[keras.callbacks.Callback] = []
        if self.drop or self.stretch != 1.0:
            made.append(MinibatchDropping(self.drop, self.seed, self.stretch))
        if self.predict is not False:
            made.append(PredictedSigns())
        return [*made, TrainingCost(batch_size, energy)]

    def finished(self, model: keras.Model, samples: Any = None) -> keras.Model:
        """Returns a plain copy of a trained model, to export: no predictions, and no gates.

        See `without_predictive_gradients` and `without_selective_blocks`.

        Args:
            model: One that `prepare` returned.
            samples: Inputs of it, where blocks are selected.

        Raises:
            ValueError: Blocks are selected, and there are no samples.
        """
        return without_predictive_gradients(without_selective_blocks(model, samples))

    def _new_gate(self, keep: float) -> SelectionGate:
        return SelectionGate(target=keep, **{"strength": 1e-3, "seed": self.seed, **self.gate})

    def _predictive_settings(self) -> dict[str, Any]:
        return dict(self.predict) if isinstance(self.predict, Mapping) else {}

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "drop": self.drop,
            "keep": self.keep,
            "predict": self.predict,
            "stretch": self.stretch,
            "gate": self.gate,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "E2Train":
        """Returns what `get_config` described."""
        return cls(**config)


def _checked_predict(predict: Any) -> bool | dict[str, Any]:
    """Returns whether signs are predicted, or the settings for it.

    Raises:
        ValueError: It is neither, or a setting is unknown or out of its range.
    """
    if isinstance(predict, bool):
        return predict
    kind = RULES[keras.layers.Dense]
    known = kind(1).predictive_config()
    if not isinstance(predict, Mapping) or not {*predict} <= {*known}:
        raise ValueError(
            f"`predict` must be True, False, or settings among {[*known]}. "
            f"Received: predict={predict!r}."
        )
    kind(1, **predict)
    return dict(predict)


def _checked_rate(rate: Any) -> float:
    is_number = isinstance(rate, numbers.Real) and not isinstance(rate, bool)
    if not is_number or not 0.0 < float(rate) < math.inf:
        raise ValueError(
            "`optimizer` must be a learning rate above 0, a schedule or a Keras optimizer. "
            f"Received: {rate!r}. Make one, such as keras.optimizers.Adam()."
        )
    return float(rate)
