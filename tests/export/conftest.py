"""What several tests of freezing share."""

import pytest

import edgeax
from edgeax.export.freeze import freeze
from tests.export import networks


@pytest.fixture(scope="module")
def compressed():
    """A network whose ranges have followed some batches."""
    model = edgeax.compress(networks.convolutional(), "static_wc4_ai8")
    return networks.trained(model, networks.images())


@pytest.fixture(scope="module")
def frozen(compressed):
    """The same, frozen in integers."""
    return freeze(compressed, [networks.images()], integer=True)
