#pragma once  // micro/move.h: operators that only move elements, of whatever type.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {

// Blocks from all over the input, written one behind the other: slices, transpositions. `axes` are
// loops, the outermost first, of two numbers each: how often, and the bytes from the place where
// the loops within have ended to the next block. Of the innermost loop, which ends where it began,
// they are the bytes from block to block.
struct MoveArgs {
  int32_t begin;  // bytes before the first block
  int32_t block;  // bytes
  int32_t axis_count;
  const int32_t* axes;
};

constexpr int32_t kMaxMoveAxes = 6;

void Move(const MoveArgs& args, const void* input, void* output);

// Tensors side by side, and the one that holds them all: `rows` times a run of each tensor.
struct JoinArgs {
  int32_t rows;
  int32_t count;
  const int32_t* runs;  // bytes
};

// `tensors`: the inputs, then the output.
void ConcatenateAll(const JoinArgs& args, const void* const* tensors);
void SplitAll(const JoinArgs& args, const void* input, void* const* outputs);

// CONCATENATION, PACK.
template <typename... Tensors>
inline void Concatenate(const JoinArgs& args, Tensors*... tensors) {
  const void* const all[] = {tensors...};
  ConcatenateAll(args, all);
}

// SPLIT, SPLIT_V, UNPACK.
template <typename... Outputs>
inline void Split(const JoinArgs& args, const void* input, Outputs*... outputs) {
  void* const all[] = {outputs...};
  SplitAll(args, input, all);
}

// A tensor within a border of one value. `axes` has three numbers for each dimension: elements
// before, those of the input, elements behind.
struct PadArgs {
  int32_t value;
  int32_t element;  // bytes: 1, 2 or 4
  int32_t rank;
  const int32_t* axes;
};

constexpr int32_t kMaxPadRank = 6;

void Pad(const PadArgs& args, const void* input, void* output);

}  // namespace micro
}  // namespace edgeax
