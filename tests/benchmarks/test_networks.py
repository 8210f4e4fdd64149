import keras

from benchmarks.networks import fashion_cnn


def test_the_network_has_the_size_its_description_says():
    # By hand: 288 + 4*32, 18432 + 4*64, 3136*68 + 68, 68*10 + 10.
    model = fashion_cnn(keras)
    assert model.count_params() == 233_110
    assert model.output_shape == (None, 10)
