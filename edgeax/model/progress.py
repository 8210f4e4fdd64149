"""A bar for work that goes on item by item."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import keras

T = TypeVar("T")


def shown(title: str, items: Sequence[T], verbose: bool) -> Iterator[T]:
    """Yields items, and where `verbose` shows how many are done."""
    if not verbose or not items:
        yield from items
        return
    print(title)
    bar = keras.utils.Progbar(len(items))
    for item in items:
        yield item
        bar.add(1)
