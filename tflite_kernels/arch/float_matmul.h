#pragma once  // arch/float_matmul.h: products of floats with packed weights, and what decodes them.

#include <string.h>

#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/core/float_fully_connected.h"

// An instruction set gives `Lanes`, kFloatLanes floats, one for each of the sums, with
//   Zero, Load, Broadcast, Sum (of the lanes, in the order of core/float_fully_connected.h),
//   MultiplyAdd(a, b, c), a * b + c rounded once,
//   MultiplyAddFirst(a, b, c, n), the same in the first n lanes and c in the others,
// and decoders of blocks, 16 bytes of codes that have a lane each:
//   Load(from), LoadFirst(from, bytes), which reads no byte more,
//   Weights<step>(block), what code number `step` of each byte stands for.

namespace edgeax {
namespace {

template <int32_t kNumber>
struct Constant {
  static constexpr int32_t value = kNumber;
};

// Calls function(Constant<i>) for i from 0 to kCount - 1.
template <int32_t kCount, int32_t kFirst = 0, typename Function>
__attribute__((always_inline)) inline void Repeat(const Function& function) {
  if constexpr (kFirst < kCount) {
    function(Constant<kFirst>());
    Repeat<kCount, kFirst + 1>(function);
  }
}

// kCount values by number, which compilers keep in registers more willingly than an array.
template <typename T, int32_t kCount>
struct Several {
  T first;
  Several<T, kCount - 1> rest;
};

template <typename T>
struct Several<T, 0> {};

template <int32_t kNumber, typename T, int32_t kCount>
__attribute__((always_inline)) inline T& At(Several<T, kCount>& several) {
  if constexpr (kNumber == 0) {
    return several.first;
  } else {
    return At<kNumber - 1>(several.rest);
  }
}

constexpr int32_t kBlockBytes = kFloatLanes;

// How the codes of a row are cut into groups and blocks, and how much memory inputs need.
struct FloatPlan {
  int32_t bits, groups;
  int32_t group, last_group;  // codes
  int32_t row_bytes;
  int32_t block_rows;   // of inputs that are multiplied at a time
  size_t input_floats;  // of one of them, as StoreInput writes it
  size_t total_bytes;
};

static inline int32_t BlocksOf(int32_t codes, int32_t bits) {
  return (PackedBytes(codes, bits) - 1) / kBlockBytes + 1;
}

template <typename Simd>
FloatPlan PlanFloat(const FloatFullyConnectedArgs& args) {
  FloatPlan plan = {};
  plan.bits = args.bits;
  plan.groups = GroupsOf(args);
  plan.group = args.group == 0 ? args.depth : args.group;
  plan.last_group = args.depth - (plan.groups - 1) * args.group;
  plan.row_bytes = PackedBytes(args.depth, args.bits);
  plan.block_rows = args.rows < Simd::kRows ? 1 : Simd::kRows;
  const size_t blocks = size_t(plan.groups - 1) * BlocksOf(plan.group, args.bits) +
                        BlocksOf(plan.last_group, args.bits);
  plan.input_floats = blocks * kBlockBytes * (8 / args.bits);
  plan.total_bytes =
      kScratchAlignment + plan.block_rows * AlignedBytes(plan.input_floats * sizeof(float));
  return plan;
}

// Calls function(first code, codes) for each group of a row.
template <typename Function>
__attribute__((always_inline)) inline void ForGroups(const FloatPlan& plan,
                                                     const Function& function) {
  for (int32_t g = 0; g + 1 < plan.groups; ++g) function(g * plan.group, plan.group);
  function((plan.groups - 1) * plan.group, plan.last_group);
}

// Lays a vector out as its numbers meet the weights: for each block, for each step of a byte's
// codes, kFloatLanes numbers; 0 beyond the end of a group. Unrolled it would be very long.
__attribute__((noinline)) inline void StoreInput(const FloatPlan& plan, const float* input,
                                                 float* to) {
  const int32_t steps = 8 / plan.bits;
  ForGroups(plan, [&](int32_t first, int32_t codes) {
    for (int32_t block = 0; block < codes; block += kBlockBytes * steps) {
      const int32_t left = codes - block;
      const float* from = input + first + block;
      for (int32_t step = 0; step < steps; ++step) {
        for (int32_t i = step; i < kBlockBytes * steps; i += steps) {
          *to++ = i < left ? from[i] : 0.0f;
        }
      }
    }
  });
}

// Products of kRows vectors, as StoreInput laid them out, with kOutputs rows of weights.
template <typename Simd, typename Decoder, int32_t kRows, int32_t kOutputs>
struct FloatTile {
  using Lanes = typename Simd::Lanes;
  using Sums = Several<Lanes, kRows * kOutputs>;
  static constexpr int32_t kSteps = 8 / Decoder::kBits;

  const FloatPlan& plan;
  const Decoder& decoder;

  // Writes a sum for each vector and row of weights, those of a vector beside each other.
  void Run(const float* const (&inputs)[kRows], const uint8_t* const (&rows)[kOutputs],
           const float* const (&scales)[kOutputs], float* to) const {
    Sums totals;
    Repeat<kRows * kOutputs>([&](auto i) { At<i.value>(totals) = Simd::Zero(); });
    size_t place = 0;
    int32_t group = 0;
    ForGroups(plan, [&](int32_t first, int32_t codes) {
      Sums sums;
      Repeat<kRows * kOutputs>([&](auto i) { At<i.value>(sums) = Simd::Zero(); });
      const int32_t start = (first >> 3) * Decoder::kBits;
      const int32_t whole = codes / (kBlockBytes * kSteps) * kBlockBytes;
      for (int32_t byte = start; byte < start + whole; byte += kBlockBytes) {
        AddBlock(inputs, place, rows, byte, &sums);
        place += kBlockBytes * kSteps;
      }
      const int32_t left = codes - whole * kSteps;
      if (left > 0) {
        sums = AddFirst(inputs, place, rows, start + whole, left, sums);
        place += kBlockBytes * kSteps;
      }
      Repeat<kOutputs>([&](auto c) {
        const Lanes scale = Simd::Broadcast(scales[c.value][group]);
        Repeat<kRows>([&](auto r) {
          constexpr int32_t kNumber = r.value * kOutputs + c.value;
          At<kNumber>(totals) = Simd::MultiplyAdd(scale, At<kNumber>(sums), At<kNumber>(totals));
        });
      });
      ++group;
    });
    Repeat<kRows * kOutputs>([&](auto i) { to[i.value] = Simd::Sum(At<i.value>(totals)); });
  }

 private:
  __attribute__((always_inline)) void AddBlock(const float* const (&inputs)[kRows], size_t place,
                                               const uint8_t* const (&rows)[kOutputs], int32_t byte,
                                               Sums* sums) const {
    Several<typename Decoder::Block, kOutputs> blocks;
    Repeat<kOutputs>([&](auto c) {
      At<c.value>(blocks) = Decoder::BlockOf(Simd::LoadBytes(rows[c.value] + byte));
    });
    Repeat<kSteps>([&](auto step) {
      Repeat<kOutputs>([&](auto c) {
        const Lanes weights = decoder.template Weights<step.value>(At<c.value>(blocks));
        Repeat<kRows>([&](auto r) {
          Lanes& sum = At<r.value * kOutputs + c.value>(*sums);
          const float* numbers = inputs[r.value] + place + step.value * kBlockBytes;
          sum = Simd::MultiplyAdd(Simd::Load(numbers), weights, sum);
        });
      });
    });
  }

  // Of a block that holds `left` codes. Takes and returns a copy of the sums: they would lie in
  // memory all the time if anything pointed to them.
  __attribute__((noinline)) Sums AddFirst(const float* const (&inputs)[kRows], size_t place,
                                          const uint8_t* const (&rows)[kOutputs], int32_t byte,
                                          int32_t left, Sums sums) const {
    Repeat<kOutputs>([&](auto c) {
      const auto block = Decoder::BlockOf(
          Simd::LoadFirstBytes(rows[c.value] + byte, PackedBytes(left, Decoder::kBits)));
      Repeat<kSteps>([&](auto step) {
        const Lanes weights = decoder.template Weights<step.value>(block);
        const int32_t lanes = (left - step.value + kSteps - 1) / kSteps;
        Repeat<kRows>([&](auto r) {
          Lanes& sum = At<r.value * kOutputs + c.value>(sums);
          const float* numbers = inputs[r.value] + place + step.value * kBlockBytes;
          sum = Simd::MultiplyAddFirst(Simd::Load(numbers), weights, sum, lanes);
        });
      });
    });
    return sums;
  }
};

}  // namespace
}  // namespace edgeax
