"""Which tensor of which layer gets which transforms."""

from edgeax.model.copying import compressed_layers
from edgeax.model.presets import PRESETS, at_once, preset
from edgeax.model.recipe import Recipe, Rule
from edgeax.model.rewrite import compress, fold_batch_norm, strip
from edgeax.model.sugar import (
    QuantConv1D,
    QuantConv2D,
    QuantConv2DTranspose,
    QuantDense,
    QuantDepthwiseConv2D,
    QuantGRU,
    QuantLSTM,
    QuantSeparableConv2D,
)
from edgeax.model.summary import Summary, summary
from edgeax.model.width import widen
from edgeax.model.wrapper import Compressed

__all__ = [
    "PRESETS",
    "Compressed",
    "QuantConv1D",
    "QuantConv2D",
    "QuantConv2DTranspose",
    "QuantDense",
    "QuantDepthwiseConv2D",
    "QuantGRU",
    "QuantLSTM",
    "QuantSeparableConv2D",
    "Recipe",
    "Rule",
    "Summary",
    "at_once",
    "compress",
    "compressed_layers",
    "fold_batch_norm",
    "preset",
    "strip",
    "summary",
    "widen",
]
