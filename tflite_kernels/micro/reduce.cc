#include "tflite_kernels/micro/reduce.h"

namespace edgeax {
namespace micro {
namespace {

// The innermost loop, `reduced` being those around it.
template <typename Code>
int32_t SumAt(const Loops& reduced, const Code* input) {
  const int32_t* inner = reduced.loops + 2 * reduced.count;
  Walk walk;
  int32_t sum = 0;
  do {
    const Code* from = input + walk.offset;
    for (int32_t i = 0; i < inner[0]; ++i) {
      sum += *from;
      from += inner[1];
    }
  } while (Step(reduced, &walk));
  return sum;
}

template <Rounding kRounding, typename Code>
void Run(const ReduceArgs& args, const Code* input, Code* output) {
  const Loops reduced = {args.reduced.loops, args.reduced.count - 1};
  Walk walk;
  do {
    const int32_t sum = args.bias + SumAt(reduced, input + walk.offset);
    const int32_t code = Requantize(sum, args.factor, kRounding) + args.output_zero_point;
    *output++ = static_cast<Code>(Clamped(code, args.clamp));
  } while (Step(args.kept, &walk));
}

}  // namespace

template <Rounding kRounding>
void Reduce(const ReduceArgs& args, const int8_t* input, int8_t* output) {
  Run<kRounding>(args, input, output);
}

template <Rounding kRounding>
void Reduce(const ReduceArgs& args, const int16_t* input, int16_t* output) {
  Run<kRounding>(args, input, output);
}

template void Reduce<Rounding::kSingle>(const ReduceArgs&, const int8_t*, int8_t*);
template void Reduce<Rounding::kDouble>(const ReduceArgs&, const int8_t*, int8_t*);

template void Reduce<Rounding::kSingle>(const ReduceArgs&, const int16_t*, int16_t*);
template void Reduce<Rounding::kDouble>(const ReduceArgs&, const int16_t*, int16_t*);

void Reduce(const ReduceArgs& args, const int16_t* input, int16_t* output) {
  Run<Rounding::kDouble>(args, input, output);
}

}  // namespace micro
}  // namespace edgeax
