"""Memory between two pages that may not be touched: a step outside ends the process."""

import ctypes
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
_NO_ACCESS = 0
_libc = ctypes.CDLL(None, use_errno=True)


class GuardedArrays:
    """Copies arrays into memory of their own that ends, or starts, at a forbidden page."""

    def __init__(self, at_end: bool) -> None:
        """Chooses the side: `at_end` catches a step beyond the last byte, else before the first."""
        self.at_end = at_end
        self._maps: list[mmap.mmap] = []

    def __call__(self, array: np.ndarray) -> np.ndarray:
        array = np.ascontiguousarray(array)
        inner = -(-max(array.nbytes, 1) // PAGE) * PAGE
        area = mmap.mmap(-1, inner + 2 * PAGE)
        self._maps.append(area)
        address = ctypes.addressof(ctypes.c_char.from_buffer(area))
        for page in (address, address + PAGE + inner):
            if _libc.mprotect(ctypes.c_void_p(page), PAGE, _NO_ACCESS) != 0:
                raise OSError(ctypes.get_errno(), "mprotect failed")
        offset = PAGE + (inner - array.nbytes if self.at_end else 0)
        placed = np.frombuffer(area, array.dtype, array.size, offset).reshape(array.shape)
        placed[...] = array
        return placed
