"""Blocks of weights that one vector instruction of a processor multiplies at once."""

import dataclasses
import difflib

from edgeax.formats import implements


@dataclasses.dataclass(frozen=True)
class VectorUnit:
    """How a processor multiplies and adds several pairs of numbers in one instruction.

    Attributes:
        instruction: The instruction that a kernel of int8 codes uses.
        register_bits: Bits of one of its operands.
        number_bits: Of one number in there: 16 where codes are widened first.
    """

    instruction: str
    register_bits: int
    number_bits: int

    @property
    def width(self) -> int:
        """Pairs of numbers that one instruction multiplies."""
        return self.register_bits // self.number_bits


_SCALAR = VectorUnit("MLA", 32, 32)
_DUAL = VectorUnit("SMLAD", 32, 16)
_HELIUM = VectorUnit("VMLADAV.S8", 128, 8)

UNITS: dict[str, VectorUnit] = {
    "cortex-m0": VectorUnit("MULS", 32, 32),
    "cortex-m3": _SCALAR,
    "cortex-m4": _DUAL,
    "cortex-m7": _DUAL,
    "cortex-m33": _DUAL,
    "cortex-m55": _HELIUM,
    "cortex-m85": _HELIUM,
    "armv7": VectorUnit("VMULL.S8", 64, 8),
    "aarch64": VectorUnit("SMULL", 64, 8),
    "aarch64-dotprod": VectorUnit("SDOT", 128, 8),
    "x86-sse4": VectorUnit("PMADDWD", 128, 16),
    "x86-avx2": VectorUnit("VPMADDWD", 256, 16),
}
"""Processors by name. Cortex-M4, M7 and M33 have the DSP extension, M55 and M85 Helium."""


@implements(
    "YLP17",
    test="tests/pruning/test_simd.py::test_ylp17_a_block_is_what_one_instruction_multiplies",
)
def simd_block(target: str) -> tuple[int, int]:
    """Returns the block `(channels, inputs)` of weights to be pruned together for a processor.

    As many inputs of one output channel as one vector instruction multiplies: then no lane of it
    works on a pruned weight, and one place is stored for each instruction. By the paper, groups are
    chosen by their root mean square: `Prune(sparsity, block=simd_block(target), criterion="l2")`.
    Where a processor runs many such instructions at once, as a graphics processor does, the paper
    removes whole nodes instead: see `structure="filter"` and `edgeax.prune_channels`.

    Source: [YLP17].

    Args:
        target: One of `UNITS`, such as `"cortex-m4"`.

    Raises:
        ValueError: There is no such processor.

    Example: `simd_block("cortex-m4")` is `(1, 2)`: SMLAD multiplies two pairs of 16 bits.
    """
    if target not in UNITS:
        near = difflib.get_close_matches(str(target), UNITS, n=3, cutoff=0.4) or [*UNITS]
        raise ValueError(
            f"`target` must be one of {[*UNITS]}. Received: target={target!r}. "
            f"Did you mean one of {near}?"
        )
    return 1, UNITS[target].width
