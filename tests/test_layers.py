import edgeax
import edgeax.model.sugar
from edgeax.layers import QuantDense


def test_both_spellings_give_the_same_layers():
    assert edgeax.layers.QuantDense is QuantDense is edgeax.model.sugar.QuantDense
    assert {name for name in vars(edgeax.model.sugar) if name.startswith("Quant")} <= set(
        edgeax.layers.__all__
    )
