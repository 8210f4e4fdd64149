"""Tensor-to-tensor maps with gradients: pruning, clustering, quantization, and their schedules."""

import keras  # noqa: F401  imported before the modules below, on which what waits for Keras relies

from edgeax.transforms.admm_prune import ADMMPrune
from edgeax.transforms.arithmetic import Arithmetic
from edgeax.transforms.autoflex import Autoflex
from edgeax.transforms.base import Chain, Transform
from edgeax.transforms.bit_choices import BitChoices
from edgeax.transforms.cluster import Cluster
from edgeax.transforms.cluster_activations import ClusterActivations
from edgeax.transforms.dorefa import DoReFa, DoReFaGradient
from edgeax.transforms.dynamic_surgery import DynamicSurgery
from edgeax.transforms.followed_exponent import FollowedExponent, FollowedGradient
from edgeax.transforms.gradient_transform import GradientTransform
from edgeax.transforms.gradual_threshold import GradualThreshold
from edgeax.transforms.hashed import Hashed
from edgeax.transforms.incremental import Incremental
from edgeax.transforms.iterative_sparsity import IterativeSparsity
from edgeax.transforms.learned_basis import LearnedBasisQuantize
from edgeax.transforms.learned_clip import LearnedClip
from edgeax.transforms.learned_interval import LearnedInterval
from edgeax.transforms.learned_points import LearnedPoints
from edgeax.transforms.learned_step import LearnedStep
from edgeax.transforms.learned_ternary import LearnedTernary
from edgeax.transforms.mask import Mask
from edgeax.transforms.named import transform_of
from edgeax.transforms.near_zero import NearZero
from edgeax.transforms.noise import WeightNoise
from edgeax.transforms.outlier_cluster import OutlierCluster
from edgeax.transforms.overflow_scale import OverflowScale
from edgeax.transforms.prune import Prune
from edgeax.transforms.quantize import Quantize, Quantizer
from edgeax.transforms.quantized_gradient import QuantizeGradient
from edgeax.transforms.recurrent_state import RecurrentState
from edgeax.transforms.round_to import RoundTo
from edgeax.transforms.sampled import SampledWeight
from edgeax.transforms.schedules import BitSchedule, ConstantSparsity, PolynomialDecay, Schedule
from edgeax.transforms.signs import Heaviside, Sign, Ternary
from edgeax.transforms.stages import BitStages
from edgeax.transforms.structures import Blocks, NofM, Structure
from edgeax.transforms.sums_of_signs import MultiStepSign, ShiftedSigns, TernaryActivation
from edgeax.transforms.vector_cluster import VectorCluster
from edgeax.transforms.wage import WAGE, WAGEError, WAGEInitializer, WAGEUpdate
from edgeax.transforms.word_length import KeptGradient, SwitchedGradient, SwitchedWidth
from edgeax.transforms.wrpn import WRPN
from edgeax.transforms.xnor import XNORWeight

__all__ = [
    "VectorCluster",
    "ClusterActivations",
    "OutlierCluster",
    "Hashed",
    "WAGE",
    "WRPN",
    "ADMMPrune",
    "Arithmetic",
    "Autoflex",
    "FollowedExponent",
    "FollowedGradient",
    "OverflowScale",
    "BitChoices",
    "BitSchedule",
    "BitStages",
    "Blocks",
    "Chain",
    "Cluster",
    "ConstantSparsity",
    "DoReFa",
    "DoReFaGradient",
    "DynamicSurgery",
    "GradientTransform",
    "GradualThreshold",
    "Heaviside",
    "Incremental",
    "IterativeSparsity",
    "KeptGradient",
    "LearnedBasisQuantize",
    "LearnedClip",
    "LearnedInterval",
    "LearnedPoints",
    "LearnedStep",
    "LearnedTernary",
    "Mask",
    "MultiStepSign",
    "NearZero",
    "NofM",
    "PolynomialDecay",
    "Prune",
    "Quantize",
    "QuantizeGradient",
    "Quantizer",
    "RecurrentState",
    "RoundTo",
    "SampledWeight",
    "Schedule",
    "ShiftedSigns",
    "Sign",
    "Structure",
    "SwitchedGradient",
    "SwitchedWidth",
    "Ternary",
    "TernaryActivation",
    "Transform",
    "WAGEError",
    "WAGEInitializer",
    "WAGEUpdate",
    "WeightNoise",
    "XNORWeight",
    "transform_of",
]
