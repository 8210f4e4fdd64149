"""The C++ of a program that trains its last layer: header, source, and what tests them."""

from collections.abc import Sequence

from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.cpp_values import Constants, array_text
from edgeax.runtime.mcu.dense_training import DenseTraining
from edgeax.runtime.mcu.plan import Plan
from edgeax.runtime.mcu.ports import CppPort, ports_of
from edgeax.runtime.mcu.program import Array
from edgeax.runtime.mcu.training_vectors import TrainingVectors

HEADER = "dense_training.h"

_HEADER = """\
#pragma once
{head}

#include <stddef.h>
#include <stdint.h>

#include "{trunk}.h"  // the frozen layers; sizes and scales of the inputs stand there

namespace {name} {{

// Static RAM: activations and scratch of the frozen layers, what is trained, and errors.
constexpr size_t ram_bytes = {ram_bytes};
// Weights and other arrays in flash, first values of the trained ones among them.
constexpr size_t constant_bytes = {constant_bytes};
constexpr int32_t classes = {classes};
constexpr float scores_scale = {scale!r}f;  // of a score: scale * (code - zero point)
constexpr int32_t scores_zero_point = {zero_point};

// Gives the trained layer the weights of the file. Call it once before anything else.
void reset();

// Computes the scores of all classes, before any softmax.
void infer({inputs}, int8_t* scores);

// Takes one step towards class `label`. Writes the cross entropy before the step, in units of
// 2**-16, and returns true; returns false where there is no such class: nothing changed then.
bool train({inputs}, int32_t label, int32_t* loss);

// What was learnt, as bytes to keep in flash: a checksum, int32 biases, int8 weights. The bytes of
// one processor suit every other one.
constexpr size_t saved_bytes = {saved_bytes};
void save(uint8_t* bytes);

// Takes back what `save` wrote and returns true; returns false, and changes nothing, where the
// bytes are damaged or of another model.
bool load(const uint8_t* bytes);

}}  // namespace {name}
"""

_SOURCE = """\
{head}

#include "{name}.h"

#include "tflite_kernels/micro/dense_training.h"

namespace {name}_program {{
namespace {{

using namespace edgeax;
using namespace edgeax::micro;

{constants}

// What `save` writes but for the checksum, as it lies in memory.
struct Trained {{
  int32_t bias[{outputs}];
  int8_t weights[{weights}];
}};

Trained trained;
uint32_t random_state;
int32_t errors[{outputs}];
int8_t step_scores[{outputs}];

const int8_t* Features({inputs}) {{
{copies}
  {trunk}::invoke();
  return {trunk}::{features}();
}}

uint32_t Checksum(const uint8_t* content) {{ return Crc32({mark}u, content, {content_bytes}); }}

}}  // namespace
}}  // namespace {name}_program

namespace {name} {{

using namespace {name}_program;

void reset() {{
  __builtin_memcpy(trained.bias, {bias_name}, sizeof(trained.bias));
  __builtin_memcpy(trained.weights, {weights_name}, sizeof(trained.weights));
  random_state = {seed};
}}

void infer({inputs}, int8_t* scores) {{
  DenseScores({args}, Features({arguments}), trained.weights, trained.bias, scores);
}}

bool train({inputs}, int32_t label, int32_t* loss) {{
  if (label < 0 || label >= classes) return false;
  const int8_t* features = Features({arguments});
  DenseScores({args}, features, trained.weights, trained.bias, step_scores);
  *loss = DenseErrors({args}, step_scores, label, errors);
  DenseUpdate({args}, features, errors, trained.weights, trained.bias, &random_state);
  return true;
}}

void save(uint8_t* bytes) {{
  __builtin_memcpy(bytes + 4, trained.bias, sizeof(trained.bias));
  __builtin_memcpy(bytes + 4 + sizeof(trained.bias), trained.weights, sizeof(trained.weights));
  const uint32_t checksum = Checksum(bytes + 4);
  __builtin_memcpy(bytes, &checksum, 4);
}}

bool load(const uint8_t* bytes) {{
  uint32_t checksum;
  __builtin_memcpy(&checksum, bytes, 4);
  if (checksum != Checksum(bytes + 4)) return false;
  __builtin_memcpy(trained.bias, bytes + 4, sizeof(trained.bias));
  __builtin_memcpy(trained.weights, bytes + 4 + sizeof(trained.bias), sizeof(trained.weights));
  return true;
}}

}}  // namespace {name}
"""

_TEST = """\
{head}

#include "{name}.h"
#include "test_vectors.h"

#ifdef EDGEAX_QUIET
#define SAY(...)
#else
#include <stdio.h>
#define SAY(...) printf(__VA_ARGS__)
#endif

namespace {{

uint8_t saved[{name}::saved_bytes];
int8_t scores[{name}::classes];

template <typename T>
int Differences(const T* got, const T* wanted, int count) {{
  int differences = 0;
  for (int i = 0; i < count; ++i) differences += got[i] != wanted[i];
  return differences;
}}

}}  // namespace

// Returns 0 where every loss, the saved bytes and the scores after training are those of
// test_vectors.h, bit for bit.
int main() {{
  using namespace {name}_test;
  int wrong = 0;
  {name}::reset();
  for (int i = 0; i < kSteps; ++i) {{
    const int sample = i % kSamples;
    int32_t loss = 0;
    wrong += !{name}::train({arguments}, kLabels[sample], &loss);
    wrong += loss != kLosses[i];
    SAY("step %d: loss %ld, wanted %ld\\n", i, static_cast<long>(loss),
        static_cast<long>(kLosses[i]));
  }}
  {name}::save(saved);
  const int learnt = Differences(saved, kSaved, sizeof(saved));
  SAY("%d of %d saved bytes differ\\n", learnt, static_cast<int>(sizeof(saved)));
  {name}::reset();
  wrong += (learnt != 0) + !{name}::load(saved);
  for (int sample = 0; sample < kSamples; ++sample) {{
    {name}::infer({arguments}, scores);
    const int differences = Differences(scores, kScores[sample], {name}::classes);
    SAY("sample %d: %d of {classes} scores differ\\n", sample, differences);
    wrong += differences != 0;
  }}
  saved[{name}::saved_bytes - 1] ^= 1;
  wrong += {name}::load(saved);
  return wrong != 0;
}}
"""


def header_text(
    title: Title, trunk: Plan, layer: DenseTraining, ram_bytes: int, constant_bytes: int
) -> str:
    """Returns the header of a training program."""
    return _HEADER.format(
        head=title.head(f"{title.name}.h"),
        name=title.name,
        trunk=trunk_name(title.name),
        ram_bytes=ram_bytes,
        constant_bytes=constant_bytes,
        classes=len(layer.bias),
        scale=layer.output_scale,
        zero_point=layer.output_zero_point,
        inputs=_parameters(ports_of(trunk)[0]),
        saved_bytes=layer.saved_bytes,
    )


def source_text(title: Title, trunk: Plan, layer: DenseTraining) -> tuple[str, int]:
    """Returns the source of a training program, and the bytes of its constants."""
    inputs, (features,) = ports_of(trunk)
    constants = Constants()
    args = constants.arguments(0, layer.struct())
    bias = constants.array(0, Array("first_bias", layer.bias))
    weights = constants.array(0, Array("first_weights", layer.weights))
    name = trunk_name(title.name)
    copies = [
        f"  __builtin_memcpy({name}::{port.name}(), {port.name}_in, "
        f"{name}::{port.name}_size * sizeof({port.type}));"
        for port in inputs
    ]
    text = _SOURCE.format(
        head=title.head(f"{title.name}.cc"),
        name=title.name,
        trunk=name,
        constants=constants.text,
        outputs=len(layer.bias),
        weights=layer.weights.size,
        inputs=_parameters(inputs),
        copies="\n".join(copies),
        features=features.name,
        mark=layer.mark,
        content_bytes=layer.saved_bytes - 4,
        bias_name=bias,
        weights_name=weights,
        seed=layer.rule.seed,
        args=args,
        arguments=", ".join(f"{port.name}_in" for port in inputs),
    )
    return text, constants.size_bytes


def vectors_text(title: Title, trunk: Plan, vectors: TrainingVectors) -> str:
    """Returns test_vectors.h."""
    inputs, _ = ports_of(trunk)
    parts = [
        f"#pragma once\n{title.head('test_vectors.h')}",
        "#include <stdint.h>",
        f"namespace {title.name}_test {{",
        f"constexpr int kSamples = {len(vectors.samples)};",
        f"constexpr int kSteps = {len(vectors.losses)};",
    ]
    for position, port in enumerate(inputs):
        tables = [array_text(sample[position]) for sample in vectors.samples]
        parts.append(_tables(f"{port.type} {port.name}_in", tables, port.elements))
    parts.append(_table("int32_t kLabels", array_text(vectors.labels)))
    parts.append(_table("int32_t kLosses", array_text(vectors.losses)))
    parts.append(_table("uint8_t kSaved", array_text(vectors.saved)))
    scores = [array_text(row) for row in vectors.scores]
    parts.append(_tables("int8_t kScores", scores, vectors.scores.shape[1]))
    return "\n\n".join([*parts, f"}}  // namespace {title.name}_test\n"])


def test_text(title: Title, trunk: Plan, layer: DenseTraining) -> str:
    """Returns the test program."""
    inputs, _ = ports_of(trunk)
    return _TEST.format(
        head=title.head(f"{title.name}_test.cc"),
        name=title.name,
        classes=len(layer.bias),
        arguments=", ".join(f"{port.name}_in[sample]" for port in inputs),
    )


def trunk_name(name: str) -> str:
    """Returns the namespace of the frozen layers, and the stem of their files."""
    return f"{name}_trunk"


def _parameters(inputs: Sequence[CppPort]) -> str:
    return ", ".join(f"const {port.type}* {port.name}_in" for port in inputs)


def _table(name: str, text: str) -> str:
    return f"constexpr {name}[] = {{\n{text}\n}};"


def _tables(name: str, texts: Sequence[str], elements: int) -> str:
    rows = ",\n".join(f"    {{\n{text}\n    }}" for text in texts)
    return f"alignas(8) constexpr {name}[{len(texts)}][{elements}] = {{\n{rows}}};"
