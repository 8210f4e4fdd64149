import keras
import numpy as np
import pytest
from keras import layers

from edgeax.export.cut import plain_graph
from edgeax.model.trained_weights import names_of, trained_weights
from edgeax.model.update_plan import UpdatePart, UpdatePlan


def graph():
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Conv2D(4, 3, groups=2, name="grouped"),
        ],
        name="inner",
    )
    given = keras.Input((8, 8, 2))
    x = layers.Flatten()(inner(given))
    frozen = layers.Dense(3, trainable=False, name="frozen")
    return plain_graph(keras.Model(given, layers.Dense(3, name="last")(frozen(x))))


def names(trainable, live=False):
    return names_of(trained_weights(graph(), trainable, live))


GROUPED = ["inner/grouped/kernel", "inner/grouped/bias"]
LAST = ["last/kernel", "last/bias"]
NORM = ["inner/norm/gamma", "inner/norm/beta"]


@pytest.mark.parametrize(
    "trainable, live, expected",
    [
        ("all", False, ["inner/conv/kernel", *GROUPED, *LAST]),
        ("all", True, ["inner/conv/kernel", *NORM, *GROUPED, *LAST]),
        ("biases", True, ["inner/grouped/bias", "last/bias"]),
        (1, True, LAST),
        (np.int64(1), True, LAST),
        (2, True, [*GROUPED, *LAST]),
        (3, True, ["inner/conv/kernel", *NORM, *GROUPED, *LAST]),  # the layer that Keras freezes
        (["last", "inner/conv"], False, ["inner/conv/kernel", *LAST]),
        (["conv"], True, ["inner/conv/kernel", *NORM]),
        (["norm"], True, NORM),
    ],
)
def test_the_weights_that_are_trained_come_in_the_order_of_the_layers(trainable, live, expected):
    assert names(trainable, live) == expected


def test_a_plan_names_channels_of_kernels():
    parts = (UpdatePart("inner/conv", 1), UpdatePart("inner/grouped", 0), UpdatePart("last", 2))
    found = trained_weights(graph(), UpdatePlan(parts), live_normalization=False)
    assert names_of(found) == ["inner/conv/kernel", "inner/grouped/bias", *LAST]
    assert [(one.channels, one.axis) for one in found] == [(1, 2), (None, 0), (2, 0), (None, 0)]


def test_all_channels_are_a_whole_kernel():
    plan = UpdatePlan((UpdatePart("inner/conv", 2),))
    (weight,) = trained_weights(graph(), plan, live_normalization=False)
    assert weight.channels is None


@pytest.mark.parametrize(
    "trainable, said",
    [
        ("some", "`trainable` must be 'all'.*Received: trainable='some'"),
        (True, "`trainable` must be 'all'.*Received: trainable=True"),
        (0, "at least 1 and at most 3.*Received: trainable=0"),
        (4, "at least 1 and at most 3.*Received: trainable=4"),
        (["middle"], r"\['inner/conv', .*'last'\]. Received: 'middle'"),
        (["frozen"], "layers with weights that Keras trains.*Received: 'frozen'"),
        (["norm"], "only with batch_norm='live'. Received: 'inner/norm'"),
        ([], r"leave a weight to train. Received: trainable=\[\]"),
        (UpdatePlan((UpdatePart("other"),)), "a plan for this model.*Received: one for 'other'"),
        (UpdatePlan((UpdatePart("last", 10**6),)), "as many channels.*Received: 1000000"),
        (UpdatePlan((UpdatePart("inner/grouped", 1),)), "without groups.*'inner/grouped'"),
        (UpdatePlan((UpdatePart("inner/conv", 0),)), "leave a weight to train"),
    ],
)
def test_what_is_nothing_to_train_is_refused(trainable, said):
    with pytest.raises(ValueError, match=said):
        names(trainable)
