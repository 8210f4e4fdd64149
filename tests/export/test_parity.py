import keras
import numpy as np
import pytest

import edgeax
from edgeax.export.assemble import assemble
from edgeax.export.parity import (
    LayerParity,
    Parity,
    _compare_outputs,
    _Tally,
    compare,
    compare_outputs,
)
from edgeax.formats.flatbuffer import Model
from tests.export import networks
from tests.export.lowered import constants, converted
from tests.export.networks import normal

IMAGES = normal(12, 16, 16, 3)
PAIRS = [normal(8, 8, 8, 8), normal(8, 8, 8, 8, seed=2)]


def parity(net, model, samples, pack=False, change=lambda file: None):
    """The parity of a lowered network with `model`, after a change of the file."""
    file, _ = net.lower(pack)
    change(file)
    return compare(model, net.frozen, file.to_bytes(), samples)


@pytest.fixture(scope="module")
def classifier():
    return networks.convolutional()


@pytest.fixture(scope="module")
def net(classifier):
    return converted(classifier, IMAGES)


@pytest.fixture(scope="module")
def sound(net, classifier):
    return parity(net, classifier, [IMAGES])


@pytest.fixture(scope="module")
def siamese():
    return edgeax.compress(networks.nested(), "static_wi4_ai8")


@pytest.fixture(scope="module")
def siamese_net(siamese):
    return converted(siamese, PAIRS)


def test_a_sound_file_is_less_than_a_step_from_keras_behind_every_layer(sound):
    assert sound.samples == 12
    assert sound.most_output_difference < 0.05
    for layer in sound.layers:
        # A quarter of the averages of four codes are ties, and one step of the pool is two of what
        # it is concatenated into.
        assert layer.mean_steps < 0.5 and layer.most_steps <= 2.0, layer


def test_every_layer_that_the_file_rounds_by_itself_is_compared(sound):
    # The converter lets what is concatenated be computed in the range of the whole.
    fused = {"more", "global_pool"}
    expected = [
        "image",
        "stem",
        "left",
        "add",
        "average_pool",
        "channels",
        "features",
        "head",
        "head",
    ]
    assert [layer.path for layer in sound.layers if layer.path not in fused] == expected


def swapped(path):
    """Turns the kernel of one layer around, so that its channels are those of others."""

    def change(file: Model):
        name = "weights" if "weights" in constants(file, path) else "kernel"
        tensor = constants(file, path)[name]
        tensor.data = np.ascontiguousarray(tensor.data[::-1])

    return change


@pytest.mark.parametrize("path", ["stem", "left", "head"])
def test_a_corrupted_kernel_is_named_and_the_layers_behind_it_are_not(net, classifier, path):
    found = parity(net, classifier, [IMAGES], change=swapped(path))
    assert found.worst.path == path
    assert found.worst.mean_steps > 5
    others = [layer for layer in found.layers if layer.path != path]
    assert all(layer.mean_steps < 1.0 for layer in others), others
    assert found.most_output_difference > 0.1


def test_a_corrupted_packed_kernel_is_named_too(siamese_net, siamese):
    found = parity(siamese_net, siamese, PAIRS, pack=True, change=swapped("block/once"))
    assert found.worst.path == "block/once"
    bad = [layer.path for layer in found.layers if layer.most_steps > 1.0]
    assert bad == ["block/once"] * 2  # the block is called twice


@pytest.mark.parametrize("pack", [True, False], ids=["packed", "int8"])
def test_each_call_of_a_shared_layer_is_compared_with_its_own_result(siamese_net, siamese, pack):
    found = parity(siamese_net, siamese, PAIRS, pack=pack)
    paths = [layer.path for layer in found.layers]
    assert paths.count("block/twice") == 4 and paths.count("block/once") == 2
    assert all(layer.mean_steps < 0.02 and layer.most_steps <= 1.0 for layer in found.layers)


def test_at_most_32_samples_are_compared(net, classifier):
    assert parity(net, classifier, [normal(40, 16, 16, 3)]).samples == 32


def test_argmax_agreement_is_the_share_of_samples_with_the_same_largest_output():
    expected = np.float32([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    file = np.float32([[0.2, 0.8], [0.7, 0.3], [0.6, 0.4], [0.0, 1.0]])
    agreement, difference = _compare_outputs([file], [expected])
    assert agreement == 0.75
    assert difference == pytest.approx(0.3)


@pytest.mark.parametrize(
    "shapes", [[(4, 1)], [(4, 3, 3)], [(4, 2), (4, 2)]], ids=["one number", "rank 3", "two outputs"]
)
def test_outputs_that_are_no_single_vector_have_no_argmax(shapes):
    outputs = [np.zeros(shape, np.float32) for shape in shapes]
    assert _compare_outputs(outputs, outputs) == (None, 0.0)


def test_the_worst_layer_has_the_largest_mean():
    layers = (LayerParity("a", 0.1, 9.0), LayerParity("b", 0.2, 1.0))
    assert Parity(layers, None, 0.0, 1).worst.path == "b"
    assert Parity((), None, 0.0, 1).worst is None


def test_layers_of_one_range_and_shape_are_told_apart():
    """The two ways of a bidirectional layer, of which the file computes the second one first."""
    keras.utils.set_random_seed(0)
    both = keras.layers.Bidirectional(keras.layers.LSTM(8), name="both")
    model = keras.Sequential([keras.Input((5, 4)), both, keras.layers.Dense(3)])
    small, sequences = edgeax.compress(model, "static_wi8_ai8"), normal(12, 5, 4)
    small(sequences, training=True)
    made = assemble(small, [sequences], integer=True)
    found = compare(small, made.frozen, made.file.to_bytes(), [sequences])
    assert len({layer.path for layer in found.layers if "both/" in layer.path}) == 2
    assert found.worst.mean_steps < 0.2, found


def test_decibels_of_a_layer_are_those_worked_out_by_hand():
    tally = _Tally()
    tally.add(np.float32([1, 0]), np.float32([10, 10]))
    assert tally.parity("a").snr_db == pytest.approx(10.0 * np.log10(200.0))
    tally.add(np.float32([-1, 0]), np.float32([0, 0]))
    assert tally.parity("a") == LayerParity("a", 0.5, 1.0, pytest.approx(10.0 * np.log10(100.0)))


def test_a_layer_that_differs_nowhere_has_no_decibels(sound, net, classifier):
    tally = _Tally()
    tally.add(np.zeros(3, np.float32), np.ones(3, np.float32))
    assert tally.parity("a").snr_db is None
    corrupted = parity(net, classifier, [IMAGES], change=swapped("stem"))
    assert corrupted.worst.path == "stem" and corrupted.worst.snr_db < 10.0
    assert all(layer.snr_db is None or layer.snr_db > 30.0 for layer in sound.layers)


def test_outputs_of_a_file_of_several_rows_are_compared_row_by_row(classifier):
    content = assemble(classifier, [IMAGES], integer=False, batch=3).file.to_bytes()
    found = compare_outputs(classifier, content, [IMAGES[:7]], batch=3)
    assert (found.samples, found.layers, found.argmax_agreement) == (7, (), 1.0)
    assert found.most_output_difference < 1e-5
