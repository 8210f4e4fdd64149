import numpy as np
import pytest

from benchmarks import packed_versions
from benchmarks.drawn_network import separable_network
from edgeax.formats.flatbuffer import Model
from edgeax.runtime.mcu.packed_weights import weights_of


def changed_layers(change):
    """Weights, int8 `(channels, depth)`, of the layers before and behind, and operators' names."""
    before, behind = (Model.from_bytes(f).subgraphs[0] for f in (FILE, change(FILE)))
    pairs = [
        (old, new)
        for old, new in zip(before.operators, behind.operators, strict=True)
        if old.name != new.name
    ]
    weights = [
        (
            before.tensors[old.inputs[1]].data.reshape(before.tensors[old.inputs[2]].shape[0], -1),
            weights_of(new, behind.tensors).codes,
        )
        for old, new in pairs
    ]
    names = {new.name for _, new in pairs}
    return [(old, new.reshape(old.shape)) for old, new in weights], names


FILE = separable_network()


@pytest.mark.parametrize("change, codes", [("codebook", 16), ("ternary", 3)])
def test_kernels_hold_few_codes_near_their_weights(change, codes):
    layers, names = changed_layers(getattr(packed_versions, change))
    assert names == {"EdgeaxConv2D", "EdgeaxFullyConnected"} and len(layers) == 6
    for old, new in layers:
        assert np.unique(new).size <= codes
        assert np.corrcoef(old.reshape(-1), new.reshape(-1))[0, 1] > 0.85


def test_three_quarters_of_the_blocks_are_zeros_and_the_others_as_they_were():
    layers, names = changed_layers(packed_versions.block_sparse)
    assert names == {"EdgeaxSparseConv2D", "EdgeaxSparseFullyConnected"}
    for old, new in layers:
        assert np.all((new == old) | (new == 0))
    old, new = max(layers, key=lambda layer: layer[0].size)  # 24 channels of 9 * 24 weights
    blocks = new.reshape(6, 4, 54, 4).any(axis=(1, 3))
    assert blocks.sum(axis=1).tolist() == [4 + 4 + 4 + 2] * 6
    kept = np.abs(old.reshape(6, 4, 54, 4).astype(int)).sum(axis=(1, 3))
    for row, sizes in zip(blocks[:, :16], kept[:, :16], strict=True):
        assert sizes[row].min() >= sizes[~row].max()


def test_scattered_blocks_are_chosen_in_each_channel():
    layers, names = changed_layers(packed_versions.scattered)
    assert names == {"EdgeaxSparseConv2D", "EdgeaxSparseFullyConnected"}
    old, new = max(layers, key=lambda layer: layer[0].size)  # 24 channels of 9 * 24 weights
    assert np.all((new == old) | (new == 0))
    kept = new.reshape(24, 54, 4).any(axis=2)
    assert kept.sum(axis=1).tolist() == [4 + 4 + 4 + 2] * 24
    assert len(np.unique(kept, axis=0)) > 20
