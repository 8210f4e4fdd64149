"""Child of `benchmarks.fit_overhead`: the plain float network in Keras 3."""

import keras

from benchmarks.children.fit_steps import take_training_turns
from benchmarks.networks import fashion_cnn

if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    take_training_turns(keras, fashion_cnn(keras))
