"""The test of a generated program, as C++: its vectors and what compares them."""

from collections.abc import Sequence

from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.cpp_values import array_text
from edgeax.runtime.mcu.plan import Plan
from edgeax.runtime.mcu.ports import ports_of
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

// Returns how many values differ, or more than there are if one is off by more than `most_steps`.
template <typename T>
int Differences(const T* got, const T* wanted, int count, int most_steps) {{
  int differences = 0;
  for (int i = 0; i < count; ++i) {{
    if (got[i] == wanted[i]) continue;
    const bool is_near = got[i] <= wanted[i] + most_steps && wanted[i] <= got[i] + most_steps;
    differences += is_near && most_steps > 0 ? 1 : count + 1;
  }}
  return differences;
}}

}}  // namespace

// Returns how many vectors of test_vectors.h are not reproduced.
int main() {{
  int wrong = 0;
  for (int i = 0; i < {name}_test::kVectors; ++i) {{
{reset}    {name}::invoke({arguments});
    bool is_right = true;
{compares}
    wrong += !is_right;
  }}
  return wrong;
}}
"""

_COMPARE = """\
    {{
      const int differences =
          Differences(got_{name}, {vectors}::{name}_out[i], {count}, {vectors}::kMostSteps);
      SAY("vector %d: %d of {count} values of {name} differ\\n", i, differences);
      is_right = is_right && differences <= {vectors}::kMostDifferences * {count} / 100 +
                                                ({vectors}::kMostSteps > 0);
    }}"""

# LiteRT's XNNPACK scales sums in float32, so that one close to a half may round to the other side
# than it does in exact arithmetic: rarely, and on other values on other processors.
_EXACT = "// Bit for bit.\nconstexpr int kMostSteps = 0;\nconstexpr int kMostDifferences = 0;"
_NEAR = (
    "// LiteRT scales sums in float: where one is close to a half its code may be the next one.\n"
    "constexpr int kMostSteps = 1;\n"
    "constexpr int kMostDifferences = 1;  // of a hundred values, and one more"
)


def vectors_text(title: Title, plan: Plan, vectors: Sequence[Vector]) -> str:
    """Returns test_vectors.h."""
    inputs, outputs = ports_of(plan)
    parts = [
        f"#pragma once\n{title.head('test_vectors.h')}",
        "#include <stdint.h>",
        f"namespace {title.name}_test {{",
        f"constexpr int kVectors = {len(vectors)};",
        _NEAR if title.rounding == "single" else _EXACT,
    ]
    for side, (ports, suffix) in enumerate(((inputs, "in"), (outputs, "out"))):
        for position, port in enumerate(ports):
            tables = [array_text(vector[side][position]) for vector in vectors]
            rows = ",\n".join(f"    {{\n{table}\n    }}" for table in tables)
            name = f"{port.name}_{suffix}[{len(vectors)}][{port.elements}]"
            parts.append(f"alignas(8) constexpr {port.type} {name} = {{\n{rows}}};")
    return "\n\n".join([*parts, f"}}  // namespace {title.name}_test\n"])


def main_text(title: Title, plan: Plan) -> str:
    """Returns the test program."""
    inputs, outputs = ports_of(plan)
    vectors = f"{title.name}_test"
    arguments = [f"{vectors}::{port.name}_in[i]" for port in inputs]
    arguments += [f"got_{port.name}" for port in outputs]
    compares = (
        _COMPARE.format(vectors=vectors, name=port.name, count=port.elements) for port in outputs
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
