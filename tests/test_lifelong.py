import edgeax
import edgeax.training
from edgeax.lifelong import E2Train


def test_both_spellings_give_the_same_class():
    assert edgeax.lifelong.E2Train is E2Train is edgeax.training.E2Train


def test_the_facade_names_what_the_rooms_hold():
    assert all(getattr(edgeax.lifelong, name) for name in edgeax.lifelong.__all__)
