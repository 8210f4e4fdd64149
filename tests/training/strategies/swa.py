"""Prints "same" where two replicas have the mean of weights that one has."""

import keras
from two import check_same, strategies, trained

from edgeax.callbacks import SWA

found = [
    trained(
        strategy,
        lambda: keras.optimizers.SGD(0.1, 0.9),
        lambda x, y: [SWA(1, frequency=3, learning_rate=(0.2, 0.05))],
    )
    for strategy in strategies()
]
check_same(*found)
print("same")
