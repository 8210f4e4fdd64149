"""Prints "same" where two replicas keep the gradients that one does."""

import keras
import numpy as np
import tensorflow as tf
from two import strategies

import edgeax
from edgeax.callbacks import MuPPET
from edgeax.transforms import KeptGradient

found = []
for strategy in strategies():
    with strategy.scope():
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        # 16 bits: roundings are far smaller than gradients.
        arithmetic = edgeax.model.arithmetics.muppet((16,))
        model = edgeax.compress(model, edgeax.Recipe(arithmetic=arithmetic))
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(32, 4)).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :2])).batch(8)
    muppet = MuPPET(every=2)
    history = model.fit(data, epochs=4, verbose=0, callbacks=[muppet]).history
    kept = [layer for layer in model._flatten_layers() if isinstance(layer, KeptGradient)]
    values = tf.convert_to_tensor(kept[0].last.value).numpy()
    found.append((history["gradient_diversity"], values))
one, two = found
assert np.allclose(one[0], two[0], rtol=1e-2) and np.allclose(one[1], two[1], atol=1e-3), found
print("same")
