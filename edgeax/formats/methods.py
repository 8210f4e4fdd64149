"""Which class or function implements which technique, and the test that holds it to its source."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Method:
    """One technique from the literature that edgeax implements.

    Attributes:
        key: Cite key, e.g. "SH16".
        name: What the object does: the first line of its docstring.
        public: Dotted name of the class or function.
        test: `path::function` of the test that holds it to its source.
    """

    key: str
    name: str
    public: str
    test: str


_METHODS: dict[tuple[str, str], Method] = {}


def implements(*keys: str, test: str) -> Callable[[T], T]:
    """Declares that the decorated class or function implements the techniques `keys`.

    Sets its attribute `sources` (keys of stacked decorators add up) and registers a Method each.

    Args:
        *keys: Cite keys, at least one, e.g. "SH16".
        test: The test that holds it to its source: `tests/PATH.py::test_NAME`.
    Raises:
        ValueError: no key, a `test` of another form, or an object without docstring.
    Example: `@implements("SH16", test="tests/transforms/test_cluster.py::test_sh16_...")`.
    """
    path, _, function = test.partition("::")
    if not (path.startswith("tests/") and path.endswith(".py") and function.startswith("test_")):
        raise ValueError(
            f"`test` must read tests/PATH.py::test_NAME. Received: {test!r}. Name the test that "
            "holds the method to its source."
        )
    if not keys:
        raise ValueError("`keys` must hold at least one cite key. Received: (). Pass e.g. 'SH16'.")

    def register(item: T) -> T:
        public = f"{item.__module__}.{item.__qualname__}"
        lines = (item.__doc__ or "").strip().splitlines()
        if not lines:
            raise ValueError(
                f"`implements` must decorate an object with a docstring. Received: {public}. "
                "Write its first line: it is the name in the list of methods."
            )
        # Only what this object's own decorators declared: a subclass does not inherit a claim.
        item.sources = (*keys, *vars(item).get("sources", ()))  # type: ignore[attr-defined]
        for key in keys:
            _METHODS[key, public] = Method(key, lines[0].rstrip("."), public, test)
        return item

    return register


def methods() -> list[Method]:
    """Returns the methods of all modules imported so far, sorted by key, then by public name."""
    return [_METHODS[entry] for entry in sorted(_METHODS)]
