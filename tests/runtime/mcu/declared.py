"""What the headers of the kernels of generated programs declare."""

import re

from tests.emulation import places

_MICRO = places.REPOSITORY / "tflite_kernels" / "micro"


def fields_of(struct: str) -> list[str]:
    """Returns the members of a struct of tflite_kernels/micro, in order."""
    for header in sorted(_MICRO.glob("*.h")):
        found = re.search(rf"^struct {struct} {{\n(.*?)^}};", header.read_text(), re.DOTALL | re.M)
        if found:
            return _names(found[1])
    raise ValueError(f"`struct` must stand in a header of micro. Received: {struct!r}.")


def _names(members: str) -> list[str]:
    code = re.sub(r"//.*", "", members)
    statements = [" ".join(statement.split()) for statement in code.split(";")]
    names = []
    for statement in filter(None, statements):
        first, *others = statement.split(",")
        names += [first.split()[-1].lstrip("*"), *(name.strip().lstrip("*") for name in others)]
    return [name.split("[")[0] for name in names]
