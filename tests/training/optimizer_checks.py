"""What every optimizer of ours must do: serialize, resume, and train in any mode of `fit`."""

import keras
import numpy as np

from tests.training import small_models


def steps(optimizer, start, gradients):
    """Returns a weight after each step."""
    weight = keras.Variable(np.float32(start), name="kernel")
    found = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(np.float32(gradient))], [weight])
        found.append(np.array(weight))
    return found


def check_serialization(optimizer):
    data = keras.saving.serialize_keras_object(optimizer)
    again = keras.saving.deserialize_keras_object(data)
    assert type(again) is type(optimizer) and again.get_config() == optimizer.get_config()


def check_modes_of_fit(make):
    """Trains eagerly, compiled, and with several steps in one execution: the same weights."""
    x, y = small_models.points(64)
    found = []
    for settings in ({}, {"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 4}):
        model = small_models.mlp()
        model.compile(make(), "sparse_categorical_crossentropy", **settings)
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        found.append(model.get_weights())
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            np.testing.assert_allclose(one, same, atol=2e-3)


def check_resuming(make, folder, change=lambda model: model):
    """Interrupts training after an epoch and goes on from BackupAndRestore's file."""
    x, y = small_models.points(64)

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def train(callbacks, epochs=4):
        model = change(small_models.mlp())
        model.compile(make(), "sparse_categorical_crossentropy")
        try:
            model.fit(x, y, 16, epochs, shuffle=False, verbose=0, callbacks=callbacks)
        except KeyboardInterrupt:
            pass
        return model.get_weights()

    whole = train([])
    # Back-ups first: the epoch that is interrupted is in the file.
    train([keras.callbacks.BackupAndRestore(folder), Interrupt()])
    resumed = train([keras.callbacks.BackupAndRestore(folder)])
    for one, same in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one, same)
