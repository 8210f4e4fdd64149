import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.picking import copy_of_compressed, picked_wrappers, rule_of, said_of_layers
from edgeax.transforms.mask import Mask
from tests.post_training import cases
from tests.pruning import nets


def three():
    return edgeax.compress(nets.dense(5, 4, 3), [Mask()])


@pytest.mark.parametrize(
    "layers, expected",
    [
        (".*", ["first", "second", "third"]),
        (["@first", "third"], ["first", "third"]),
        (lambda layer: type(layer) is keras.layers.Dense and layer.units < 5, ["second", "third"]),
        ("nowhere", []),
    ],
)
def test_wrappers_are_picked_by_path_by_place_and_by_what_they_wrap(layers, expected):
    model = three()
    found = dict(picked_wrappers(model, rule_of(layers, Mask())))
    assert [*found] == expected
    assert all(found[name] is model.get_layer(name) for name in found)


def test_a_rule_gives_the_transform_to_kernels():
    rule = rule_of("first", Mask("dense"))
    assert [*rule.slots] == ["kernel"] and rule.slots["kernel"][0].updates == "dense"


def test_what_is_wrong_with_a_filter_is_said_of_the_argument():
    with pytest.raises(ValueError, match="`layers` must be.*the class Dense.*lambda layer"):
        rule_of(keras.layers.Dense, Mask())
    with pytest.raises(ValueError, match=r"`layers` must be a regular.*Received: '\('"):
        rule_of("(", Mask())
    with pytest.raises(ValueError, match="other"), said_of_layers():
        raise ValueError("other")


@pytest.mark.parametrize("is_subclassed", [False, True])
def test_a_copy_computes_the_same_and_has_weights_of_its_own(is_subclassed):
    model, samples = cases.subclassed() if is_subclassed else (nets.dense(4, 3), nets.data()[0])
    model = edgeax.compress(model, [edgeax.Prune(0.5)])
    before = model(samples).numpy()
    copy = copy_of_compressed(model)
    assert np.array_equal(copy(samples), before)
    copy.set_weights([0 * weight for weight in copy.get_weights()])
    assert np.array_equal(model(samples), before)


def test_a_subclassed_model_that_wraps_its_own_layers_is_refused():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = edgeax.Compressed(keras.layers.Dense(2), kernel=Mask())

        def call(self, inputs):
            return self.inner(inputs)

    model = Own()
    model(np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match="`model` must be plain, or one that edgeax.compress"):
        copy_of_compressed(model)
