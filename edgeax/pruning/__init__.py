"""Pruning with data: weights chosen by samples, gradients or curvature; channels that go."""

from edgeax.model.case import Case
from edgeax.pruning.api import prune
from edgeax.pruning.brain_damage import BrainDamage
from edgeax.pruning.brain_surgeon import BrainSurgeon
from edgeax.pruning.case import Criterion
from edgeax.pruning.channel_case import ChannelCase, ChannelCriterion, ChannelSelection
from edgeax.pruning.channel_scores import (
    CHANNEL_CRITERIA,
    BatchNormScale,
    ChannelTaylor,
    FilterL1,
    FilterL2,
    GlobalRank,
    NearZeroChannels,
    RandomChannels,
)
from edgeax.pruning.channels import PrunedChannels, prune_channels
from edgeax.pruning.criteria import CRITERIA
from edgeax.pruning.granularity import Granularity, granularity
from edgeax.pruning.growth import GrowAndPrune, grow
from edgeax.pruning.lasso import Lasso
from edgeax.pruning.merge_neurons import MergedNeurons, merge_neurons
from edgeax.pruning.packing import pack_blocks, pack_permutation
from edgeax.pruning.reading import Reading
from edgeax.pruning.simd import simd_block
from edgeax.pruning.skipped_macs import SkippedMacs, skipped_macs
from edgeax.pruning.thinet import ThiNet

__all__ = [
    "CHANNEL_CRITERIA",
    "CRITERIA",
    "BatchNormScale",
    "BrainDamage",
    "BrainSurgeon",
    "Case",
    "ChannelCase",
    "ChannelCriterion",
    "ChannelSelection",
    "ChannelTaylor",
    "Criterion",
    "FilterL1",
    "FilterL2",
    "GlobalRank",
    "Granularity",
    "GrowAndPrune",
    "Lasso",
    "MergedNeurons",
    "NearZeroChannels",
    "PrunedChannels",
    "RandomChannels",
    "Reading",
    "SkippedMacs",
    "ThiNet",
    "granularity",
    "grow",
    "merge_neurons",
    "pack_blocks",
    "pack_permutation",
    "prune",
    "prune_channels",
    "simd_block",
    "skipped_macs",
]
