"""PredictedSigns: what stands in the logs."""

import keras
import numpy as np
import pytest

import edgeax
from edgeax.callbacks import PredictedSigns
from edgeax.training.predicted_signs import sign_statistics
from edgeax.training.predictive_models import predictive_layers
from tests.training import small_models


def predictive():
    model = edgeax.with_predictive_gradients(small_models.mlp())
    model.compile(edgeax.optimizers.PredictiveSignSGD(0.001), "sparse_categorical_crossentropy")
    return model


def test_means_over_all_weights_by_hand():
    model = predictive()
    hidden, head = predictive_layers(model)  # 32 and 24 weights
    assert sign_statistics(model)["sign_error_rate"] == 0.0
    hidden.signs.assign([2.0, 1.0, 0.25, 0.5])  # means 0.5, 0.125, 0.25
    head.signs.assign([4.0, 4.0, 0.0, 2.0])  # means 1, 0, 0.5
    values = sign_statistics(model)
    assert values["predicted_fraction"] == pytest.approx((32 * 0.5 + 24) / 56)
    assert values["sign_error_rate"] == pytest.approx(32 * 0.125 / (32 * 0.5 + 24))
    assert values["unconditional_error_rate"] == pytest.approx((32 * 0.25 + 24 * 0.5) / 56)


def test_logs_of_batches_and_epochs_hold_the_values():
    seen = []

    class See(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(dict(logs))

    x, y = small_models.points(64)
    model = predictive()
    callbacks = [PredictedSigns(every=2), See()]
    history = model.fit(x, y, batch_size=16, epochs=2, verbose=0, callbacks=callbacks).history
    fractions = [logs["predicted_fraction"] for logs in seen]
    assert len(fractions) == 8 and fractions[0] == fractions[1] != fractions[2]
    assert len(history["predicted_fraction"]) == 2
    assert all(isinstance(value, float) for value in history["sign_error_rate"])
    # Each epoch counts anew.
    assert np.array(predictive_layers(model)[0].signs)[0] == 4.0


def test_it_serializes():
    data = keras.saving.serialize_keras_object(PredictedSigns(every=3))
    assert keras.saving.deserialize_keras_object(data).every == 3


def test_bad_use_is_told():
    with pytest.raises(ValueError, match="every=0"):
        PredictedSigns(every=0)
    x, y = small_models.points(16)
    model = small_models.mlp()
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="with_predictive_gradients"):
        model.fit(x, y, verbose=0, callbacks=[PredictedSigns()])
