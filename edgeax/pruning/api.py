"""prune(): the least important weights of a model masked, chosen with data or over all layers."""

from collections.abc import Sequence
from typing import Any

import keras

from edgeax.model.case import Case, case_for
from edgeax.model.recipe import Filter
from edgeax.pruning.case import Criterion
from edgeax.pruning.criteria import criterion_of
from edgeax.pruning.selection import checked_choice_of
from edgeax.pruning.weights import Weight, masked_copy
from edgeax.transforms.checks import checked_count, checked_seed
from edgeax.transforms.structures import Structure


def prune(
    model: keras.Model,
    sparsity: float | None = None,
    criterion: str | Criterion = "magnitude",
    structure: str | Structure = "element",
    scope: str = "layer",
    samples: Any = None,
    labels: Any = None,
    loss: Any = None,
    layers: Filter = ".*",
    updates: str = "masked",
    seed: int = 0,
    batch_size: int = 64,
    verbose: int = 0,
) -> keras.Model:
    """Returns a compressed copy of `model` whose least important weights are zero and stay so,
    ready for `fit` and `edgeax.export`.

    A plain model gets an `edgeax.transforms.mask.Mask` at each chosen kernel. Of a compressed one
    the masks that it has are renewed, those of `Mask` and of `edgeax.Prune`, which chooses anew
    when its schedule acts the next time; what is masked already stays so, unless it is trained
    behind its mask (`updates="dense"`) or less is asked for. Biases are never pruned.

    Args:
        model: A built model, plain or compressed.
        sparsity: Share of weights to become zero, in [0, 1). None for a structure with a share of
            its own, such as `"2:4"`.
        criterion: How much a weight matters: `"magnitude"`, `"l2"`, `"folded_magnitude"`,
            `"random"`, `"gradient"`, `"taylor"` [MTK16], `"brain_damage"` [CDS90],
            `"brain_surgeon"` [HS92], or an object of that kind. The last two need samples and a
            loss; gradients and `"taylor"` need labels too.
        structure: Which weights go together; see `edgeax.Prune`. A group matters as much as its
            weights on average.
        scope: `"layer"` prunes each layer by that share, `"global"` all together by one threshold;
            of each layer one group stays at least.
        samples: Typical inputs: an array, a list or dict of arrays, or a `tf.data.Dataset` of
            batches, with labels or without; of more than 512 the first.
        labels: Their labels, as the loss takes them.
        loss: The loss: a name, a Keras loss, or a function of labels and outputs; None for what the
            model was compiled with.
        layers: Which layers: a regular expression searched in their paths, or another filter of an
            `edgeax.Rule`; a callable gets the layers without the wrappers of a compressed model.
        updates: Of a plain model: `"masked"`, or `"dense"`: masked weights go on being trained, so
            that a later call may find them important.
        seed: Of what is random, at least 0.
        batch_size: Samples in a batch, at least 1.
        verbose: 1 shows how far it is.

    Raises:
        ValueError: An argument is unusable or missing, or nothing of a layer would be left.

    Example: `edgeax.prune(model, 0.8, "taylor", scope="global", samples=x, labels=y).fit(x, y)`
    """
    chosen = criterion_of(criterion)
    choice = checked_choice_of(sparsity, structure, scope)
    seed, batch_size = checked_seed(seed), checked_count("batch_size", batch_size)
    copy, weights = masked_copy(model, layers, updates)
    case = case_of(copy, weights, chosen, samples, labels, loss, criterion)
    case.seed, case.batch_size, case.verbose = seed, batch_size, bool(verbose)
    chosen.prune(case, choice)
    return case.model


def case_of(
    model: keras.Model,
    weights: Sequence[Weight],
    chosen: Criterion,
    samples: Any = None,
    labels: Any = None,
    loss: Any = None,
    name: Any = None,
) -> Case:
    """Returns the case of a compressed model, with what a criterion needs.

    Args:
        model: Compressed; it will be pruned itself.
        weights: Those of its kernels that masks are chosen for.
        chosen: The criterion.
        samples: As for `prune`.
        labels: As for `prune`.
        loss: As for `prune`.
        name: What the user calls the criterion.

    Raises:
        ValueError: Something that it needs is missing or unusable.
    """
    kind = f"criterion {name or type(chosen).__name__!r}"
    return case_for(model, weights, chosen.needs, kind, samples, labels, loss)
