"""What freezing returns: names of tensors lead to layers."""

import pytest

from edgeax.export.frozen import layers_in


@pytest.mark.parametrize(
    "tensor, expected",
    [
        ("model/conv.3/Conv2D", {"model", "conv.3", "Conv2D"}),
        ("functional_1/conv.3_1/BiasAdd;functional_1/conv.3_1/Conv2D1", {"conv.3", "BiasAdd"}),
        ("dense.0", {"dense.0"}),
        ("StatefulPartitionedCall:0", {"StatefulPartitionedCall", "0"}),
    ],
)
def test_a_tensor_names_the_layers_it_comes_from_without_the_converters_counts(tensor, expected):
    assert expected <= layers_in(tensor)
