"""Images moved by a few pixels at random, so that sparse networks do not learn them by heart.

numpy only: children in environments of peers import it too.
"""

import numpy as np

MOST_SHIFT = 1


def shifted(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Returns images in a random order, each moved by up to `MOST_SHIFT` pixels each way, zeros
    where nothing was. Every few neighbours have each of the moves once.

    Args:
        x: Shape `(count, height, width, 1)`, in a random order.
        generator: Draws which of the neighbours has which move.
    """
    height, width = x.shape[1:3]
    steps = range(-MOST_SHIFT, MOST_SHIFT + 1)
    moves = generator.permutation([(down, right) for down in steps for right in steps])
    result = np.zeros_like(x)
    for place, (down, right) in enumerate(moves):
        every = slice(place, None, len(moves))
        (into_y, of_y), (into_x, of_x) = moved(down, height), moved(right, width)
        result[every, into_y, into_x] = x[every, of_y, of_x]
    return result


def moved(step: int, size: int) -> tuple[slice, slice]:
    """Returns where a line of pixels comes to when it is moved, and what of it is still there."""
    into = slice(max(step, 0), size + min(step, 0))
    return into, slice(max(-step, 0), size - max(step, 0))
