"""What a slot may be given."""

import keras
import pytest

from edgeax import Prune, Quantize
from edgeax.formats import Integer
from edgeax.model import slots


def test_names_formats_transforms_and_lists_of_them_become_transforms():
    prune, quantize = Prune(0.5), Quantize("int4")
    assert slots.as_transforms("kernel", None) == []
    assert slots.as_transforms("kernel", []) == []
    assert slots.as_transforms("kernel", quantize) == [quantize]
    first, last = slots.as_transforms("kernel", [prune, Integer(3, axis=-1)])
    assert first is prune and last.number_format == Integer(3, axis=-1)
    (named,) = slots.as_transforms("kernel", "int5")
    assert isinstance(named, Quantize) and named.number_format.bits == 5


@pytest.mark.parametrize("given", [3, {"int8"}, [Quantize("int8"), 3], Quantize, [["int8"]]])
def test_anything_else_is_refused_by_the_name_of_its_argument(given):
    with pytest.raises(ValueError, match="`state_quantizer` must be a transform such as.*Received"):
        slots.as_transforms("state_quantizer", given)


def test_an_unknown_name_suggests_near_ones():
    with pytest.raises(ValueError, match="`bits` must be in 2..16. Received: 44"):
        slots.as_transforms("kernel", "int44")
    with pytest.raises(ValueError, match="Did you mean"):
        slots.as_transforms("kernel", "ternery")


@pytest.mark.parametrize("given", [3, ["kernel"], {3: "int8"}])
def test_single_weights_are_named_by_a_mapping(given):
    with pytest.raises(ValueError, match="`weights` must map names of variables"):
        slots.as_named_transforms(given)


def test_transforms_go_round_as_data():
    data = slots.serialized({"kernel": [Prune(0.5), Quantize("int4", axis=-1)], "bias": []})
    copy = slots.deserialized(data)
    assert copy["bias"] == [] and [type(member) for member in copy["kernel"]] == [Prune, Quantize]
    assert slots.serialized(copy) == data
    assert keras.saving.deserialize_keras_object(data["kernel"][1]).axis == -1
