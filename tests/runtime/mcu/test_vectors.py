import numpy as np
import pytest

from edgeax.runtime.mcu import oracle, vectors
from edgeax.runtime.mcu.program import Program, Value
from edgeax.runtime.mcu.read import read_program
from edgeax.runtime.mcu.targets import TARGETS
from tests.runtime.mcu import networks
from tests.runtime.mcu.steps import step


def drawn(monkeypatch, *values, steps=()):
    monkeypatch.setattr(oracle, "outputs_of", lambda data, inputs, rounding: [])
    numbers = tuple(value.index for value in values if value.index < 9)
    program = Program({value.index: value for value in values}, steps, {}, numbers, ())
    return [inputs for inputs, _ in vectors.drawn_vectors(b"", program, "double")]


def test_the_first_vector_is_the_stream_of_the_benchmarks(monkeypatch):
    first, *_ = drawn(monkeypatch, Value(0, "x", "int8", (2, 2)))
    # x = x * 1664525 + 1013904223, from 1: 1015568748, 1586005467, 2165703038, 3027450565.
    tops = [word >> 24 for word in (1015568748, 1586005467, 2165703038, 3027450565)]
    assert first[0].tolist() == np.uint8(tops).view(np.int8).reshape(2, 2).tolist()


def test_a_file_that_no_interpreter_takes_is_refused(monkeypatch):
    def fail(data, inputs, rounding):
        raise RuntimeError("num_input_elements != num_output_elements")

    monkeypatch.setattr(oracle, "outputs_of", fail)
    with pytest.raises(ValueError, match="that an interpreter runs, .* Received: num_input_elem"):
        vectors.drawn_vectors(b"", Program({}, (), {}, (), ()), "double")


def test_the_second_input_goes_on_in_the_stream(monkeypatch):
    values = [Value(0, "x", "int8", (2,)), Value(1, "y", "int8", (2,))]
    (both,) = drawn(monkeypatch, Value(0, "x", "int8", (4,)))[0]
    first, second = drawn(monkeypatch, *values)[0]
    assert [*first, *second] == both.tolist()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "bool"])
def test_codes_cover_their_type(monkeypatch, dtype):
    inputs = [x for (x,) in drawn(monkeypatch, Value(0, "x", dtype, (500,)))]
    assert {x.dtype for x in inputs} == {np.dtype(dtype)}
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    span = (int(high) - int(low)) / 20
    assert all(x.min() <= low + span and x.max() >= high - span for x in inputs)
    assert not (inputs[0] == inputs[1]).all()


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_wide_integers_are_small(monkeypatch, dtype):
    (x,) = drawn(monkeypatch, Value(0, "x", dtype, (500,)))[0]
    assert x.dtype == dtype and 0 <= x.min() and x.max() < 256


def test_real_numbers_reach_a_little_beyond_the_codes_that_they_become(monkeypatch):
    values = [Value(0, "x", "float32", (900,)), Value(9, "codes", "int8", (900,), 0.25, 28)]
    (x,) = drawn(monkeypatch, *values, steps=(step([0], [9]),))[0]
    low, high = 0.25 * (-128 - 28), 0.25 * (127 - 28)
    assert low - 4 < x.min() < low and high < x.max() < high + 4


def test_outputs_are_those_of_the_interpreter():
    data = networks.dense_chain()
    program = read_program(data, TARGETS["host"], "double")
    for inputs, outputs in vectors.drawn_vectors(data, program, "double"):
        expected = oracle.outputs_of(data, inputs, "double")
        assert all((a == b).all() for a, b in zip(outputs, expected, strict=True))
