import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.copying import compressed_layers
from edgeax.training.lottery import lottery_ticket
from tests.training.small_models import mlp, points


def wide(units=500):
    model = mlp(units)
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def move(model):
    """Stands for training: makes weights larger, the later ones more so."""
    for layer in compressed_layers(model):
        kernel = np.asarray(layer.kernel)
        layer.layer.kernel.assign(1.0 + np.arange(kernel.size).reshape(kernel.shape))
    return "moved"


def kernels(model):
    return [np.asarray(layer.kernel) for layer in edgeax.strip(model).layers]


def test_fc18_weights_are_rewound_and_the_smallest_go():
    model = wide(5)
    ticket = lottery_ticket(model, move, rounds=1, share=0.2, last_share=0.2)
    for first, left in zip(kernels(model), kernels(ticket.model), strict=True):
        gone = left.ravel() == 0
        # The smallest of 1, 2, 3, ... are the first fifth of the places.
        assert np.flatnonzero(gone).tolist() == list(range(round(first.size / 5)))
        assert np.array_equal(left.ravel()[~gone], first.ravel()[~gone])
    assert ticket.results == ["moved"]
    assert float(np.asarray(ticket.trained.layers[-1].kernel).max()) == 15.0


def test_densities_are_those_of_the_paper():
    # 80.0, 32.9 (5 rounds), 21.1 (7), 10.8 (10), 3.6 % (15).
    ticket = lottery_ticket(wide(2000), move, rounds=15, share=0.2, last_share=0.2)
    percents = np.round(100 * np.array(ticket.densities), 1)
    assert percents[[0, 4, 6, 9]] == pytest.approx([80.0, 32.8, 21.0, 10.7], abs=0.1)
    assert percents[14] == pytest.approx(3.5, abs=0.1)


def test_the_last_layer_loses_half_as_much():
    ticket = lottery_ticket(wide(100), move, rounds=1, share=0.2)
    left = [np.count_nonzero(kernel) / kernel.size for kernel in kernels(ticket.model)]
    assert left == pytest.approx([0.8, 0.9])


def test_every_round_trains_from_the_first_weights_with_a_new_optimizer():
    seen = []

    def fit(model):
        seen.append((np.asarray(model.layers[0].kernel), int(model.optimizer.iterations.numpy())))
        x, y = points()
        return model.fit(x, y, epochs=2, verbose=0)

    model = wide(8)
    first = np.asarray(model.layers[0].kernel)
    ticket = lottery_ticket(model, fit, rounds=3)
    assert all(np.array_equal(kernel, first) and steps == 0 for kernel, steps in seen)
    assert len(ticket.results[0].history["loss"]) == 2
    assert np.array_equal(np.asarray(model.layers[0].kernel), first)


def test_a_layer_always_keeps_a_weight():
    ticket = lottery_ticket(wide(2), move, rounds=20, share=0.9)
    assert all(np.count_nonzero(kernel) == 1 for kernel in kernels(ticket.model))


def test_only_the_layers_asked_for_are_pruned():
    ticket = lottery_ticket(wide(8), move, rounds=2, layers="hidden", last_share=0.5)
    assert [np.count_nonzero(kernel) for kernel in kernels(ticket.model)] == [8, 24]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"rounds": 0}, "`rounds` must be an integer, at least 1"),
        ({"rounds": 1, "share": 1.0}, "`share` must lie between 0 and 1"),
        ({"rounds": 1, "last_share": 0.0}, "`last_share` must lie between 0 and 1"),
        ({"rounds": 1, "layers": "conv"}, "`layers` must fit.*'conv'.*'hidden'"),
    ],
)
def test_bad_arguments_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        lottery_ticket(wide(2), move, **settings)


def test_a_compressed_model_is_refused():
    with pytest.raises(ValueError, match="plain model"):
        lottery_ticket(edgeax.compress(mlp(), [edgeax.Prune(0.5)]), move, rounds=1)
    with pytest.raises(ValueError, match="Sequential or functional"):
        lottery_ticket(keras.Model(), move, rounds=1)


def test_a_path_that_begins_like_another_is_another():
    model = keras.Sequential(
        [keras.Input((4,)), *(keras.layers.Dense(4, name=name) for name in ("d1", "d10"))]
    )
    ticket = lottery_ticket(model, move, rounds=1, share=0.5, last_share=0.5, layers="^d1$")
    assert ticket.densities == [0.5]
    assert [np.count_nonzero(kernel) for kernel in kernels(ticket.model)] == [8, 16]
