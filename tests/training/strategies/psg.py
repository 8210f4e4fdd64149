"""Prints "same" where two replicas train by predicted signs, and vote."""

import keras
import numpy as np
import tensorflow as tf
from two import strategies

import edgeax

_, strategy = strategies()
x = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
with strategy.scope():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), keras.layers.Dense(1)])
    model = edgeax.with_predictive_gradients(model)
    optimizer = edgeax.optimizers.PredictiveSignSGD(0.001, vote=True)
    model.compile(optimizer, "mse", jit_compile=False)
signs = edgeax.callbacks.PredictedSigns()
data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(16)
history = model.fit(data, epochs=8, verbose=0, callbacks=[signs]).history
assert history["loss"][-1] < history["loss"][0], history
assert 0.2 < history["predicted_fraction"][-1] <= 1.0, history
copies = [tf.convert_to_tensor(one).numpy() for one in model.layers[0].kernel.value.values]
assert np.array_equal(*copies)


# Of two replicas one says (1, -5), the other (-3, -1): the sum is (-2, -6), the votes cancel.
def moved(vote):
    with strategy.scope():
        weight = keras.Variable(np.float32([0.0, 0.0]), name="kernel")
        optimizer = edgeax.optimizers.SignSGD(1.0, vote=vote)
        optimizer.build([weight])
    gradients = tf.constant([[1.0, -5.0], [-3.0, -1.0]])

    @tf.function
    def step():
        def one():
            place = tf.distribute.get_replica_context().replica_id_in_sync_group
            optimizer.apply([gradients[place]], [weight])

        strategy.run(one)

    step()
    return tf.convert_to_tensor(weight.value).numpy().tolist()


assert moved(False) == [1.0, 1.0] and moved(True) == [0.0, 1.0], (moved(False), moved(True))
print("same")
