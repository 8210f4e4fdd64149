"""Public layers with quantized tensors, with the arguments of Larq's."""

from edgeax.model.padding import PaddedConv1D, PaddedConv2D, PaddedDepthwiseConv2D
from edgeax.model.recurrent import RoundedGRUCell, RoundedLSTMCell
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
from edgeax.model.xnor import XnorConv2D
from edgeax.training.auto_pruner import AutoPruner
from edgeax.training.fractional_block import FractionalBlock
from edgeax.training.precision_gate import PrecisionGate
from edgeax.training.psg import (
    PredictiveConv1D,
    PredictiveConv1DTranspose,
    PredictiveConv2D,
    PredictiveConv2DTranspose,
    PredictiveDense,
    PredictiveDepthwiseConv1D,
    PredictiveDepthwiseConv2D,
)
from edgeax.training.selection_gate import SelectionGate
from edgeax.training.selective_block import SelectiveBlock

__all__ = [
    "AutoPruner",
    "FractionalBlock",
    "PaddedConv1D",
    "PaddedConv2D",
    "PaddedDepthwiseConv2D",
    "PrecisionGate",
    "PredictiveConv1D",
    "PredictiveConv1DTranspose",
    "PredictiveConv2D",
    "PredictiveConv2DTranspose",
    "PredictiveDense",
    "PredictiveDepthwiseConv1D",
    "PredictiveDepthwiseConv2D",
    "QuantConv1D",
    "QuantConv2D",
    "QuantConv2DTranspose",
    "QuantDense",
    "QuantDepthwiseConv2D",
    "QuantGRU",
    "QuantLSTM",
    "QuantSeparableConv2D",
    "RoundedGRUCell",
    "RoundedLSTMCell",
    "SelectionGate",
    "SelectiveBlock",
    "XnorConv2D",
]
