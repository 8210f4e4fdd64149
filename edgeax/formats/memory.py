"""Static memory plans: which tensors live at the same time."""

from collections.abc import Mapping, Sequence

Step = tuple[Sequence[int], Sequence[int]]


def peak_bytes(
    sizes: Mapping[int, int], steps: Sequence[Step], inputs: Sequence[int], outputs: Sequence[int]
) -> int:
    """Returns the most bytes that live at one step of a static plan without overlaps in place.

    A tensor lives from the step that writes it (a graph input: from the first step) to the last
    step that reads it (a graph output: to the last step).

    Args:
        sizes: Bytes of each tensor that counts, by index; others (constants) are left out.
        steps: For each operator in order its input and its output tensors, -1 = absent.
        inputs: Input tensors of the graph.
        outputs: Output tensors of the graph.
    """
    count = max(len(steps), 1)
    first: dict[int, int] = dict.fromkeys(inputs, 0)
    last: dict[int, int] = dict.fromkeys(inputs, 0)
    for at, (reads, writes) in enumerate(steps):
        for tensor in (*reads, *writes):
            first.setdefault(tensor, at)
            last[tensor] = at
    for tensor in outputs:
        first.setdefault(tensor, 0)
        last[tensor] = count - 1
    change = [0] * (count + 1)
    for tensor, start in first.items():
        size = sizes.get(tensor, 0)
        change[start] += size
        change[last[tensor] + 1] -= size
    peak = live = 0
    for delta in change:
        live += delta
        peak = max(peak, live)
    return peak
