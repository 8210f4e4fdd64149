"""Child of `benchmarks.fit_overhead`: the network under TFMOT's quantization-aware training."""

import tf_keras
from tensorflow_model_optimization.quantization.keras import quantize_model

from benchmarks.children.fit_steps import take_training_turns
from benchmarks.networks import fashion_cnn

if __name__ == "__main__":
    tf_keras.utils.set_random_seed(0)
    take_training_turns(tf_keras, quantize_model(fashion_cnn(tf_keras)))
