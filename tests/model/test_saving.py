"""Compressed models in files, and the copies that Keras itself makes."""

import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import edgeax
from edgeax.model.copying import compressed_layers
from tests import environments, source_tree
from tests.model import small_models
from tests.model.test_fit import IMAGES, assert_equal, fit, make

# What a program does with a file when all that it knows of edgeax is its name.
CHILD = """
import numpy as np
import tensorflow as tf
model = keras.models.load_model({model!r})
arrays = dict(np.load({data!r}))
predicted = model.predict(arrays["images"], verbose=0)
model.fit(arrays["images"], arrays["labels"], batch_size=4, epochs=2, shuffle=False, verbose=0)
np.savez({result!r}, predicted, *model.get_weights())
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns a model in the middle of its schedules, its file, and the file of its data."""
    folder = tmp_path_factory.mktemp("trained")
    model = make()
    fit(model, epochs=2)
    model.save(folder / "model.keras")
    np.savez(folder / "data.npz", images=IMAGES, labels=small_models.labels(16))
    predicted = model.predict(IMAGES, verbose=0)
    fit(model, epochs=2)
    return folder, [predicted, *model.get_weights()]


def run_child(program):
    command = [sys.executable, "-W", "error::UserWarning:edgeax", "-c", program]
    done = environments.run(command, PYTHONPATH=str(source_tree.REPOSITORY))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_loads_with_only_import_edgeax_and_training_goes_on_equally(trained):
    folder, expected = trained

    def results(number, imports):
        names = {"model": "model.keras", "data": "data.npz", "result": f"result_{number}.npz"}
        places = {key: str(folder / name) for key, name in names.items()}
        run_child(f"{imports}\n{CHILD.format(**places)}")
        return list(np.load(places["result"]).values())

    orders = ["import edgeax; import keras", "import keras; import edgeax"]
    with ThreadPoolExecutor() as pool:
        for ours in pool.map(results, range(2), orders):
            assert len(ours) == len(expected)
            assert all(map(np.array_equal, ours, expected))


def test_a_public_name_of_edgeax_may_be_the_first_import(trained):
    folder, _ = trained
    program = f"""
from edgeax import Quantize
import keras
print(keras.models.load_model({str(folder / "model.keras")!r}).name)
"""
    assert run_child(program).splitlines()[-1] == "convolutional"


@pytest.mark.parametrize("make_model", [small_models.convolutional, small_models.nested])
def test_a_reloaded_model_is_the_same_in_all_weights_and_predictions(make_model, tmp_path):
    model = edgeax.compress(make_model(), "static_wi4_ai8")
    images = small_models.images()
    model(images, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.to_json() == model.to_json()
    assert_equal(loaded, model)
    assert np.array_equal(loaded(images), model(images))
    assert [layer.name for layer in compressed_layers(loaded)] == [
        layer.name for layer in compressed_layers(model)
    ]
    assert np.array_equal(edgeax.strip(loaded)(images), edgeax.strip(model)(images))


def test_weights_alone_go_round(tmp_path):
    model = make(run_eagerly=True)
    fit(model, epochs=1)
    model.save_weights(tmp_path / "model.weights.h5")
    other = make()
    other.load_weights(tmp_path / "model.weights.h5")
    assert_equal(other, model)


def test_keras_clones_a_compressed_model():
    model = edgeax.compress(small_models.nested(), "static_wc1_ai8")
    images = small_models.images()
    model(images, training=True)
    copy = keras.models.clone_model(model)
    assert len(list(compressed_layers(copy))) == len(list(compressed_layers(model)))
    assert {id(v) for v in copy.weights}.isdisjoint(id(v) for v in model.weights)
    copy.set_weights(model.get_weights())
    assert np.array_equal(copy(images), model(images))


def test_a_layer_that_was_wrapped_by_hand_is_saved_too(tmp_path):
    keras.utils.set_random_seed(0)
    layer = keras.layers.LSTM(3, name="lstm")
    wrapper = edgeax.Compressed(layer, kernel=edgeax.Quantize("int4", axis=-1))
    model = keras.Sequential([keras.Input((6, 12)), wrapper])
    given = small_models.images().reshape(8, 6, 12)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded(given), model(given))


def test_the_table_of_keras_shows_a_compressed_model():
    lines = []
    edgeax.compress(small_models.convolutional(), "static_wi8_ai8").summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "conv (Compressed)" in text and "Trainable params" in text
