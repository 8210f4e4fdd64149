import numpy as np
import pytest

from edgeax.formats.array_format import ArrayFormat
from edgeax.formats.names import format_of, names

FORMATS = [name for name in names() if isinstance(format_of(name), ArrayFormat)]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_refuses_to_fit_what_is_not_finite(name):
    with pytest.raises(ValueError, match="must be finite"):
        format_of(name).fit(np.float32([[1.0, np.nan]]))


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_rounds_in_the_graph_as_it_encodes(name):
    import keras
    import tensorflow as tf

    x = np.random.default_rng(0).normal(size=(3, 3, 8, 16)).astype(np.float32)
    format = format_of(name)

    @tf.function
    def rounded(x):
        params = format.found(x, keras.ops)
        return format.rounded(x, params, keras.ops), params

    values, params = rounded(tf.constant(x))
    params = {key: np.asarray(value) for key, value in params.items()}
    decoded = format.decode(format.encode(x, params), params)
    np.testing.assert_array_equal(np.asarray(values), decoded)
