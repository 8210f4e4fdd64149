"""Which tensor of which layer gets which transforms."""

import keras  # noqa: F401  imported before the modules below, on which what waits for Keras relies

from edgeax.model.batch_norm import reestimate_batch_norm
from edgeax.model.channels import ChannelGroup, channel_groups
from edgeax.model.copying import compressed_layers
from edgeax.model.deep_compression import deep_compression
from edgeax.model.macs import macs
from edgeax.model.presets import PRESETS, at_once, preset
from edgeax.model.recipe import Recipe, Rule
from edgeax.model.rewrite import compress, fold_batch_norm, strip
from edgeax.model.select_channels import (
    RemovedChannels,
    mask_channels,
    permute_channels,
    remove_channels,
)
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
    "ChannelGroup",
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
    "RemovedChannels",
    "Rule",
    "Summary",
    "at_once",
    "channel_groups",
    "compress",
    "compressed_layers",
    "deep_compression",
    "fold_batch_norm",
    "macs",
    "mask_channels",
    "permute_channels",
    "preset",
    "reestimate_batch_norm",
    "remove_channels",
    "strip",
    "summary",
    "widen",
]
