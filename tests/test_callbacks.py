import edgeax
import edgeax.training.callbacks
from edgeax.callbacks import CompressionLogger


def test_both_spellings_give_the_same_callback():
    assert edgeax.callbacks.CompressionLogger is CompressionLogger
    assert CompressionLogger is edgeax.training.callbacks.CompressionLogger
    assert all(getattr(edgeax.training, name) for name in edgeax.callbacks.__all__)
