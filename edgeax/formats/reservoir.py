"""Which samples of a stream a small memory keeps, so that all classes have their part in it."""

import numbers

import numpy as np


class Reservoir:
    """Gives samples that arrive one by one their slots in a memory of a fixed size.

    As long as a slot is free, every sample gets one. Then a sample of a class that has never been
    the largest in memory takes the slot of a random one of the largest class; of another class it
    stays as likely as each that came before, in the slot of a random one of its own. So of n
    classes that arrive one after the other each keeps about one n-th of the slots, and of every
    class that was once the largest a uniform draw of all that came.

    Every choice follows from the seed and the number of samples that came before, so nothing but
    the arrays below is needed to go on.

    Source: class-balancing reservoir sampling (Chrysakis and Moens, ICML 2020).

    Attributes:
        labels: uint16 `(slots,)`: class in each slot; `free` where there is none.
        seen: int64 `(classes,)`: samples of each class that came.
        full: bool `(classes,)`: whether a class has been the largest since no slot is free.
        seed: Of the choices.

    Args:
        slots: Samples that the memory holds, at least 1.
        classes: Labels lie in [0, classes); at most 65,535.
        seed: An integer, at least 0.

    Raises:
        ValueError: An argument is out of its range.

    Example: `Reservoir(slots=100, classes=10).offer(3)` is 0, the first slot.
    """

    free = np.iinfo(np.uint16).max

    def __init__(self, slots: int, classes: int, seed: int = 0) -> None:
        for name, value, low, high in (
            ("slots", slots, 1, None),
            ("classes", classes, 1, int(self.free)),
            ("seed", seed, 0, None),
        ):
            whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
            if not whole or value < low or (high is not None and value > high):
                upper = "" if high is None else f" and at most {high}"
                raise ValueError(
                    f"`{name}` must be an integer, at least {low}{upper}. "
                    f"Received: {name}={value!r}."
                )
        self.labels = np.full(slots, self.free, np.uint16)
        self.seen = np.zeros(classes, np.int64)
        self.full = np.zeros(classes, bool)
        self.seed = int(seed)

    def __len__(self) -> int:
        """Returns how many slots are taken."""
        return min(int(self.seen.sum()), self.labels.size)

    @property
    def counts(self) -> np.ndarray:
        """Samples of each class in memory, int64 `(classes,)`."""
        return np.bincount(self.labels[: len(self)], minlength=self.seen.size)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.labels.nbytes + self.seen.nbytes + self.full.nbytes

    def offer(self, label: int) -> int | None:
        """Returns the slot that the next sample of the stream takes, None if it is not kept.

        Args:
            label: Its class.

        Raises:
            ValueError: There is no such class.
        """
        if not 0 <= label < self.seen.size:
            raise ValueError(
                f"`label` must lie in [0, {self.seen.size}). Received: {label}. Say how many "
                "classes may come when you make the memory."
            )
        place = int(self.seen.sum())
        draw = np.random.default_rng([self.seed, place])
        self.seen[label] += 1
        slot = place if place < self.labels.size else self._taken(label, draw)
        if slot is not None:
            self.labels[slot] = label
        if place + 1 >= self.labels.size:
            counts = self.counts
            self.full |= counts == counts.max()
        return slot

    def _taken(self, label: int, draw: np.random.Generator) -> int | None:
        counts = self.counts
        if not self.full[label]:
            victims = np.flatnonzero(counts == counts.max())
            label = int(draw.choice(victims)) if victims.size > 1 else int(victims[0])
        elif draw.random() >= counts[label] / self.seen[label]:
            return None
        return int(draw.choice(np.flatnonzero(self.labels == label)))
