"""Child of `benchmarks.fit_overhead`: the network wrapped by edgeax for int8, in Keras 3."""

import keras

import edgeax
from benchmarks.children.fit_steps import take_training_turns
from benchmarks.networks import fashion_cnn

if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    take_training_turns(keras, edgeax.compress(fashion_cnn(keras), "static_wi8_ai8"))
