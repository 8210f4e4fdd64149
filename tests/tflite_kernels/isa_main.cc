// Runs random cases on every instruction set of this processor against "reference", each tensor in
// an allocation of its own and off its natural alignment where that is allowed, so that a sanitizer
// sees any step outside. Prints "isa: NAME N cases" for each set and ends with 0, or names the
// first case that differs and ends with 1. Usage: isa_main [cases] [seed] [0: without tables that
// are gathered from]

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <type_traits>
#include <vector>

#include "tests/tflite_kernels/computed_codebook.h"
#include "tests/tflite_kernels/memory.h"
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
    const uint32_t first = static_cast<uint32_t>(low);
    return static_cast<int32_t>(first + Next() % (static_cast<uint32_t>(high) - first + 1));
  }
  bool OneIn(int32_t n) { return Range(1, n) == 1; }
  // Mostly small, sometimes up to `high`.
  int32_t Size(int32_t high) { return OneIn(3) ? Range(1, high) : Range(1, high < 5 ? high : 5); }

 private:
  uint64_t state_;
};

// Codes of a tensor: any, or only those at the ends.
class Codes {
 public:
  explicit Codes(Random* random)
      : random_(random),
        extreme_(random->OneIn(4)),
        largest_weight_(random->OneIn(2) ? random->Range(1, 20) : random->Range(127, 128)) {}

  int8_t Next() const {
    return static_cast<int8_t>(extreme_ ? (random_->OneIn(2) ? -128 : 127)
                                        : random_->Range(-128, 127));
  }
  int8_t NextWeight() const {
    const int32_t low = -largest_weight_, high = low == -128 ? 127 : largest_weight_;
    return static_cast<int8_t>(extreme_ ? (random_->OneIn(2) ? low : high)
                                        : random_->Range(low, high));
  }

 private:
  Random* random_;
  bool extreme_;
  int32_t largest_weight_;
};

// The memory of one case beside its weights, filled at random.
struct CommonMemory {
  CommonMemory(Random* random, const Codes& codes, size_t input_size, size_t channels,
               size_t output_size)
      : input(input_size),
        bias(channels),
        factors(channels),
        expected(output_size),
        output(output_size) {
    for (size_t i = 0; i < input_size; ++i) input[i] = codes.Next();
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

  Exact<int8_t> input;
  Exact<int32_t> bias;
  Exact<Requantization> factors;
  Exact<int8_t> expected, output;
};

struct Memory : CommonMemory {
  // `rows` of weights of `row_codes`, of 4, 2 or 1 bits.
  Memory(Random* random, size_t input_size, int32_t rows, int32_t row_codes, size_t channels,
         size_t output_size)
      : Memory(random, Codes(random), 1 << random->Range(0, 2), input_size, rows, row_codes,
               channels, output_size) {}

  Memory(Random* random, const Codes& codes, int32_t bits, size_t input_size, int32_t rows,
         int32_t row_codes, size_t channels, size_t output_size)
      : CommonMemory(random, codes, input_size, channels, output_size),
        weights(size_t(rows) * edgeax::PackedBytes(row_codes, bits)),
        codebook(size_t{1} << bits) {
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<uint8_t>(random->Next());
    for (size_t i = 0; i < codebook.size(); ++i) codebook[i] = codes.NextWeight();
  }

  edgeax::Tensors Tensors(Exact<uint8_t>* scratch, Exact<int8_t>* to) {
    return {input.view(),   weights.view(),  bias.view(),
            factors.view(), codebook.view(), scratch->span(),
            to->span(),     {0, 1},          {sums.data(), sums.size()}};
  }

  // False when a sum is not that of the row's weights.
  bool SumRows(int32_t depth) {
    sums.resize(bias.size());
    edgeax::SumRows(weights.view(), codebook.view(), depth, {sums.data(), sums.size()});
    const int32_t bits = edgeax::CodeBits(codebook.size());
    const uint8_t* row = weights.view().data;
    for (size_t r = 0; r < sums.size(); ++r, row += edgeax::PackedBytes(depth, bits)) {
      int32_t expected_sum = 0;
      for (int32_t i = 0; i < depth; ++i) expected_sum += codebook[edgeax::Unpack(row, i, bits)];
      if (sums[r] != expected_sum) return false;
    }
    return true;
  }

  std::vector<int32_t> sums;
  Exact<uint8_t> weights;
  Exact<int8_t> codebook;
};

edgeax::SparseFormat RandomFormat(Random* random) {
  return {1 << random->Range(0, 4), static_cast<edgeax::Places>(random->Range(0, 2))};
}

// Places of random blocks, in half of all cases the same in each four rows.
std::vector<uint8_t> RandomIndices(Random* random, const edgeax::SparseFormat& format, int32_t rows,
                                   int32_t depth) {
  constexpr int32_t kOneIn[] = {1, 1, 2, 4, 10, 50, 1000000};
  const int32_t one_in = kOneIn[random->Range(0, 6)];
  const bool balanced = random->OneIn(2), shared = random->OneIn(2);
  int32_t left_in_group = 0, row = -1;
  std::vector<bool> pattern(static_cast<size_t>(depth));
  return WriteIndices(format, rows, depth, [&](int32_t block) {
    if (block == 0) ++row;
    if (shared && row % 4 != 0) return bool{pattern[size_t(block)]};
    if (block * format.block % edgeax::kBalancedGroup == 0) left_in_group = 0;
    const bool fits = !balanced || left_in_group + format.block <= edgeax::kBalancedLeft;
    const bool is_left = fits && random->OneIn(one_in);
    if (is_left) left_in_group += format.block;
    pattern[size_t(block)] = is_left;
    return is_left;
  });
}

struct SparseMemory : CommonMemory {
  SparseMemory(Random* random, const edgeax::SparseFormat& format, int32_t depth, size_t input_size,
               size_t channels, size_t output_size)
      : SparseMemory(random, Codes(random), format, depth,
                     RandomIndices(random, format, static_cast<int32_t>(channels), depth),
                     input_size, channels, output_size) {}

  SparseMemory(Random* random, const Codes& codes, const edgeax::SparseFormat& format,
               int32_t depth, const std::vector<uint8_t>& places, size_t input_size,
               size_t channels, size_t output_size)
      : CommonMemory(random, codes, input_size, channels, output_size),
        values(CountValues(format, static_cast<int32_t>(channels), depth,
                           {places.data(), places.size()})),
        indices(places.size()),
        starts(channels + 1) {
    memcpy(indices.span().data, places.data(), places.size());
    // Those beyond the end of a row too, which nothing may look at.
    for (size_t i = 0; i < values.size(); ++i) values[i] = codes.NextWeight();
    scanned = edgeax::ScanSparse(format, static_cast<int32_t>(channels), depth, values.view(),
                                 indices.view(), starts.span());
  }

  edgeax::SparseTensors Tensors(Exact<uint8_t>* scratch, Exact<int8_t>* to) {
    return {input.view(),    {values.view(), indices.view(), starts.view()},
            bias.view(),     factors.view(),
            scratch->span(), to->span(),
            {0, 1},          {{balanced.data(), balanced.size()}, {sums.data(), sums.size()}}};
  }

  void Balance(const edgeax::SparseFullyConnectedArgs& args) {
    const int32_t rows = args.fully_connected.outputs, depth = args.fully_connected.depth;
    balanced.resize(edgeax::BalancedSize(rows, depth));
    sums.resize(static_cast<size_t>(rows));
    if (!edgeax::WriteBalanced(args.format, rows, depth,
                               {values.view(), indices.view(), starts.view()},
                               {balanced.data(), balanced.size()}, {sums.data(), sums.size()})) {
      balanced.clear();
    }
  }

  std::vector<uint8_t> balanced;
  std::vector<int32_t> sums;
  Exact<int8_t> values;
  Exact<uint8_t> indices;
  Exact<edgeax::SparseStart> starts;
  Status scanned;
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

// The bits of a float, all NaN being one.
uint32_t Shown(float value) { return edgeax::BitsOf(value); }
int32_t Shown(int8_t code) { return code; }
int32_t Shown(int16_t code) { return code; }

template <typename T>
bool IsExpected(Span<const T> output, Span<const T> expected, const char* set, int number) {
  for (size_t i = 0; i < output.size; ++i) {
    if (Shown(output.data[i]) == Shown(expected.data[i])) continue;
    printf("%s: case %d differs at %zu: %lld, not %lld\n", set, number, i,
           static_cast<long long>(Shown(output.data[i])),
           static_cast<long long>(Shown(expected.data[i])));
    return false;
  }
  return true;
}

// Runs one kernel as the reference and as every other set, whole and in parts; false when one
// differs.
template <typename Args, typename MemoryOfArgs, typename KernelOf>
bool AllAgree(const Args& args, MemoryOfArgs* memory, KernelOf kernel_of, int number) {
  const Span<const edgeax::KernelSet> sets = edgeax::KernelSets();
  for (size_t s = 0; s < sets.size; ++s) {
    const edgeax::KernelSet& set = sets.data[s];
    if (!set.is_supported()) continue;
    const auto& kernel = kernel_of(set);
    size_t bytes = 0;
    if (kernel.scratch_bytes(args, &bytes) != Status::kOk) {
      printf("%s: case %d has no scratch size\n", set.name, number);
      return false;
    }
    auto* to = s == 0 ? &memory->expected : &memory->output;
    const auto untouched = static_cast<std::decay_t<decltype((*to)[0])>>(kUntouched);
    const auto clear = [&] {
      for (size_t i = 0; i < to->size(); ++i) (*to)[i] = untouched;
    };
    clear();
    if (bytes > 0) {
      Exact<uint8_t> short_scratch(bytes - 1);
      const Status status = kernel.run(args, memory->Tensors(&short_scratch, to));
      if (status != Status::kBadScratch || Shown((*to)[0]) != Shown(untouched)) {
        printf("%s: case %d took too little scratch\n", set.name, number);
        return false;
      }
    }
    // Every other case has bytes behind the scratch that must stay; for a sanitizer the others end.
    constexpr uint8_t kFilled = 0xA5;
    const size_t guard = number % 2 == 0 ? 0 : 256;
    Exact<uint8_t> scratch(bytes + guard);
    if (scratch.size() > 0) memset(scratch.span().data, kFilled, scratch.size());
    auto tensors = memory->Tensors(&scratch, to);
    tensors.scratch.size = bytes;
    const Status status = kernel.run(args, tensors);
    for (size_t i = 0; i < guard; ++i) {
      if (scratch[bytes + i] == kFilled) continue;
      printf("%s: case %d writes %zu beyond its scratch\n", set.name, number, i);
      return false;
    }
    if (status != Status::kOk) {
      printf("%s: case %d has status %d\n", set.name, number, static_cast<int>(status));
      return false;
    }
    if (!IsExpected(to->view(), memory->expected.view(), set.name, number)) return false;
    if (!kernel.splits) continue;
    clear();
    const int32_t shares = 2 + number % 4;
    for (int32_t i = shares - 1; i >= 0; --i) {
      tensors.share = {i, shares};
      if (kernel.run(args, tensors) == Status::kOk) continue;
      printf("%s: case %d fails in %d parts\n", set.name, number, shares);
      return false;
    }
    if (!IsExpected(to->view(), memory->expected.view(), set.name, number)) return false;
  }
  return true;
}

edgeax::Conv2DArgs RandomConv2D(Random* random, edgeax::Conv2DGeometry* geometry) {
  edgeax::Conv2DArgs args;
  do {
    const int32_t groups = random->OneIn(3) ? random->Range(2, 4) : 1;
    args = {{random->Size(3), random->Size(14), random->Size(14), groups * random->Size(40)},
            groups * random->Size(40),
            groups,
            RandomWindow(random),
            RandomQuantization(random)};
  } while (GeometryOf(args, geometry) != Status::kOk);
  return args;
}

bool ConvAgrees(Random* random, int number) {
  edgeax::Conv2DGeometry geometry;
  const edgeax::Conv2DArgs args = RandomConv2D(random, &geometry);
  const edgeax::Shape4& in = args.input;
  const int64_t pixels =
      int64_t{in.batch} * geometry.window.height.output * geometry.window.width.output;
  Memory memory(random, size_t(in.batch) * in.height * in.width * in.channels, args.output_channels,
                geometry.depth, size_t(args.output_channels),
                size_t(pixels * args.output_channels));
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& { return set.conv2d; };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("conv2d input %d %d %d %d outputs %d groups %d\n", in.batch, in.height, in.width,
         in.channels, args.output_channels, args.groups);
  return false;
}

edgeax::DepthwiseConv2DArgs RandomDepthwise(Random* random,
                                            edgeax::DepthwiseConv2DGeometry* geometry) {
  edgeax::DepthwiseConv2DArgs args;
  do {
    args = {{random->Size(3), random->Size(14), random->Size(14), random->Size(70)},
            random->OneIn(3) ? random->Range(2, 5) : 1,
            RandomWindow(random),
            RandomQuantization(random)};
  } while (GeometryOf(args, geometry) != Status::kOk);
  return args;
}

bool DepthwiseAgrees(Random* random, int number) {
  edgeax::DepthwiseConv2DGeometry geometry;
  const edgeax::DepthwiseConv2DArgs args = RandomDepthwise(random, &geometry);
  const edgeax::Shape4& in = args.input;
  const int64_t pixels =
      int64_t{in.batch} * geometry.window.height.output * geometry.window.width.output;
  Memory memory(random, size_t(in.batch) * in.height * in.width * in.channels, geometry.taps,
                geometry.output_channels, size_t(geometry.output_channels),
                size_t(pixels * geometry.output_channels));
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.depthwise_conv2d;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("depthwise input %d %d %d %d multiplier %d\n", in.batch, in.height, in.width, in.channels,
         args.depth_multiplier);
  return false;
}

edgeax::FullyConnectedArgs RandomFullyConnected(Random* random) {
  int32_t depth = random->OneIn(40) ? 65536 : random->Size(random->OneIn(4) ? 5000 : 300);
  if (random->OneIn(3)) depth = (depth + 127) / 128 * 128;  // whole steps of any kernel
  return {random->Size(25), depth, depth > 1000 ? random->Size(8) : random->Size(60),
          RandomQuantization(random)};
}

bool FullyConnectedAgrees(Random* random, int number) {
  const edgeax::FullyConnectedArgs args = RandomFullyConnected(random);
  const int32_t depth = args.depth;
  Memory memory(random, size_t(args.rows) * depth, args.outputs, depth, size_t(args.outputs),
                size_t(args.rows) * args.outputs);
  if (random->OneIn(2) && !memory.SumRows(depth)) {
    printf("a sum of weights is wrong, depth %d\n", depth);
    return false;
  }
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.fully_connected;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("fully connected rows %d depth %d outputs %d\n", args.rows, depth, args.outputs);
  return false;
}

edgeax::GroupedFormat RandomGroupedFormat(Random* random) {
  return {2 << random->Range(0, 1),
          random->OneIn(4) ? random->Range(edgeax::kMinGroupBits, edgeax::kMaxGroupBits)
                           : random->Range(edgeax::kMinGroupBits, 7)};
}

// Any bytes are rows: a number of a codebook that there is not stands for one that there is.
struct GroupedMemory : CommonMemory {
  GroupedMemory(Random* random, const edgeax::GroupedFormat& format, int32_t depth,
                size_t input_size, size_t channels, size_t output_size)
      : GroupedMemory(random, Codes(random), format, depth, input_size, channels, output_size) {}

  GroupedMemory(Random* random, const Codes& codes, const edgeax::GroupedFormat& format,
                int32_t depth, size_t input_size, size_t channels, size_t output_size)
      : CommonMemory(random, codes, input_size, channels, output_size),
        weights(channels * edgeax::GroupedRowBytes(format, depth)),
        codebooks(size_t{1} << (format.bits + random->Range(0, 8))) {
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<uint8_t>(random->Next());
    for (size_t i = 0; i < codebooks.size(); ++i) codebooks[i] = codes.NextWeight();
  }

  edgeax::Tensors Tensors(Exact<uint8_t>* scratch, Exact<int8_t>* to) {
    return {input.view(),     weights.view(),  bias.view(), factors.view(),
            codebooks.view(), scratch->span(), to->span()};
  }

  Exact<uint8_t> weights;
  Exact<int8_t> codebooks;
};

bool GroupedConvAgrees(Random* random, int number) {
  edgeax::Conv2DGeometry geometry;
  const edgeax::Conv2DArgs conv2d = RandomConv2D(random, &geometry);
  const edgeax::GroupedConv2DArgs args = {conv2d, RandomGroupedFormat(random)};
  const edgeax::Shape4& in = conv2d.input;
  const int64_t pixels =
      int64_t{in.batch} * geometry.window.height.output * geometry.window.width.output;
  GroupedMemory memory(random, args.format, geometry.depth,
                       size_t(in.batch) * in.height * in.width * in.channels,
                       size_t(conv2d.output_channels), size_t(pixels * conv2d.output_channels));
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.grouped_conv2d;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("grouped conv2d input %d %d %d %d outputs %d bits %d group bits %d\n", in.batch, in.height,
         in.width, in.channels, conv2d.output_channels, args.format.bits, args.format.group_bits);
  return false;
}

bool GroupedFullyConnectedAgrees(Random* random, int number) {
  const edgeax::FullyConnectedArgs sizes = RandomFullyConnected(random);
  const edgeax::GroupedFullyConnectedArgs args = {sizes, RandomGroupedFormat(random)};
  GroupedMemory memory(random, args.format, sizes.depth, size_t(sizes.rows) * sizes.depth,
                       size_t(sizes.outputs), size_t(sizes.rows) * sizes.outputs);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.grouped_fully_connected;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("grouped fully connected rows %d depth %d outputs %d bits %d group bits %d\n", sizes.rows,
         sizes.depth, sizes.outputs, args.format.bits, args.format.group_bits);
  return false;
}

// The same rows, and any points.
struct LookupMemory : GroupedMemory {
  LookupMemory(Random* random, int32_t bits, int32_t depth, size_t input_size, size_t channels,
               size_t output_size)
      : GroupedMemory(random, edgeax::LookupFormat(bits), depth, input_size, channels, output_size),
        points(edgeax::kLookupPoints) {
    const Codes codes(random);
    for (size_t i = 0; i < points.size(); ++i) points[i] = codes.Next();
  }

  edgeax::LookupTensors Tensors(Exact<uint8_t>* scratch, Exact<int8_t>* to) {
    return {input.view(),     weights.view(), bias.view(),     factors.view(),
            codebooks.view(), points.view(),  scratch->span(), to->span()};
  }

  Exact<int8_t> points;
};

bool LookupConvAgrees(Random* random, int number) {
  edgeax::Conv2DGeometry geometry;
  const edgeax::Conv2DArgs conv2d = RandomConv2D(random, &geometry);
  const edgeax::LookupConv2DArgs args = {conv2d, 2 << random->Range(0, 1)};
  const edgeax::Shape4& in = conv2d.input;
  const int64_t pixels =
      int64_t{in.batch} * geometry.window.height.output * geometry.window.width.output;
  LookupMemory memory(random, args.bits, geometry.depth,
                      size_t(in.batch) * in.height * in.width * in.channels,
                      size_t(conv2d.output_channels), size_t(pixels * conv2d.output_channels));
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.lookup_conv2d;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("lookup conv2d input %d %d %d %d outputs %d bits %d\n", in.batch, in.height, in.width,
         in.channels, conv2d.output_channels, args.bits);
  return false;
}

bool LookupFullyConnectedAgrees(Random* random, int number) {
  const edgeax::FullyConnectedArgs sizes = RandomFullyConnected(random);
  const edgeax::LookupFullyConnectedArgs args = {sizes, 2 << random->Range(0, 1)};
  LookupMemory memory(random, args.bits, sizes.depth, size_t(sizes.rows) * sizes.depth,
                      size_t(sizes.outputs), size_t(sizes.rows) * sizes.outputs);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.lookup_fully_connected;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("lookup fully connected rows %d depth %d outputs %d bits %d\n", sizes.rows, sizes.depth,
         sizes.outputs, args.bits);
  return false;
}

template <typename Args, typename KernelOf>
bool SparseAgrees(const Args& args, SparseMemory* memory, KernelOf kernel_of, int number) {
  if (memory->scanned == Status::kOk && AllAgree(args, memory, kernel_of, number)) return true;
  printf("block %d places %d values %zu scanned %d\n", args.format.block,
         static_cast<int>(args.format.places), memory->values.size(),
         static_cast<int>(memory->scanned));
  return false;
}

// A convolution of stride 1 with blocks that are whole groups of 4 inputs.
edgeax::SparseConv2DArgs RandomGroupedConv2D(Random* random, edgeax::Conv2DGeometry* geometry) {
  edgeax::SparseConv2DArgs args;
  do {
    args.conv2d = RandomConv2D(random, geometry);
    args.conv2d.input.channels *= 4;
    args.conv2d.window.stride_height = args.conv2d.window.stride_width = 1;
  } while (GeometryOf(args.conv2d, geometry) != Status::kOk);
  args.format = {4 << random->Range(0, 2), RandomFormat(random).places};
  return args;
}

bool SparseConvAgrees(Random* random, int number) {
  edgeax::Conv2DGeometry geometry;
  edgeax::SparseConv2DArgs args;
  if (random->OneIn(2)) {
    args = RandomGroupedConv2D(random, &geometry);
  } else {
    args = {RandomConv2D(random, &geometry), RandomFormat(random)};
  }
  const edgeax::Conv2DArgs& conv2d = args.conv2d;
  const edgeax::Shape4& in = conv2d.input;
  const int64_t pixels =
      int64_t{in.batch} * geometry.window.height.output * geometry.window.width.output;
  SparseMemory memory(random, args.format, geometry.depth,
                      size_t(in.batch) * in.height * in.width * in.channels,
                      size_t(conv2d.output_channels), size_t(pixels * conv2d.output_channels));
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.sparse_conv2d;
  };
  if (SparseAgrees(args, &memory, kernel_of, number)) return true;
  printf("sparse conv2d input %d %d %d %d outputs %d groups %d\n", in.batch, in.height, in.width,
         in.channels, conv2d.output_channels, conv2d.groups);
  return false;
}

bool SparseFullyConnectedAgrees(Random* random, int number) {
  const edgeax::FullyConnectedArgs sizes = RandomFullyConnected(random);
  const edgeax::SparseFullyConnectedArgs args = {sizes, RandomFormat(random)};
  SparseMemory memory(random, args.format, sizes.depth, size_t(sizes.rows) * sizes.depth,
                      size_t(sizes.outputs), size_t(sizes.rows) * sizes.outputs);
  if (memory.scanned == Status::kOk && random->OneIn(2)) memory.Balance(args);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.sparse_fully_connected;
  };
  if (SparseAgrees(args, &memory, kernel_of, number)) return true;
  printf("sparse fully connected rows %d depth %d outputs %d\n", sizes.rows, sizes.depth,
         sizes.outputs);
  return false;
}

struct BinaryMemory : CommonMemory {
  BinaryMemory(Random* random, int32_t depth, size_t input_size, size_t weight_bytes,
               size_t channels, size_t output_size)
      : CommonMemory(random, Codes(random), input_size, channels, output_size),
        weights(weight_bytes) {
    for (size_t i = 0; i < weight_bytes; ++i) weights[i] = static_cast<uint8_t>(random->Next());
    for (size_t c = 0; c < channels; ++c) {
      const int32_t most = random->OneIn(10) ? edgeax::kMaxBinaryBias : 4096 * depth;
      bias[c] = random->Range(-most, most);
      if (random->OneIn(3)) bias[c] &= -4096;  // a sum may meet it
    }
  }

  edgeax::BinaryTensors Tensors(Exact<uint8_t>* scratch, Exact<int8_t>* to) {
    return {input.view(), weights.view(), bias.view(), factors.view(), scratch->span(), to->span()};
  }

  Exact<uint8_t> weights;
};

edgeax::BinaryForm RandomForm(Random* random) { return {random->Range(0, 1), random->Range(0, 1)}; }

bool BinaryConvAgrees(Random* random, int number) {
  edgeax::Conv2DGeometry geometry;
  edgeax::BinaryConv2DArgs args = {RandomConv2D(random, &geometry), RandomForm(random),
                                   random->Range(0, 1)};
  if (random->OneIn(3)) {  // whole registers of channels
    args.conv2d.input.channels = 64 * args.conv2d.groups * random->Range(1, 3);
    if (GeometryOf(args.conv2d, &geometry) != Status::kOk) return true;
  }
  edgeax::BinaryConv2DGeometry binary;
  if (GeometryOf(args, &binary) != Status::kOk) return false;
  const edgeax::Shape4& in = args.conv2d.input;
  const int32_t outputs = args.conv2d.output_channels;
  const size_t pixels =
      size_t(in.batch) * geometry.window.height.output * geometry.window.width.output;
  BinaryMemory memory(random, geometry.depth,
                      size_t(in.batch) * in.height * in.width *
                          edgeax::BinaryBytes(args.form.input_packed, in.channels),
                      size_t(outputs) * binary.row_bytes, size_t(outputs),
                      pixels * edgeax::BinaryBytes(args.form.output_packed, outputs));
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.binary_conv2d;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("binary conv2d input %d %d %d %d outputs %d groups %d packed %d %d pad %d\n", in.batch,
         in.height, in.width, in.channels, outputs, args.conv2d.groups, args.form.input_packed,
         args.form.output_packed, args.pad_value);
  return false;
}

bool BinaryFullyConnectedAgrees(Random* random, int number) {
  const edgeax::FullyConnectedArgs sizes = RandomFullyConnected(random);
  const edgeax::BinaryFullyConnectedArgs args = {sizes, RandomForm(random)};
  BinaryMemory memory(
      random, sizes.depth,
      size_t(sizes.rows) * edgeax::BinaryBytes(args.form.input_packed, sizes.depth),
      size_t(sizes.outputs) * edgeax::PackedBytes(sizes.depth, 1), size_t(sizes.outputs),
      size_t(sizes.rows) * edgeax::BinaryBytes(args.form.output_packed, sizes.outputs));
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.binary_fully_connected;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("binary fully connected rows %d depth %d outputs %d packed %d %d\n", sizes.rows,
         sizes.depth, sizes.outputs, args.form.input_packed, args.form.output_packed);
  return false;
}

// The memory of one case of int16 activations, filled at random.
struct Int16Memory : Memory {
  Int16Memory(Random* random, size_t input_size, int32_t rows, int32_t row_codes, size_t channels,
              size_t output_size)
      : Memory(random, 0, rows, row_codes, channels, 0),
        input(input_size),
        expected(output_size),
        output(output_size) {
    const bool extreme = random->OneIn(3);
    const int32_t ends[] = {INT16_MIN, INT16_MAX};
    for (size_t i = 0; i < input_size; ++i) {
      input[i] = static_cast<int16_t>(extreme ? ends[random->Range(0, random->Range(0, 1))]
                                              : random->Range(INT16_MIN, INT16_MAX));
    }
    // Products of one sign, of which no int32 sum holds many.
    for (size_t i = 0; extreme && i < codebook.size(); ++i) codebook[i] = INT8_MIN;
  }

  edgeax::Int16Tensors Tensors(Exact<uint8_t>* scratch, Exact<int16_t>* to) {
    return {input.view(),    weights.view(),  bias.view(), factors.view(),
            codebook.view(), scratch->span(), to->span()};
  }

  Exact<int16_t> input, expected, output;
};

struct Int16SparseMemory : SparseMemory {
  Int16SparseMemory(Random* random, const edgeax::SparseFormat& format, int32_t depth,
                    size_t input_size, size_t channels, size_t output_size)
      : SparseMemory(random, format, depth, 0, channels, 0),
        input(input_size),
        expected(output_size),
        output(output_size) {
    const bool extreme = random->OneIn(3);
    for (size_t i = 0; i < input_size; ++i) {
      input[i] = static_cast<int16_t>(random->Range(INT16_MIN, extreme ? 0 : INT16_MAX));
    }
    for (size_t i = 0; extreme && i < values.size(); ++i) values[i] = INT8_MIN;
  }

  edgeax::Int16SparseTensors Tensors(Exact<uint8_t>* scratch, Exact<int16_t>* to) {
    return {input.view(),    {values.view(), indices.view(), starts.view()},
            bias.view(),     factors.view(),
            scratch->span(), to->span()};
  }

  Exact<int16_t> input, expected, output;
};

// The same arguments for int16 activations.
template <typename Args>
edgeax::Int16Args<Args> ForInt16(Random* random, Args args) {
  edgeax::Quantization* q = &args.quantization;
  q->input_zero_point = q->output_zero_point = 0;
  q->output_min = random->OneIn(3) ? random->Range(INT16_MIN, 0) : INT16_MIN;
  q->output_max = random->OneIn(3) ? random->Range(0, INT16_MAX) : INT16_MAX;
  return {args};
}

bool Int16ConvAgrees(Random* random, int number) {
  edgeax::Conv2DGeometry geometry;
  const auto args = ForInt16(random, RandomConv2D(random, &geometry));
  const edgeax::Shape4& in = args.args.input;
  const size_t outputs = size_t(args.args.output_channels);
  const size_t pixels =
      size_t(in.batch) * geometry.window.height.output * geometry.window.width.output;
  Int16Memory memory(random, size_t(in.batch) * in.height * in.width * in.channels,
                     args.args.output_channels, geometry.depth, outputs, pixels * outputs);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.int16_conv2d;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("int16 conv2d input %d %d %d %d outputs %d groups %d\n", in.batch, in.height, in.width,
         in.channels, args.args.output_channels, args.args.groups);
  return false;
}

bool Int16DepthwiseAgrees(Random* random, int number) {
  edgeax::DepthwiseConv2DGeometry geometry;
  const auto args = ForInt16(random, RandomDepthwise(random, &geometry));
  const edgeax::Shape4& in = args.args.input;
  const size_t outputs = size_t(geometry.output_channels);
  const size_t pixels =
      size_t(in.batch) * geometry.window.height.output * geometry.window.width.output;
  Int16Memory memory(random, size_t(in.batch) * in.height * in.width * in.channels, geometry.taps,
                     geometry.output_channels, outputs, pixels * outputs);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.int16_depthwise_conv2d;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("int16 depthwise input %d %d %d %d multiplier %d\n", in.batch, in.height, in.width,
         in.channels, args.args.depth_multiplier);
  return false;
}

bool Int16FullyConnectedAgrees(Random* random, int number) {
  const auto args = ForInt16(random, RandomFullyConnected(random));
  const edgeax::FullyConnectedArgs& sizes = args.args;
  Int16Memory memory(random, size_t(sizes.rows) * sizes.depth, sizes.outputs, sizes.depth,
                     size_t(sizes.outputs), size_t(sizes.rows) * sizes.outputs);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.int16_fully_connected;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("int16 fully connected rows %d depth %d outputs %d\n", sizes.rows, sizes.depth,
         sizes.outputs);
  return false;
}

bool Int16SparseConvAgrees(Random* random, int number) {
  edgeax::Conv2DGeometry geometry;
  const edgeax::Conv2DArgs conv2d = ForInt16(random, RandomConv2D(random, &geometry)).args;
  const edgeax::Int16Args<edgeax::SparseConv2DArgs> args = {{conv2d, RandomFormat(random)}};
  const edgeax::Shape4& in = conv2d.input;
  const size_t outputs = size_t(conv2d.output_channels);
  const size_t pixels =
      size_t(in.batch) * geometry.window.height.output * geometry.window.width.output;
  Int16SparseMemory memory(random, args.args.format, geometry.depth,
                           size_t(in.batch) * in.height * in.width * in.channels, outputs,
                           pixels * outputs);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.int16_sparse_conv2d;
  };
  if (memory.scanned == Status::kOk && AllAgree(args, &memory, kernel_of, number)) return true;
  printf("int16 sparse conv2d input %d %d %d %d outputs %d groups %d block %d\n", in.batch,
         in.height, in.width, in.channels, conv2d.output_channels, conv2d.groups,
         args.args.format.block);
  return false;
}

bool Int16SparseFullyConnectedAgrees(Random* random, int number) {
  const edgeax::FullyConnectedArgs sizes = ForInt16(random, RandomFullyConnected(random)).args;
  const edgeax::Int16Args<edgeax::SparseFullyConnectedArgs> args = {{sizes, RandomFormat(random)}};
  Int16SparseMemory memory(random, args.args.format, sizes.depth, size_t(sizes.rows) * sizes.depth,
                           size_t(sizes.outputs), size_t(sizes.rows) * sizes.outputs);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.int16_sparse_fully_connected;
  };
  if (memory.scanned == Status::kOk && AllAgree(args, &memory, kernel_of, number)) return true;
  printf("int16 sparse fully connected rows %d depth %d outputs %d block %d\n", sizes.rows,
         sizes.depth, sizes.outputs, args.args.format.block);
  return false;
}

bool gathers = true;  // whether tables are drawn that AVX2 gathers from

// The memory of a product of floats, filled at random.
struct FloatMemory {
  FloatMemory(Random* random, const edgeax::FloatFullyConnectedArgs& args)
      : input(size_t(args.rows) * args.depth),
        weights(size_t(args.outputs) * edgeax::PackedBytes(args.depth, args.bits)),
        bias(size_t(args.outputs)),
        scale(size_t(args.outputs) * GroupsOf(args)),
        codebook(size_t{1} << args.bits),
        expected(size_t(args.rows) * args.outputs),
        output(expected.size()) {
    for (Exact<float>* numbers : {&input, &bias, &scale, &codebook}) {
      for (size_t i = 0; i < numbers->size(); ++i) {
        (*numbers)[i] = static_cast<float>(random->Range(-9999, 9999)) / 3333.0f;
      }
    }
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<uint8_t>(random->Next());
    // Of a table of 256: any, integers, short floats.
    const int32_t kind = random->Range(gathers ? -3 : 0, 5);
    const edgeax::ShortFloats floats = {kind, kind == 5 || random->OneIn(2)};
    if (kind >= 0 && args.bits == 8) WriteComputed(floats, &codebook);
  }

  edgeax::FloatTensors Tensors(Exact<uint8_t>* scratch, Exact<float>* to) {
    return {input.view(),    weights.view(),  bias.view(), scale.view(),
            codebook.view(), scratch->span(), to->span()};
  }

  Exact<float> input;
  Exact<uint8_t> weights;
  Exact<float> bias, scale, codebook;
  Exact<float> expected, output;
};

bool FloatFullyConnectedAgrees(Random* random, int number) {
  const edgeax::FullyConnectedArgs sizes = RandomFullyConnected(random);
  const edgeax::FloatFullyConnectedArgs args = {
      sizes.rows,
      sizes.depth,
      sizes.outputs,
      1 << random->Range(0, 3),
      random->OneIn(2) ? 0 : 8 * random->Range(1, 17),
      static_cast<edgeax::Activation>(random->Range(0, 3))};
  FloatMemory memory(random, args);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.float_fully_connected;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("float fully connected rows %d depth %d outputs %d bits %d group %d\n", args.rows,
         args.depth, args.outputs, args.bits, args.group);
  return false;
}

struct SignSumMemory : CommonMemory {
  SignSumMemory(Random* random, const edgeax::SignSumArgs& args,
                const edgeax::BinaryConv2DGeometry& geometry, size_t input_size, size_t output_size)
      : CommonMemory(random, Codes(random), input_size, size_t(args.conv2d.output_channels),
                     output_size),
        weights(bias.size() * args.bases * geometry.row_bytes),
        gains(bias.size() * args.bases * args.planes),
        thresholds(size_t(args.planes) * args.thresholds) {
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<uint8_t>(random->Next());
    for (size_t i = 0; i < thresholds.size(); ++i) thresholds[i] = random->Range(-130, 130);
    const int32_t parts = args.bases * args.planes;
    int32_t most = static_cast<int32_t>(edgeax::kMaxSignSum / geometry.conv2d.depth / parts);
    if (!random->OneIn(4) && most > 5000) most = 5000;
    for (size_t i = 0; i < gains.size(); ++i) gains[i] = random->Range(-most, most);
    for (size_t c = 0; c < bias.size(); ++c) bias[c] /= 2;
  }

  edgeax::SignSumTensors Tensors(Exact<uint8_t>* scratch, Exact<int8_t>* to) {
    return {input.view(), weights.view(),    bias.view(),     factors.view(),
            gains.view(), thresholds.view(), scratch->span(), to->span()};
  }

  Exact<uint8_t> weights;
  Exact<int32_t> gains, thresholds;
};

bool SignSumAgrees(Random* random, int number) {
  edgeax::SignSumArgs args;
  const int32_t planes = random->Size(8), bases = random->Size(4), thresholds = random->Range(1, 4);
  if (random->OneIn(2)) {
    args = SignSumProductArgs(RandomFullyConnected(random), planes, bases, thresholds);
  } else {
    edgeax::Conv2DGeometry geometry;
    args = {RandomConv2D(random, &geometry), planes, bases, thresholds, random->Range(0, 1)};
  }
  edgeax::BinaryConv2DGeometry geometry;
  if (GeometryOf(args, &geometry) != Status::kOk) return false;
  const edgeax::Shape4& in = args.conv2d.input;
  const edgeax::WindowGeometry& window = geometry.conv2d.window;
  SignSumMemory memory(
      random, args, geometry, size_t(in.batch) * in.height * in.width * in.channels,
      size_t(in.batch) * window.height.output * window.width.output * args.conv2d.output_channels);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& { return set.sign_sum; };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("sign sum input %d %d %d %d outputs %d groups %d planes %d bases %d pad %d\n", in.batch,
         in.height, in.width, in.channels, args.conv2d.output_channels, args.conv2d.groups, planes,
         bases, args.pad_value);
  return false;
}

// Indices that fit the tables, and codewords.
struct VectorMemory : CommonMemory {
  VectorMemory(Random* random, const edgeax::VectorFormat& format, int32_t depth, size_t input_size,
               size_t channels, size_t output_size)
      : VectorMemory(random, Codes(random), format, depth, input_size, channels, output_size) {}

  VectorMemory(Random* random, const Codes& codes, const edgeax::VectorFormat& format,
               int32_t depth, size_t input_size, size_t channels, size_t output_size)
      : CommonMemory(random, codes, input_size, channels, output_size),
        weights(size_t(VectorPlaces(format, depth)) *
                edgeax::PackedBytes(static_cast<int32_t>(channels), IndexBits(format))),
        codebook(size_t(format.tables) * format.length * format.entries),
        indices_fit(random->OneIn(2)) {
    const int32_t entries = format.entries;
    for (size_t i = 0; i < weights.size(); ++i) {
      const int32_t low = random->Range(0, entries - 1), high = random->Range(0, entries - 1);
      weights[i] = static_cast<uint8_t>(IndexBits(format) == 4 ? low | high << 4 : low);
    }
    for (size_t i = 0; i < codebook.size(); ++i) codebook[i] = codes.NextWeight();
  }

  edgeax::VectorTensors Tensors(Exact<uint8_t>* scratch, Exact<int8_t>* to) {
    return {input.view(),    weights.view(), bias.view(), factors.view(), codebook.view(),
            scratch->span(), to->span(),     {0, 1},      indices_fit};
  }

  Exact<uint8_t> weights;
  Exact<int8_t> codebook;
  bool indices_fit;
};

// A divisor of a number.
int32_t RandomDivisor(Random* random, int32_t number, int32_t most) {
  int32_t divisor = random->Range(1, most);
  while (number % divisor != 0) --divisor;
  return divisor;
}

edgeax::VectorFormat RandomVectorFormat(Random* random, int32_t depth) {
  const int32_t length = RandomDivisor(random, depth, random->OneIn(10) ? 300 : 20);
  const int32_t places = depth / length;
  const int32_t tables = random->OneIn(2) ? 1 : RandomDivisor(random, places, places);
  const int32_t entries[] = {2, 16, random->Range(3, 15), random->Range(17, 255), 256};
  return {tables, entries[random->Range(0, 4)], length};
}

bool VectorConvAgrees(Random* random, int number) {
  edgeax::Conv2DGeometry geometry;
  edgeax::Conv2DArgs conv2d = RandomConv2D(random, &geometry);
  if (random->OneIn(3)) {  // whole blocks of indices, and a rest
    conv2d.output_channels = conv2d.groups * (128 * random->Range(1, 2) + random->Range(0, 1));
    if (GeometryOf(conv2d, &geometry) != Status::kOk) return false;
  }
  const edgeax::VectorConv2DArgs args = {conv2d, RandomVectorFormat(random, geometry.depth)};
  const edgeax::Shape4& in = conv2d.input;
  const int64_t pixels =
      int64_t{in.batch} * geometry.window.height.output * geometry.window.width.output;
  VectorMemory memory(random, args.format, geometry.depth,
                      size_t(in.batch) * in.height * in.width * in.channels,
                      size_t(conv2d.output_channels), size_t(pixels * conv2d.output_channels));
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.vector_conv2d;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("vector conv2d input %d %d %d %d outputs %d groups %d tables %d entries %d length %d\n",
         in.batch, in.height, in.width, in.channels, conv2d.output_channels, conv2d.groups,
         args.format.tables, args.format.entries, args.format.length);
  return false;
}

bool VectorFullyConnectedAgrees(Random* random, int number) {
  edgeax::FullyConnectedArgs sizes = RandomFullyConnected(random);
  if (random->OneIn(3)) sizes.outputs = random->Range(1, 300);
  const edgeax::VectorFullyConnectedArgs args = {sizes, RandomVectorFormat(random, sizes.depth)};
  VectorMemory memory(random, args.format, sizes.depth, size_t(sizes.rows) * sizes.depth,
                      size_t(sizes.outputs), size_t(sizes.rows) * sizes.outputs);
  const auto kernel_of = [](const edgeax::KernelSet& set) -> const auto& {
    return set.vector_fully_connected;
  };
  if (AllAgree(args, &memory, kernel_of, number)) return true;
  printf("vector fully connected rows %d depth %d outputs %d tables %d entries %d length %d\n",
         sizes.rows, sizes.depth, sizes.outputs, args.format.tables, args.format.entries,
         args.format.length);
  return false;
}

// One operator after the other.
constexpr bool (*kAgree[])(Random* random, int number) = {ConvAgrees,
                                                          DepthwiseAgrees,
                                                          FullyConnectedAgrees,
                                                          SparseConvAgrees,
                                                          SparseFullyConnectedAgrees,
                                                          BinaryConvAgrees,
                                                          BinaryFullyConnectedAgrees,
                                                          FloatFullyConnectedAgrees,
                                                          SignSumAgrees,
                                                          Int16ConvAgrees,
                                                          Int16DepthwiseAgrees,
                                                          Int16FullyConnectedAgrees,
                                                          Int16SparseConvAgrees,
                                                          Int16SparseFullyConnectedAgrees,
                                                          VectorConvAgrees,
                                                          VectorFullyConnectedAgrees,
                                                          GroupedConvAgrees,
                                                          GroupedFullyConnectedAgrees,
                                                          LookupConvAgrees,
                                                          LookupFullyConnectedAgrees};
constexpr int kOperators = sizeof(kAgree) / sizeof(kAgree[0]);

}  // namespace

int main(int argument_count, char** arguments) {
  const int cases = argument_count > 1 ? atoi(arguments[1]) : 300;
  const int seed = argument_count > 2 ? atoi(arguments[2]) : 1;
  if (argument_count > 3) gathers = atoi(arguments[3]) != 0;
  for (int i = 0; i < cases; ++i) {
    Random random(static_cast<uint64_t>(seed) * 1000003u + static_cast<uint64_t>(i));
    if (!kAgree[i % kOperators](&random, i)) return 1;
  }
  const Span<const edgeax::KernelSet> sets = edgeax::KernelSets();
  for (size_t s = 0; s < sets.size; ++s) {
    if (sets.data[s].is_supported()) printf("isa: %s %d cases\n", sets.data[s].name, cases);
  }
  return 0;
}
