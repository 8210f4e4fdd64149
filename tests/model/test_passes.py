"""passes: what belongs to one training step, in each thread for itself."""

import threading
from types import SimpleNamespace

from edgeax.model import passes


def test_without_a_step_every_call_advances_and_trains_when_it_says_so():
    chain = SimpleNamespace(uses=1)
    assert passes.advances(chain, 1) and passes.advances(chain, 1)
    assert [passes.is_training(value) for value in (None, False, True)] == [False, False, True]


def test_a_step_takes_as_many_calls_as_one_pass_has():
    once, twice = SimpleNamespace(uses=1), SimpleNamespace(uses=2)
    for _ in range(2):
        with passes.training_step():
            assert [passes.advances(once, 1) for _ in range(3)] == [True, False, False]
            assert [passes.advances(twice, 1) for _ in range(3)] == [True, True, False]
        with passes.training_step():
            assert [passes.advances(twice, 2) for _ in range(2)] == [True, False]


def test_in_a_step_a_call_that_does_not_say_otherwise_trains():
    with passes.training_step():
        assert [passes.is_training(value) for value in (None, False, True)] == [True, False, True]
        with passes.called_with(False):
            assert [passes.is_training(value) for value in (None, True)] == [False, True]
    with passes.called_with(True):
        assert passes.is_training(None) and not passes.is_training(False)
    assert not passes.is_training(None)


def test_weights_are_given_inside_only():
    first, second = object(), object()
    with passes.weights_given([first]):
        with passes.weights_given([second]):
            assert passes.is_given(first) and passes.is_given(second)
        assert not passes.is_given(second)
    assert not passes.is_given(first)


def test_another_thread_is_not_in_the_step_of_this_one():
    seen = []
    with passes.training_step(), passes.weights_given([passes]):
        thread = threading.Thread(
            target=lambda: seen.append((passes.is_training(None), passes.is_given(passes)))
        )
        thread.start()
        thread.join()
    assert seen == [(False, False)]
