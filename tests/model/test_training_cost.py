"""The cost of a training step, worked out by hand, and what skips save of it."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.cost import TABLES, TrainingFormats, Width, step_cost, training_cost

layers = keras.layers

SIXTEEN = TrainingFormats(16, 16, 16, 16)
UNIT = TABLES["eyeriss"].unit


def two_dense():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Dense(1)])


def test_ces16_a_dense_layer_worked_out_by_hand():
    first, second = training_cost(two_dense(), 4, SIXTEEN, energy="eyeriss").layers
    # 24 products of 12 inputs, 6 weights, 8 outputs. An element keeps 2 filters of 3 channels: an
    # input is used twice there, an output summed up over 3, a weight fetched for each sample.
    forward = 24 + (24 + 24 + 48) + 6 * (12 + 24 + 2 * 8) + 200 * (12 + 6 + 8)
    backward = 24 + (24 + 24 + 48) + 6 * (12 + 8 + 2 * 24) + 200 * (12 + 6 + 8)
    update = 2 * 8 + 200 * 5 * 8  # 6 weights and 2 biases: read with a momentum, written, gradient
    energies = [first.phases[phase].energy_pj / UNIT for phase in first.phases]
    assert energies == pytest.approx([forward, 0, backward, update])
    assert first.total.macs == 24 + 24 + 16
    assert first.total.traffic_bytes == 2 * (26 + 26 + 40)
    # Behind it 8 products of 8 inputs, 2 weights, 4 outputs, and there the input has a gradient.
    gradient = 8 + (8 + 8 + 16) + 6 * (4 + 8 + 2 * 8) + 200 * (4 + 2 + 8)
    assert second.phases["input_gradient"].energy_pj / UNIT == pytest.approx(gradient)


def test_a_convolution_is_used_again_in_the_window_and_over_positions():
    model = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(1, 3, use_bias=False)])
    (conv,) = training_cost(model, 1, SIXTEEN, energy="eyeriss").layers
    by_hand = 144 + 576 + 360 + 342 + 12200  # as in tests/formats/test_energy.py
    assert conv.phases["forward"].energy_pj / UNIT == pytest.approx(by_hand)


def test_bit_operations_are_those_of_the_formats():
    formats = TrainingFormats("int3", "int4", "int6")
    _, second = training_cost(two_dense(), 1, formats).layers
    operations = [second.phases[phase].bit_operations for phase in second.phases]
    assert operations == [2 * 3 * 4, 2 * 6 * 4, 2 * 3 * 6, 2 * 3 * 32 * 32]


def test_formats_are_found_in_the_wrappers():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(2)]
    )
    rule = edgeax.Rule(".*", kernel="int4", output=["int8", "gradient_fp8_e5m2"])
    compressed = edgeax.compress(model, edgeax.Recipe([rule]))
    found = training_cost(compressed).layers[1].phases
    assert found["forward"].bit_operations == 16 * 8 * 4
    assert found["input_gradient"].bit_operations == 16 * 8 * 4
    assert found["weight_gradient"].bit_operations == 16 * 8 * 8
    plain = training_cost(model).layers[1].phases
    assert plain["forward"].bit_operations == 16 * 32 * 32


def test_frozen_layers_have_no_weight_gradient_and_need_none_before_them():
    model = keras.Sequential([keras.Input((4,)), *(layers.Dense(4) for _ in range(3))])
    model.layers[0].trainable = model.layers[1].trainable = False
    costs = training_cost(model).layers
    assert [layer.phases["weight_gradient"].macs for layer in costs] == [0, 0, 16]
    assert [layer.phases["input_gradient"].macs for layer in costs] == [0, 0, 0]
    assert [layer.phases["update"].macs for layer in costs] == [0, 0, 40]


def test_every_kind_of_layer_has_as_many_products_as_macs_says():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(4, 3, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.DepthwiseConv2D(3, depth_multiplier=2),
            layers.Conv2DTranspose(5, 2, strides=2),
            layers.SeparableConv2D(3, 2),
            layers.Reshape((3, 9)),
            layers.LSTM(4, return_sequences=True),
            layers.EinsumDense("abc,cd->abd", (3, 6)),
        ]
    )
    counted = {layer.path: layer for layer in training_cost(model, batch_size=2).layers}
    expected = {path: 2 * count for path, count in edgeax.macs(model).items()}
    assert {p: c.phases["forward"].macs for p, c in counted.items() if p in expected} == expected
    trained = sum(layer.phases["update"].macs for layer in counted.values()) / 2
    assert trained == sum(np.prod(v.shape) for v in model.trainable_variables)


class Block(layers.Layer):
    """Stands for a block that is not always run: it holds a model."""

    def __init__(self, block, **kwargs):
        super().__init__(**kwargs)
        self.block = block

    def call(self, x):
        return x + self.block(x)

    def get_config(self):
        return {
            **super().get_config(),
            "block": keras.saving.serialize_keras_object(self.block),
        }

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("block")), **config)


def with_block():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="a"), layers.Dense(4)])
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="stem"), Block(inner, name="skipped")]
    )


def test_wjc19_dropped_skipped_and_predicted_work_is_not_paid_for():
    formats = TrainingFormats("int8", "int8", 16, predicted=("int4", 10))
    step = step_cost(with_block(), 8, formats)
    full = {layer.path: layer.total.energy_pj for layer in step().layers}
    assert [*full][:2] == ["stem", "skipped/a"] and len(full) == 3
    assert step(run_fraction=0.5).total.energy_pj == pytest.approx(0.5 * sum(full.values()))
    for kept in (0.25, {"skipped": 0.25}):
        costs = {layer.path: layer.total.energy_pj for layer in step(kept=kept).layers}
        shares = [costs[path] / full[path] for path in full]
        assert shares == pytest.approx([1.0, 0.25, 0.25])
    # Each product of the weight's gradient: 4 x 10 bits, and 8 x 16 where these do not decide.
    operations = step(predicted_fraction=0.75).layers[0].phases["weight_gradient"]
    assert operations.bit_operations == 8 * 16 * (4 * 10 + 0.25 * 8 * 16)
    assert operations.macs == 8 * 16 * 1.25
    assert step(predicted_fraction=0.9).total.energy_pj < step().total.energy_pj


def test_wider_numbers_cost_more_in_both_tables():
    for energy in TABLES:
        costs = [
            training_cost(two_dense(), 4, TrainingFormats(*4 * [format]), energy).total.energy_pj
            for format in ("int4", "int8", "int16", 32)
        ]
        assert costs == sorted(costs) and costs[-1] > 3 * costs[0]


def test_the_table_has_a_row_for_each_layer_and_a_total():
    lines = str(training_cost(two_dense(), 4)).splitlines()
    assert len(lines) == 4 and lines[0].split()[:3] == ["layer", "kind", "MACs"]
    assert lines[-1].startswith("total") and f"{24 + 24 + 16 + 8 * 3 + 6:,}" in lines[-1]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"energy": "7nm"}, "7nm"),
        ({"run_fraction": 1.5}, "run_fraction=1.5"),
        ({"kept": {"nobody": 0.5}}, "nobody"),
        ({"kept": -0.5}, "kept=-0.5"),
        ({"predicted_fraction": {"dense_x": 0.5}}, "dense_x"),
        ({"formats": TrainingFormats(Width(8), "int99x")}, "int99x"),
    ],
)
def test_bad_arguments_are_told(settings, message):
    with pytest.raises(ValueError, match=message):
        training_cost(two_dense(), **settings)
