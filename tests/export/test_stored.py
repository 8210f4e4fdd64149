import keras
import numpy as np

from edgeax.export.frozen import FrozenWeight
from edgeax.export.stored import FLOAT32, Stored, stored_as
from edgeax.formats import EncodedTensor, Float32, Integer
from edgeax.formats.integer_form import integer_form

INTEGERS = EncodedTensor(np.int8([[1, 2], [3, -4]]), Integer(8), {"scale": np.float32(0.5)})


def weight(encoded):
    return FrozenWeight("path", keras.layers.Dense(2), encoded, 1)


def test_what_is_told_comes_with_the_details_of_its_form():
    details = {"block": 4}
    told = stored_as(weight(INTEGERS), "sparse", 8, details=details)
    assert told == Stored("path", "sparse", 8, "", details={"block": 4})
    details["block"] = 1
    assert told.details == {"block": 4}


def test_integers_cost_nothing_and_have_no_other_format():
    told = stored_as(weight(INTEGERS), "int8", 8, "a reason")
    assert (told.why, told.format, told.snr_db, told.details) == ("a reason", "", None, {})


def test_the_cost_of_another_format_is_told_where_integers_stand_in_the_file():
    values = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
    encoded = integer_form(EncodedTensor(values, Float32(), {}))
    told = stored_as(weight(encoded), "int8", 8)
    assert told.format == FLOAT32 and 30.0 < told.snr_db < 60.0
    assert stored_as(weight(encoded), "as converted", None).snr_db is None
