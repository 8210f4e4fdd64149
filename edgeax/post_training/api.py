"""quantize(): a trained model rounded without training."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from edgeax.model.graph import inputs_of, is_nested
from edgeax.model.presets import as_recipe
from edgeax.model.recipe import Recipe
from edgeax.model.rewrite import check_plain, check_weights, compile_like
from edgeax.model.samples import given_structure, take_as_given, take_samples
from edgeax.post_training.calibration import Calibration
from edgeax.post_training.case import Case, Correction
from edgeax.post_training.distilled_samples import distilled_samples
from edgeax.post_training.familiarity import warn_of_unfamiliar_samples
from edgeax.post_training.named import calibrations_of, corrections_of
from edgeax.post_training.ranges import calibrate_activations, calibrate_weights, calibrated

_MADE_SAMPLES = 64


def quantize(
    model: keras.Model,
    samples: Any = None,
    recipe: Any = "static_wi8_ai8",
    calibration: str | Calibration | Mapping[str, Any] = "min_max",
    corrections: str | Correction | Sequence[str | Correction] = (),
    seed: int = 0,
    batch_size: int = 64,
    verbose: int = 0,
) -> keras.Model:
    """Returns a copy of `model` that computes as a recipe says, without training.

    Like `edgeax.compress`, but ranges are found in the samples, for `edgeax.export`, and kept if
    the copy is trained after all. What a correction could not do is said in one warning.

    Args:
        model: A built, trained model, not compressed. Corrections that rewrite it, and samples made
            from its batch normalizations, need a Sequential or functional one.
        samples: Typical inputs: an array, a list or dict of arrays, or a `tf.data.Dataset` of
            batches; of more than 512 the first. None: they are made from the statistics of the
            batch normalizations [CYD20], if anything needs them; for inputs that are not of mean 0
            and deviation 1, give those of `edgeax.distilled_samples(model, input_range=...)`.
        recipe: An `edgeax.Recipe`, a preset's name, or a list of transforms for every kernel. All
            has its full effect at once.
        calibration: How ranges are chosen: `"min_max"`, `"moving_average"`, `"percentile"`,
            `"mse"` [CKYK19], `"hessian"`, `"entropy"` (TensorRT), `"analytic"`, `"laplace"`,
            `"gauss"` [BNS19], `"sqnr"` [LTA16], or an object of that kind; a mapping of
            `"weights"` and `"activations"` to these gives each its own. Of weights whose groups
            have steps of their own, such as `"int4_g32"`, every one takes all.
        corrections: What is done against the loss, in the order given:
            `"cross_layer_equalization"`, `"outlier_channel_splitting"`, `"bit_allocation"`,
            `"dual_tensor"`, `"admm"`, `"adaround"`, `"cross_distillation"`,
            `"codebook_correction"` [WLW15], `"weight_bias_correction"`, `"bias_correction"`,
            `"analytic_bias_correction"`, `"batch_norm_reestimation"`, or objects of that kind.
        seed: Of what is random. The same seed gives the same model.
        batch_size: Samples in a batch, at least 1. It changes what `"moving_average"` and
            `"hessian"` find, and the params of formats that find them in all values of a batch.
        verbose: 1 shows how far it is.

    Raises:
        ValueError: The model, the samples or the recipe are unusable, there is no such calibration
            or correction, or there are too few samples for one.

    Example: `edgeax.quantize(model, images, "static_wi4_ai8", "mse", ["bias_correction"])`
    """
    weights, activations = calibrations_of(calibration)
    steps = corrections_of(corrections)
    recipe = calibrated(as_recipe(recipe))
    check_weights(model)
    check_plain(model)
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"`batch_size` must be an integer, at least 1. Received: {batch_size!r}.")
    arrays = _samples_for(model, samples, recipe, steps, seed, verbose)
    pack = _packer(model, samples)
    case = Case(model, recipe, arrays, pack, batch_size, seed, verbose=bool(verbose))
    if samples is not None:
        warn_of_unfamiliar_samples(model, case.batches[0])
    for step in steps:
        step.prepare(case)
    _build(case, weights, activations)
    if any([step.revise(case) for step in steps]):
        _build(case, weights, activations)
    for step in steps:
        step.correct(case)
    if case.skipped:
        warnings.warn(
            "edgeax.quantize left some things out:\n" + "\n".join(f"- {s}" for s in case.skipped),
            stacklevel=2,
        )
    if not case.model.compiled:
        compile_like(case.model, model)
    return case.model


def _build(case: Case, weights: Calibration, activations: Calibration) -> None:
    case.build()
    calibrate_weights(case, weights)
    if case.samples:
        calibrate_activations(case, activations)


def _samples_for(
    model: keras.Model,
    samples: Any,
    recipe: Recipe,
    corrections: Sequence[Correction],
    seed: int,
    verbose: int,
) -> list[np.ndarray]:
    """Returns one array per input; none where there are none and nothing needs any.

    Raises:
        ValueError: They are unusable, too few, or missing where they cannot be made.
    """
    needed = max((step.needs_samples for step in corrections), default=0)
    if samples is None:
        rounds = any(slot in rule.slots for rule in recipe.rules for slot in ("input", "output"))
        if not needed and not rounds:
            return []
        made = distilled_samples(model, max(_MADE_SAMPLES, needed), seed=seed, verbose=verbose)
        return [np.asarray(array) for array in (made if isinstance(made, list) else [made])]
    arrays = take_samples(samples, model) if is_nested(model) else take_as_given(samples)
    if len(arrays[0]) < needed:
        most = max(corrections, key=lambda step: step.needs_samples)
        raise ValueError(
            f"`samples` must hold at least {needed} samples for {type(most).__name__}. "
            f"Received: {len(arrays[0])}. Give more, or leave that correction out."
        )
    return arrays


def _packer(model: keras.Model, samples: Any) -> Callable[[Sequence[Any]], Any]:
    """Returns what makes of one array per input what a model is called with."""
    structure = inputs_of(model) if is_nested(model) else given_structure(samples)
    return lambda arrays: keras.tree.pack_sequence_as(structure, list(arrays))
