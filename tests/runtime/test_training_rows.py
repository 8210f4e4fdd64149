import numpy as np
import pytest

from edgeax.runtime.training_rows import Rows, checked_labels, checked_share

ONE = Rows(["x"], {"x": {"shape": [1, 2, 3], "dtype": np.float32}})
TWO = Rows(
    ["image", "word"],
    {
        "image": {"shape": [4, 2], "dtype": np.float32},
        "word": {"shape": [4], "dtype": np.int32},
    },
)


@pytest.mark.parametrize(
    "given", [np.zeros((5, 2, 3)), [np.zeros((5, 2, 3))], {"x": np.zeros((5, 2, 3))}]
)
def test_one_input_comes_as_array_list_or_dict(given):
    (found,) = ONE.checked(given)
    assert found.shape == (5, 2, 3) and found.dtype == np.float32


def test_nested_lists_of_one_sample_are_an_array():
    (found,) = ONE.checked([[[1, 2, 3], [4, 5, 6]]])
    assert found.shape == (1, 2, 3)


def test_several_inputs_come_in_their_order_or_by_name():
    images, words = np.ones((3, 2)), np.arange(3)
    for given in ([images, words], {"word": words, "image": images}):
        image, word = TWO.checked(given)
        assert np.array_equal(image, images) and np.array_equal(word, words)
        assert word.dtype == np.int32


@pytest.mark.parametrize(
    ("rows", "given", "message"),
    [
        (ONE, np.zeros((5, 3, 2)), r"'x' must have shape \(count, 2, 3\).*Received: \(5, 3, 2\)"),
        (ONE, np.zeros((0, 2, 3)), "one row at least"),
        (ONE, np.full((1, 2, 3), np.nan), "'x' must be finite"),
        (ONE, np.full((1, 2, 3), 1e39), "'x' must be finite in float32"),
        (ONE, np.full((1, 2, 3), "a"), "must hold numbers"),
        (ONE, {"z": np.zeros((1, 2, 3))}, r"\['x'\]. Received: \['z'\]"),
        (ONE, {"z": 0, 1: 0}, r"\['x'\]. Received: \['z', 1\]"),
        (ONE, [[[1, 2, 3], [4, 5]]], "Input 'x' must be an array, or rows of equal lengths.*list"),
        (ONE, None, r"'x' must have shape \(count, 2, 3\)"),
        (TWO, None, r"`x` must be a list or a dict of.*\['image', 'word'\]. Received: NoneType"),
        (TWO, [np.zeros((3, 2))], r"one array for each of \['image', 'word'\]. Received: 1"),
        (TWO, [np.zeros((3, 2)), np.zeros(2)], r"equally many rows.*\[2, 3\]"),
        (TWO, [np.zeros((3, 2)), np.full(3, 0.5)], "whole numbers of type int32"),
        (TWO, [np.zeros((3, 2)), np.full(3, 2**40)], "whole numbers of type int32"),
        (TWO, [np.zeros((3, 2)), np.full(3, 2.0**31, np.float32)], "whole numbers of type int32"),
    ],
)
def test_what_does_not_fit_is_named(rows, given, message):
    with pytest.raises(ValueError, match=message):
        rows.checked(given)


def test_labels_are_classes_or_targets():
    assert checked_labels([[1], [2]], 2, 3, ()).tolist() == [1, 2]
    assert checked_labels(np.uint8([2, 0]), 2, 3, ()).dtype == np.int32
    assert checked_labels([[0.5], [1]], 2, None, (1,)).shape == (2, 1)


@pytest.mark.parametrize(
    ("given", "classes", "message"),
    [
        ([0, 3], 3, r"integers in \[0, 3\). Received: int64, \[0 3\]"),
        ([0, -1], 3, r"integers in \[0, 3\)"),
        ([0.0, 1.0], 3, "integers"),
        ([0, 2**63], 3, r"integers in \[0, 3\)"),
        ([0, None], 3, r"integers in \[0, 3\). Received: object, \[0 None\]"),
        ([[0], [1, 2]], 3, "`y` must be an array, or rows of equal lengths"),
        ([0], 3, r"shape \(2,\).*Received: \(1,\)"),
        ([[0.1], [np.inf]], None, "finite numbers"),
        ([[0.1], [-1e39]], None, "finite numbers"),
        ([0.1, 0.2, 0.3], None, r"shape \(2, 1\). Received: \(3,\)"),
    ],
)
def test_wrong_labels_are_named(given, classes, message):
    with pytest.raises(ValueError, match=message):
        checked_labels(given, 2, classes, (1,))


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan"), "0.5", None])
def test_a_share_is_below_1(value):
    with pytest.raises(ValueError, match=r"`drop` must lie in \[0, 1\). Received: drop="):
        checked_share("drop", value)
