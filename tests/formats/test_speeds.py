import datetime
import json
import math

import pytest

from edgeax.formats import speeds as module
from edgeax.formats.layer_shape import conv, fully_connected
from edgeax.formats.operators import OPERATORS
from edgeax.formats.speeds import Form, Speed, Speeds, known_targets, read_speeds

CODES = Form("EdgeaxConv2D", 4)
DENSE = Form("EdgeaxFullyConnected", 4)


def pruned(left, block=4, balanced=False):
    return Form("EdgeaxSparseConv2D", 8, block, left, balanced)


def table(*entries):
    return Speeds("board", "neon", "A board", "2026-11-29", "by hand", entries)


# Which entry tells of what was not measured.


def test_the_nearest_shape_of_the_same_form_is_taken():
    far, near = Speed(CODES, conv(8, 16, 16, 3), 0.5, 0.0), Speed(CODES, conv(8, 32, 32, 3), 2.0, 0)
    other = Speed(Form("EdgeaxConv2D", 2), conv(8, 30, 30, 3), 3.0, 0.0)
    found = table(far, near, other)
    assert found.nearest(CODES, conv(8, 30, 30, 3)) is near
    assert found.nearest(CODES, conv(8, 18, 18, 3)) is far
    assert found.nearest(Form("EdgeaxConv2D", 1), conv(8, 16, 16, 3)) is None


def test_what_is_too_far_away_tells_nothing():
    found = table(Speed(DENSE, fully_connected(256, 256), 1.5, 0.0))
    assert found.nearest(DENSE, fully_connected(1024, 256)) is not None  # two doublings
    assert found.nearest(DENSE, fully_connected(1025, 256)) is None
    assert table().nearest(DENSE, fully_connected(256, 256)) is None


def test_of_equally_near_ones_the_slowest_is_taken():
    slow, fast = (
        Speed(CODES, conv(8, *channels, 3), speed, 0.0)
        for channels, speed in (((16, 32), 0.9), ((32, 16), 1.4))
    )
    for entries in ((slow, fast), (fast, slow)):
        assert table(*entries).nearest(CODES, conv(8, 32, 32, 3)) is slow


def test_a_sparse_entry_speaks_for_kernels_with_as_many_zeros_or_more():
    shape = conv(8, 64, 64, 3)
    half, quarter = (
        Speed(pruned(left), shape, speed, 0) for left, speed in ((0.5, 1.2), (0.25, 2))
    )
    found = table(half, quarter)
    assert found.nearest(pruned(0.1), shape) is quarter
    assert found.nearest(pruned(0.26), shape) is quarter  # as good as the same
    assert found.nearest(pruned(0.4), shape) is half
    assert found.nearest(pruned(0.6), shape) is None
    assert found.nearest(pruned(0.1, block=8), shape) is None


def test_a_balanced_entry_does_not_speak_for_zeros_without_order():
    shape = conv(8, 64, 64, 3)
    any_order, balanced = (
        Speed(pruned(0.25, 1, is_balanced), shape, 1.0 + is_balanced, 0.0)
        for is_balanced in (False, True)
    )
    found = table(any_order, balanced)
    assert found.nearest(pruned(0.25, 1, True), shape) is balanced
    assert found.nearest(pruned(0.25, 1, False), shape) is any_order
    assert table(balanced).nearest(pruned(0.25, 1, False), shape) is None
    assert table(any_order).nearest(pruned(0.25, 1, True), shape) is any_order


@pytest.mark.parametrize("family", ["EdgeaxVectorConv2D", "EdgeaxGroupedConv2D"])
def test_longer_sub_vectors_and_groups_are_no_slower(family):
    shape = conv(8, 64, 64, 3)
    short, long = (Speed(Form(family, 4, block), shape, block / 8, 0) for block in (8, 32))
    found = table(short, long)
    assert found.nearest(Form(family, 4, 8), shape) is short
    assert found.nearest(Form(family, 4, 16), shape) is short
    assert found.nearest(Form(family, 4, 64), shape) is long
    assert found.nearest(Form(family, 4, 4), shape) is None
    assert found.nearest(Form(family, 8, 8), shape) is None


def sums(bases, planes):
    return Form("EdgeaxSignSumConv2D", bases, planes=planes)


def test_sums_of_fewer_signs_are_no_slower():
    shape = conv(8, 64, 64, 3)
    two, four = (Speed(sums(*signs), shape, 3.0, 0) for signs in ((1, 2), (2, 2)))
    found = table(four, two)
    assert found.nearest(sums(1, 2), shape) is two
    assert found.nearest(sums(2, 1), shape) is four
    assert found.nearest(sums(2, 2), shape) is four
    assert found.nearest(sums(1, 3), shape) is None
    assert found.nearest(sums(3, 1), shape) is None


def test_what_is_put_on_few_values_by_the_operator_itself():
    assert sums(1, 2).placed == "2 signs" and sums(2, 1).placed == "1 signs"
    assert Form("EdgeaxLookupConv2D", 4).placed == "points"
    assert CODES.placed == pruned(0.25).placed == ""


def test_forms_have_names_for_a_report():
    assert Form("EdgeaxVectorConv2D", 4, 8).name == "4 bits for sub-vectors of 8"
    assert Form("EdgeaxGroupedFullyConnected", 2, 32).name == "2 bits in groups of 32"
    assert Form("EdgeaxLookupFullyConnected", 4).name == "4 bits, looked up"
    assert sums(1, 2).name == "1 x 2 signs"
    assert (CODES.name, Form("EdgeaxConv2D", 1).name) == ("4 bits", "1 bit")
    assert pruned(0.25).name == "25% in blocks of 4"
    assert pruned(0.25, 1, True).name == "25% in blocks of 1, at most 4 of 16"


# Files.

WRITTEN = table(
    Speed(CODES, conv(8, 16, 24, 3, stride=2), 1.25, 0.01),
    Speed(pruned(0.25, 1, True), conv(8, 16, 24, 1), 0.5, 0.0),
    Speed(Form("EdgeaxSignSumConv2D", 1, planes=2), conv(8, 16, 24, 1), 2.5, 0.1),
)


def test_a_table_is_read_as_it_was_written(tmp_path):
    WRITTEN.write(tmp_path / "board.json")
    assert read_speeds(tmp_path / "board.json") == read_speeds(str(tmp_path / "board.json"))
    assert read_speeds(tmp_path / "board.json") == WRITTEN
    assert WRITTEN.title == "board (A board, 2026-11-29)"
    lines = (tmp_path / "board.json").read_text().splitlines()
    assert sum('"form"' in line for line in lines) == 3  # one line an entry, for a diff


def test_a_table_from_before_sums_of_signs_is_read(tmp_path):
    assert read_speeds(changed((*ENTRY, "form", "planes"), None, tmp_path)) == WRITTEN


def test_a_table_without_entries_can_be_written(tmp_path):
    table().write(tmp_path / "none.json")
    assert read_speeds(tmp_path / "none.json") == table()


def changed(path, value, tmp_path):
    """A file with another value somewhere, or without that, in WRITTEN."""
    WRITTEN.write(tmp_path / "board.json")
    values = json.loads((tmp_path / "board.json").read_text())
    place = values
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    (tmp_path / "board.json").write_text(json.dumps(values))
    return tmp_path / "board.json"


ENTRY = ("entries", 1)


@pytest.mark.parametrize(
    "path, value, message",
    [
        (("version",), 2, "`version` is 2"),
        (("version",), None, "`version` is None"),
        (("kernels",), None, "'kernels' is missing"),
        (("date",), 20261129, "`date` is no text"),
        (("entries",), {}, "`entries` is no list"),
        (("entries",), [3], "in which"),
        ((*ENTRY, "speed"), None, "'speed' is missing"),
        ((*ENTRY, "speed"), "fast", "`speed` is 'fast'"),
        ((*ENTRY, "speed"), 0, "`speed` is 0"),
        ((*ENTRY, "speed"), math.inf, "`speed` is inf"),
        ((*ENTRY, "noise"), -0.1, "`noise` is -0.1"),
        ((*ENTRY, "form", "operator"), "CONV_2D", "`operator` is 'CONV_2D'"),
        ((*ENTRY, "form", "bits"), 0, "`bits` is 0"),
        ((*ENTRY, "form", "left"), 0.0, "`left` is 0"),
        ((*ENTRY, "form", "balanced"), 1, "`balanced` is 1"),
        ((*ENTRY, "form", "planes"), 0, "`planes` is 0"),
        ((*ENTRY, "shape", "layer"), "ADD", "`layer` is 'ADD'"),
        ((*ENTRY, "shape", "inputs"), True, "`inputs` is True"),
        ((*ENTRY, "shape", "size"), [8], "in which"),
        ((*ENTRY, "shape", "size"), [8, 0], "`size` is 0"),
        ((*ENTRY, "shape", "stride"), 1, "in which"),
    ],
)
def test_a_table_with_a_fault_is_refused_and_the_fault_is_named(path, value, message, tmp_path):
    file = changed(path, value, tmp_path)
    with pytest.raises(ValueError, match="must be a table of speeds of version 1") as error:
        read_speeds(file)
    assert message in str(error.value) and "edgeax tune" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"[1]", b"null", b"\xff\xfe", b'{"version": 1'])
def test_a_file_that_is_no_table_is_refused(content, tmp_path):
    (tmp_path / "board.json").write_bytes(content)
    with pytest.raises(ValueError, match="must be a table of speeds of version 1"):
        read_speeds(tmp_path / "board.json")


@pytest.mark.parametrize("target", ["cortex-a1", "", None, 3, "../targets/x86-64-avx512"])
def test_an_unknown_target_is_refused_and_the_known_ones_are_named(target):
    with pytest.raises(ValueError, match=r"`target` must be one of \[.*x86-64-avx512") as error:
        read_speeds(target)
    assert f"target={target!r}" in str(error.value)


# The tables that come with edgeax.


@pytest.mark.parametrize("target", known_targets())
def test_the_tables_of_edgeax_say_what_gave_them(target):
    found = read_speeds(target)
    assert found.target == target
    assert datetime.date.fromisoformat(found.date) >= datetime.date(2026, 11, 29)
    assert found.processor and "edgeax" in found.method and "ai_edge_litert" in found.method
    measured = {entry.form.operator for entry in found.entries}
    assert measured >= {"EdgeaxConv2D", "EdgeaxDepthwiseConv2D", "EdgeaxFullyConnected"}
    assert measured <= set(OPERATORS)
    assert len(set(found.entries)) == len(found.entries)


def test_each_kind_of_kernels_has_its_table(monkeypatch):
    assert module.speeds_for_kernels("avx512").target == "x86-64-avx512"
    with pytest.raises(ValueError, match="'reference'.*x86-64-avx512.*edgeax tune"):
        module.speeds_for_kernels("reference")
