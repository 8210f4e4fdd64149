from edgeax.formats.tables import text_table


def test_numbers_are_aligned_right_and_text_left():
    rows = [{"name": "a", "bytes": 1200, "ms": 1.23456}, {"name": "longer", "bytes": 7, "ms": None}]
    assert text_table(rows).splitlines() == [
        "name    bytes     ms",
        "a       1,200  1.235",
        "longer      7",
    ]


def test_columns_are_those_of_all_rows_in_order_of_appearance():
    assert text_table([{"a": "1"}, {"b": True, "a": "2"}]).splitlines() == ["a  b", "1", "2  True"]


def test_no_rows_give_no_text():
    assert text_table([]) == ""
