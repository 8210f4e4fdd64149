import itertools

import keras
import numpy as np
import pytest

from edgeax.pruning.api import prune
from edgeax.pruning.brain_surgeon import BrainSurgeon, compensated, inverse_hessian, surgery
from tests.model import small_models
from tests.pruning import nets

EXACT = 1e-9  # of alpha: nothing keeps weights where they are


def quadratic(outputs=2, size=6, use_bias=True, seed=0):
    """A linear layer at the minimum of a mean squared error."""
    model = nets.dense(outputs, inputs=size, activation="linear", use_bias=use_bias, seed=seed)
    x, y = nets.data(60, size, outputs, seed)
    given = np.c_[x, np.ones(60)] if use_bias else x
    best = np.linalg.lstsq(given.astype(np.float64), y, rcond=None)[0]
    model.layers[0].set_weights([best[:size], *([best[size]] if use_bias else [])])
    return model, x, y


def constrained_optimum(x, y, mask, use_bias):
    """The least mean squared error with weights in the mask alone."""
    given = (np.c_[x, np.ones(len(x))] if use_bias else x).astype(np.float64)
    total = 0.0
    for output in range(y.shape[1]):
        rows = np.r_[mask[:, output], np.ones(given.shape[1] - len(mask), bool)]
        some, target = given[:, rows], y[:, output]
        left = target - some @ np.linalg.lstsq(some, target, rcond=None)[0]
        total += np.mean(left**2)
    return total / y.shape[1]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("limit", [1000, 3], ids=["one Hessian", "one for each row"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_hs92_the_loss_of_a_quadratic_net_is_the_constrained_optimum(limit, use_bias, scope):
    model, x, y = quadratic(use_bias=use_bias)
    surgeon = BrainSurgeon(limit, alpha=EXACT)
    small = prune(model, 0.5, surgeon, scope=scope, samples=x)
    mask = nets.masks(small)["first"]
    assert np.count_nonzero(~mask) == 6
    wanted = constrained_optimum(x, y, mask, use_bias)
    assert nets.loss_of(small, x, y) == pytest.approx(wanted, rel=1e-4)
    assert wanted > 1.001 * nets.loss_of(model, x, y)


def test_both_kinds_of_hessian_choose_the_same_weights_of_a_quadratic_net():
    model, x, _ = quadratic(size=12)
    one, other = (
        nets.kernels(prune(model, 0.5, BrainSurgeon(limit, EXACT), samples=x))["first"]
        for limit in (1000, 3)
    )
    assert np.allclose(one, other, atol=1e-3)
    assert np.array_equal(one == 0, other == 0)


def test_each_loss_is_what_the_quadratic_gains():
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(20, 5))
    hessian = vectors.T @ vectors / 10
    weights = generator.normal(size=5)
    inverse = inverse_hessian(vectors, 10, 1e-8)
    trace = surgery(weights, inverse, np.zeros(5, int), [4])
    before = 0.0
    for count, loss in enumerate(trace.losses, 1):
        moved = compensated(weights, inverse, trace.order[:count]) - weights
        gained = 0.5 * moved @ hessian @ moved
        assert gained - before == pytest.approx(loss, rel=1e-5)
        before = gained
    assert before == pytest.approx(trace.losses.sum(), rel=1e-5)
    first = weights**2 / (2 * np.diag(np.linalg.inv(hessian)))
    assert trace.order[0] == first.argmin()
    assert trace.losses[0] == pytest.approx(first.min())


def test_the_update_of_one_weight_is_that_of_the_paper():
    inverse = np.array([[2.0, 1.0], [1.0, 4.0]])
    # dw = -3 / 4 * (1, 4)
    assert compensated(np.array([5.0, 3.0]), inverse, np.array([1])).tolist() == [4.25, 0.0]


@pytest.mark.parametrize("count", [0, 3, 40])
def test_the_inverse_is_that_of_the_sum(count):
    vectors = np.random.default_rng(count).normal(size=(count, 6))
    wanted = np.linalg.inv(0.3 * np.eye(6) + vectors.T @ vectors / 8)
    assert np.allclose(inverse_hessian(vectors, 8, 0.3), wanted)


def test_a_large_block_goes_on_when_it_is_made_smaller():
    generator = np.random.default_rng(1)
    vectors = generator.normal(size=(400, 150))
    weights = generator.normal(size=150)
    inverse = inverse_hessian(vectors, 400, 1e-6)
    trace = surgery(weights, inverse, np.zeros(150, int), [140])
    assert len({*trace.order.tolist()}) == 140
    # Greedy by hand: each next one costs least of all that are left.
    gone = trace.order[:100]
    moved = compensated(weights, inverse, gone)
    left = np.setdiff1d(np.arange(150), gone)
    hessian = np.linalg.inv(inverse)[np.ix_(left, left)]
    costs = moved[left] ** 2 / (2 * np.diag(np.linalg.inv(hessian)))
    assert left[costs.argmin()] == trace.order[100]
    assert costs.min() == pytest.approx(trace.losses[100])


def test_it_loses_less_than_any_choice_without_compensation():
    model, x, y = quadratic(outputs=1, size=6)
    small = prune(model, 0.5, BrainSurgeon(alpha=EXACT), samples=x)
    kernel = np.asarray(model.layers[0].kernel).copy()
    losses = []
    for kept in itertools.combinations(range(6), 3):
        model.layers[0].kernel.assign(np.where(np.isin(np.arange(6), kept)[:, None], kernel, 0.0))
        losses.append(nets.loss_of(model, x, y))
    assert nets.loss_of(small, x, y) < min(losses)


# A net that learned XOR with Adam, 500 steps from normal weights. Of 20 such nets pruned to half,
# with which XOR can just be written, the surgeon keeps all four answers of 7, magnitude of 1.
XOR = (
    np.float32([[-0.8259, 1.446, 0.0621, 1.2269], [-1.2253, 1.1324, -0.5235, 0.9487]]),
    np.float32([-0.9391, -1.2589, -0.9267, 1.1011]),
    np.float32([[-0.5197], [-1.4736], [0.4039], [1.1156]]),
    np.float32([-1.0945]),
)


def test_xor_survives_where_magnitude_loses_it():
    x = np.float32([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    y = np.float32([[-0.8], [0.8], [0.8], [-0.8]])
    model = nets.dense(4, 1, inputs=2, activation="tanh", last="tanh")
    model.set_weights(XOR)

    def right(found):
        return int(np.sum((found(x).numpy() > 0) == (y > 0)))

    assert right(model) == 4 and nets.loss_of(model, x, y) < 1e-6
    assert right(prune(model, 0.5, "magnitude", scope="global")) == 3
    small = prune(model, 0.5, "brain_surgeon", scope="global", samples=x)
    assert right(small) == 4 and nets.loss_of(small, x, y) < 0.01
    assert sum(np.count_nonzero(mask) for mask in nets.masks(small).values()) == 6


def test_convolutions_and_depthwise_ones_are_pruned_by_rows_round_by_round():
    model = small_models.convolutional()
    model.compile("sgd", "sparse_categorical_crossentropy")
    images = small_models.images(20)
    small = prune(model, 0.5, BrainSurgeon(limit=10, rounds=2), samples=images)
    for mask in nets.masks(small).values():
        assert np.count_nonzero(mask) == mask.size // 2
    halves = prune(model, 0.5, "magnitude")
    before, after, other = (one(images).numpy() for one in (model, small, halves))
    assert np.abs(after - before).mean() < np.abs(other - before).mean()


def test_a_kernel_that_lies_otherwise_in_its_layer_is_pruned_where_it_should_be():
    keras.utils.set_random_seed(0)
    layer = keras.layers.Conv2DTranspose(2, 2, name="up")
    model = keras.Sequential([keras.Input((2, 2, 3)), layer])
    model.compile("sgd", "mse")
    # The last input is always 0: its weights cost nothing.
    x = np.random.default_rng(0).normal(size=(20, 2, 2, 3)).astype(np.float32)
    x[..., 2] = 0.0
    small = prune(model, 1 / 3, BrainSurgeon(alpha=EXACT), samples=x)
    mask = nets.masks(small)["up"]
    assert mask[:, :, :2].all() and not mask[:, :, 2].any()
    assert np.allclose(small(x), model(x), atol=1e-5)


def test_the_last_weight_of_a_layer_stays_and_that_is_said():
    model, x, _ = quadratic(outputs=2, size=3)
    extra = keras.layers.Dense(1, use_bias=False, name="second")
    both = keras.Sequential([keras.Input((3,)), *model.layers, extra])
    both.compile("sgd", "mse")
    extra.kernel.assign([[1e-4], [1e-4]])
    with pytest.warns(UserWarning, match="would leave nothing of some.*second"):
        small = prune(both, 0.75, "brain_surgeon", scope="global", samples=x)
    masks = nets.masks(small)
    assert np.count_nonzero(masks["second"]) == 1
    assert np.count_nonzero(masks["first"]) == 1


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda m, x: prune(m, 0.5, "brain_surgeon", "filter", samples=x), "one by one.*Filters"),
        (lambda m, x: BrainSurgeon(limit=0), "`limit` and `rounds` must be at least 1.*limit=0"),
        (lambda m, x: BrainSurgeon(alpha=0.0), "`alpha` above 0.*alpha=0.0"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    model, x, _ = quadratic()
    with pytest.raises(ValueError, match=message):
        make(model, x)


def test_a_large_layer_that_is_no_matrix_is_refused():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 3)), keras.layers.SimpleRNN(5, name="steps")])
    model.compile("sgd", "mse")
    samples = np.zeros((4, 4, 3), np.float32)
    with pytest.raises(ValueError, match="`layers` must pick layers.*steps.*SimpleRNN.*limit"):
        prune(model, 0.5, BrainSurgeon(limit=5), samples=samples)
