import numpy as np
import pytest
import tensorflow as tf

from edgeax.formats import Integer
from edgeax.transforms import grids
from tests.transforms.modes import in_every_mode

BITS = range(2, 9)
AXES = (None, -1)
TINY = np.finfo(np.float32).tiny


@pytest.mark.parametrize("bits, top", [(2, 1), (3, 3), (4, 7), (5, 15), (6, 31), (7, 63), (8, 127)])
def test_the_largest_code_leaves_out_the_lowest_one(bits, top):
    assert grids.top_code(Integer(bits)) == top


def test_the_scale_is_the_largest_magnitude_over_the_largest_code():
    weight = tf.constant([[1.0, -14.0, 0.0], [-3.5, 7.0, 0.0]])
    assert grids.symmetric_scale(weight, Integer(4)).numpy() == 2.0
    assert grids.symmetric_scale(weight, Integer(4, axis=-1)).numpy().tolist() == [0.5, 2.0, 1.0]
    assert grids.live_scale(weight, Integer(4, axis=-1)).numpy().tolist() == [0.5, 2.0, 0.0]
    assert grids.live_scale(tf.zeros([3, 2]), Integer(4)).numpy() == 0.0


def test_to_divide_by_a_scale_its_zeros_become_ones():
    assert grids.nonzero(tf.constant([0.0, 2.0, -0.5])).numpy().tolist() == [1.0, 2.0, -0.5]


def kernels():
    """Kernels of every magnitude; some channels are zero, subnormal or barely above it."""
    rng = np.random.default_rng(7)
    for magnitude in (1e-30, 1e-3, 0.05, 1.0, 777.0, 1e30):
        kernel = (magnitude * rng.normal(size=(2, 2, 6, 16))).astype(np.float32)
        kernel[..., 3] = 0.0
        kernel[..., 4] = 1e-40
        kernel[..., 5] = 0.0
        kernel[1, 1, 2, 5] = 200 * TINY
        kernel[..., 6] = 0.0
        kernel[1, 0, 2, 6] = 3 * TINY
        yield kernel


@in_every_mode
@pytest.mark.parametrize("axis", AXES)
def test_scales_and_values_equal_those_of_the_formats_bit_for_bit(axis, mode):
    # Graph compilers divide by a constant through its reciprocal: half of all scales were wrong.
    grid_of = [Integer(bits, axis=axis) for bits in BITS]

    @mode
    def run(kernel):
        return [
            (grids.symmetric_scale(kernel, grid), grids.on_symmetric_grid(kernel, grid))
            for grid in grid_of
        ]

    for kernel in kernels():
        for grid, (scale, value) in zip(grid_of, run(tf.constant(kernel)), strict=True):
            params = grid.fit(kernel)
            assert np.array_equal(scale, params["scale"])
            assert np.array_equal(value, grid.decode(grid.encode(kernel, params), params))


@in_every_mode
def test_the_gradient_passes_straight_through_the_grid(mode):
    grid = Integer(4, axis=-1)

    @mode
    def run(weight, upstream):
        with tf.GradientTape() as tape:
            tape.watch(weight)
            value = grids.on_symmetric_grid(weight, grid)
        return tape.gradient(value, weight, upstream)

    rng = np.random.default_rng(8)
    weight, upstream = rng.normal(size=(2, 6, 5)).astype(np.float32)
    assert np.array_equal(run(tf.constant(weight), tf.constant(upstream)), upstream)


def test_nan_stays_visible():
    weight = tf.constant([[1.0, np.nan], [2.0, 3.0]])
    value = grids.on_symmetric_grid(weight, Integer(8, axis=-1)).numpy()
    assert np.isfinite(value[:, 0]).all()
    assert np.isnan(value[0, 1])


@pytest.mark.parametrize(
    "low, high, bits, x, values",
    [
        (0.0, 3.0, 2, [-1.0, 0.4, 1.5, 2.5, 9.0], [0.0, 0.0, 2.0, 2.0, 3.0]),  # halves to even
        (-1.0, 2.0, 2, [-9.0, -0.6, 0.0, 1.2, 9.0], [-1.0, -1.0, 0.0, 1.0, 2.0]),
        # Zero lies 0.4 of a step of 1 above a grid point: the grid moves by that.
        (-0.4, 14.6, 4, [-0.4, 0.4, 14.6, 15.0], [0.0, 0.0, 15.0, 15.0]),
        # At half a step zero takes the upper one: the grid is -1, 0, 1, 2.
        (-0.5, 2.5, 2, [-0.9, -0.5, 1.6, 2.5], [-1.0, 0.0, 2.0, 2.0]),
        (-7.5, 0.0, 4, [-7.5, -0.3, 1.0], [-7.5, -0.5, 0.0]),
    ],
)
def test_the_affine_grid_is_the_one_worked_out_by_hand(low, high, bits, x, values):
    ends = tf.constant(low), tf.constant(high)
    assert grids.on_affine_grid(tf.constant(x), *ends, bits).numpy().tolist() == values


@in_every_mode
def test_the_affine_gradient_stops_outside_the_range(mode):
    x = tf.constant([-1.5, -1.0, 0.3, 2.0, 2.5])

    @mode
    def run():
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = grids.on_affine_grid(x, tf.constant(-1.0), tf.constant(2.0), 2)
        return tape.gradient(value, x, tf.constant([1.0, 2.0, 3.0, 4.0, 5.0]))

    assert run().numpy().tolist() == [0.0, 2.0, 3.0, 4.0, 0.0]
