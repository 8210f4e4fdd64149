import itertools

import numpy as np
import pytest

from edgeax.formats import EncodedTensor, ResidualTernary, Ternary, arrays
from edgeax.formats.names import format_of
from edgeax.formats.ternary import l2_step
from tests.formats import graph_checks

FORMATS = [
    Ternary(),
    Ternary(axis=-1),
    Ternary("ttq", axis=-1),
    Ternary("tbn"),
    Ternary("l2", axis=-1),
    ResidualTernary(1, 5),
    ResidualTernary(3, 64),
]
X = np.float32([4, -3, 2, -1, 0, 0, 1, -1])  # E|x| = 1.5, max|x| = 4


def squared_error(format, x):
    away = format.rounded(x, format.fit(x), arrays).astype(np.float64) - x
    return float(np.mean(np.square(away)))


def normal(shape=(3, 3, 16, 4), seed=0):
    return np.random.default_rng(seed).normal(0.0, 0.3, shape).astype(np.float32)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_the_graph_rounds_as_numpy_does(format, jit):
    graph_checks.assert_graph_equals_numpy(format, jit)


@pytest.mark.parametrize(
    "format", [Ternary(), Ternary("ttq"), Ternary("tbn"), Ternary("l2")], ids=str
)
def test_activations_of_any_batch_size_are_rounded(format):
    graph_checks.assert_activations_of_any_batch_size_are_rounded(format)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_codes_stand_for_the_rounded_values(format):
    graph_checks.assert_codes_stand_for_the_rounded_values(format)
    graph_checks.assert_a_gain_per_channel_multiplies(format)


def test_lzl16_threshold_and_gain_are_those_worked_out_by_hand():
    # Threshold 0.7 * 1.5 = 1.05: 4, 3 and 2 are beyond it, their mean is 3.
    format = Ternary()
    params = format.fit(X)
    assert params["scale"] == 3
    assert params["threshold"] * 3 == pytest.approx(1.05)
    assert format.rounded(X, params, arrays).tolist() == [3, -3, 3, 0, 0, 0, 0, 0]
    codes = format.encode(X, params)
    assert codes.tolist() == [1, -1, 1, 0, 0, 0, 0, 0] and codes.dtype == np.int8


def test_lzl16_the_factor_is_near_the_optimum_of_normal_values():
    x = np.random.default_rng(0).normal(size=100_000).astype(np.float32)
    factors = np.arange(0.5, 1.1, 0.02)
    errors = [squared_error(Ternary(factor=float(factor)), x) for factor in factors]
    assert squared_error(Ternary(), x) < 1.01 * min(errors)
    assert factors[np.argmin(errors)] == pytest.approx(0.767, abs=0.041)
    # The gain is that of least squares for the codes.
    params = Ternary().fit(x)
    codes = Ternary().encode(x, params).astype(np.float64)
    assert params["scale"] == pytest.approx(codes @ x / (codes @ codes), rel=1e-5)


def test_zhmd16_each_side_has_its_own_gain():
    # Threshold 0.25 * 4 = 1: beyond it 4 and 2 above, -3 below.
    format = Ternary("ttq", factor=0.25)
    params = format.fit(X)
    assert {name: float(value) for name, value in params.items()} == {
        "threshold": 1,
        "positive": 3,
        "negative": 3,
    }
    x = np.float32([8, -1, 0.4, -0.4, 4, -0.5])
    params = Ternary("ttq").fit(x)  # threshold 0.05 * 8: float32 of 0.4 is 0.4, which is not beyond
    assert params["threshold"] == np.float32(0.4)
    assert Ternary("ttq").rounded(x, params, arrays).tolist() == [6, -0.75, 0, 0, 6, -0.75]


def test_wsl18_activations_are_signs_beyond_a_part_of_the_mean():
    assert Ternary("tbn").fit(X)["threshold"] == np.float32(0.6)  # 0.4 * 1.5
    params = Ternary("tbn", factor=0.8).fit(X)  # 1.2
    assert Ternary("tbn", factor=0.8).rounded(X, params, arrays).tolist() == [
        *(1, -1, 1, 0, 0, 0, 0, 0)
    ]


def test_wsl18_products_with_signs_are_counts_of_bits():
    rng = np.random.default_rng(2)
    a, w = rng.normal(size=(2, 100)).astype(np.float32)
    format = Ternary("tbn")
    codes = format.encode(a, format.fit(a))
    used, differing = codes != 0, (codes < 0) ^ (w < 0)
    dot = format.decode(codes, {}) @ np.where(w < 0, -1, 1)
    assert dot == int(used.sum()) - 2 * int((used & differing).sum())


@pytest.mark.parametrize("levels", [3, 7])
def test_hs14_the_squared_error_falls_to_a_fixed_point(levels):
    x = np.random.default_rng(1).laplace(size=3000).astype(np.float32)
    top = (levels - 1) // 2

    def error(step):
        codes = np.sign(x) * np.minimum(np.floor(np.abs(x) / step + 0.5), top)
        return float(np.mean(np.square(x - step * codes, dtype=np.float64)))

    steps = [float(l2_step(x, levels, iterations=count)) for count in range(0, 120)]
    errors = [error(step) for step in steps]
    assert all(after <= before * (1 + 1e-6) for before, after in itertools.pairwise(errors))
    assert errors[-1] < errors[0] and steps[-1] == steps[-2]
    # 30 iterations are as good as the fixed point, and that is near the best of all steps.
    assert error(float(l2_step(x, levels))) < 1.001 * errors[-1]
    assert errors[-1] < 1.01 * min(error(step) for step in np.linspace(0.2, 3, 300))


def test_hs14_ternary_is_the_least_squares_grid():
    x = normal((500, 1))
    format = Ternary("l2")
    params = format.fit(x)
    values = format.rounded(x, params, arrays)
    step = params["scale"]
    # Half a step is the first value that is not 0: floor(1/2 + 1/2) = 1.
    edge = np.float32([step / 2, -step / 2])
    assert format.rounded(edge, params, arrays).tolist() == [step, -step]
    away = np.mean(np.square(values - x))
    assert away < squared_error(Ternary(), x)


def test_every_code_round_trips():
    for format in [Ternary(), Ternary("ttq"), Ternary("l2"), Ternary("tbn")]:
        params = format.fit(X)
        codes = np.int8([-1, 0, 1])
        values = format.decode(codes, params)
        assert format.encode(values, params).tolist() == [-1, 0, 1]


@pytest.mark.parametrize("value", [-0.4, 0.15, 2.0])
def test_stochastic_ternary_values_are_right_on_average(value):
    params = {"threshold": np.float32(0.5), "positive": np.float32(1), "negative": np.float32(2)}
    mean, values = graph_checks.mean_of_stochastic(Ternary("ttq"), value, params)
    assert set(values) <= {-2, 0, 1}
    assert abs(mean - np.clip(value, -2, 1)) < 5 * 2 / 400


def test_kbm17_every_residual_lowers_the_error_of_every_group():
    x = normal((4, 32, 5))
    errors = []
    for terms in range(1, 5):
        format = ResidualTernary(terms, group=64)
        away = format.rounded(x, format.fit(x), arrays) - x
        groups = away.reshape(2, 64, 5).astype(np.float64)
        errors.append(np.sum(np.square(groups), axis=1))
    assert all(np.all(after < before) for before, after in itertools.pairwise(errors))


def test_kbm17_a_group_is_ternary_by_itself():
    x = normal((100, 3))
    format = ResidualTernary(1, group=64)
    values = format.rounded(x, format.fit(x), arrays)
    for rows in (slice(0, 64), slice(64, 100)):  # the last group is shorter
        for channel in range(3):
            part = x[rows, channel]
            alone = Ternary().rounded(part, Ternary().fit(part), arrays)
            np.testing.assert_allclose(values[rows, channel], alone, rtol=1e-6)
    assert squared_error(format, x) < squared_error(Ternary(axis=-1), x)


def test_kbm17_as_many_residuals_are_added_as_the_tolerance_asks_for():
    x = normal()
    relative = [squared_error(ResidualTernary(t), x) / np.mean(np.square(x)) for t in (1, 2, 3, 4)]
    for terms in (2, 3):
        assert ResidualTernary.within(x, relative[terms - 1] * 1.01).terms == terms
    with pytest.raises(ValueError, match="what 4 terms reach"):
        ResidualTernary.within(x, 1e-9)


def test_kbm17_fields_of_two_bits_hold_the_terms():
    # One group 8, 8, 2, 0: 0.7 E|x| = 3.15: gain 8, rests 0, 0, 2, 0: gain 2.
    x = np.float32([[8], [-8], [2], [0]])
    format = ResidualTernary(2, group=4)
    params = format.fit(x)
    assert params["gain"].ravel().tolist() == [8, 2]
    codes = format.encode(x, params)
    assert codes.ravel().tolist() == [2 | 1 << 2, 0 | 1 << 2, 1 | 2 << 2, 1 | 1 << 2]
    assert format.decode(codes, params).tolist() == x.tolist()


def test_gains_are_stored_and_thresholds_are_not():
    x = normal((128, 3))
    format = ResidualTernary(2)
    params = format.fit(x)
    encoded = EncodedTensor(format.encode(x, params), format, params)
    assert encoded.size_bits == 128 * 3 * 4 + 2 * 2 * 3 * 32
    params = Ternary(axis=-1).fit(x)
    encoded = EncodedTensor(Ternary(axis=-1).encode(x, params), Ternary(axis=-1), params)
    assert encoded.size_bits == 128 * 3 * 2 + 3 * 32


def test_the_name_is_the_ternary_weight_network():
    assert format_of("ternary") == Ternary("twn")
    assert format_of("ternary", axis=-1) == Ternary("twn", axis=-1)


@pytest.mark.parametrize(
    "make, match",
    [
        (lambda: Ternary("mean"), "`threshold` must be one of .* Received: 'mean'"),
        (lambda: Ternary(factor=0.0), "`factor` must be above 0"),
        (lambda: Ternary("l2", factor=0.7), "None for 'l2'"),
        (lambda: Ternary(axis=1), "`axis` must be None"),
        (lambda: ResidualTernary(5), r"`terms` must be in 1\.\.4. Received: 5"),
        (lambda: ResidualTernary(2, 0), "`group` must be 1 or more. Received: 0"),
        (lambda: l2_step(X, 4), "`levels` must be odd"),
        (lambda: ResidualTernary().fit(X), "`x` must be a weight of two or more axes"),
        (lambda: Ternary().decode(np.int8([2]), {}), r"`codes` must lie in \[-1, 1\].*max=2"),
    ],
)
def test_what_is_impossible_is_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_codes_and_gains_that_do_not_fit_are_refused():
    format = ResidualTernary(1, 4)
    params = {"gain": np.ones((1, 1, 2), np.float32)}
    with pytest.raises(ValueError, match="must hold 1 fields of 0, 1 or 2"):
        format.decode(np.uint8([[3, 0]]), params)
    with pytest.raises(ValueError, match=r"must have shape \(1, 1, 3\)"):
        format.decode(np.uint8([[1, 1, 1]]), params)
