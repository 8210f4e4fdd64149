import keras
import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.pruning.api import prune
from edgeax.transforms.mask import Mask
from tests.model import small_models
from tests.post_training import cases
from tests.pruning import nets


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("criterion", ["magnitude", "random", "taylor", "gradient"])
def test_the_share_of_weights_goes_and_the_model_stays(criterion, scope):
    model = nets.dense(10, 4)
    x, y = nets.data(outputs=4)
    before = model(x).numpy()
    small = prune(model, 0.5, criterion, scope=scope, samples=x, labels=y)
    masks = nets.masks(small)
    assert sum(np.count_nonzero(~mask) for mask in masks.values()) == 50
    if scope == "layer":
        assert [np.count_nonzero(~mask) for mask in masks.values()] == [30, 20]
    assert np.array_equal(model(x), before)
    assert small.compiled


def test_masks_hold_in_training_in_files_and_in_exports(tmp_path):
    model = small_models.convolutional()
    model.compile("adam", "sparse_categorical_crossentropy")
    images, labels = small_models.images(), small_models.labels()
    small = prune(model, 0.75, "taylor", scope="global", samples=images, labels=labels)
    before = nets.masks(small)
    small.fit(images, labels, epochs=2, verbose=0)
    small.save(tmp_path / "small.keras")
    again = keras.models.load_model(tmp_path / "small.keras")
    assert np.array_equal(again(images), small(images))
    for name, mask in nets.masks(again).items():
        assert np.array_equal(mask, before[name])
        kernel = np.asarray(edgeax.strip(again).get_layer(name).kernel).reshape(mask.shape)
        assert np.array_equal(kernel != 0, mask)
    edgeax.export(small, tmp_path / "small.tflite", samples=images)
    interpreter = edgeax.Interpreter(str(tmp_path / "small.tflite"))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], images[:1])
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    assert np.allclose(found, small(images[:1]), atol=0.02)


def test_the_criterion_with_data_beats_magnitude_on_a_net_with_useless_large_weights():
    # The first three inputs are always 0: their large weights matter nothing.
    model = nets.dense(8, 3)
    x, y = nets.data(200)
    x[:, :3] = 0.0
    kernel = np.asarray(model.layers[0].kernel)
    model.layers[0].kernel.assign(np.where(np.arange(6)[:, None] < 3, 5.0 + kernel, kernel))
    for criterion in ("taylor", "brain_damage"):
        small = prune(model, 0.5, criterion, samples=x, labels=y, layers="first")
        assert np.allclose(small(x), model(x), atol=1e-5)
    small = prune(model, 0.5, samples=x, layers="first")
    assert not np.allclose(small(x), model(x), atol=0.1)


def test_the_masks_of_a_compressed_model_are_renewed_with_what_comes_behind_them():
    model = nets.dense(10, 4)
    x, y = nets.data(outputs=4)
    recipe = [Mask(), edgeax.Quantize("int8", axis=-1)]
    small = edgeax.compress(model, recipe)
    pruned = prune(small, 0.5, "taylor", samples=x, labels=y)
    assert all(mask.all() for mask in nets.masks(small).values())
    more = prune(pruned, 0.8, "taylor", samples=x, labels=y)
    for name, mask in nets.masks(more).items():
        assert np.count_nonzero(~mask) == round(0.8 * mask.size)
        assert not (mask & ~nets.masks(pruned)[name]).any()  # what was gone stays gone
    kernel = edgeax.strip(more).layers[0].kernel.numpy()
    assert np.array_equal(kernel != 0, nets.masks(more)["first"] & (kernel != 0))
    assert len(np.unique(kernel)) > 5


def test_prune_transforms_take_the_mask_too():
    small = edgeax.compress(nets.dense(10, 4), [edgeax.Prune(0.25)])
    assert np.count_nonzero(~nets.masks(small)["first"]) == 15
    assert np.count_nonzero(~nets.masks(prune(small, 0.5))["first"]) == 30


def test_structures_and_layers_are_chosen_as_in_rules():
    model = small_models.convolutional()
    small = prune(model, 0.5, structure="filter", layers="conv")
    assert [*nets.masks(small)] == ["conv"]
    mask = nets.masks(small)["conv"]
    norms = np.abs(model.get_layer("conv").kernel).sum((0, 1, 2))
    assert np.array_equal(mask.all((0, 1, 2)), norms > np.sort(norms)[1])
    half = prune(nets.dense(3, inputs=8), structure="2:4")
    assert (nets.masks(half)["first"].reshape(2, 4, 3).sum(1) == 2).all()


def test_datasets_bring_their_labels_and_subclassed_models_work():
    model, samples = cases.subclassed()
    labels = np.random.default_rng(0).integers(0, 3, len(samples))
    dataset = tf.data.Dataset.from_tensor_slices((samples, labels)).batch(16)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for criterion in ("taylor", "brain_damage"):
        small = prune(model, 0.5, criterion, samples=dataset, loss=loss)
        assert [np.count_nonzero(~m) for m in nets.masks(small).values()] == [20, 12]


@pytest.mark.parametrize(
    "criterion, settings, message",
    [
        ("taylor", {}, "`samples` must be given for criterion 'taylor'.*typical inputs"),
        ("brain_damage", {}, "`samples` must be given for criterion 'brain_damage'"),
        ("gradient", {"samples": 1}, "`labels` must be given for criterion 'gradient'.*compares"),
        ("magnitude", {"batch_size": 0}, "`batch_size` must be an integer, at least 1"),
        ("magnitude", {"layers": "nowhere"}, "`layers` must pick at least one layer.*layers="),
        ("random", {"seed": -1}, "`seed` must be an integer, at least 0"),
    ],
)
def test_what_is_missing_is_said(criterion, settings, message):
    if "samples" in settings:
        settings = {"samples": nets.data()[0]}
    with pytest.raises(ValueError, match=message):
        prune(nets.dense(4, 3), 0.5, criterion, **settings)


def test_a_sparsity_that_is_a_word_is_refused():
    with pytest.raises(ValueError, match=r"`sparsity` must lie in \[0, 1\).*'0.5'"):
        prune(nets.dense(4, 3), "0.5")


def test_numpy_counts_are_counts():
    x, y = nets.data()
    small = prune(nets.dense(4, 3), 0.5, "taylor", samples=x, labels=y, batch_size=np.int64(8))
    assert np.count_nonzero(~nets.masks(small)["first"]) == 12


def test_layers_chosen_by_place_or_by_what_they_are_lose_their_share_and_no_other_does():
    model = nets.dense(10, 6, 4)
    both = prune(model, 0.5, layers=["@first", "second"])
    assert {name: np.count_nonzero(~m) for name, m in nets.masks(both).items()} == {
        "first": 30,
        "second": 30,
    }
    dense = prune(model, 0.5, layers=lambda layer: isinstance(layer, keras.layers.Dense))
    assert [np.count_nonzero(~mask) for mask in nets.masks(dense).values()] == [30, 30, 12]
    more = prune(dense, 0.75, layers="@last")
    assert [np.count_nonzero(~mask) for mask in nets.masks(more).values()] == [30, 30, 18]


def test_labels_of_no_class_are_refused_before_anything_is_computed():
    model = small_models.convolutional()
    images, labels = small_models.images(), small_models.labels()
    with pytest.raises(ValueError, match="`labels` must be numbers of the model's 3 classes, 0 to"):
        prune(
            model,
            0.5,
            "taylor",
            samples=images,
            labels=labels + 1,
            loss="sparse_categorical_crossentropy",
        )


def test_a_model_without_a_loss_says_what_to_pass():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    x, y = nets.data()
    with pytest.raises(ValueError, match="`loss` must be given.*not compiled"):
        prune(model, 0.5, "taylor", samples=x, labels=y)
    assert prune(model, 0.5, "taylor", samples=x, labels=y, loss="mse")
