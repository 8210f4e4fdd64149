import struct

import pytest

from edgeax.formats import flatbuffer_check
from tests.data import data_file
from tests.formats import small_models

WHOLE = small_models.write(small_models.two_layers())


@pytest.mark.parametrize("name", ["ic_resnet8", "vww_mobilenetv1", "ad_autoencoder"])
def test_published_models_are_sound(name):
    flatbuffer_check.check(data_file(f"models/{name}_int8.tflite").read_bytes())


def test_a_small_model_is_sound():
    flatbuffer_check.check(WHOLE)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x89HDF\r\n\x1a\n" * 9, b"PK\x03\x04" * 99])
def test_foreign_bytes_are_named(data):
    with pytest.raises(ValueError, match=rf"'TFL3' at bytes 4 to 8. Received: {len(data)} bytes"):
        flatbuffer_check.check(data)


def test_a_file_that_was_cut_off_is_called_so():
    with pytest.raises(ValueError, match=r"cut off or damaged: at model\S* .* of 1\d+\."):
        flatbuffer_check.check(WHOLE[: len(WHOLE) - 40])


def root_of(data):
    return struct.unpack_from("<I", data)[0]


def damaged(at, layout, value):
    data = bytearray(WHOLE)
    struct.pack_into(layout, data, at, value)
    return bytes(data)


def slot(data, table, number):
    """Returns the place of a field of a table."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    return table + struct.unpack_from("<H", data, vtable + 4 + 2 * number)[0]


BUFFERS = slot(WHOLE, root_of(WHOLE), 4)


@pytest.mark.parametrize(
    "data, message",
    [
        (damaged(0, "<I", 2**31), f"at model an offset points to byte 2147483648 of {len(WHOLE)}"),
        (damaged(root_of(WHOLE), "<i", -(2**30)), "at model an offset points to byte 1[0-9]{9}"),
        (damaged(root_of(WHOLE), "<i", 2**30), "at model an offset points to byte -"),
        (damaged(BUFFERS, "<I", 2**32 - 1), "at model.buffers an offset points to byte 4[0-9]{9}"),
    ],
    ids=["root", "vtable after the file", "vtable before the file", "vector"],
)
def test_an_offset_that_points_outside_is_named(data, message):
    with pytest.raises(ValueError, match=message):
        flatbuffer_check.check(data)


@pytest.mark.parametrize("place", [2, 60000])
def test_a_field_outside_its_table_is_named(place):
    root = root_of(WHOLE)
    vtable = root - struct.unpack_from("<i", WHOLE, root)[0]
    with pytest.raises(ValueError, match="at model.buffers a field lies outside its table"):
        flatbuffer_check.check(damaged(vtable + 4 + 2 * 4, "<H", place))


def test_a_vector_longer_than_the_file_is_named():
    vector = BUFFERS + struct.unpack_from("<I", WHOLE, BUFFERS)[0]
    with pytest.raises(ValueError, match="at model.buffers a part ends at byte 4[0-9]{9}"):
        flatbuffer_check.check(damaged(vector, "<I", 2**30))


def test_parts_that_overlap_without_end_are_refused_quickly():
    """Thousands of offsets to a graph with thousands of offsets to a tensor would cost hours."""
    count = 4000
    model, subgraphs = 32, 48
    graph = subgraphs + 4 + 4 * count + 8
    tensors = graph + 8
    tensor = tensors + 4 + 4 * count + 4
    data = bytearray(tensor + 4)
    struct.pack_into("<I4s", data, 0, model, b"TFL3")
    struct.pack_into("<5H", data, model - 12, 10, 8, 0, 0, 4)  # the third field: subgraphs
    struct.pack_into("<iI", data, model, 12, subgraphs - model - 4)
    struct.pack_into("<3H", data, graph - 8, 6, 8, 4)  # the first field: tensors
    struct.pack_into("<iI", data, graph, 8, tensors - graph - 4)
    struct.pack_into("<2H", data, tensor - 4, 4, 4)  # no field
    struct.pack_into("<i", data, tensor, 4)
    for vector, target in ((subgraphs, graph), (tensors, tensor)):
        places = range(vector + 4, vector + 4 + 4 * count, 4)
        offsets = [target - place for place in places]
        struct.pack_into(f"<{1 + count}I", data, vector, count, *offsets)
    with pytest.raises(ValueError, match="overlap too often"):
        flatbuffer_check.check(bytes(data))
