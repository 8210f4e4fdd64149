import numpy as np
import pytest

from edgeax.formats import EncodedTensor, GroupedInteger, Integer
from edgeax.formats.integer_form import integer_form
from edgeax.formats.names import described, format_of
from tests.formats import graph_checks

FORMATS = [
    GroupedInteger(4, 8),
    GroupedInteger(2, 5),
    GroupedInteger(4, 5, whole=True),
    GroupedInteger(2, 8, whole=True),
    GroupedInteger(3, 100, whole=True),
]


def encoded(format, x):
    params = format.fit(x)
    return EncodedTensor(format.encode(x, params), format, params)


def error(format, x):
    return float(np.sum(np.square(x - encoded(format, x).decode(), dtype=np.float64)))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_the_graph_rounds_as_numpy_does(format, jit):
    graph_checks.assert_graph_equals_numpy(format, jit)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_codes_stand_for_the_rounded_values(format):
    graph_checks.assert_codes_stand_for_the_rounded_values(format)
    graph_checks.assert_a_gain_per_channel_multiplies(format)


def test_steps_and_codes_worked_out_by_hand():
    # groups (7, -3.5), (14, 2) and the rest (1.75): steps 1, 2 and 1/4; 2 / 2 = 1
    x = np.float32([[7], [-3.5], [14], [2], [1.75]])
    tensor = encoded(GroupedInteger(4, 2), x)
    assert tensor.params["step"].tolist() == [[1], [2], [0.25]]
    assert tensor.codes.ravel().tolist() == [7, -4, 7, 1, 7]
    assert tensor.size_bits == 5 * 4 + 3 * 32


def test_whole_steps_worked_out_by_hand():
    # 126 / (18 * 7) = 1; steps 18, 126 / 14 = 9 and, of 10 / 7 = 1.43, 1, where 10 becomes 7
    x = np.float32([[126], [-63], [63], [30], [10], [-3]])
    tensor = encoded(GroupedInteger(4, 2, whole=True), x)
    assert tensor.params["scale"].tolist() == [1]
    assert tensor.params["step"].tolist() == [[18], [9], [1]]
    assert tensor.codes.ravel().tolist() == [7, -4, 7, 3, 7, -3]
    assert tensor.decode().ravel().tolist() == [126, -72, 63, 27, 7, -3]
    assert tensor.size_bits == 6 * 4 + 3 * 8 + 32


@pytest.mark.parametrize("bits", [2, 3, 4, 6])
def test_one_group_for_all_inputs_is_a_scale_per_channel(bits):
    x = np.random.default_rng(0).normal(size=(3, 3, 7, 5)).astype(np.float32)
    for group in (63, 1000):
        found = encoded(GroupedInteger(bits, group), x)
        expected = encoded(Integer(bits, axis=-1), x)
        np.testing.assert_array_equal(found.codes, expected.codes)
        np.testing.assert_array_equal(found.decode(), expected.decode())


def test_groups_run_along_the_flattened_inputs():
    x = np.random.default_rng(1).normal(size=(3, 3, 6, 5)).astype(np.float32)
    window, matrix = (
        encoded(GroupedInteger(4, 16), x),
        encoded(GroupedInteger(4, 16), x.reshape(54, 5)),
    )
    np.testing.assert_array_equal(window.codes.reshape(54, 5), matrix.codes)
    assert window.params["step"].shape == (4, 5)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_smaller_groups_err_less_than_larger_ones_and_whole_steps_cost_little(bits):
    x = np.random.default_rng(2).normal(size=(512, 16)).astype(np.float32)
    channel = error(Integer(bits, axis=-1), x)
    errors = [error(GroupedInteger(bits, group), x) for group in (128, 32, 8)]
    assert channel > errors[0] > errors[1] > errors[2]
    for group, exact in zip((128, 32, 8), errors, strict=True):
        whole = error(GroupedInteger(bits, group, whole=True), x)
        assert whole < channel and whole < 1.1 * exact


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_no_whole_step_errs_more_than_half_a_step_of_the_channel(bits):
    source = np.random.default_rng(3)
    x = (source.normal(size=(256, 40)) * 10 ** source.uniform(-2, 0, (256, 1))).astype(np.float32)
    away = np.abs(x - encoded(GroupedInteger(bits, 8, whole=True), x).decode())
    half = np.abs(x).max(axis=0) / (2 ** (bits - 1) - 1) / 2
    assert np.all(away <= half * 1.00001)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_values_of_whole_steps_are_int8_codes_of_the_channel(bits):
    x = np.random.default_rng(4).normal(size=(100, 6)).astype(np.float32)
    tensor = encoded(GroupedInteger(bits, 16, whole=True), x)
    form = integer_form(tensor)
    assert form.snr_db == np.inf and form.trained == tensor.format
    np.testing.assert_allclose(form.decode(), tensor.decode(), rtol=2e-7)
    gain = np.float32([1, -2, 0.3, 0, 1e-3, 7])
    np.testing.assert_allclose(
        integer_form(tensor.scaled(gain)).decode(), tensor.scaled(gain).decode(), rtol=1e-6
    )
    assert integer_form(encoded(GroupedInteger(bits, 16), x)).snr_db < 60


@pytest.mark.parametrize("whole", [False, True])
def test_a_vector_is_one_group(whole):
    tensor = encoded(GroupedInteger(4, 2, whole), np.float32([7, -3, 0, 1]))
    np.testing.assert_allclose(tensor.decode(), [7, -3, 0, 1], rtol=1e-6)
    assert tensor.params["step"].shape == (1, 1)
    assert tensor.scaled(np.float32([1, 2, 3, 4])).decode()[3] == pytest.approx(4)


def test_names():
    assert format_of("int4_g32", axis=-1) == GroupedInteger(4, 32)
    assert format_of("int2_g64_int8") == GroupedInteger(2, 64, whole=True)
    assert described(GroupedInteger(4, 32, whole=True)) == "int4_g32_int8"
    assert GroupedInteger().per_channel() == GroupedInteger(4, 32)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: GroupedInteger(9), "`bits` must be in 2..8 when whole=False. Received: 9"),
        (lambda: GroupedInteger(5, whole=True), "`bits` must be in 2..4 when whole=True.*Integer"),
        (lambda: format_of("int1_g32"), "`bits` must be in 2..8.* Received: 1. Use 'binary'"),
        (lambda: GroupedInteger(1, 32, whole=True), "`bits` must be in 2..4.*Use 'binary'"),
        (lambda: GroupedInteger(4, 1), "`group` must be at least 2. Received: 1"),
        (lambda: GroupedInteger(4, 2.5), "`group` must be an integer"),
        (
            lambda: GroupedInteger().fit(np.zeros((0, 3))),
            r"`x` must not be empty. Received: shape \(0, 3\)",
        ),
        (lambda: GroupedInteger(whole=True).fit(np.zeros((3, 0))), "`x` must not be empty"),
        (lambda: GroupedInteger().fit(np.zeros(0)), "`x` must not be empty"),
        (lambda: GroupedInteger().for_activations(), "must have one scale.*'int4'"),
        (
            lambda: GroupedInteger(4, 8).encode(
                np.zeros((20, 2), np.float32), GroupedInteger(4, 8).fit(np.zeros((40, 2)))
            ),
            r"must have shape \(3, 2\) for a tensor of shape \(20, 2\). Received: \(5, 2\)",
        ),
    ],
)
def test_errors_say_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()
