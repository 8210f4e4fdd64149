import numpy as np
import pytest
import tensorflow as tf

import edgeax
from edgeax.pruning.simd import UNITS, simd_block
from edgeax.transforms import Chain


@pytest.mark.parametrize(
    "target, width",
    [
        ("cortex-m0", 1),
        ("cortex-m3", 1),
        ("cortex-m4", 2),  # SMLAD: two products of 16 bits
        ("cortex-m7", 2),
        ("cortex-m33", 2),
        ("cortex-m55", 16),  # VMLADAV.S8: 16 products of 8 bits
        ("cortex-m85", 16),
        ("armv7", 8),  # VMULL.S8: 8 products, of the 64 bits of a D register
        ("aarch64", 8),
        ("aarch64-dotprod", 16),  # SDOT: four sums of four products
        ("x86-sse4", 8),  # PMADDWD: 8 products of 16 bits
        ("x86-avx2", 16),
    ],
)
def test_ylp17_a_block_is_what_one_instruction_multiplies(target, width):
    assert simd_block(target) == (1, width)


def test_every_width_is_one_that_sparse_files_have():
    from edgeax.formats.sparse import BLOCKS

    assert {unit.width for unit in UNITS.values()} <= {*BLOCKS}


def test_groups_go_by_their_root_mean_square():
    # Means are 2 and 2.4; root mean squares 2.9 and 2.4.
    weight = tf.constant([[4.0], [0.0], [2.4], [2.4]])
    chain = Chain([edgeax.Prune(0.5, block=simd_block("cortex-m4"), criterion="l2")])
    chain.bind("weight", weight.shape)
    chain.initialize(weight)
    assert np.allclose(chain.call(weight)[:, 0], [4.0, 0.0, 0.0, 0.0])


def test_an_unknown_target_is_refused_and_near_ones_named():
    with pytest.raises(ValueError, match="`target` must be one of.*'cortex-m5'.*cortex-m55"):
        simd_block("cortex-m5")
