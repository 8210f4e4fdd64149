"""with_selective_blocks: which blocks are found, and that the copy computes what the model did."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.training.residual_blocks import (
    with_selective_blocks,
    without_selective_blocks,
)
from edgeax.training.selection_gate import SelectionGate
from tests.training.selective_models import blocks_of, dense_block

layers = keras.layers
X = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32)


def branch(x, filters, name, strides=1):
    x = layers.Conv2D(filters, 3, strides, padding="same", name=f"{name}_a")(x)
    x = layers.ReLU()(layers.BatchNormalization(name=f"{name}_norm")(x))
    return layers.Conv2D(filters, 3, padding="same", name=f"{name}_b")(x)


def flat_network():
    """A stem, two blocks, one that halves the image, and another one."""
    keras.utils.set_random_seed(0)
    given = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="stem")(given)
    x = layers.Add(name="one")([x, branch(x, 4, "one")])
    x = layers.ReLU()(x)
    x = layers.Add(name="two")([branch(x, 4, "two"), x])
    y = layers.Conv2D(6, 1, 2, name="down_short")(x)
    x = layers.ReLU()(layers.Add(name="down")([branch(x, 6, "down", 2), y]))
    x = layers.Add(name="three")([x, branch(x, 6, "three")])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(given, layers.Dense(2, name="head")(x))


def test_wjc19_all_blocks_but_the_first_can_be_skipped():
    model = flat_network()
    selective = with_selective_blocks(model, SelectionGate())
    assert [block.name for block in blocks_of(selective)] == ["two", "three"]
    inside = [layer.name for layer in blocks_of(selective)[0].block.layers]
    assert {"two_a", "two_norm", "two_b"} < set(inside)
    assert len([one for one in selective.layers if isinstance(one, SelectionGate)]) == 1
    assert not [one for one in selective.layers if one.name == "two_a"]


def test_blocks_that_always_run_compute_what_the_model_did():
    model = flat_network()
    for blocks in (None, ["one"], ["one", "two", "three"]):
        copy = with_selective_blocks(model, 1.0, blocks)
        assert copy.predict(X, verbose=0) == pytest.approx(model.predict(X, verbose=0), abs=1e-5)
        assert copy.count_params() - model.count_params() == 2 * len(blocks_of(copy))
    before = model.predict(X, verbose=0)
    for weight in copy.weights:
        weight.assign(weight + 1)
    assert np.array_equal(model.predict(X, verbose=0), before)


def stack(before, behind):
    """Two blocks one after another, what the second one gets, and what is behind it."""
    given = keras.Input((8, 8, 3))
    x = layers.Add(name="one")([given, branch(given, 3, "one")])
    x = before(x)
    x = behind(layers.Add(name="two")([x, branch(x, 3, "two")]))
    return keras.Model(given, layers.GlobalAveragePooling2D()(x))


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "before, behind, inside",
    [
        (layers.ReLU, layers.ReLU, True),
        (lambda: layers.Activation("relu"), layers.ReLU, True),
        (layers.ReLU, lambda: layers.ReLU(6.0), False),
        (lambda: layers.ReLU(negative_slope=0.1), layers.ReLU, False),
        (lambda: layers.Activation("tanh"), lambda: layers.Activation("tanh"), False),
    ],
)
def test_a_relu_behind_a_block_belongs_to_it_where_it_changes_nothing_of_what_comes_in(
    before, behind, inside, compressed
):
    model = stack(before(), behind())
    model = edgeax.compress(model, "static_wi8_ai8") if compressed else model
    copy = with_selective_blocks(model, 1.0)
    (block,) = blocks_of(copy)
    assert block.name == "two"
    last = block.block.layers[-1]
    assert isinstance(getattr(last, "layer", last), layers.ReLU) == inside
    assert copy.predict(X, verbose=0) == pytest.approx(model.predict(X, verbose=0), abs=1e-5)


def test_a_relu_that_serves_several_places_stays_where_it_is(tmp_path):
    shared = layers.ReLU(name="shared")
    model = stack(shared, shared)
    copy = with_selective_blocks(model, 1.0)
    assert "shared" in [layer.name for layer in copy.layers]
    (block,) = blocks_of(copy)
    assert isinstance(block.block.layers[-1], layers.Add)
    copy.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_compressed_model_has_the_same_blocks_and_stays_compressed():
    model = edgeax.compress(flat_network(), "static_wi8_ai8")
    copy = with_selective_blocks(model, 1.0)
    assert [block.name for block in blocks_of(copy)] == ["two", "three"]
    inside = {layer.name: layer for layer in blocks_of(copy)[0].block.layers}
    assert isinstance(inside["two_a"], edgeax.Compressed)
    assert copy.predict(X, verbose=0) == pytest.approx(model.predict(X, verbose=0), abs=1e-5)
    again = without_selective_blocks(copy)
    assert len(again.weights) == len(model.weights)
    assert again.predict(X, verbose=0) == pytest.approx(model.predict(X, verbose=0), abs=1e-5)


def compressed_in(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, edgeax.Compressed)]


def test_a_model_with_blocks_is_compressed_as_one_without():
    first = with_selective_blocks(edgeax.compress(flat_network(), "static_wi8_ai8"), 1.0)
    plain = with_selective_blocks(flat_network(), 1.0)
    blocks_of(plain)[0].kept.assign(0.0)
    second = edgeax.compress(plain, "static_wi8_ai8", strict=True)
    wrapped = compressed_in(second)
    assert [one.settings() for one in wrapped] == [one.settings() for one in compressed_in(first)]
    assert {"stem", "two_a", "three_b", "head"} < {layer.name for layer in wrapped}
    assert [float(block.kept.numpy()) for block in blocks_of(second)] == [0.0, 1.0]
    assert np.array_equal(second.predict(X, verbose=0), first.predict(X, verbose=0))
    again = edgeax.strip(second)
    assert not compressed_in(again) and len(again.weights) == len(plain.weights)
    assert again.predict(X, verbose=0) == pytest.approx(plain.predict(X, verbose=0), abs=0.05)


def test_what_decides_on_blocks_is_not_compressed():
    model = with_selective_blocks(flat_network(), SelectionGate())
    compressed = edgeax.compress(model, "static_wi8_ai8", strict=True)
    names = {layer.name for layer in compressed_in(compressed)}
    assert {"two_a", "three_b", "head"} <= names
    assert not [name for name in names if "features" in name or "gate" in name]
    assert any(isinstance(layer, SelectionGate) for layer in compressed.layers)


def test_layers_of_compressed_nested_models_are_named_by_their_paths():
    """Two blocks hold layers of the same names; what is wrapped is renamed with its wrapper."""
    given = keras.Input((4,))
    x = dense_block(name="b1")(dense_block(name="b0")(given))
    model = edgeax.compress(keras.Model(given, layers.Dense(1)(x)), "static_wi8_ai8")
    copy = with_selective_blocks(model, 0.5)
    plain = edgeax.strip(without_selective_blocks(copy))
    assert {"b0_dense", "b1_dense"} < {layer.name for layer in plain._flatten_layers()}


def test_the_copy_is_trained_and_saved_with_its_skips(tmp_path):
    model = with_selective_blocks(flat_network(), SelectionGate(seed=0))
    model.compile(edgeax.optimizers.SkipAware(keras.optimizers.SGD(0.01)), "mse", jit_compile=False)
    model.fit(X, np.zeros((8, 2)), epochs=3, batch_size=4, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert len(blocks_of(loaded)) == 2


def test_nested_models_are_found_by_their_names():
    given = keras.Input((4,))
    x = dense_block(name="b0")(given)
    x = dense_block(name="b1")(x)
    x = x + layers.Dense(4, activation="relu")(x)  # one in the model itself
    model = keras.Model(given, layers.Dense(1)(x))
    names = [block.name for block in blocks_of(with_selective_blocks(model, 0.5, ["b0"]))]
    assert len(names) == 1 and names[0].startswith("b0_add")
    names = [block.name for block in blocks_of(with_selective_blocks(model, 0.5))]
    assert len(names) == 2 and names[0].startswith("b1_add") and names[1].startswith("add")


def two_additions(ends):
    """`x + f(x)`, whose inner values are read in another way too."""
    given = keras.Input((4,))
    inner = layers.Dense(4, name="inner")(given)
    out = layers.Add(name="end")([given, layers.Dense(4)(inner)])
    return keras.Model(given, ends(given, inner, out))


@pytest.mark.parametrize(
    "ends",
    [
        lambda given, inner, out: [out, inner],  # an inner value is an output
        lambda given, inner, out: layers.Concatenate()([out, inner]),  # or read outside
        lambda given, inner, out: out,
    ],
)
def test_a_block_whose_inside_is_read_elsewhere_is_none(ends):
    model = two_additions(ends)
    if len(model.layers) == 4 and len(model.outputs) == 1:  # the last case: a block
        assert len(blocks_of(with_selective_blocks(model, 0.5, ["end"]))) == 1
    else:
        with pytest.raises(ValueError, match=r"some of \[\].*Received: \['end'\]"):
            with_selective_blocks(model, 0.5, ["end"])


def test_shared_layers_and_sums_without_a_kernel_are_none():
    given = keras.Input((4,))
    shared = layers.Dense(4)
    x = layers.Add()([given, shared(given)])
    x = layers.Add()([x, shared(x)])
    x = layers.Add()([x, layers.ReLU()(x)])
    model = keras.Model(given, x)
    with pytest.raises(ValueError, match=r"two at least.*Received: \[\]"):
        with_selective_blocks(model, 0.5)


def test_of_blocks_in_blocks_the_inner_one_is_taken():
    given = keras.Input((4,))
    inner = layers.Add(name="inner")([given, layers.Dense(4)(given)])
    x = layers.Add(name="outer")([given, layers.Dense(4)(inner)])
    with pytest.raises(ValueError, match=r"some of \['inner'\]"):
        with_selective_blocks(keras.Model(given, x), 0.5, ["outer"])


def test_a_network_of_keras_has_its_blocks():
    """Of MobileNetV2's 17 blocks 10 have a shortcut."""
    model = keras.applications.MobileNetV2((32, 32, 3), 0.35, weights=None, classes=3)
    found = blocks_of(with_selective_blocks(model, 0.5))
    assert len(found) == 10 - 1
    assert [block.name for block in found][:2] == ["block_4_add", "block_5_add"]


def test_an_unknown_block_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"\['one', 'two', 'three'\].*Received: \['four'\]"):
        with_selective_blocks(flat_network(), 0.5, ["one", "four"])


def test_a_fixed_probability_becomes_a_share_of_the_block():
    model = with_selective_blocks(flat_network(), 0.25)
    plain = without_selective_blocks(model)
    assert not blocks_of(plain)
    assert plain.predict(X, verbose=0) == pytest.approx(model.predict(X, verbose=0), abs=1e-5)
    whole = without_selective_blocks(with_selective_blocks(flat_network(), 1.0))
    assert not [one for one in whole.layers if isinstance(one, layers.Rescaling)]


def test_a_gate_becomes_the_mean_of_its_decisions():
    model = with_selective_blocks(flat_network(), SelectionGate())
    for one in model.layers:  # the gate decides by nothing but its bias
        if isinstance(one, SelectionGate):
            one.linear.kernel.assign(0.0 * one.linear.kernel)
            one.linear.bias.assign([np.log(3.0)])  # sigmoid: 3/4
    plain = without_selective_blocks(model, X)
    assert not [one for one in plain.layers if isinstance(one, SelectionGate)]
    assert plain.get_layer("two_share").scale == pytest.approx(0.75)
    assert plain.predict(X, verbose=0) == pytest.approx(model.predict(X, verbose=0), abs=1e-5)
    assert len(plain.weights) == len(flat_network().weights)
    with pytest.raises(ValueError, match="`samples` must be inputs of the model"):
        without_selective_blocks(model)
