"""Labels for channels: which are one and the same unit, and which have to stay."""

import numpy as np


class Labels:
    """Numbers for channels, what ties them to each other and why some of them have to stay.

    An array of labels says of each position of an axis which channel it is. An axis whose size is
    not known has an empty array.
    """

    def __init__(self) -> None:
        self._count = 0
        self._ties: list[np.ndarray] = []
        self._fixed: list[tuple[np.ndarray, str]] = []

    def new(self, count: int) -> np.ndarray:
        """Returns `count` labels that no other channel has, int64 `(count,)`."""
        self._count += count
        return np.arange(self._count - count, self._count)

    def tie(self, one: np.ndarray, other: np.ndarray) -> None:
        """Notes that channels can go only together, position by position."""
        self._ties.append(np.stack([np.ravel(one), np.ravel(other)]))

    def tie_rows(self, rows: np.ndarray) -> None:
        """Notes that what stands in one column of `(rows, columns)` can go only together."""
        if len(rows) > 1:
            self.tie(rows[:-1], rows[1:])

    def fix(self, labels: np.ndarray, why: str) -> None:
        """Notes that channels have to stay, and why."""
        self._fixed.append((np.ravel(labels), why))

    def classes(self) -> np.ndarray:
        """Returns the unit that each label stands for, int64 `(labels,)`: its smallest label."""
        parents = np.arange(self._count)
        if not self._ties:
            return parents
        one, other = np.unique(np.concatenate(self._ties, axis=1), axis=1)
        while True:
            least = np.minimum(parents[one], parents[other])
            before = parents.copy()
            for end in (one, other):
                np.minimum.at(parents, parents[end], least)
                np.minimum.at(parents, end, least)
            parents = parents[parents]
            if np.array_equal(parents, before):
                return parents

    def reasons(self, classes: np.ndarray) -> dict[int, str]:
        """Returns why units have to stay; of several reasons the one noted first.

        Args:
            classes: What `classes` returns.
        """
        reasons: dict[int, str] = {}
        for labels, why in self._fixed:
            for unit in np.unique(classes[labels]):
                reasons.setdefault(int(unit), why)
        return reasons
