"""Child of `benchmarks.fit_overhead`: the plain float network in Keras 2, TFMOT's own baseline."""

import tf_keras

from benchmarks.children.fit_steps import take_training_turns
from benchmarks.networks import fashion_cnn

if __name__ == "__main__":
    tf_keras.utils.set_random_seed(0)
    take_training_turns(tf_keras, fashion_cnn(tf_keras))
