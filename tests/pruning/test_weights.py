import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.placement import plain
from edgeax.pruning.weights import masked_copy, unmasked, weights_of
from tests.model import small_models
from tests.post_training import cases
from tests.pruning import nets


def test_a_plain_model_gets_masks_of_ones_at_the_chosen_kernels_and_stays_itself():
    model = small_models.convolutional()
    copy, weights = masked_copy(model, "conv|head")
    assert [weight.name for weight in weights] == ["conv", "head"]
    assert [weight.name for weight in weights_of(copy)] == ["conv", "head"]
    assert all(weight.active.all() for weight in weights)
    images = small_models.images(4)
    assert np.array_equal(copy(images), model(images))


def test_a_compressed_model_is_copied_with_its_masks_and_steps():
    model = nets.dense(4, 3)
    small = edgeax.compress(model, [edgeax.Prune(0.5), edgeax.Quantize("int8", axis=-1)])
    x, y = nets.data()
    small.fit(x, y, epochs=1, verbose=0)
    copy, weights = masked_copy(small)
    assert np.array_equal(copy(x), small(x))
    before = nets.masks(small)["first"]
    for weight in weights:
        assert weight.layer.chains[0].step == small.layers[0].chains[0].step > 0
        weight.set_mask(np.zeros(weight.shape))
    assert np.array_equal(nets.masks(small)["first"], before)
    assert before.any()


def test_a_subclassed_model_is_copied_too():
    model, samples = cases.subclassed()
    small, weights = masked_copy(model)
    weights[0].set_mask(np.zeros(weights[0].shape))
    copy, _ = masked_copy(small)
    assert np.array_equal(copy(samples), small(samples))
    assert not np.array_equal(copy(samples), model(samples))


def test_masks_and_values_are_in_canonical_layout():
    keras.utils.set_random_seed(0)
    layer = keras.layers.Conv2DTranspose(3, 2, name="up")
    model = keras.Sequential([keras.Input((4, 4, 5)), layer])
    weight = masked_copy(model)[1][0]
    assert weight.variable.shape == (2, 2, 3, 5) and weight.shape == (2, 2, 5, 3)
    assert np.array_equal(weight.raw, np.swapaxes(np.asarray(layer.kernel), 2, 3))
    weight.set_raw(2 * weight.raw)
    assert np.array_equal(weight.variable, 2 * np.asarray(layer.kernel))


@pytest.mark.parametrize("updates, seen", [("masked", 0.0), ("dense", 3.0)])
def test_what_is_masked_counts_as_zero_unless_it_is_trained(updates, seen):
    weight = weights_of(nets.masked(nets.dense(2, inputs=2), updates=updates))[0]
    weight.set_raw(np.full((2, 2), 3.0))
    weight.set_mask(np.array([[True, False], [True, True]]))
    assert weight.value.tolist() == [[3.0, seen], [3.0, 3.0]]
    assert weight.raw.tolist() == [[3.0, 3.0], [3.0, 3.0]]


def test_unmasked_computes_the_same_and_puts_everything_back():
    small = nets.masked(nets.dense(4, 3))
    weights = weights_of(small)
    weights[0].set_mask(np.arange(24).reshape(6, 4) % 3 == 0)
    x, _ = nets.data()
    before, raw, mask = small(x).numpy(), weights[0].raw, weights[0].active
    with pytest.raises(RuntimeError), unmasked(weights):
        assert np.array_equal(small(x), before)
        assert weights[0].active.all()
        raise RuntimeError
    assert np.array_equal(weights[0].raw, raw)
    assert np.array_equal(weights[0].active, mask)


def test_a_model_without_masks_is_refused_and_its_layers_named():
    small = edgeax.compress(nets.dense(4, 3), [edgeax.Quantize("int8")])
    with pytest.raises(ValueError, match=r"`layers` must pick layers.*first.*edgeax.Prune"):
        weights_of(small)


def three():
    return nets.dense(5, 4, 3)


def is_dense(layer):
    return type(layer) is keras.layers.Dense


@pytest.mark.parametrize("make", [three, lambda: nets.masked(three())], ids=["plain", "compressed"])
@pytest.mark.parametrize(
    "layers, expected",
    [
        ("@first", ["first"]),
        ("@last", ["third"]),
        (["@first", "second"], ["first", "second"]),
        (["@last", "@first"], ["first", "third"]),
        (is_dense, ["first", "second", "third"]),
        (lambda layer: is_dense(layer) and layer.units < 5, ["second", "third"]),
    ],
)
def test_filters_pick_by_place_and_see_plain_layers(make, layers, expected):
    _, weights = masked_copy(make(), layers)
    assert [weight.name for weight in weights] == expected


@pytest.mark.parametrize("make", [three, lambda: nets.masked(three())], ids=["plain", "compressed"])
def test_a_callable_gets_the_layers_of_the_model_itself_not_of_a_copy(make):
    model = make()
    wanted = plain(model.layers[1])
    _, weights = masked_copy(model, lambda layer: layer is wanted)
    assert [weight.name for weight in weights] == ["second"]


def test_places_are_those_of_the_graph_in_nested_and_in_subclassed_models():
    nested, _ = masked_copy(small_models.nested())
    names = [weight.name for weight in weights_of(nested)]
    assert [w.name for w in weights_of(nested, ["@first"])] == names[:1]
    assert [w.name for w in weights_of(nested, ["@last"])] == names[-1:]
    subclassed, whole = masked_copy(cases.subclassed()[0])
    assert [w.name for w in weights_of(subclassed, "@first")] == [whole[0].name]
    assert [w.name for w in masked_copy(subclassed, "@last")[1]] == [whole[-1].name]


@pytest.mark.parametrize("make", [three, lambda: nets.masked(three())], ids=["plain", "compressed"])
@pytest.mark.parametrize(
    "layers, message",
    [
        ("zzz", "`layers` must pick.*layers=.*'zzz'"),
        ("(", r"`layers` must be a regular expression\. Received: '\('"),
        (3, "`layers` must be a regular expression, a list.*layers=3"),
        ("@middle", "`layers` must be one of .*'@first'.*'@middle'"),
        (keras.layers.Dense, "`layers` must be.*the class Dense.*lambda layer: isinstance"),
    ],
)
def test_what_is_no_filter_is_refused_under_the_name_of_the_argument(make, layers, message):
    with pytest.raises(ValueError, match=message) as error:
        masked_copy(make(), layers)
    assert "filter" not in str(error.value)
