"""Corrections that rewrite the float model before it is rounded."""

from edgeax.formats import Integer
from edgeax.model.graph import is_nested
from edgeax.model.recipe import Recipe
from edgeax.post_training.case import Case, Correction
from edgeax.post_training.equalization import equalize
from edgeax.post_training.outlier_splitting import split_outlier_channels
from edgeax.transforms.quantize import Quantize

_NO_GRAPH = "the model has no graph to rewrite"


class CrossLayerEqualization(Correction):
    """Gives the channels of layers in a row one range; see `equalize` [NBBW19].

    Batch normalizations are folded for it, and the layers of nested models become the model's own:
    `backbone/conv1` is `backbone_conv1` then.

    Args:
        absorb_biases: As for `equalize`.
        replace_relu6: As for `equalize`.
    """

    def __init__(self, absorb_biases: bool = True, replace_relu6: bool = False) -> None:
        self.absorb_biases = absorb_biases
        self.replace_relu6 = replace_relu6

    def prepare(self, case: Case) -> None:
        """See `Correction.prepare`."""
        if not is_nested(case.plain):
            case.skip("cross-layer equalization", _NO_GRAPH)
            return
        result = equalize(case.plain, self.absorb_biases, self.replace_relu6)
        case.plain = result.model
        case.statistics = dict(result.statistics)
        for line in result.skipped:
            case.skip("cross-layer equalization", line)


class OutlierChannelSplitting(Correction):
    """Splits the input channels with the largest weights in two; see `split_outlier_channels`.

    Args:
        ratio: How many of the input channels of a layer, rounded up, in (0, 1].
    """

    def __init__(self, ratio: float = 0.02) -> None:
        self.ratio = ratio

    def prepare(self, case: Case) -> None:
        """See `Correction.prepare`."""
        if not is_nested(case.plain):
            case.skip("outlier channel splitting", _NO_GRAPH)
            return
        bits, per_channel = _grid_of(case.recipe)
        result = split_outlier_channels(case.plain, self.ratio, bits, per_channel)
        case.plain = result.model
        for line in result.skipped:
            case.skip("outlier channel splitting", line)


def _grid_of(recipe: Recipe) -> tuple[int | None, bool]:
    """Returns the bits of the kernels of a recipe and whether channels have scales; no bits where
    they are not the same integers for all: halves are split evenly then.
    """
    formats = {
        member.number_format
        for rule in recipe.rules
        for member in rule.slots.get("kernel", [])
        if isinstance(member, Quantize)
    }
    format = formats.pop() if len(formats) == 1 else None
    if isinstance(format, Integer) and format.bits <= 8:
        return format.bits, format.axis == -1
    return None, True
