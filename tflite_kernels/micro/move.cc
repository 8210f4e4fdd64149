#include "tflite_kernels/micro/move.h"

#include "tflite_kernels/micro/copy.h"

namespace edgeax {
namespace micro {
namespace {

int32_t SumOfRuns(const JoinArgs& args) {
  int32_t sum = 0;
  for (int32_t index = 0; index < args.count; ++index) sum += args.runs[index];
  return sum;
}

}  // namespace

void Move(const MoveArgs& args, const void* input, void* output) {
  const int8_t* from = static_cast<const int8_t*>(input) + args.begin;
  int8_t* to = static_cast<int8_t*>(output);
  const int32_t* const innermost = args.axes + 2 * (args.axis_count - 1);
  int32_t done[kMaxMoveAxes] = {};
  for (;;) {
    CopyBlocks(args.block, innermost[0], from, innermost[1], to, args.block);
    to += args.block * innermost[0];
    int32_t axis = args.axis_count - 2;
    while (axis >= 0 && ++done[axis] == args.axes[2 * axis]) done[axis--] = 0;
    if (axis < 0) return;
    from += args.axes[2 * axis + 1];
  }
}

void ConcatenateAll(const JoinArgs& args, const void* const* tensors) {
  // The list holds the output as it holds the inputs; the caller has it as a pointer to write to.
  int8_t* to = static_cast<int8_t*>(const_cast<void*>(tensors[args.count]));
  const int32_t step = SumOfRuns(args);
  for (int32_t index = 0; index < args.count; ++index) {
    const int32_t run = args.runs[index];
    CopyBlocks(run, args.rows, static_cast<const int8_t*>(tensors[index]), run, to, step);
    to += run;
  }
}

void SplitAll(const JoinArgs& args, const void* input, void* const* outputs) {
  const int8_t* from = static_cast<const int8_t*>(input);
  const int32_t step = SumOfRuns(args);
  for (int32_t index = 0; index < args.count; ++index) {
    const int32_t run = args.runs[index];
    CopyBlocks(run, args.rows, from, step, static_cast<int8_t*>(outputs[index]), run);
    from += run;
  }
}

void Pad(const PadArgs& args, const void* input, void* output) {
  const int8_t* from = static_cast<const int8_t*>(input);
  int8_t* to = static_cast<int8_t*>(output);
  uint32_t pattern = static_cast<uint32_t>(args.value);
  if (args.element == 1) pattern = (pattern & 0xFF) * 0x01010101u;
  if (args.element == 2) pattern = (pattern & 0xFFFF) * 0x00010001u;
  // The last dimensions without a border and the one before them are copied in one go.
  int32_t inner = args.rank - 1;
  int32_t run = args.element * args.axes[3 * inner + 1];
  int32_t stride = args.element;  // output bytes of one step along `inner`
  while (inner > 0 && args.axes[3 * inner] == 0 && args.axes[3 * inner + 2] == 0) {
    stride = run;
    run *= args.axes[3 * --inner + 1];
  }
  // Border bytes between two runs when the loop over a dimension goes on: what ends the loops
  // within it and what begins them anew.
  int32_t between[kMaxPadRank], done[kMaxPadRank] = {};
  int32_t before = 0, behind = 0;
  for (int32_t axis = inner; axis >= 0; --axis) {
    const int32_t* sizes = args.axes + 3 * axis;
    between[axis] = before + behind;
    before += sizes[0] * stride;
    behind += sizes[2] * stride;
    stride *= sizes[0] + sizes[1] + sizes[2];
  }
  to = FillBytes(pattern, to, before);
  for (;;) {
    to = CopyBytes(from, to, run);
    from += run;
    int32_t axis = inner - 1;
    while (axis >= 0 && ++done[axis] == args.axes[3 * axis + 1]) done[axis--] = 0;
    if (axis < 0) break;
    to = FillBytes(pattern, to, between[axis]);
  }
  FillBytes(pattern, to, behind);
}

}  // namespace micro
}  // namespace edgeax
