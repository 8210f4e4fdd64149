"""Which products a training step has, and what their tensors are."""

import keras
import pytest

import edgeax
from edgeax.formats.energy import FLOAT32, Operand, Width
from edgeax.model.training_work import TrainingFormats, training_work

layers = keras.layers


def test_the_three_products_share_their_tensors():
    model = keras.Sequential(
        [keras.Input((8, 8, 2)), layers.Conv2D(2, 1), layers.Conv2D(6, 3, padding="same")]
    )
    _, work = training_work(model, 5, TrainingFormats("int8", "int4", 16))
    (forward,), (backward,), (weights,) = work.forward, work.input_gradient, work.weight_gradient
    assert forward.macs == backward.macs == weights.macs == 5 * 64 * 9 * 2 * 6
    # 2 channels and 6 filters stay in an element, 3 columns there and 3 rows among neighbours.
    assert forward.first == Operand(5 * 64 * 2, Width(8), 3 * 6, 3)
    assert forward.second == Operand(9 * 2 * 6, Width(4), 8, 8)
    assert backward.first == Operand(5 * 64 * 6, Width(16), 3 * 2, 3)
    assert weights.result == Operand(9 * 2 * 6, Width(16), 8, 8)
    assert work.predicted == () and work.trained == 9 * 2 * 6 + 6


def test_scratch_pads_bound_what_stays_in_an_element():
    model = keras.Sequential([keras.Input((64,)), layers.Dense(100), layers.Dense(10)])
    first, _ = training_work(model)
    assert first.forward[0].first.register_uses == 224 // 12
    assert first.forward[0].result.register_uses == 12


def test_transposed_and_depthwise_kernels_are_read_their_way():
    model = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            layers.Conv2DTranspose(5, 3, strides=2, padding="same"),
            layers.DepthwiseConv2D(3, padding="same"),
        ]
    )
    transposed, depthwise = training_work(model)
    assert transposed.forward[0].first.register_uses == 3 * 5
    assert transposed.forward[0].result.register_uses == 3 * 2
    assert transposed.forward[0].second.register_uses == 4
    assert depthwise.forward[0].first.register_uses == 3
    assert depthwise.forward[0].result.register_uses == 3


def test_a_layer_used_twice_has_each_product_twice_and_one_update():
    dense = layers.Dense(4)
    given = keras.Input((4,))
    (work,) = training_work(keras.Model(given, dense(dense(given))))
    assert len(work.forward) == len(work.weight_gradient) == 2
    assert len(work.input_gradient) == 1 and work.trained == 20


def test_a_rounded_output_is_the_width_of_the_next_input():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4), layers.ReLU(), layers.Dense(2, name="last")]
    )
    compressed = edgeax.compress(model, "static_wi8_ai8")
    last = training_work(compressed)[-1]
    assert last.path == "last" and last.forward[0].first.width == Width(8)
    assert training_work(model)[-1].forward[0].first.width == FLOAT32


def test_a_layer_may_say_its_formats_itself():
    class Own(layers.Dense):
        training_formats = TrainingFormats("int2", "int3", "int5")

    (work,) = training_work(keras.Sequential([keras.Input((4,)), Own(4)]))
    product = work.weight_gradient[0]
    assert (product.first.width, product.second.width) == (Width(2), Width(5))


def test_a_table_of_embeddings_is_updated_and_multiplies_nothing():
    model = keras.Sequential([keras.Input((3,), dtype="int32"), layers.Embedding(10, 4)])
    (work,) = training_work(model)
    assert work.forward == () and work.trained == 40


def test_a_subclassed_model_is_counted_too():
    class Net(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Net()
    model(keras.ops.ones((1, 3)))
    with pytest.raises(ValueError, match="batch_size"):
        training_work(model, 0)
    assert [work.trained for work in training_work(model)] == [8]
