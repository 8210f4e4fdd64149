"""The test of a generated program, as C++: its vectors and what compares them."""

from collections.abc import Sequence

from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.cpp_values import array_text
from edgeax.runtime.mcu.plan import Plan
from edgeax.runtime.mcu.ports import CppPort, ports_of
from edgeax.runtime.mcu.vectors import Vector

_MAIN = """\
#include "{name}.h"
#include "test_vectors.h"

#ifdef EDGEAX_QUIET
#define SAY(...)
#else
#include <stdio.h>
#define SAY(...) printf(__VA_ARGS__)
#endif

namespace {{

{outputs}

int Differences(const void* got, const void* wanted, size_t size) {{
  int count = 0;
  for (size_t i = 0; i < size; ++i) {{
    count += static_cast<const char*>(got)[i] != static_cast<const char*>(wanted)[i];
  }}
  return count;
}}

}}  // namespace

// Returns 0 if the program gives all outputs of test_vectors.h, bit for bit.
int main() {{
  using namespace {name}_test;
  int wrong = 0;
  for (int i = 0; i < kVectors; ++i) {{
{reset}    {name}::invoke({arguments});
    int differences = 0;
{compares}
    SAY("vector %d: %d bytes differ\\n", i, differences);
    wrong += differences != 0;
  }}
  return wrong;
}}
"""


def vectors_text(title: Title, plan: Plan, vectors: Sequence[Vector]) -> str:
    """Returns test_vectors.h."""
    inputs, outputs = ports_of(plan)
    parts = [
        f"#pragma once\n{title.head('test_vectors.h')}",
        "#include <stdint.h>",
        f"namespace {title.name}_test {{",
        f"constexpr int kVectors = {len(vectors)};",
    ]
    for side, ports in enumerate((inputs, outputs)):
        for position, port in enumerate(ports):
            tables = [array_text(vector[side][position]) for vector in vectors]
            rows = ",\n".join(f"    {{\n{table}\n    }}" for table in tables)
            parts.append(f"alignas(8) constexpr {_row(port, len(vectors))} = {{\n{rows}}};")
    return "\n\n".join([*parts, f"}}  // namespace {title.name}_test\n"])


def main_text(title: Title, plan: Plan) -> str:
    """Returns the test program."""
    inputs, outputs = ports_of(plan)
    arguments = [f"{port.name}[i]" for port in inputs] + [f"got_{port.name}" for port in outputs]
    compares = (
        f"    differences += Differences(got_{p.name}, {p.name}[i], sizeof(got_{p.name}));"
        for p in outputs
    )
    return (
        title.head(f"{title.name}_test.cc")
        + "\n"
        + _MAIN.format(
            name=title.name,
            outputs="\n".join(f"{port.type} got_{port.name}[{port.elements}];" for port in outputs),
            reset=f"    {title.name}::reset();\n" if plan.states else "",
            arguments=", ".join(arguments),
            compares="\n".join(compares),
        )
    )


def _row(port: CppPort, count: int) -> str:
    return f"{port.type} {port.name}[{count}][{port.elements}]"
