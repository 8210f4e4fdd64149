"""Prints "same" where two replicas train by SVRG as one does."""

import keras
from two import check_same, strategies, trained

from edgeax.callbacks import SVRG
from edgeax.optimizers import HALP

both = strategies()
for make in (lambda: keras.optimizers.SGD(0.1, 0.9), lambda: HALP(0.05, 0.1)):
    callbacks = lambda x, y: [SVRG((x, y), refresh_epochs=2)]  # noqa: E731
    found = [trained(strategy, make, callbacks) for strategy in both]
    check_same(*found)
print("same")
