import keras
import numpy as np
import pytest

from edgeax.formats import arrays

X = np.float32([[-2.5, -0.5, 0.0], [0.5, 1.5, 2.5]])

CALLS = {
    "abs": (X,),
    "any": (X > 2,),
    "bitwise_and": (np.int32([6, -1]), np.int32(3)),
    "bitwise_or": (np.int32([6, -1]), np.int32(3)),
    "broadcast_to": (X[:1], (2, 3)),
    "cast": (X, "int32"),
    "ceil": (X,),
    "clip": (X, -1.0, 1.0),
    "concatenate": ([X, X],),
    "exp": (np.float64([-1, 0, 2]),),
    "floor": (X,),
    "fori_loop": (0, 3, lambda step, x: x + x, X),
    "log2": (np.float64([0.25, 1, 8]),),
    "logical_and": (X > 0, X < 2),
    "logical_or": (X > 0, X < -1),
    "max": (X, 0),
    "maximum": (X, 0.0),
    "mean": (X, 0),
    "min": (X, 0),
    "minimum": (X, 0.0),
    "ones_like": (X,),
    "reshape": (X, (-1,)),
    "right_shift": (np.int32([6, -8]), 2),
    "round": (X,),
    "searchsorted": (np.float32([-1, 0, 2]), np.float32([-1, 0.5, 2]), "right"),
    "sign": (X,),
    "sort": (X,),
    "sqrt": (np.abs(X),),
    "stack": ([X, X],),
    "sum": (X, 0),
    "take": (X[1], np.int32([2, 0])),
    "view": (X, "int32"),
    "where": (X > 0, X, 0.0),
    "zeros_like": (X,),
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_numpy_and_keras_mean_the_same_by_a_name(name):
    ours = getattr(arrays, name)(*CALLS[name])
    keras_result = np.asarray(getattr(keras.ops, name)(*CALLS[name]))
    np.testing.assert_array_equal(np.asarray(ours), keras_result)
