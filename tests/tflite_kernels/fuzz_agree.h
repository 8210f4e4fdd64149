#pragma once  // fuzz_agree.h: one call of an operator on every kernel set of this processor.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <type_traits>

#include "tests/tflite_kernels/memory.h"
#include "tflite_kernels/arch/dispatch.h"

constexpr uint8_t kUntouched = 77;

// No operator may ask for more scratch than that for the small tensors of fuzz_main.cc.
constexpr size_t kMostScratch = size_t{1} << 26;

struct HowToRun {
  int32_t shares;
  uint8_t filling;  // of scratch, before
};

// Ends the program, so that libFuzzer keeps its input.
[[noreturn]] static inline void Fail(const char* set, const char* what) {
  fprintf(stderr, "%s: %s\n", set, what);
  abort();
}

static inline void Expect(bool is_good, const char* set, const char* what) {
  if (!is_good) Fail(set, what);
}

static inline bool AllAre(edgeax::Span<uint8_t> bytes, uint8_t value) {
  for (size_t i = 0; i < bytes.size; ++i) {
    if (bytes.data[i] != value) return false;
  }
  return true;
}

// What the outputs of an operator are.
template <typename TensorsOfArgs>
using OutputOf = std::remove_pointer_t<decltype(TensorsOfArgs::output.data)>;

// Makes a NaN in the place of a NaN that one: sets do not agree on which NaN a NaN is.
template <typename T>
void JoinNans(Exact<T>*, Exact<T>*) {}

inline void JoinNans(Exact<float>* expected, Exact<float>* output) {
  for (size_t i = 0; i < output->size(); ++i) {
    const float wanted = (*expected)[i], got = (*output)[i];
    if (wanted != wanted && got != got) (*output)[i] = wanted;
  }
}

// Runs an operator in shares, each alone: a byte must be written by one of them, and rightly.
template <typename Args, typename TensorsOfArgs>
void RunShares(const Args& args, TensorsOfArgs tensors, const edgeax::KernelSet& set,
               const edgeax::Kernel<Args, TensorsOfArgs>& kernel,
               Exact<OutputOf<TensorsOfArgs>>* wanted, int32_t shares) {
  Exact<OutputOf<TensorsOfArgs>> numbers(wanted->size());
  const edgeax::Span<uint8_t> output = BytesOf(&numbers), expected = BytesOf(wanted);
  Exact<uint8_t> writers(expected.size);
  memset(writers.span().data, 0, writers.size());
  tensors.output = numbers.span();
  for (int32_t share = 0; share < shares; ++share) {
    for (size_t i = 0; i < output.size; ++i) {
      output.data[i] = static_cast<uint8_t>(~expected.data[i]);
    }
    tensors.share = {share, shares};
    Expect(kernel.run(args, tensors) == edgeax::Status::kOk, set.name, "a share is refused");
    JoinNans(wanted, &numbers);
    for (size_t i = 0; i < output.size; ++i) {
      if (output.data[i] == static_cast<uint8_t>(~expected.data[i])) continue;
      Expect(output.data[i] == expected.data[i], set.name, "a share differs");
      ++writers[i];
    }
  }
  for (size_t i = 0; i < writers.size(); ++i) {
    Expect(writers[i] == 1, set.name, "not one share writes a byte");
  }
}

// Runs an operator as the reference and as every other set. What the reference refuses all refuse
// alike, without touching the output; what it takes all compute alike, whole and in shares.
// `tensors` lacks scratch and an output of `output_size` numbers. Whether the reference takes it.
template <typename Args, typename TensorsOfArgs>
bool RunAll(const Args& args, TensorsOfArgs tensors, size_t output_size,
            edgeax::Kernel<Args, TensorsOfArgs> edgeax::KernelSet::*operator_of,
            const HowToRun& how) {
  using edgeax::Status;
  const edgeax::Span<const edgeax::KernelSet> sets = edgeax::KernelSets();
  Exact<OutputOf<TensorsOfArgs>> expected(output_size), output(output_size);
  Status wanted = Status::kOk;
  for (size_t s = 0; s < sets.size; ++s) {
    const edgeax::KernelSet& set = sets.data[s];
    if (!set.is_supported()) continue;
    const edgeax::Kernel<Args, TensorsOfArgs>& kernel = set.*operator_of;
    auto* to = s == 0 ? &expected : &output;
    const edgeax::Span<uint8_t> written = BytesOf(to);
    memset(written.data, kUntouched, written.size);
    size_t bytes = 0;
    const Status planned = kernel.scratch_bytes(args, &bytes);
    const bool has_scratch = planned == Status::kOk && bytes <= kMostScratch;
    Exact<uint8_t> scratch(has_scratch ? bytes : 0);
    if (scratch.size() > 0) memset(scratch.span().data, how.filling, scratch.size());
    tensors.scratch = scratch.span();
    tensors.output = to->span();
    tensors.share = {0, 1};
    const Status status = kernel.run(args, tensors);
    if (s == 0) wanted = status;
    if (wanted != Status::kOk) {
      Expect(status == wanted || !has_scratch, set.name, "refuses for another reason");
      Expect(status != Status::kOk, set.name, "takes what the reference refuses");
      Expect(AllAre(written, kUntouched), set.name, "touches the output of what it refuses");
      continue;
    }
    Expect(planned == Status::kOk, set.name, "has no scratch size for what it takes");
    Expect(has_scratch, set.name, "asks for too much scratch");
    Expect(status == Status::kOk, set.name, "refuses what the reference takes");
    JoinNans(&expected, to);
    Expect(memcmp(written.data, BytesOf(&expected).data, written.size) == 0, set.name, "differs");
    if (bytes > 0) {
      Exact<uint8_t> too_short(bytes - 1);
      TensorsOfArgs lacking = tensors;
      lacking.scratch = too_short.span();
      memset(written.data, kUntouched, written.size);
      Expect(kernel.run(args, lacking) == Status::kBadScratch, set.name,
             "takes too little scratch");
      Expect(AllAre(written, kUntouched), set.name, "touches the output without scratch");
    }
    if (kernel.splits) RunShares(args, tensors, set, kernel, &expected, how.shares);
  }
  return wanted == Status::kOk;
}
