"""What numbers and bytes mean and where they lie: numpy and flatbuffers only.

Modules used by their functions are imported by name: `packing`, `rounding`, `dtypes`, `memory`,
`files`, `methods`, `operators` (the op table) and `flatbuffer` (a typed view of a `.tflite` file).
"""

from edgeax.formats.base import EncodedTensor, NumberFormat, Params, signed_range
from edgeax.formats.codebook import Codebook
from edgeax.formats.floating import Float32
from edgeax.formats.integer import Integer
from edgeax.formats.methods import Method, implements

__all__ = [
    "Codebook",
    "EncodedTensor",
    "Float32",
    "Integer",
    "Method",
    "NumberFormat",
    "Params",
    "implements",
    "signed_range",
]
