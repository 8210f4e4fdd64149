import numpy as np
import pytest

from edgeax.runtime.ports import Port


def port(dtype, scale=None, zero_point=0, shape=(1, 3)) -> Port:
    return Port("x", 0, shape, np.dtype(dtype), scale, zero_point)


def test_int8_codes_saturate_and_halves_round_to_even():
    # 0.25 / 0.1 + 1 lies at a half: 2.5 -> 2, + 1.
    codes = port(np.int8, 0.1, 1).checked([[0.25, 100.0, -100.0]], raw=False)
    assert codes.dtype == np.int8
    assert codes.tolist() == [[3, 127, -128]]


def test_uint8_codes_are_those_of_old_files():
    uint8 = port(np.uint8, 0.5, 10)
    codes = uint8.checked([[0.0, 1.0, 1000.0]], raw=False)
    assert codes.dtype == np.uint8
    assert codes.tolist() == [[10, 12, 255]]
    assert uint8.real(codes).tolist() == [[0.0, 1.0, 122.5]]


def test_int16_takes_and_gives_real_values_and_wider_integers_must_be_raw():
    int16 = port(np.int16, 0.5)
    assert int16.real(np.int16([[2, -3, 1000]])).tolist() == [[1.0, -1.5, 500.0]]
    assert int16.checked([[1.0, -1.4, 1e9]], raw=False).tolist() == [[2, -3, 32767]]
    with pytest.raises(ValueError, match="'x' must be int8, uint8 or int16.*int32.*raw=True"):
        port(np.int32, 0.5).checked([[0, 0, 0]], raw=False)


def test_tensors_without_scale_are_cast_only_when_nothing_is_lost():
    assert port(np.int32).checked([[1.0, 2.0, 3.0]], raw=False).dtype == np.int32
    assert port(np.float32).checked([[1, 2, 3]], raw=False).dtype == np.float32
    with pytest.raises(ValueError, match="'x' must hold int32 values, for it has no scale"):
        port(np.int32).checked([[1.5, 2.0, 3.0]], raw=False)


@pytest.mark.parametrize("values", [[[1j, 0, 0]], [["a", "b", "c"]], [[None, 0, 0]]])
def test_what_is_no_real_number_is_refused(values):
    with pytest.raises(ValueError, match="'x' must hold numbers. Received: dtype"):
        port(np.float32).checked(values, raw=False)


def test_complex_tensors_take_complex_numbers():
    assert port(np.complex64).checked([[1j, 0, 2]], raw=False).dtype == np.complex64


def test_a_batch_larger_than_one_is_expected_as_it_is():
    assert port(np.int8, shape=(4, 3)).expected_shape == "(4, 3)"
    assert port(np.int8, shape=(1, 3)).expected_shape == "(batch, 3)"
    assert port(np.int8, shape=()).expected_shape == "()"
