import numpy as np

from benchmarks.drawn_network import separable_network
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu import oracle


def test_the_network_has_the_layers_of_a_small_one_and_is_always_the_same():
    content = separable_network()
    names = [operator.name for operator in Model.from_bytes(content).subgraphs[0].operators]
    separable = ["DEPTHWISE_CONV_2D", "CONV_2D"]
    assert names == [
        "CONV_2D",
        *separable * 3,
        *["CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "SOFTMAX"],
    ]
    assert content == separable_network()


def test_its_classes_depend_on_the_image():
    rng = np.random.default_rng(0)
    images = [rng.integers(-128, 128, (1, 24, 24, 3)).astype(np.int8) for _ in range(4)]
    classes = {
        oracle.outputs_of(separable_network(), [image], "double")[0].tobytes() for image in images
    }
    assert len(classes) == 4
