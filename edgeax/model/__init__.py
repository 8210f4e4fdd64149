"""Which tensor of which layer gets which transforms."""

from edgeax.model.copying import compressed_layers
from edgeax.model.presets import PRESETS, at_once, preset
from edgeax.model.recipe import Recipe, Rule
from edgeax.model.rewrite import compress, fold_batch_norm, strip
from edgeax.model.summary import Summary, summary
from edgeax.model.wrapper import Compressed

__all__ = [
    "PRESETS",
    "Compressed",
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
]
