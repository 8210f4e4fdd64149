"""TrainingCost: the logs against the cost model, with every kind of skip."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.callbacks import TrainingCost
from edgeax.cost import step_cost
from edgeax.training.progressive_precision import staged
from tests.training import small_models

X, Y = small_models.points(64)


class Dropped(keras.callbacks.Callback):
    """Says what a callback that drops mini-batches says."""

    def on_train_batch_end(self, batch, logs=None):
        logs.update(steps_seen=float(batch + 1), steps_run=float(batch // 2 + 1))

    def on_epoch_end(self, epoch, logs=None):
        logs.update(steps_seen=4.0, steps_run=2.0)


class Alternating(keras.layers.Layer):
    """Holds a block that every other step keeps."""

    def __init__(self, block, **kwargs):
        super().__init__(**kwargs)
        self.block = block

    def build(self, input_shape):
        self.kept = self.add_weight(shape=(), trainable=False, name="kept")

    def call(self, x, training=False):
        if training:
            self.kept.assign(1.0 - self.kept.value)
        return x + self.block(x)

    def get_config(self):
        return {**super().get_config(), "block": keras.saving.serialize_keras_object(self.block)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config.pop("block")), **config)


def fitted(model, *callbacks):
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    callbacks = [*callbacks, TrainingCost(16, energy="eyeriss")]
    return model.fit(X, Y, batch_size=16, epochs=1, verbose=0, callbacks=callbacks).history


def test_a_plain_step_costs_what_the_model_says():
    model = small_models.mlp()
    total = step_cost(model, 16, energy="eyeriss")().total
    history = fitted(model)
    assert history["step_energy_pj"] == [pytest.approx(total.energy_pj)]
    assert history["step_macs"] == [total.macs]
    assert history["step_bit_operations"] == [total.bit_operations]
    assert history["step_traffic_bytes"] == [total.traffic_bytes]


def test_wjc19_dropped_batches_cost_nothing():
    model = small_models.mlp()
    total = step_cost(model, 16, energy="eyeriss")().total
    assert fitted(model, Dropped())["step_macs"] == [0.5 * total.macs]


def test_wjc19_a_skipped_block_costs_nothing():
    keras.utils.set_random_seed(0)
    block = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    model = keras.Sequential(
        [keras.Input((4,)), Alternating(block, name="skipped"), keras.layers.Dense(3, "softmax")]
    )
    half = step_cost(model, 16, energy="eyeriss")(kept={"skipped": 0.5}).total
    assert fitted(model)["step_energy_pj"] == [pytest.approx(half.energy_pj)]


def test_wjc19_predicted_signs_are_taken_from_the_layers():
    model = edgeax.with_predictive_gradients(small_models.mlp())
    step = step_cost(model, 16, energy="eyeriss")
    found = fitted(model)["step_bit_operations"][0]
    none, every = (step(predicted_fraction=share).total.bit_operations for share in (0.0, 1.0))
    assert every < found < none


def test_fyz20_each_step_costs_what_its_stage_has_bits():
    def small():
        return edgeax.compress(small_models.mlp(), edgeax.Recipe(arithmetic="pfq"))

    def cost(stage):
        model = small()
        for one in staged(model):
            one.enter(stage, np.zeros(20))
        return step_cost(model, 16, energy="eyeriss")().total.energy_pj

    model = small()
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    callbacks = [edgeax.callbacks.ProgressivePrecision(10.0, epochs=2), TrainingCost(16, "eyeriss")]
    history = model.fit(X, Y, batch_size=16, epochs=3, verbose=0, callbacks=callbacks).history
    assert history["step_energy_pj"] == pytest.approx([cost(0), cost(0), cost(1)])
    assert cost(0) < cost(1) < cost(2) < cost(3)


def test_fgl21_an_epoch_of_several_widths_costs_their_mean():
    def small(*schedule):
        kernel = edgeax.Quantize("int8", bits=edgeax.BitSchedule(*schedule))
        return edgeax.compress(small_models.mlp(), edgeax.Recipe([edgeax.Rule(".*", kernel)]))

    three, eight = (
        step_cost(small([bits, 8], [9]), 16, energy="eyeriss")().total.energy_pj for bits in (3, 8)
    )
    history = fitted(small([3, 8], [3]))  # three steps of the four
    assert history["step_energy_pj"] == [pytest.approx((3 * three + eight) / 4)]


def test_it_serializes():
    data = keras.saving.serialize_keras_object(TrainingCost(8, "eyeriss", slots=2))
    again = keras.saving.deserialize_keras_object(data)
    assert again.get_config() == {"batch_size": 8, "energy": "eyeriss", "slots": 2}


@pytest.mark.parametrize("arguments, message", [((0,), "batch_size=0"), ((1, "7nm"), "7nm")])
def test_bad_arguments_are_told(arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainingCost(*arguments)


def test_logs_of_every_batch_hold_the_cost():
    seen = []

    class See(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs["step_energy_pj"])

    model = small_models.mlp()
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(X, Y, batch_size=16, verbose=0, callbacks=[TrainingCost(16), See()])
    assert len(seen) == 4 and np.all(np.array(seen) > 0)
