from edgeax.model.progress import shown


def test_items_come_and_a_verbose_bar_counts_them(capsys):
    assert list(shown("Rounding", [1, 2, 3], True)) == [1, 2, 3]
    printed = capsys.readouterr().out
    assert printed.startswith("Rounding") and "3/3" in printed


def test_nothing_is_shown_unless_asked_for_or_of_nothing(capsys):
    assert list(shown("Rounding", [1, 2], False)) == [1, 2]
    assert list(shown("Rounding", [], True)) == []
    assert capsys.readouterr().out == ""
