"""MSQE and PartialL2: weights drawn to where they will be rounded to, by a strength that grows."""

import abc
import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from edgeax.formats import Integer, implements
from edgeax.model.copying import compressed_layers
from edgeax.model.rewrite import compress
from edgeax.model.wrapper import slot_of
from edgeax.training.added_loss import AddedLoss, TrainingStep, kernels_of
from edgeax.transforms.checks import checked_bits, checked_positive
from edgeax.transforms.learned_step import LearnedStep
from edgeax.transforms.prune import magnitude_mask

_TEST = "tests/training/test_quantization_error.py::"
_CANDIDATES = 256  # steps that are tried for a kernel, beside those that put its extreme on a level


class LearnedStrength(AddedLoss):
    """Base of the terms `strength * error - alpha * log(strength)` whose strength is learned.

    The strength is `exp(omega)` with a trained omega, so it stays above 0. Where omega rests,
    `strength = alpha / error`: as the error shrinks, it counts more and more. What is learned here
    belongs to the callback and has an optimizer of its own: the model's weights, files and
    optimizer stay as they are. A new callback finds all of it again from the weights.

    Args:
        alpha: What the term comes to at rest, above 0, in units of the loss.
        strength: Strength at the start, above 0; None: `alpha / error` of the weights at that time.
        learning_rate: Of omega and of all else that is learned here, all of it logarithms, above 0.
        begin_epoch: Epoch from which the term is added, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        strength: float | None = None,
        learning_rate: float = 1e-3,
        begin_epoch: int = 0,
    ) -> None:
        super().__init__(begin_epoch)
        self.alpha = checked_positive("alpha", alpha)
        self.first_strength = None if strength is None else checked_positive("strength", strength)
        self.learning_rate = checked_positive("learning_rate", learning_rate)
        self._omega: Any = None
        self._prepared_for: list[int] = []

    @abc.abstractmethod
    def variables_for(self, kernels: list[keras.Variable]) -> list[Any]:
        """Returns new variables that the error depends on, beside the kernels."""

    @abc.abstractmethod
    def error(self, kernels: list[tf.Tensor]) -> tf.Tensor:
        """Returns the mean squared error over the values of all kernels, a float32 scalar."""

    @property
    def strength(self) -> float | None:
        """The strength as it is now, None before `fit`."""
        return None if self._omega is None else math.exp(float(self._omega.numpy()))

    def prepare(self) -> None:
        """Takes first values from the weights; goes on from its own with a model it knows."""
        kernels = kernels_of(self.model)
        known = [id(kernel) for kernel in kernels]
        if known == self._prepared_for:
            return
        self._prepared_for = known
        more = self.variables_for(kernels)
        error = float(self.error([kernel.value for kernel in kernels]))
        strength = self.first_strength or self.alpha / max(error, 1e-12)
        with self.model.distribute_strategy.scope():
            self._omega = tf.Variable(math.log(strength), dtype=tf.float32)
            self._learned = [self._omega, *more]
            self._optimizer = keras.optimizers.Adam(self.learning_rate)
            self._optimizer.build(self._learned)

    def term(self, step: TrainingStep) -> Any:
        """Returns the term, and moves what is learned here by its gradient."""
        kernels = [kernel.value for kernel in kernels_of(step.model)]
        with tf.GradientTape() as tape:
            error = self.error([tf.cast(kernel, tf.float32) for kernel in kernels])
            term = tf.exp(self._omega) * error - self.alpha * self._omega
        self._optimizer.apply(tape.gradient(term, self._learned), self._learned)
        return term

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the strength into the logs, as `strength/` and the name of the class."""
        if logs is not None and self.strength is not None:
            logs[f"strength/{type(self).__name__}"] = self.strength

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {
            "alpha": self.alpha,
            "strength": self.first_strength,
            "learning_rate": self.learning_rate,
            "begin_epoch": self.begin_epoch,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LearnedStrength":
        """Returns the callback that `get_config` described."""
        return cls(**config)


@implements("CEKL20", test=_TEST + "test_cekl20_strength_comes_to_rest_at_alpha_over_error")
@keras.saving.register_keras_serializable("edgeax")
class MSQE(LearnedStrength):
    """Adds `strength * R - alpha * log(strength)` in `fit`, R the mean squared rounding error.

    R is the mean of `(w - Q(w))**2` over the weights of all kernels that training moves. Q rounds
    to integer codes times a step, which is trained, one for each kernel. The network computes with
    its real weights, whose gradients are exact; they gather at the levels of Q, more closely the
    longer it trains. Then `compress` rounds them with the steps that were learned. Activations,
    if rounded, are for a recipe to see to.

    Source: [CEKL20]. The optimizer of steps and strength, and the first values, are choices of
    edgeax.

    Args:
        bits: Width of a code, 2 to 8; the codes are those of `edgeax.LearnedStep`.
        alpha: What the term comes to at rest, above 0, in units of the loss.
        strength: Strength at the start, above 0; None: `alpha / R` of the weights at that time.
        learning_rate: Of the logarithms of strength and steps, above 0.
        begin_epoch: Epoch from which the term is added, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, no kernel is trained.

    Example:
        `msqe = MSQE(bits=4); model.fit(x, y, callbacks=[msqe]); small = msqe.compress(model)`
    """

    def __init__(
        self,
        bits: int = 4,
        alpha: float = 1.0,
        strength: float | None = None,
        learning_rate: float = 1e-3,
        begin_epoch: int = 0,
    ) -> None:
        super().__init__(alpha, strength, learning_rate, begin_epoch)
        self.bits = checked_bits(bits, 2, 8, "MSQE")
        self._log_steps: list[Any] = []
        self._paths: list[str] = []

    @property
    def _ends(self) -> tuple[int, int]:
        """The lowest and the highest code: those of LearnedStep."""
        return Integer(self.bits, narrow=self.bits == 8).code_range

    @property
    def steps(self) -> dict[str, float]:
        """The step of each kernel by the path of its variable, empty before `fit`."""
        steps = (math.exp(float(log.numpy())) for log in self._log_steps)
        return dict(zip(self._paths, steps, strict=True))

    def variables_for(self, kernels: list[keras.Variable]) -> list[Any]:
        """See `LearnedStrength.variables_for`."""
        steps = [least_error_step(np.asarray(kernel), *self._ends) for kernel in kernels]
        self._paths = [kernel.path for kernel in kernels]
        with self.model.distribute_strategy.scope():
            self._log_steps = [tf.Variable(math.log(step), dtype=tf.float32) for step in steps]
        return self._log_steps

    def error(self, kernels: list[tf.Tensor]) -> tf.Tensor:
        """See `LearnedStrength.error`."""
        low, high = self._ends
        squares, count = [], 0
        for weight, log_step in zip(kernels, self._log_steps, strict=True):
            step = tf.exp(log_step)
            codes = tf.stop_gradient(tf.clip_by_value(tf.round(weight / step), low, high))
            squares.append(tf.reduce_sum(tf.square(weight - step * codes)))
            count += math.prod(weight.shape)
        return tf.add_n(squares) / float(count)

    def compress(self, model: keras.Model, recipe: Any = None) -> keras.Model:
        """Returns `edgeax.compress(model, recipe)` with the learned steps in it.

        Args:
            model: The plain model that `fit` trained, or a loaded copy with the same paths.
            recipe: What `edgeax.compress` takes; kernels that get a `LearnedStep` in it get the
                steps. None: every kernel does, and nothing else is rounded.

        Raises:
            ValueError: Nothing was learned yet, or for other kernels than those of `model`.
        """
        steps = self.steps
        compressed = compress(model, recipe or [LearnedStep(self.bits)])
        chains = {
            id(weight.variable): weight.chain.transforms[-1]
            for layer in compressed_layers(compressed)
            for weight in layer.weight_chains
        }
        given = [v for v in model.variables if slot_of(v.name) == "kernel"]
        copies = [v for v in compressed.variables if slot_of(v.name) == "kernel"]
        if not steps or not set(steps) <= {kernel.path for kernel in given}:
            raise ValueError(
                f"`model` must be the one whose steps were learned. Received: {model.name!r}, "
                f"and steps of {[*steps] or 'nothing'}. Train it with this callback first."
            )
        for kernel, copy in zip(given, copies, strict=True):
            last = chains.get(id(copy))
            if kernel.path in steps and isinstance(last, LearnedStep):
                last.step_size.assign(np.full(last.step_size.shape, steps[kernel.path]))
        return compressed

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"bits": self.bits, **super().get_config()}


@implements("CEKL20", test=_TEST + "test_cekl20_partial_l2_takes_the_smallest_weights_only")
@keras.saving.register_keras_serializable("edgeax")
class PartialL2(LearnedStrength):
    """Adds `strength * R - alpha * log(strength)` in `fit`, R of the weights that will be pruned.

    R is the sum of the squares of the smallest weights of all kernels together, divided by the
    number of all weights. The smallest go to zero, the others are left alone, and pruning them
    after training costs little. The twin of `MSQE` for pruning.

    Source: [CEKL20]. The optimizer of the strength and its first value are choices of edgeax.

    Args:
        sparsity: Fraction of all weights that will be pruned, above 0 and below 1.
        alpha: What the term comes to at rest, above 0, in units of the loss.
        strength: Strength at the start, above 0; None: `alpha / R` of the weights at that time.
        learning_rate: Of the logarithm of the strength, above 0.
        begin_epoch: Epoch from which the term is added, counted from 0 as `fit` does.

    Raises:
        ValueError: An argument is out of its range; or, in `fit`, no kernel is trained.

    Example: `model.fit(x, y, callbacks=[PartialL2(0.8)])`
    """

    def __init__(
        self,
        sparsity: float = 0.5,
        alpha: float = 1.0,
        strength: float | None = None,
        learning_rate: float = 1e-3,
        begin_epoch: int = 0,
    ) -> None:
        super().__init__(alpha, strength, learning_rate, begin_epoch)
        if not 0.0 < sparsity < 1.0:
            raise ValueError(
                f"`sparsity` must be above 0 and below 1. Received: sparsity={sparsity}."
            )
        self.sparsity = float(sparsity)

    def variables_for(self, kernels: list[keras.Variable]) -> list[Any]:
        """See `LearnedStrength.variables_for`."""
        return []

    def error(self, kernels: list[tf.Tensor]) -> tf.Tensor:
        """See `LearnedStrength.error`."""
        weights = tf.concat([tf.reshape(weight, [-1, 1]) for weight in kernels], axis=0)
        stays = magnitude_mask(tf.stop_gradient(weights), self.sparsity)
        return tf.reduce_mean(tf.where(stays, 0.0, tf.square(weights)))

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {"sparsity": self.sparsity, **super().get_config()}


def least_error_step(weight: np.ndarray, low: int, high: int) -> float:
    """Returns the step at which rounding a weight to `low..high` steps has the least squared error.

    Weights that lie on the levels of a step get that step back, if the largest of them is on one of
    the first 256 levels.

    Args:
        weight: Real values of any shape.
        low: Lowest code, below 0.
        high: Highest code, above 0.
    """
    weight = np.asarray(weight, np.float32).ravel()
    largest = float(np.max(np.abs(weight), initial=0.0))
    if largest == 0.0:
        return 1.0
    whole = largest / np.arange(1, max(-low, high) + 1)
    between = largest / high * np.linspace(0.05, 1.0, _CANDIDATES)
    steps = np.concatenate([whole, between]).astype(np.float32)
    errors = [
        float(np.mean(np.square(weight - step * np.clip(np.rint(weight / step), low, high))))
        for step in steps
    ]
    # Of steps that are equally good the largest: its levels have the smallest codes.
    least = min(errors)
    return float(max(s for s, e in zip(steps, errors, strict=True) if e <= least * 1.001 + 1e-12))
