"""Labels: what is tied to what, and which reason is told."""

import numpy as np
import pytest

from edgeax.model.channel_labels import Labels


def test_labels_are_new_each_time():
    book = Labels()
    assert book.new(2).tolist() == [0, 1] and book.new(0).tolist() == []
    assert book.new(3).tolist() == [2, 3, 4]
    assert book.classes().tolist() == [0, 1, 2, 3, 4]


def test_ties_reach_across_arrays():
    book = Labels()
    one, two, three = book.new(2), book.new(2), book.new(2)
    book.tie(three, two[::-1])
    book.tie(two, one)
    assert book.classes().tolist() == [0, 1, 0, 1, 1, 0]


def test_rows_are_tied_column_by_column():
    book = Labels()
    book.tie_rows(book.new(6).reshape(3, 2))
    book.tie_rows(book.new(2).reshape(1, 2))
    assert book.classes().tolist() == [0, 1, 0, 1, 0, 1, 6, 7]


@pytest.mark.parametrize("seed", range(5))
def test_classes_are_those_of_a_search_from_each_label(seed):
    generator = np.random.default_rng(seed)
    book, count = Labels(), 60
    book.new(count)
    ends = generator.integers(0, count, (2, 45))
    book.tie(*ends)
    neighbours = {label: set() for label in range(count)}
    for one, other in ends.T.tolist():
        neighbours[one].add(other)
        neighbours[other].add(one)

    def least(label):
        seen, waiting = {label}, [label]
        while waiting:
            more = neighbours[waiting.pop()] - seen
            seen |= more
            waiting += more
        return min(seen)

    assert book.classes().tolist() == [least(label) for label in range(count)]


def test_a_long_chain_is_one_class():
    book = Labels()
    labels = book.new(1000)
    book.tie(labels[::-1][:-1], labels[::-1][1:])
    assert not book.classes().any()


def test_the_first_reason_holds_for_the_whole_class():
    book = Labels()
    one, two = book.new(3), book.new(3)
    book.fix(two[:1], "first")
    book.fix(one[:2], "second")
    book.tie(one, two)
    assert book.reasons(book.classes()) == {0: "first", 1: "second"}
