"""Checks that the bytes of a `.tflite` file are a sound flatbuffer before anything is read from it.

Every offset of the tables below is followed once. What lies in the tables of builtin options (a
hundred kinds, none of which points to further tables) is left to the schema's own reader.
"""

import dataclasses
import struct

IDENTIFIER = b"TFL3"

# Field kinds: 0, 1, 4, 8 a scalar of so many bytes (0: a slot no longer used); v1, v4, v8 a vector
# of such; str; a table's name; [a table's name] a vector of tables; table: a table of any kind.
_TABLES = {
    "Model": (
        "version:4 operator_codes:[OperatorCode] subgraphs:[SubGraph] description:str "
        "buffers:[Buffer] metadata_buffer:v4 metadata:[Metadata] signature_defs:[SignatureDef] "
        "external_buffer_groups:[ExternalBufferGroup] external_buffers:[ExternalBuffer]"
    ),
    "OperatorCode": "deprecated_builtin_code:1 custom_code:str version:4 builtin_code:4",
    "SubGraph": (
        "tensors:[Tensor] inputs:v4 outputs:v4 operators:[Operator] name:str debug_metadata_index:4"
    ),
    "Tensor": (
        "shape:v4 type:1 buffer:4 name:str quantization:QuantizationParameters is_variable:1 "
        "sparsity:SparsityParameters shape_signature:v4 has_rank:1 "
        "variant_tensors:[VariantSubType] external_buffer:4"
    ),
    "QuantizationParameters": (
        "min:v4 max:v4 scale:v4 zero_point:v8 details_type:1 details:table quantized_dimension:4"
    ),
    "SparsityParameters": "traversal_order:v4 block_map:v4 dim_metadata:[DimensionMetadata]",
    "DimensionMetadata": (
        "format:1 dense_size:4 array_segments_type:1 array_segments:table "
        "array_indices_type:1 array_indices:table"
    ),
    "VariantSubType": "shape:v4 type:1 has_rank:1",
    "Operator": (
        "opcode_index:4 inputs:v4 outputs:v4 builtin_options_type:1 builtin_options:table "
        "custom_options:v1 custom_options_format:1 mutating_variable_inputs:v1 intermediates:v4 "
        "large_custom_options_offset:8 large_custom_options_size:8 builtin_options_2_type:1 "
        "builtin_options_2:table debug_metadata_index:4"
    ),
    "Buffer": "data:v1 offset:8 size:8",
    "Metadata": "name:str buffer:4",
    "SignatureDef": (
        "inputs:[TensorMap] outputs:[TensorMap] signature_key:str unused:0 subgraph_index:4"
    ),
    "TensorMap": "name:str tensor_index:4",
    "ExternalBufferGroup": "name:str",
    "ExternalBuffer": "id:4 group:4 offset:8 length:8 packing:str",
    "table": "",
}
_FIELDS = {
    table: [tuple(field.split(":")) for field in fields.split()]
    for table, fields in _TABLES.items()
}


def check(data: bytes) -> None:
    """Checks the structure of a TFLite flatbuffer.

    Raises:
        ValueError: `data` is no TFLite model, is cut off, or holds an offset that points outside;
            the message names the part.
    """
    if len(data) < 8 or data[4:8] != IDENTIFIER:
        raise ValueError(
            f"`data` must be a TFLite model, with {IDENTIFIER!r} at bytes 4 to 8. Received: "
            f"{len(data)} bytes that start with {bytes(data[:8])!r}. Pass a .tflite file."
        )
    walk = _Walk(data)
    walk.table("Model", walk.target(0, "model"), "model")


@dataclasses.dataclass
class _Walk:
    data: bytes
    # Parts may be shared, but a file of n bytes with more than this behind its offsets is a trap.
    budget: int = 0

    def __post_init__(self) -> None:
        self.budget = 8 * len(self.data) + 1024

    def number(self, layout: str, at: int, path: str) -> int:
        """Reads one number at a place of the file."""
        if not 0 <= at <= len(self.data) - struct.calcsize(layout):
            raise _damaged(path, f"an offset points to byte {at} of {len(self.data)}")
        return int(struct.unpack_from(layout, self.data, at)[0])

    def target(self, at: int, path: str) -> int:
        """Returns the place that the offset at `at` points to."""
        return at + self.number("<I", at, path)

    def spend(self, size: int, end: int, path: str) -> None:
        """Accounts for a part of `size` bytes that ends at `end`."""
        if end > len(self.data):
            raise _damaged(path, f"a part ends at byte {end} of {len(self.data)}")
        self.budget -= size
        if self.budget < 0:
            raise _damaged(path, "parts overlap too often")

    def table(self, kind: str, at: int, path: str) -> None:
        """Checks a table and all that it points to."""
        vtable = at - self.number("<i", at, path)
        vtable_size = self.number("<H", vtable, path)
        size = self.number("<H", vtable + 2, path)
        if vtable_size < 4 or vtable_size % 2 or size < 4:
            raise _damaged(path, "a vtable is damaged")
        self.spend(size, at + size, path)
        if vtable + vtable_size > len(self.data):
            raise _damaged(path, "a vtable lies outside the file")
        offsets = struct.unpack_from(f"<{vtable_size // 2 - 2}H", self.data, vtable + 4)
        fields = _FIELDS[kind]
        for i, offset in enumerate(offsets):
            name, field = fields[i] if i < len(fields) else ("options", "0")
            if offset:
                width = int(field) if field.isdigit() else 4
                if not 4 <= offset <= size - width:
                    raise _damaged(f"{path}.{name}", "a field lies outside its table")
                if not field.isdigit():
                    self.field(field, at + offset, f"{path}.{name}")

    def field(self, kind: str, at: int, path: str) -> None:
        """Checks what the offset of a field points to."""
        place = self.target(at, path)
        if kind in _FIELDS:
            self.table(kind, place, path)
            return
        length = self.number("<I", place, path)
        width = int(kind[1:]) if kind[0] == "v" else 1 if kind == "str" else 4
        self.spend(4 + length * width, place + 4 + length * width, path)
        if kind[0] == "[":
            for i in range(length):
                item = f"{path}[{i}]"
                self.table(kind[1:-1], self.target(place + 4 + 4 * i, item), item)


def _damaged(path: str, problem: str) -> ValueError:
    return ValueError(
        f"`data` must be a whole TFLite model. Received: one that is cut off or damaged: at {path} "
        f"{problem}. Fetch or export the file again."
    )
