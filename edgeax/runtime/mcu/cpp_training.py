"""The C++ of a program that trains: header, source, and what tests them."""

from collections.abc import Sequence

from edgeax.runtime.mcu import cpp_program, cpp_reset
from edgeax.runtime.mcu.cpp_names import comment
from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.cpp_values import array_text, literal
from edgeax.runtime.mcu.ports import CppPort, place, ports_of
from edgeax.runtime.mcu.training_program import Training
from edgeax.runtime.mcu.training_vectors import TrainingVectors

HEADERS = ("checksum.h",)
"""Of tflite_kernels/micro, that all such programs need beside those of their steps."""

_HEADER = """\
#pragma once
{head}

#include <stddef.h>
#include <stdint.h>

namespace {name} {{

// Static RAM: {arena_bytes} bytes of activations, gradients, masks and scratch, {state_bytes} of
// what is trained.
constexpr size_t ram_bytes = {ram_bytes};
// Weights and other arrays in flash, first values of the trained ones among them.
constexpr size_t constant_bytes = {constant_bytes};

{inputs_text}

constexpr int32_t {outputs_name} = {outputs};
constexpr float {word}_scale = {scale};  // of {article}: scale * (code - zero point)
constexpr int32_t {word}_zero_point = {zero_point};

// Gives what is trained the values of the file. Call it once before anything else.
void reset();

// Computes {what}.
void infer({inputs}, int8_t* {word});

{train}

// What was learnt, as bytes to keep in flash: a checksum, int8 weights and int32 biases. The bytes
// of one processor suit every other one.
constexpr size_t saved_bytes = {saved_bytes};
void save(uint8_t* bytes);

// Takes back what `save` wrote and returns true; returns false, and changes nothing, where the
// bytes are damaged or of another model.
bool load(const uint8_t* bytes);

}}  // namespace {name}
"""

_TRAIN_CLASS = """\
// Takes one step towards class `label`. Writes the cross entropy before the step, in units of
// 2**-16, and returns true; returns false where there is no such class: nothing changed then.
bool train({inputs}, int32_t label, int32_t* loss);"""

_TRAIN_TARGET = """\
// Takes one step towards the codes `target`. Writes the mean square of the real differences before
// the step, in units of 2**-16, and returns true.
bool train({inputs}, const int8_t* target, int32_t* loss);"""

_SOURCE = """\
{head}
{plan}

#include "{name}.h"

#include "{name}_constants.h"
#include "tflite_kernels/micro/checksum.h"

namespace {name}_program {{
namespace {{

constexpr Rounding kRounding [[maybe_unused]] = Rounding::kDouble;

alignas(16) uint8_t arena[{arena_bytes}];
alignas(16) uint8_t states[{state_bytes}];

template <typename T>
T* At(uint8_t* memory, size_t offset) {{
  return reinterpret_cast<T*>(memory + offset);
}}

{reset}

void Write({inputs}) {{
{copies}
}}

// Computes the outputs; `trains`: and keeps what `Backward` needs.
void Forward([[maybe_unused]] bool trains) {{
{forward}
}}

// Computes the loss and gradients, and moves what is trained.
void Backward() {{
{backward}
}}

uint32_t Checksum(const uint8_t* content) {{ return Crc32({mark}u, content, {content_bytes}); }}

}}  // namespace
}}  // namespace {name}_program

namespace {name} {{

using namespace {name}_program;

void reset() {{ Reset(); }}

void infer({inputs}, int8_t* {word}) {{
  Write({arguments});
  Forward(false);
  __builtin_memcpy({word}, {output}, {outputs});
}}

bool train({inputs}, {wanted_type}{wanted}, int32_t* loss) {{
{check}  Write({arguments});
  {write_wanted}
  Forward(true);
  Backward();
  *loss = *{loss};
  return true;
}}

void save(uint8_t* bytes) {{
{saves}
  const uint32_t checksum = Checksum(bytes + 4);
  __builtin_memcpy(bytes, &checksum, 4);
}}

bool load(const uint8_t* bytes) {{
  uint32_t checksum;
  __builtin_memcpy(&checksum, bytes, 4);
  if (checksum != Checksum(bytes + 4)) return false;
{loads}
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
int8_t {word}[{outputs}];

template <typename T>
int Differences(const T* got, const T* wanted, int count) {{
  int differences = 0;
  for (int i = 0; i < count; ++i) differences += got[i] != wanted[i];
  return differences;
}}

}}  // namespace

// Returns 0 where every loss, the saved bytes and the {word} after training are those of
// test_vectors.h, bit for bit.
int main() {{
  using namespace {name}_test;
  int wrong = 0;
  {name}::reset();
  for (int i = 0; i < kSteps; ++i) {{
    const int sample = i % kSamples;
    int32_t loss = 0;
    wrong += !{name}::train({arguments}, {table}[sample], &loss);
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
    {name}::infer({arguments}, {word});
    const int differences = Differences({word}, kOutputs[sample], {outputs});
    SAY("sample %d: %d of {outputs} {word} differ\\n", sample, differences);
    wrong += differences != 0;
  }}
  saved[{name}::saved_bytes - 1] ^= 1;
  wrong += {name}::load(saved);
  return wrong != 0;
}}
"""


def header_text(title: Title, training: Training, constant_bytes: int) -> str:
    """Returns the header of a training program."""
    inputs = _inputs(training)
    output = training.value(training.output)
    has_classes = training.kind == "cross_entropy"
    train = _TRAIN_CLASS if has_classes else _TRAIN_TARGET
    return _HEADER.format(
        head=title.head(f"{title.name}.h"),
        name=title.name,
        arena_bytes=training.plan.arena_bytes,
        state_bytes=training.plan.state_bytes,
        ram_bytes=training.plan.ram_bytes,
        constant_bytes=constant_bytes,
        inputs_text=_inputs_text(inputs),
        outputs_name="classes" if has_classes else "outputs",
        outputs=training.outputs,
        word=_word(training),
        article="a score" if has_classes else "an output",
        scale=literal(output.scale or 0.0),
        zero_point=output.zero_point,
        inputs=_parameters(inputs),
        what="the scores of all classes, before any softmax" if has_classes else "the outputs",
        train=train.format(inputs=_parameters(inputs)),
        saved_bytes=training.saved_bytes,
    )


def source_texts(title: Title, training: Training) -> tuple[dict[str, str], int]:
    """Returns the source of a training program with its constants, and the bytes of those."""
    plan = training.plan
    constants, calls = cpp_program.calls_of(plan)
    reset = cpp_reset.reset_text(plan, constants)
    inputs = _inputs(training)
    has_classes = training.kind == "cross_entropy"
    frozen_stages = len(plan.stages) - len(training.steps)
    forward = []
    for stage, lines in enumerate(calls[: training.forward_stages]):
        is_kept = stage - frozen_stages in training.only_training
        head, *statements = lines
        forward.append(head)
        forward += [f"  if (trains) {line.strip()}" if is_kept else line for line in statements]
    saves, loads, skipped = [], [], 4
    for number in training.learnt:
        size, at = training.value(number).size_bytes, place(plan, "uint8_t", number)
        saves.append(f"  __builtin_memcpy(bytes + {skipped}, {at}, {size});")
        loads.append(f"  __builtin_memcpy({at}, bytes + {skipped}, {size});")
        skipped += size
    wanted = "label" if has_classes else "target"
    at_wanted = place(plan, "int32_t" if has_classes else "int8_t", training.wanted)
    text = _SOURCE.format(
        head=title.head(f"{title.name}.cc"),
        plan=cpp_program.plan_comment(plan),
        name=title.name,
        arena_bytes=plan.arena_bytes,
        state_bytes=plan.state_bytes,
        reset=reset,
        inputs=_parameters(inputs),
        copies="\n".join(
            f"  __builtin_memcpy({place(plan, port.type, port.value.index)}, {port.name}_in, "
            f"{port.elements} * sizeof({port.type}));"
            for port in inputs
        ),
        forward="\n".join(forward),
        backward="\n".join(line for lines in calls[training.forward_stages :] for line in lines),
        mark=training.mark,
        content_bytes=training.saved_bytes - 4,
        word=_word(training),
        arguments=", ".join(f"{port.name}_in" for port in inputs),
        output=place(plan, "int8_t", training.output),
        outputs=training.outputs,
        wanted_type="int32_t " if has_classes else "const int8_t* ",
        wanted=wanted,
        check="  if (label < 0 || label >= classes) return false;\n" if has_classes else "",
        write_wanted=f"*{at_wanted} = label;"
        if has_classes
        else f"__builtin_memcpy({at_wanted}, target, {training.outputs});",
        loss=place(plan, "int32_t", training.loss),
        saves="\n".join(saves),
        loads="\n".join(loads),
    )
    texts = {
        f"{title.name}.cc": text,
        f"{title.name}_constants.h": cpp_program.constants_text(title, plan, constants),
    }
    return texts, constants.size_bytes


def vectors_text(title: Title, training: Training, vectors: TrainingVectors) -> str:
    """Returns test_vectors.h."""
    parts = [
        f"#pragma once\n{title.head('test_vectors.h')}",
        "#include <stdint.h>",
        f"namespace {title.name}_test {{",
        f"constexpr int kSamples = {len(vectors.samples)};",
        f"constexpr int kSteps = {len(vectors.losses)};",
    ]
    for position, port in enumerate(_inputs(training)):
        tables = [array_text(sample[position]) for sample in vectors.samples]
        parts.append(_tables(f"{port.type} {port.name}_in", tables, port.elements))
    if training.kind == "cross_entropy":
        parts.append(_table("int32_t kLabels", array_text(vectors.wanted)))
    else:
        targets = [array_text(row) for row in vectors.wanted]
        parts.append(_tables("int8_t kTargets", targets, training.outputs))
    parts.append(_table("int32_t kLosses", array_text(vectors.losses)))
    parts.append(_table("uint8_t kSaved", array_text(vectors.saved)))
    outputs = [array_text(row) for row in vectors.outputs]
    parts.append(_tables("int8_t kOutputs", outputs, training.outputs))
    return "\n\n".join([*parts, f"}}  // namespace {title.name}_test\n"])


def test_text(title: Title, training: Training) -> str:
    """Returns the test program."""
    return _TEST.format(
        head=title.head(f"{title.name}_test.cc"),
        name=title.name,
        word=_word(training),
        outputs=training.outputs,
        table="kLabels" if training.kind == "cross_entropy" else "kTargets",
        arguments=", ".join(f"{port.name}_in[sample]" for port in _inputs(training)),
    )


def _inputs(training: Training) -> list[CppPort]:
    return ports_of(training.plan)[0][: len(training.inputs)]


def _word(training: Training) -> str:
    return "scores" if training.kind == "cross_entropy" else "output"


def _inputs_text(inputs: Sequence[CppPort]) -> str:
    lines = ["namespace inputs {"]
    for port in inputs:
        value = port.value
        lines.append(f"// {comment(repr(value.name))}: {value.dtype} {list(value.shape)}.")
        lines.append(f"constexpr size_t {port.name}_size = {port.elements};  // elements")
        if value.scale is not None:
            lines.append(f"constexpr float {port.name}_scale = {literal(value.scale)};")
            lines.append(f"constexpr int32_t {port.name}_zero_point = {value.zero_point};")
    return "\n".join([*lines, "}  // namespace inputs"])


def _parameters(inputs: Sequence[CppPort]) -> str:
    return ", ".join(f"const {port.type}* {port.name}_in" for port in inputs)


def _table(name: str, text: str) -> str:
    return f"constexpr {name}[] = {{\n{text}\n}};"


def _tables(name: str, texts: Sequence[str], elements: int) -> str:
    rows = ",\n".join(f"    {{\n{text}\n    }}" for text in texts)
    return f"alignas(8) constexpr {name}[{len(texts)}][{elements}] = {{\n{rows}}};"
