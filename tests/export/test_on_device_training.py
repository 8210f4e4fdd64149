import keras
import numpy as np
import pytest

import edgeax


def test_a_name_becomes_an_optimizer():
    assert type(edgeax.OnDeviceTraining("adam").optimizer) is keras.optimizers.Adam
    assert type(edgeax.OnDeviceTraining(batch_size=np.int64(8)).batch_size) is int
    own = keras.optimizers.SGD(0.5)
    assert edgeax.OnDeviceTraining(own).optimizer is own


@pytest.mark.parametrize(
    "arguments, said",
    [
        ({"optimizer": "sdg"}, "`optimizer` must be a Keras optimizer.*Received: 'sdg'"),
        ({"optimizer": None}, "`optimizer` must be a Keras optimizer.*Received: None"),
        ({"optimizer": keras.optimizers.SGD}, "`optimizer` must be a Keras optimizer.*SGD"),
        ({"keep": 0.5}, "`keep` must be True or False. Received: 0.5"),
        ({"loss": "hinge"}, "`loss` must be one of .*'mean_square'.*Received: 'hinge'"),
        ({"batch_norm": "on"}, "`batch_norm` must be one of .*Received: 'on'"),
        ({"weights": "int4"}, "`weights` must be one of .*'int8'.*Received: 'int4'"),
        ({"batch_size": 0}, "`batch_size` must be an integer, at least 1. Received: batch_size=0"),
        ({"batch_size": True}, "`batch_size` must be an integer, at least 1.*=True"),
        ({"infer_batch_size": 1.5}, "`infer_batch_size` must be an integer.*=1.5"),
    ],
)
def test_an_argument_out_of_its_range_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        edgeax.OnDeviceTraining(**arguments)
