import pytest

from edgeax.sharing.entropy_constrained import EntropyConstrained
from edgeax.sharing.named import GROUPINGS, grouping_of
from edgeax.sharing.optimal import Optimal


def test_words_and_objects_stand_for_groupings():
    assert isinstance(grouping_of("optimal"), Optimal)
    own = EntropyConstrained(0.1, "hessian")
    assert grouping_of(own) is own
    assert grouping_of("hessian").needs == ("samples", "loss")
    assert all(not GROUPINGS[name]().needs for name in GROUPINGS if name != "hessian")


def test_an_unknown_word_is_refused_with_those_that_are_near():
    with pytest.raises(ValueError, match="`grouping` must be one of.*mean one of.*'optimal'"):
        grouping_of("optima")
