// Runs random cases on every instruction set of this processor against "reference", each tensor in
// an allocation of its own and off its natural alignment where that is allowed, so that a sanitizer
// sees any step outside. Prints "isa: NAME N cases" for each set and ends with 0, or names the
// first case that differs and ends with 1. Usage: isa_main [cases] [seed]

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tflite_kernels/arch/dispatch.h"

namespace {

using edgeax::Padding;
using edgeax::Requantization;
using edgeax::Rounding;
using edgeax::Span;
using edgeax::Status;

constexpr int8_t kUntouched = 77;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2 + 1) {}

  uint32_t Next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 33);
  }
  int32_t Range(int32_t low, int32_t high) {
    return low + static_cast<int32_t>(Next() % static_cast<uint32_t>(high - low + 1));
  }
  bool OneIn(int32_t n) { return Range(1, n) == 1; }
  // Mostly small, sometimes up to `high`.
  int32_t Size(int32_t high) { return OneIn(3) ? Range(1, high) : Range(1, high < 5 ? high : 5); }

 private:
  uint64_t state_;
};

// Exactly `size` elements; bytes start at an odd address.
template <typename T>
class Exact {
 public:
  explicit Exact(size_t size) : size_(size) {
    constexpr size_t kShift = sizeof(T) == 1 ? 1 : 0;
    block_ = malloc(size * sizeof(T) + kShift);
    data_ = reinterpret_cast<T*>(static_cast<char*>(block_) + kShift);
  }
  ~Exact() { free(block_); }
  Exact(const Exact&) = delete;
  Exact& operator=(const Exact&) = delete;

  T& operator[](size_t i) { return data_[i]; }
  size_t size() const { return size_; }
  Span<T> span() { return {data_, size_}; }
  Span<const T> view() const { return {data_, size_}; }

 private:
  void* block_;
  T* data_;
  size_t size_;
};

// The memory of one case, filled at random.
struct Memory {
  Memory(Random* random, size_t input_size, size_t weight_bytes, size_t channels,
         size_t output_size)
      : input(input_size),
        weights(weight_bytes),
        bias(channels),
        factors(channels),
        codebook(16),
        expected(output_size),
        output(output_size) {
    const bool extreme = random->OneIn(4);
    const bool has_lowest = random->OneIn(3);
    const auto code = [&] {
      return static_cast<int8_t>(extreme ? (random->OneIn(2) ? -128 : 127)
                                         : random->Range(-128, 127));
    };
    for (size_t i = 0; i < input_size; ++i) input[i] = code();
    for (size_t i = 0; i < weight_bytes; ++i) weights[i] = static_cast<uint8_t>(random->Next());
    for (size_t i = 0; i < 16; ++i) {
      codebook[i] = code();
      if (codebook[i] == -128 && !has_lowest) codebook[i] = -127;
    }
    const bool shifts_up = random->OneIn(5);
    for (size_t c = 0; c < channels; ++c) {
      bias[c] = random->OneIn(10) ? static_cast<int32_t>(random->Next() * 2u)
                                  : random->Range(-5000, 5000);
      const int32_t magnitude = random->Range(1 << 30, INT32_MAX);
      const int32_t shift = shifts_up ? random->Range(-31, 30) : random->Range(-14, 0);
      factors[c] = {random->OneIn(3) ? -magnitude : magnitude, shift};
      if (random->OneIn(20)) factors[c] = {0, 0};
    }
  }

  edgeax::Tensors Tensors(Exact<uint8_t>* scratch, Exact<int8_t>* to) {
    return {input.view(),    weights.view(),  bias.view(), factors.view(),
            codebook.view(), scratch->span(), to->span()};
  }

  Exact<int8_t> input;
  Exact<uint8_t> weights;
  Exact<int32_t> bias;
  Exact<Requantization> factors;
  Exact<int8_t> codebook;
  Exact<int8_t> expected, output;
};

edgeax::Quantization RandomQuantization(Random* random) {
  const int32_t a = random->Range(-128, 127), b = random->Range(-128, 127);
  const bool clamps = random->OneIn(3);
  const int32_t ends[] = {-128, 127};
  return {random->OneIn(3) ? ends[random->Range(0, 1)] : random->Range(-128, 127),
          random->OneIn(3) ? ends[random->Range(0, 1)] : random->Range(-128, 127),
          clamps ? (a < b ? a : b) : -128, clamps ? (a < b ? b : a) : 127,
          random->OneIn(4) ? Rounding::kDouble : Rounding::kSingle};
}

edgeax::Window RandomWindow(Random* random) {
  return {random->Range(1, 5),
          random->Range(1, 5),
          random->Size(4),
          random->Size(4),
          random->Size(3),
          random->Size(3),
          random->OneIn(2) ? Padding::kSame : Padding::kValid};
}

// Runs one kernel as the reference and as every other set; false when one differs.
template <typename Args, typename KernelOf>
bool AllAgree(const Args& args, Memory* memory, KernelOf kernel_of, int number) {
  const Span<const edgeax::KernelSet> sets = edgeax::KernelSets();
  for (size_t s = 0; s < sets.size; ++s) {
    const edgeax::KernelSet& set = sets.data[s];
    if (!set.is_supported()) continue;
    const edgeax::Kernel<Args>& kernel = kernel_of(set);
    size_t bytes = 0;
    if (kernel.scratch_bytes(args, &bytes) != Status::kOk) {
      printf("%s: case %d has no scratch size\n", set.name, number);
      return false;
    }
    Exact<int8_t>* to = s == 0 ? &memory->expected : &memory->output;
    memset(to->span().data, kUntouched, to->size());
    if (bytes > 0) {
      Exact<uint8_t> short_scratch(bytes - 1);
      const Status status = kernel.run(args, memory->Tensors(&short_scratch, to));
      if (status != Status::kBadScratch || (*to)[0] != kUntouched) {
        printf("%s: case %d took too little scratch\n", set.name, number);
        return false;
      }
    }
    Exact<uint8_t> scratch(bytes);
    if (bytes > 0) memset(scratch.span().data, 0xA5, bytes);
    const Status status = kernel.run(args, memory->Tensors(&scratch, to));
    if (status != Status::kOk) {
      printf("%s: case %d has status %d\n", set.name, number, static_cast<int>(status));
      return false;
    }
    for (size_t i = 0; i < to->size(); ++i) {
      if ((*to)[i] == memory->expected[i]) continue;
      printf("%s: case %d differs at %zu: %d, not %d\n", set.name, number, i, (*to)[i],
             memory->expected[i]);
      return false;
    }
  }
  return true;
}

bool ConvAgrees(Random* random, int number) {
  edgeax::Conv2DArgs args;
  edgeax::Conv2DGeometry geometry;
  do {
    const int32_t groups = random->OneIn(3) ? random->Range(2, 4) : 1;
    args = {{random->Size(3), random->Size(14), random->Size(14), groups * random->Size(40)},
            groups * random->Size(40),
            groups,
            RandomWindow(random),
            RandomQuantization(random)};
  } while (GeometryOf(args, &geometry) != Status::kOk);
  const edgeax::Shape4& in = args.input;
  const int64_t pixels =
      int64_t{in.batch} * geometry.window.height.output * geometry.window.width.output;
  Memory memory(random, size_t(in.batch) * in.height * in.width * in.channels,
                size_t(args.output_channels) * geometry.row_bytes, size_t(args.output_channels),
                size_t(pixels * args.output_channels));
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& { return set.conv2d; };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("conv2d input %d %d %d %d outputs %d groups %d\n", in.batch, in.height, in.width,
         in.channels, args.output_channels, args.groups);
  return false;
}

bool DepthwiseAgrees(Random* random, int number) {
  edgeax::DepthwiseConv2DArgs args;
  edgeax::DepthwiseConv2DGeometry geometry;
  do {
    args = {{random->Size(3), random->Size(14), random->Size(14), random->Size(70)},
            random->OneIn(3) ? random->Range(2, 5) : 1,
            RandomWindow(random),
            RandomQuantization(random)};
  } while (GeometryOf(args, &geometry) != Status::kOk);
  const edgeax::Shape4& in = args.input;
  const int64_t pixels =
      int64_t{in.batch} * geometry.window.height.output * geometry.window.width.output;
  Memory memory(random, size_t(in.batch) * in.height * in.width * in.channels,
                size_t(geometry.taps) * geometry.row_bytes, size_t(geometry.output_channels),
                size_t(pixels * geometry.output_channels));
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.depthwise_conv2d;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("depthwise input %d %d %d %d multiplier %d\n", in.batch, in.height, in.width, in.channels,
         args.depth_multiplier);
  return false;
}

bool FullyConnectedAgrees(Random* random, int number) {
  const int32_t depth = random->OneIn(40) ? 65536 : random->Size(random->OneIn(4) ? 5000 : 300);
  const edgeax::FullyConnectedArgs args = {random->Size(25), depth,
                                           depth > 1000 ? random->Size(8) : random->Size(60),
                                           RandomQuantization(random)};
  Memory memory(random, size_t(args.rows) * depth,
                size_t(args.outputs) * edgeax::PackedBytes4(depth), size_t(args.outputs),
                size_t(args.rows) * args.outputs);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.fully_connected;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("fully connected rows %d depth %d outputs %d\n", args.rows, depth, args.outputs);
  return false;
}

}  // namespace

int main(int argument_count, char** arguments) {
  const int cases = argument_count > 1 ? atoi(arguments[1]) : 300;
  const int seed = argument_count > 2 ? atoi(arguments[2]) : 1;
  for (int i = 0; i < cases; ++i) {
    Random random(static_cast<uint64_t>(seed) * 1000003u + static_cast<uint64_t>(i));
    const bool agree = i % 3 == 0   ? ConvAgrees(&random, i)
                       : i % 3 == 1 ? DepthwiseAgrees(&random, i)
                                    : FullyConnectedAgrees(&random, i);
    if (!agree) return 1;
  }
  const Span<const edgeax::KernelSet> sets = edgeax::KernelSets();
  for (size_t s = 0; s < sets.size; ++s) {
    if (sets.data[s].is_supported()) printf("isa: %s %d cases\n", sets.data[s].name, cases);
  }
  return 0;
}
