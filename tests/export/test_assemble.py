import keras
import numpy as np

import edgeax
from edgeax.export.assemble import assemble, with_decode
from tests.export.networks import normal, sequential

layers = keras.layers


def test_a_float_file_has_no_float_operators_to_complain_of():
    model = sequential(keras.Input((4,)), layers.Dense(3))
    made = assemble(model, [normal(4, 4)], integer=False)
    assert made.kernels == () and made.stays_float == ()


def test_what_stays_float_is_named_with_its_layer_and_the_reason():
    given = keras.Input((4, 3))
    look = layers.MultiHeadAttention(2, 3, name="look")
    model = keras.Model(given, look(given, given, use_causal_mask=True))
    made = assemble(edgeax.compress(model, "static_wi4_ai8"), [normal(4, 4, 3)], integer=True)
    assert made.stays_float
    wanted = "in look (it is called with use_causal_mask)"
    assert all(entry.endswith(wanted) for entry in made.stays_float)
    assert [(one.path, one.how, one.why) for one in made.kernels] == [
        ("look", "as converted", "it is called with use_causal_mask")
    ]


def test_with_decode_is_a_copy_of_which_only_file_and_kernels_are_new():
    plain = sequential(keras.Input((64,)), layers.Dense(40, name="dense"))
    kernel = [edgeax.Cluster(4), edgeax.Quantize("int8", axis=-1)]
    model = edgeax.compress(plain, edgeax.Recipe([edgeax.Rule(".*", kernel=kernel)]))
    made = assemble(model, [normal(4, 64)], integer=True)
    before = made.file.to_bytes()
    decoded = with_decode(made)
    assert [kernel.how for kernel in decoded.kernels] == ["decode"]
    assert made.file.to_bytes() == before and [kernel.how for kernel in made.kernels] == ["int8"]
    assert (decoded.frozen, decoded.stays_float) == (made.frozen, made.stays_float)


def test_sizes_that_the_model_leaves_open_come_from_the_samples():
    keras.utils.set_random_seed(0)
    given = keras.Input((None, 3))
    model = keras.Model(given, layers.Dense(2)(layers.GRU(4)(given)))
    made = assemble(model, [normal(4, 6, 3)], integer=False)
    (source,) = made.file.subgraphs[0].inputs
    assert made.file.subgraphs[0].tensors[source].shape == (1, 6, 3)
    assert np.prod(made.frozen.model.output_shape) == 2
