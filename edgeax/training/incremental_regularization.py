"""IncrementalRegularization: a decay for each group that grows until enough of them are gone."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import implements
from edgeax.model.copying import compressed_layers
from edgeax.training.added_loss import TrainingStep
from edgeax.training.after_step import AfterStep, StepDone
from edgeax.training.group_lasso import with_structure
from edgeax.training.layer_kernels import LayerKernel, Layers, checked_layers, layer_kernels
from edgeax.transforms.checks import checked_positive
from edgeax.transforms.mask import ChosenMask, Mask
from edgeax.transforms.schedules import check_sparsity
from edgeax.transforms.structures import Structure, structure_of

_TEST = "tests/training/test_incremental_regularization.py::"


@implements("WZWH19", test=_TEST + "test_wzwh19_the_increments_are_those_of_the_formula")
def increment_of_rank(
    rank: tf.Tensor, pruned: int, increment: float = 2.5e-4, bend: float = 0.25
) -> tf.Tensor:
    """Returns by how much the decay of a group grows that has `rank` groups below it.

    `A exp(-a r)` for r < N, else `2 u A - A exp(-a (2 N - r))`, with `a = ln(2 / u) / R` and
    `N = -ln(u) / a`: A for the weakest, 0 for rank R, below 0 behind it, and smooth in between.

    Source: [WZWH19].

    Args:
        rank: float32, from 0 up.
        pruned: R, the number of groups to prune, at least 1.
        increment: A.
        bend: u, in (0, 1): `u A` is what the curve has where it bends.
    """
    slope = math.log(2.0 / bend) / pruned
    middle = -math.log(bend) / slope
    falling = increment * tf.exp(-slope * rank)
    behind = increment * tf.exp(-slope * (2.0 * middle - rank))
    return tf.where(rank < middle, falling, 2.0 * bend * increment - behind)


@implements("WZWH19", test=_TEST + "test_wzwh19_exactly_the_weakest_groups_reach_the_target")
@keras.saving.register_keras_serializable("edgeax")
class IncrementalRegularization(AfterStep):
    """Adds `sum_g factor_g / 2 * |w_g|**2` in `fit`, and drops the groups whose factor gets high.

    After each step, every factor moves by what `increment_of_rank` has for its group's rank in its
    kernel, and stays at 0 or above. Ranks are those of the running means of the ranks by l1 norm:
    a group that is weak for a moment only is not lost. A group whose factor reaches `target` is set
    to zero, and again after each further step of this `fit`. Ranks below R alone grow, dropped ones
    come first: so exactly R groups of each kernel go, `round(sparsity * groups)`, and when they are
    gone, the factors of the others come down to 0.

    The factors belong to the callback, not to the model: a second `fit` with the same callback and
    model goes on with them. A new callback, as after a restart by BackupAndRestore or from a
    checkpoint, finds the groups that are zero already, R at most, and counts them as dropped; the
    factors of the others start from 0 again. A kernel whose chain begins with a
    `edgeax.transforms.mask.Mask` gets the dropped groups masked, which outlasts this callback.
    Others must be pruned after `fit`, for later training may move zeros again.

    Source: [WZWH19].

    Args:
        sparsity: Share of groups to drop in each kernel, in [0, 1).
        structure: What goes together: `"filter"` (an output channel), `"channel"` (an input
            channel), `"shape"` (one tap of all filters), `"row"`, `"kernel"`, or one of
            `edgeax.transforms.structures`.
        layers: A regular expression searched in the layer's path, or a list of them. None: all
            layers but those that make the model's outputs.
        increment: A, what the factor of the weakest group grows by in a step, above 0: the weight
            decay in the paper.
        target: The factor at which a group is dropped, above 0. The weakest take `target /
            increment` steps.
        bend: u of the formula, in (0, 1).
        begin_epoch: Epoch from which it acts, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, no such kernel is trained, or
            nothing would be left of one.

    Example: `model.fit(x, y, callbacks=[IncrementalRegularization(0.5, layers="conv")])`
    """

    def __init__(
        self,
        sparsity: float = 0.5,
        structure: str | Structure = "filter",
        layers: Layers = None,
        increment: float = 2.5e-4,
        target: float = 0.05,
        bend: float = 0.25,
        begin_epoch: int = 0,
    ) -> None:
        super().__init__(begin_epoch)
        self.sparsity = check_sparsity("sparsity", sparsity)
        self.structure = structure_of(structure)
        self.layers = checked_layers(layers)
        self.increment = checked_positive("increment", increment)
        self.target = checked_positive("target", target)
        if not 0.0 < bend < 1.0:
            raise ValueError(f"`bend` must be above 0 and below 1. Received: bend={bend}.")
        self.bend = float(bend)
        self._groups: list[_Groups] = []

    def prepare(self) -> None:
        """Takes first values from the weights; goes on from its own with a model it knows."""
        kernels = layer_kernels(self.model, self.layers, type(self).__name__)
        known = [id(groups.kernel.variable) for groups in self._groups]
        if known == [id(kernel.variable) for kernel in kernels]:
            return
        for kernel in kernels:
            self.structure.check(kernel.shape, self.sparsity, kernel.input_axes)
        masks = _settable_masks(self.model)
        with self.model.distribute_strategy.scope():
            self._groups = [_Groups(self, k, masks.get(id(k.variable))) for k in kernels]

    @property
    def factors(self) -> dict[str, np.ndarray]:
        """The factor of each group by the path of the layer, float32, empty before `fit`."""
        return {groups.kernel.path: _now(groups.factors) for groups in self._groups}

    @property
    def dropped(self) -> dict[str, list[int]]:
        """The groups of each kernel that were dropped, by the path of the layer: for `"filter"` the
        output channels. Empty before `fit`.
        """
        return {path: np.flatnonzero(f >= self.target).tolist() for path, f in self.factors.items()}

    def term(self, step: TrainingStep) -> Any:
        """See `AddedLoss.term`."""
        return tf.add_n([groups.penalty() for groups in self._groups])

    def after_step(self, done: StepDone) -> None:
        """See `AfterStep.after_step`."""
        for groups in self._groups:
            groups.update()

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "sparsity": self.sparsity,
            "structure": keras.saving.serialize_keras_object(self.structure),
            "layers": self.layers,
            "increment": self.increment,
            "target": self.target,
            "bend": self.bend,
            "begin_epoch": self.begin_epoch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "IncrementalRegularization":
        """Returns the callback that `get_config` described."""
        return cls(**with_structure(config))


class _Groups:
    """The groups of one kernel: factor, mean of ranks, and how many ranks that is the mean of."""

    def __init__(
        self, settings: IncrementalRegularization, kernel: LayerKernel, mask: Mask | None
    ) -> None:
        self.settings, self.kernel, self.mask = settings, kernel, mask
        sums = settings.structure.sums(kernel.value, kernel.input_axes)
        self._shape = sums.shape
        norms = self._norms(kernel.value)
        self.pruned = round(settings.sparsity * int(tf.size(norms)))
        gone = tf.equal(norms, 0.0)
        if np.count_nonzero(gone) > self.pruned:  # made as zeros, not dropped
            gone = tf.zeros_like(gone)
        self.factors = tf.Variable(tf.where(gone, settings.target, 0.0), trainable=False)
        self.ranks = tf.Variable(tf.zeros_like(norms), trainable=False)
        self.count = tf.Variable(0.0, trainable=False)

    def penalty(self) -> tf.Tensor:
        """Returns half the sum of squares, each times the factor of its group."""
        squares = self.settings.structure.sums(tf.square(self.kernel.value), self.kernel.input_axes)
        return 0.5 * tf.reduce_sum(self.factors * tf.reshape(squares, [-1]))

    def update(self) -> None:
        """Moves the factors, and sets to zero what is dropped."""
        kernel, settings = self.kernel, self.settings
        value = kernel.value
        norms = self._norms(value)
        gone = self.factors >= settings.target
        count = self.count + 1.0
        ranks = self.ranks + (_places(norms) - self.ranks) / count
        self.count.assign(count)
        self.ranks.assign(ranks)
        if self.pruned:
            place = _places(tf.where(gone, -1.0, ranks))
            growth = increment_of_rank(place, self.pruned, settings.increment, settings.bend)
            factors = tf.where(gone, self.factors, tf.maximum(self.factors + growth, 0.0))
            gone = factors >= settings.target
            self.factors.assign(factors)
        stays = self._spread(tf.logical_not(gone), value)
        kernel.assign(tf.where(stays, value, 0.0))
        if self.mask is not None:
            self.mask.mask.assign(tf.logical_and(self.mask.mask.value, stays))

    def _norms(self, value: tf.Tensor) -> tf.Tensor:
        sums = self.settings.structure.sums(tf.abs(value), self.kernel.input_axes)
        return tf.reshape(sums, [-1])

    def _spread(self, groups: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        shaped = tf.reshape(groups, self._shape)
        return self.settings.structure.spread(shaped, value.shape, self.kernel.input_axes)


def _places(values: tf.Tensor) -> tf.Tensor:
    """Returns how many of `values` lie below each of them, of equal ones those before it too."""
    order = tf.argsort(values, stable=True)
    return tf.cast(tf.argsort(order, stable=True), tf.float32)


def _settable_masks(model: keras.Model) -> dict[int, Mask]:
    """Returns the masks that are set from outside, by the ids of the variables they lie on."""
    masks = {}
    for layer in compressed_layers(model):
        for weight in layer.weight_chains:
            first = weight.chain.transforms[0]
            if isinstance(first, Mask) and not isinstance(first, ChosenMask):
                masks[id(weight.variable)] = first
    return masks


def _now(variable: Any) -> np.ndarray:
    return tf.convert_to_tensor(variable).numpy()
