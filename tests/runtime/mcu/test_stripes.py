import pytest

from edgeax.runtime.mcu import stripes
from edgeax.runtime.mcu.program import Window
from edgeax.runtime.mcu.stripes import Call, Rows, Sharing
from tests.runtime.mcu import image_programs

ROW = {0: 8, 1: 8, 2: 16}


def steps_of(program):
    return [stripes.rows_of(program, place) for place in range(len(program.steps))]


def run(program, height):
    steps = steps_of(program)
    return stripes.stripes(steps, frozenset({steps[-1].write}), height)


def test_a_window_reads_rows_inside_the_image():
    window = Window(input_rows=9, output_rows=5, kernel=3, stride=2, pad=1)
    assert [stripes.needed(window, row, row + 1) for row in (0, 1, 4)] == [(0, 2), (1, 4), (7, 9)]


def test_a_window_of_padding_reads_no_row():
    window = Window(input_rows=4, output_rows=8, kernel=1, pad=2)
    assert stripes.needed(window, 0, 2) == (0, 0)
    assert stripes.needed(window, 6, 8) == (4, 4)


def test_each_row_is_computed_once_and_just_in_time():
    calls = run(image_programs.separable(), 4).calls
    assert calls == (
        Call(0, 0, 4, (0, 5)),
        Call(1, 0, 4, (0, 4)),
        Call(0, 4, 8, (3, 9)),
        Call(1, 4, 8, (4, 8)),
        Call(0, 8, 9, (7, 9)),
        Call(1, 8, 9, (8, 9)),
    )


def test_a_pointwise_step_needs_a_line_of_one_stripe_and_moves_nothing():
    found = run(image_programs.separable(), 2)
    assert found.lines == {1: 2} and found.moved_rows == {1: 0}


def test_a_window_keeps_the_rows_that_the_next_stripe_reads():
    # Stripe 0 computes rows 0 and 1 of the line, stripe 1 row 2; stripes 2 to 6 keep 2 rows each.
    found = run(image_programs.residual(), 1)
    assert found.lines == {1: 3, 2: 1}
    assert found.moved_rows == {1: 2 * 5, 2: 0}


def test_rows_that_only_others_read_are_computed_in_the_last_stripe():
    maker = image_programs.Maker()
    image = maker.value(6, 4, 1)
    kept = maker.window(image, 4)
    last = maker.window(kept, 4, kernel=2, stride=2)  # of 5 rows it would read 4
    program = maker.program([image], [kept, last])
    steps = steps_of(program)
    steps[1] = Rows(1, (kept,), last, Window(6, 2, 2, 2))
    calls = stripes.stripes(steps, frozenset({kept, last}), 1).calls
    assert [(c.place, c.begin, c.end) for c in calls] == [
        (0, 0, 2),
        (1, 0, 1),
        (0, 2, 6),
        (1, 1, 2),
    ]


def test_an_output_may_follow_the_rows_that_were_read():
    # Stripe 3 has written 8 rows, 128 bytes, when stripe 4 reads the input from row 7 on.
    assert stripes.sharing(run(image_programs.separable(), 2), 0, 2, ROW) == Sharing(
        128 - 56, False
    )


def test_a_sum_takes_the_rows_of_the_image_that_it_adds():
    found = run(image_programs.residual(), 2)
    sizes = dict.fromkeys(range(4), 8)
    assert stripes.sharing(found, 0, 3, sizes) == Sharing(16, True)


def test_a_sum_must_not_take_rows_that_a_convolution_still_reads():
    maker = image_programs.Maker()
    image = maker.value(8, 8, 1)
    later = maker.window(maker.sum(maker.window(image, 8), image), 8, kernel=3, pad=(1, 1))
    program = maker.program([image], [2, maker.sum(later, image)])
    found = stripes.stripes(steps_of(program), frozenset({2, 4}), 2)
    assert not stripes.sharing(found, 0, 2, dict.fromkeys(range(5), 8)).same


@pytest.mark.parametrize("batch", [2, 3])
def test_batches_and_steps_without_rows_are_computed_as_a_whole(batch):
    maker = image_programs.Maker()
    image = maker.value(4, 4, 1)
    maker.whole(image, 4)
    program = maker.program([image], [1])
    assert stripes.rows_of(program, 0) is None
    value = image_programs.Value(0, "x", "int8", (batch, 9, 8, 1))
    separable = image_programs.separable()
    separable.values[0] = value
    assert stripes.rows_of(separable, 0) is None
