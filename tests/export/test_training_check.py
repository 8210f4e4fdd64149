import keras
import numpy as np
import pytest
from keras import layers

import edgeax


def network():
    """Rows that no layer repeats are summed in a way that interpreters do not know."""
    keras.utils.set_random_seed(0)
    given = keras.Input((8, 2))
    x = keras.ops.repeat(layers.Conv1D(4, 3, name="conv")(given), 2, axis=1)
    return keras.Model(given, layers.Dense(3, name="last")(layers.Flatten()(x)))


def export(model, path, **settings):
    training = edgeax.OnDeviceTraining(batch_size=4, **settings)
    return edgeax.export(model, path, train=training, measure=False)


def test_what_no_interpreter_prepares_is_refused_before_a_file_is_written(tmp_path):
    path = tmp_path / "model.tflite"
    with pytest.raises(ValueError, match="layers that interpreters run.*SUM.*Train fewer layers"):
        export(network(), path)
    assert not path.exists()
    assert export(network(), path, trainable=["last"]).training


def test_an_embedding_is_trained_as_keras_does(tmp_path):
    keras.utils.set_random_seed(0)
    given = keras.Input((6,), dtype="int32", name="words")
    x = layers.Flatten()(layers.Embedding(10, 4, name="table")(given))
    model = keras.Model(given, layers.Dense(3, name="last")(x))
    path = tmp_path / "model.tflite"
    export(model, path, optimizer=keras.optimizers.SGD(0.1))
    interpreter = edgeax.Interpreter(path)
    train, save = map(interpreter.get_signature_runner, ("train", "save"))
    words = np.random.default_rng(0).integers(0, 10, (4, 6)).astype(np.int32)
    labels = np.array([0, 1, 2, 0], np.int32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    for _ in range(2):
        found = train(words=words, y=labels, learning_rate=np.float32([0.1]))["loss"]
        model.reset_metrics()
        assert found == pytest.approx(model.train_on_batch(words, labels), rel=1e-5)
    table = model.get_layer("table").embeddings
    np.testing.assert_allclose(save()["table/embeddings"], table, rtol=1e-5, atol=1e-6)
