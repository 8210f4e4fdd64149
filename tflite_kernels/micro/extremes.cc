#include "tflite_kernels/micro/extremes.h"

#include "tflite_kernels/micro/lanes.h"

namespace edgeax {
namespace micro {
namespace {

template <typename Code, typename Place>
void FindPlaces(const ArgExtremeArgs& args, const Code* input, Place* output) {
  // The smallest code is the largest one of the mirrored codes.
  const int32_t sign = args.extreme == Extreme::kMaximum ? 1 : -1;
  for (int32_t outer = 0; outer < args.outer; ++outer) {
    for (int32_t inner = 0; inner < args.inner; ++inner) {
      const Code* code = input + inner;
      int32_t place = 0, largest = sign * *code;
      for (int32_t index = 1; index < args.size; ++index) {
        code += args.inner;
        if (sign * *code <= largest) continue;
        largest = sign * *code;
        place = index;
      }
      *output++ = place;
    }
    input += args.size * args.inner;
  }
}

// What is left of one loop.
template <typename Code>
struct Run {
  int32_t count, first_step, second_step;
  const Code* first;
  const Code* second;
};

template <typename Code>
void ExtremesOf(Extreme extreme, Run<Code> run, Code* output) {
  for (; run.count > 0; --run.count) {
    const Code first = *run.first, second = *run.second;
    const bool takes_first = extreme == Extreme::kMaximum ? first > second : first < second;
    *output++ = takes_first ? first : second;
    run.first += run.first_step;
    run.second += run.second_step;
  }
}

#if defined(EDGEAX_MICRO_LANES)
// Whole lanes of codes that follow one another; moves `run` behind them.
int8_t* LanesOfExtremes(Extreme extreme, Run<int8_t>* run, int8_t* output) {
  for (; run->count >= kLanes; run->count -= kLanes, output += kLanes) {
    const Lanes first = LoadLanes(run->first), second = LoadLanes(run->second);
    const bool takes_larger = extreme == Extreme::kMaximum;
    StoreLanes(output, takes_larger ? LargerLanes(first, second) : SmallerLanes(first, second));
    run->first += kLanes;
    run->second += kLanes;
  }
  return output;
}

void ExtremesOf(Extreme extreme, Run<int8_t> run, int8_t* output) {
  if (run.first_step == 1 && run.second_step == 1) {
    output = LanesOfExtremes(extreme, &run, output);
  }
  ExtremesOf<int8_t>(extreme, run, output);
}
#endif

template <typename Code>
void CompareAll(const ExtremeArgs& args, const Code* first, const Code* second, Code* output) {
  ForEachRun(args.broadcast, first, second, output,
             [&args](int32_t count, const Code* a, int32_t a_step, const Code* b, int32_t b_step,
                     Code* to) {
               const Run<Code> run = {count, a_step, b_step, a, b};
               ExtremesOf(args.extreme, run, to);
             });
}

}  // namespace

void ArgExtreme(const ArgExtremeArgs& args, const int8_t* input, int32_t* output) {
  FindPlaces(args, input, output);
}

void ArgExtreme(const ArgExtremeArgs& args, const int8_t* input, int64_t* output) {
  FindPlaces(args, input, output);
}

void ArgExtreme(const ArgExtremeArgs& args, const int16_t* input, int32_t* output) {
  FindPlaces(args, input, output);
}

void ArgExtreme(const ArgExtremeArgs& args, const int16_t* input, int64_t* output) {
  FindPlaces(args, input, output);
}

void ExtremeOf(const ExtremeArgs& args, const int8_t* first, const int8_t* second, int8_t* output) {
  CompareAll(args, first, second, output);
}

void ExtremeOf(const ExtremeArgs& args, const int16_t* first, const int16_t* second,
               int16_t* output) {
  CompareAll(args, first, second, output);
}

}  // namespace micro
}  // namespace edgeax
