"""A model run in the open."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from edgeax.model.channels import channel_groups
from edgeax.model.select_channels import mask_channels
from edgeax.pruning.channel_run import ChannelRun, EnoughSeen
from tests.model import small_models
from tests.pruning import channel_models

layers = keras.layers


def run_of(model):
    groups = [group for group in channel_groups(model) if not group.reason]
    return ChannelRun(model, groups), groups


MODELS = {
    "residual": lambda: (channel_models.trained(), channel_models.separable(5)[0]),
    "chain": lambda: (channel_models.chain(), channel_models.images_for_chain(5)),
    "depthwise": lambda: (small_models.convolutional(), small_models.images(5)),
    "nested": lambda: (small_models.nested(), small_models.images(5)),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_computes_what_the_model_does(name):
    model, images = MODELS[name]()
    run, _ = run_of(model)
    np.testing.assert_allclose(run([images]), model.predict(images, verbose=0), atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_closed_gate_is_a_unit_removed(name):
    model, images = MODELS[name]()
    run, groups = run_of(model)
    gone = {group.name: [1, group.size - 1] for group in groups}
    gates = {group.name: np.ones((1, group.size), np.float32) for group in groups}
    for group, units in gone.items():
        gates[group][:, units] = 0.0
    masked = mask_channels(model, gone)
    assert not run.unseen
    np.testing.assert_allclose(run([images], gates), masked.predict(images, verbose=0), atol=1e-5)


def test_gates_are_of_each_sample():
    model, images = MODELS["chain"]()
    run, _ = run_of(model)
    gates = np.ones((5, 5), np.float32)
    gates[2] = 0.0
    outputs, plain = np.asarray(run([images], {"one": gates})), np.asarray(run([images]))
    changed = np.abs(outputs - plain).max(1) > 1e-6
    assert changed.tolist() == [False, False, True, False, False]


def test_it_shows_what_readers_read_and_can_be_ended():
    model, images = MODELS["chain"]()
    run, _ = run_of(model)
    seen = []

    def watch(path, given):
        seen.append((path, tuple(given.shape)))
        if path == "three":
            raise EnoughSeen

    assert run([images], watch=watch) is None
    assert seen == [("two", (5, 6, 6, 5)), ("three", (5, 6))]
    assert run.paths.index("two") < run.paths.index("four")
    assert (run.uses("two"), run.layer("two").name) == (1, "two")


def test_the_model_itself_is_left_alone():
    model, _ = MODELS["chain"]()
    run, _ = run_of(model)
    run.layer("two").kernel.assign(tf.zeros(run.layer("two").kernel.shape))
    assert np.asarray(model.get_layer("two").kernel).any()


def test_channels_that_a_recurrent_layer_reads_within_are_not_seen():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4, 3)), layers.LSTM(5, name="lstm"), layers.Dense(2, name="head")]
    )
    run, groups = run_of(model)
    assert [group.name for group in groups] == ["lstm"]
    assert "recurrent_kernel" in run.unseen["lstm"]
