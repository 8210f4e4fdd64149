import sys
import textwrap

import pytest

from benchmarks.pairing import Child, PairedTimes, run_paired


def child(program: str) -> Child:
    return Child([sys.executable, "-c", textwrap.dedent(program)])


def writing_its_turns(path, letter: str) -> Child:
    """A child whose every timed step appends its letter to a file that all children share."""
    return child(f"""
        from benchmarks.children.turns import take_turns
        print("chatter of a library")
        def step():
            with open({str(path)!r}, "a") as file: file.write({letter!r})
        take_turns(step, steps=2)
    """)


def test_children_take_turns_and_the_order_is_reversed_every_second_round(tmp_path):
    log = tmp_path / "log"
    times = run_paired({name: writing_its_turns(log, name) for name in "AB"}, rounds=3)
    # A turn is one untimed and two timed steps.
    assert log.read_text() == "AAABBB" + "BBBAAA" + "AAABBB"
    assert {name: len(times.step_ms[name]) for name in "AB"} == {"A": 3, "B": 3}


def test_a_child_says_the_median_of_its_steps_in_milliseconds():
    sleeper = child("""
        import itertools, time
        from benchmarks.children.turns import take_turns
        seconds = itertools.cycle([0, 0.02, 0.02, 0.5])  # the first step of a turn is not timed
        take_turns(lambda: time.sleep(next(seconds)), steps=3)
    """)
    assert 20 <= run_paired({"sleeper": sleeper}, rounds=1).median_ms("sleeper") < 100


def test_ratio_is_the_median_of_the_ratios_within_a_round():
    times = PairedTimes({"ours": [2.0, 30.0, 9.0], "theirs": [1.0, 10.0, 9.0]})
    assert times.ratio("ours", "theirs") == 2.0  # of 2, 3, 1: not the ratio of medians, 0.9
    assert times.median_ms("ours") == 9.0


def test_quartiles_tell_how_far_the_ratios_spread():
    times = PairedTimes({"ours": [1.0, 2.0, 3.0], "theirs": [1.0, 1.0, 1.0]})
    assert times.ratio_quartiles("ours", "theirs") == (1.0, 3.0)


def test_a_child_that_dies_is_named_and_no_other_child_is_left_waiting():
    waiting = child("""
        from benchmarks.children.turns import take_turns
        take_turns(lambda: None, steps=1)
    """)
    with pytest.raises(RuntimeError, match="'dying' ended with exit code 3"):
        run_paired({"waiting": waiting, "dying": child("raise SystemExit(3)")}, rounds=1)


def test_no_rounds_are_refused():
    with pytest.raises(ValueError, match="`rounds` must be at least 1. Received: 0"):
        run_paired({}, rounds=0)
