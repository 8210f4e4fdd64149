#include "tflite_kernels/micro/reduce_extreme.h"

namespace edgeax {
namespace micro {
namespace {

template <typename Code>
void Run(const ReduceExtremeArgs& args, const Code* input, Code* output) {
  const Loops around = {args.reduced.loops, args.reduced.count - 1};
  const int32_t count = args.reduced.loops[2 * around.count];
  const int32_t step = args.reduced.loops[2 * around.count + 1];
  Walk kept;
  do {
    // The smallest code is the largest one of the mirrored codes.
    int32_t largest = INT32_MIN;
    Walk walk;
    do {
      const Code* from = input + kept.offset + walk.offset;
      for (int32_t i = 0; i < count; ++i, from += step) {
        const int32_t code = args.sign * *from;
        largest = code > largest ? code : largest;
      }
    } while (Step(around, &walk));
    *output++ = static_cast<Code>(args.sign * largest);
  } while (Step(args.kept, &kept));
}

}  // namespace

void ReduceExtreme(const ReduceExtremeArgs& args, const int8_t* input, int8_t* output) {
  Run(args, input, output);
}

void ReduceExtreme(const ReduceExtremeArgs& args, const int16_t* input, int16_t* output) {
  Run(args, input, output);
}

}  // namespace micro
}  // namespace edgeax
