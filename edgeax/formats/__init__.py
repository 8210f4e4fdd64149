"""What numbers and bytes mean and where they lie: numpy and flatbuffers only.

Modules used by their functions are imported by name: `packing`, `rounding`, `dtypes`, `memory`,
`files`, `methods`, `operators` (the op table) and `flatbuffer` (a typed view of a `.tflite` file).
"""

from edgeax.formats.adaptivfloat import AdaptivFloat
from edgeax.formats.balanced import Balanced
from edgeax.formats.base import EncodedTensor, NumberFormat, Params, signed_range
from edgeax.formats.binary import Binary, ResidualBinary, ShiftedBinary
from edgeax.formats.block_float import (
    BlockFloat,
    DynamicFixedPoint16,
    Flex16,
    HybridBlockFloat,
    MuppetFloat,
    SmallBlockFloat,
)
from edgeax.formats.codebook import Codebook
from edgeax.formats.codebooks import Codebooks
from edgeax.formats.dual import DualInteger
from edgeax.formats.fixed_point import FixedPoint
from edgeax.formats.floating import Float32
from edgeax.formats.grouped import GroupedInteger
from edgeax.formats.hashed import HashBuckets
from edgeax.formats.integer import Integer
from edgeax.formats.learned_basis import LearnedBasis
from edgeax.formats.logarithmic import LogarithmicNumber, LogQuant
from edgeax.formats.methods import Method, implements
from edgeax.formats.minifloat import Minifloat
from edgeax.formats.mixed_integer import MixedInteger
from edgeax.formats.outlier_codebook import OutlierCodebook
from edgeax.formats.points import Points
from edgeax.formats.power_of_two import PowerOfTwo
from edgeax.formats.s2fp8 import S2FP8
from edgeax.formats.tapered_log import TaperedLog
from edgeax.formats.ternary import ResidualTernary, Ternary
from edgeax.formats.value_aware import ValueAware
from edgeax.formats.vector_codebook import VectorCodebook

__all__ = [
    "Codebooks",
    "VectorCodebook",
    "Points",
    "OutlierCodebook",
    "HashBuckets",
    "S2FP8",
    "AdaptivFloat",
    "Balanced",
    "Binary",
    "BlockFloat",
    "Codebook",
    "DualInteger",
    "DynamicFixedPoint16",
    "EncodedTensor",
    "FixedPoint",
    "Flex16",
    "Float32",
    "GroupedInteger",
    "HybridBlockFloat",
    "Integer",
    "LearnedBasis",
    "LogQuant",
    "LogarithmicNumber",
    "Method",
    "Minifloat",
    "MixedInteger",
    "MuppetFloat",
    "NumberFormat",
    "Params",
    "PowerOfTwo",
    "ResidualBinary",
    "ResidualTernary",
    "ShiftedBinary",
    "SmallBlockFloat",
    "TaperedLog",
    "Ternary",
    "ValueAware",
    "implements",
    "signed_range",
]
