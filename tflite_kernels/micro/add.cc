#include "tflite_kernels/micro/add.h"

// The loops in assembler need registers that a compiler only has free when it optimizes.
#if defined(EDGEAX_MICRO_PORTABLE)
#include "tflite_kernels/micro/add_portable.h"
#elif defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1) && defined(__OPTIMIZE__)
#include "tflite_kernels/micro/add_helium.h"
#elif defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__)
#include "tflite_kernels/micro/add_dsp.h"
#else
#include "tflite_kernels/micro/add_portable.h"
#endif

namespace edgeax {
namespace micro {
namespace {

template <typename Args, typename Code>
void RunBroadcast(const Args& args, const Code* a, const Code* b, Code* output) {
  ForEachRun(args.broadcast, a, b, output,
             [&args](int32_t count, const Code* a, int32_t a_step, const Code* b, int32_t b_step,
                     Code* output) {
               if (a_step + b_step == 2) {
                 AddRun(args.add, count, a, b, output);
               } else {
                 AddSteps(args.add, count, a, a_step, b, b_step, output);
               }
             });
}

}  // namespace

void Add(const AddArgs& args, int32_t count, const int8_t* a, const int8_t* b, int8_t* output) {
  AddRun(args, count, a, b, output);
}

void Add(const AddArgs& args, int32_t count, const int16_t* a, const int16_t* b, int16_t* output) {
  AddRun(args, count, a, b, output);
}

void AddWeighted(const WeightedAddArgs& args, int32_t count, const int8_t* a, const int8_t* b,
                 int8_t* output) {
  AddRun(args, count, a, b, output);
}

void AddBroadcast(const BroadcastAddArgs& args, const int8_t* a, const int8_t* b, int8_t* output) {
  RunBroadcast(args, a, b, output);
}

void AddBroadcast(const BroadcastAddArgs& args, const int16_t* a, const int16_t* b,
                  int16_t* output) {
  RunBroadcast(args, a, b, output);
}

void AddWeightedBroadcast(const BroadcastWeightedAddArgs& args, const int8_t* a, const int8_t* b,
                          int8_t* output) {
  RunBroadcast(args, a, b, output);
}

}  // namespace micro
}  // namespace edgeax
