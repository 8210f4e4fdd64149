#pragma once  // fuzz_call.h: the arguments of a call and the sizes of its tensors, out of
              // libFuzzer's bytes.

#include "tests/tflite_kernels/fuzz_agree.h"
#include "tests/tflite_kernels/fuzz_input.h"

namespace {

using edgeax::CheckedProduct;
using edgeax::KernelSet;
using edgeax::Span;
using edgeax::Status;

constexpr int64_t kMostElements = 1 << 16;  // of a tensor; a larger one is cut, which all refuse
constexpr int64_t kMostWork = 1 << 20;      // products of one call; those with more are left out

// How a call is made.
struct Setting {
  explicit Setting(FuzzInput* in)
      : how{in->Byte() % 64 + 1, in->Byte()},
        shift(in->Byte() % 16),
        defect(in->Byte()),
        factor_kind(in->Byte() % 4),
        bias_shift(in->Byte() % 32) {
    const uint8_t weights = in->Byte();
    in->SetExtremes(weights % 4 == 1);
    prepares = weights >= 128;
  }

  // The size of the next tensor: `wanted`, but where the call is damaged in this tensor.
  size_t Size(int64_t wanted) {
    int64_t size = wanted < 0 ? 1 : wanted < kMostElements ? wanted : kMostElements;
    const bool is_damaged = defect >= 128 && tensor++ == (defect & 7);
    if (!is_damaged) return static_cast<size_t>(size);
    const int64_t damaged[] = {size + 1, size - 1, size / 2, 0};
    size = damaged[defect >> 3 & 3];
    return static_cast<size_t>(size < 0 ? 0 : size);
  }

  HowToRun how;
  size_t shift;
  int32_t defect;
  int32_t factor_kind, bias_shift;
  bool prepares;  // what kernels would rather read beside the weights
  int32_t tensor = 0;
};

// What a call has to have, by its arguments; all 1 where these are wrong.
struct Sizes {
  int64_t input, rows, row, channels, output, work;
};

edgeax::Window WindowOf(FuzzInput* in) {
  edgeax::Window window;
  int32_t* const numbers[] = {&window.kernel_height,   &window.kernel_width,
                              &window.stride_height,   &window.stride_width,
                              &window.dilation_height, &window.dilation_width};
  for (int32_t* number : numbers) *number = in->Number();
  window.padding = static_cast<edgeax::Padding>(in->Number());
  return window;
}

edgeax::Shape4 ShapeOf(FuzzInput* in) {
  edgeax::Shape4 shape;
  for (int32_t* size : {&shape.batch, &shape.height, &shape.width, &shape.channels}) {
    *size = in->Number();
  }
  return shape;
}

edgeax::Quantization QuantizationOf(FuzzInput* in) {
  edgeax::Quantization q;
  for (int32_t* number :
       {&q.input_zero_point, &q.output_zero_point, &q.output_min, &q.output_max}) {
    *number = in->Signed();
  }
  q.rounding = static_cast<edgeax::Rounding>(in->Number());
  return q;
}

edgeax::Conv2DArgs Conv2DArgsOf(FuzzInput* in) {
  edgeax::Conv2DArgs args;
  args.input = ShapeOf(in);
  args.output_channels = in->Number();
  args.groups = in->Number();
  args.window = WindowOf(in);
  args.quantization = QuantizationOf(in);
  return args;
}

edgeax::FullyConnectedArgs FullyConnectedArgsOf(FuzzInput* in) {
  edgeax::FullyConnectedArgs args;
  for (int32_t* size : {&args.rows, &args.depth, &args.outputs}) *size = in->Number();
  args.quantization = QuantizationOf(in);
  return args;
}

edgeax::SparseFormat FormatOf(FuzzInput* in) {
  const int32_t block = in->Number();
  return {block, static_cast<edgeax::Places>(in->Number())};
}

edgeax::BinaryForm FormOf(FuzzInput* in) {
  const int32_t input_packed = in->Number();
  return {input_packed, in->Number()};
}

edgeax::GroupedFormat GroupedFormatOf(FuzzInput* in) {
  const int32_t bits = in->Number();
  return {bits, in->Number()};
}

int64_t ElementsOf(const edgeax::Shape4& shape) {
  return CheckedProduct(shape.batch, shape.height, shape.width, shape.channels);
}

Sizes SizesOf(const edgeax::Conv2DArgs& args) {
  edgeax::Conv2DGeometry geometry;
  if (GeometryOf(args, &geometry) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  const edgeax::WindowGeometry& window = geometry.window;
  const int64_t output = CheckedProduct(args.input.batch, window.height.output, window.width.output,
                                        args.output_channels);
  return {ElementsOf(args.input),
          args.output_channels,
          geometry.depth,
          args.output_channels,
          output,
          CheckedProduct(output, geometry.depth)};
}

Sizes SizesOf(const edgeax::DepthwiseConv2DArgs& args) {
  edgeax::DepthwiseConv2DGeometry geometry;
  if (GeometryOf(args, &geometry) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  const edgeax::WindowGeometry& window = geometry.window;
  const int64_t output = CheckedProduct(args.input.batch, window.height.output, window.width.output,
                                        geometry.output_channels);
  return {ElementsOf(args.input),   geometry.taps, geometry.output_channels,
          geometry.output_channels, output,        CheckedProduct(output, geometry.taps)};
}

Sizes SizesOfProduct(int32_t rows, int32_t depth, int32_t outputs) {
  const int64_t output = CheckedProduct(rows, outputs);
  return {CheckedProduct(rows, depth),  outputs, depth, outputs, output,
          CheckedProduct(output, depth)};
}

Sizes SizesOf(const edgeax::FullyConnectedArgs& args) {
  if (CheckFullyConnected(args) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  return SizesOfProduct(args.rows, args.depth, args.outputs);
}

Sizes SizesOf(const edgeax::BinaryConv2DArgs& args) {
  edgeax::BinaryConv2DGeometry geometry;
  if (GeometryOf(args, &geometry) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  Sizes sizes = SizesOf(args.conv2d);
  const edgeax::Shape4& in = args.conv2d.input;
  const int64_t pixels = sizes.output / args.conv2d.output_channels;
  sizes.input = CheckedProduct(in.batch, in.height, in.width,
                               edgeax::BinaryBytes(args.form.input_packed, in.channels));
  sizes.row = geometry.row_bytes;
  sizes.output = CheckedProduct(
      pixels, edgeax::BinaryBytes(args.form.output_packed, args.conv2d.output_channels));
  return sizes;
}

// The rows are those of one base.
Sizes SizesOf(const edgeax::SignSumArgs& args) {
  edgeax::BinaryConv2DGeometry geometry;
  if (GeometryOf(args, &geometry) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  Sizes sizes = SizesOf(args.conv2d);
  sizes.row = geometry.row_bytes;
  sizes.work = CheckedProduct(sizes.work, args.planes, args.bases, args.thresholds);
  return sizes;
}

Sizes SizesOf(const edgeax::BinaryFullyConnectedArgs& args) {
  if (CheckBinaryFullyConnected(args) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  const edgeax::FullyConnectedArgs& sizes = args.fully_connected;
  Sizes all = SizesOf(sizes);
  all.input = CheckedProduct(sizes.rows, edgeax::BinaryBytes(args.form.input_packed, sizes.depth));
  all.row = edgeax::PackedBytes(sizes.depth, 1);
  all.output =
      CheckedProduct(sizes.rows, edgeax::BinaryBytes(args.form.output_packed, sizes.outputs));
  return all;
}

// In bytes; no rows and channels.
Sizes SizesOf(const edgeax::BinaryMaxPool2DArgs& args) {
  edgeax::WindowGeometry geometry;
  if (GeometryOf(args, &geometry) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  const edgeax::Shape4& in = args.input;
  const int32_t bytes = edgeax::PackedBytes(in.channels, 1);
  const int64_t output =
      CheckedProduct(in.batch, geometry.height.output, geometry.width.output, bytes);
  const int64_t taps = CheckedProduct(args.window.kernel_height, args.window.kernel_width);
  return {CheckedProduct(in.batch, in.height, in.width, bytes),
          1,
          1,
          1,
          output,
          CheckedProduct(output, taps)};
}

Sizes SizesOf(const edgeax::FloatFullyConnectedArgs& args) {
  if (CheckFloatFullyConnected(args) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  return SizesOfProduct(args.rows, args.depth, args.outputs);
}

Sizes SizesOf(const edgeax::SparseConv2DArgs& args) {
  const bool is_format = CheckSparseFormat(args.format) == Status::kOk;
  return is_format ? SizesOf(args.conv2d) : Sizes{1, 1, 1, 1, 1, 0};
}

Sizes SizesOf(const edgeax::SparseFullyConnectedArgs& args) {
  const bool is_format = CheckSparseFormat(args.format) == Status::kOk;
  return is_format ? SizesOf(args.fully_connected) : Sizes{1, 1, 1, 1, 1, 0};
}

template <typename Args>
edgeax::Quantization* QuantizationIn(Args* args) {
  return &args->quantization;
}
edgeax::Quantization* QuantizationIn(edgeax::SparseConv2DArgs* args) {
  return &args->conv2d.quantization;
}
edgeax::Quantization* QuantizationIn(edgeax::SparseFullyConnectedArgs* args) {
  return &args->fully_connected.quantization;
}

// Of int16 activations: those of int8 ones, but for the quantization.
template <typename Args>
Sizes SizesOf(const edgeax::Int16Args<Args>& args) {
  Args int8_args = args.args;
  edgeax::Quantization* q = QuantizationIn(&int8_args);
  if (CheckInt16Quantization(*q) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  *q = {0, 0, 0, 0, edgeax::Rounding::kSingle};
  return SizesOf(int8_args);
}

edgeax::VectorFormat VectorFormatOf(FuzzInput* in) {
  edgeax::VectorFormat format;
  for (int32_t* number : {&format.tables, &format.entries, &format.length}) *number = in->Number();
  return format;
}

// `row` are sub-vectors.
Sizes OfVectors(Sizes sizes, const edgeax::VectorFormat& format) {
  sizes.row /= format.length;
  return sizes;
}

Sizes SizesOf(const edgeax::VectorConv2DArgs& args) {
  edgeax::Conv2DGeometry geometry;
  if (GeometryOf(args, &geometry) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  return OfVectors(SizesOf(args.conv2d), args.format);
}

Sizes SizesOf(const edgeax::VectorFullyConnectedArgs& args) {
  if (CheckVectorFullyConnected(args) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  return OfVectors(SizesOf(args.fully_connected), args.format);
}

// In bytes.
template <typename Args, typename Of>
Sizes SizesOfGrouped(const Args& args, Of Args::*plain) {
  if (CheckGroupedFormat(args.format) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  Sizes sizes = SizesOf(args.*plain);
  sizes.row = GroupedRowBytes(args.format, static_cast<int32_t>(sizes.row));
  return sizes;
}

Sizes SizesOf(const edgeax::GroupedConv2DArgs& args) {
  return SizesOfGrouped(args, &edgeax::GroupedConv2DArgs::conv2d);
}

Sizes SizesOf(const edgeax::GroupedFullyConnectedArgs& args) {
  return SizesOfGrouped(args, &edgeax::GroupedFullyConnectedArgs::fully_connected);
}

Sizes OfLookup(int32_t bits, Sizes sizes) {
  if (sizes.work > 0) {
    sizes.row = edgeax::LookupRowBytes(bits, static_cast<int32_t>(sizes.row));
  }
  return sizes;
}

Sizes SizesOf(const edgeax::LookupConv2DArgs& args) {
  if (CheckLookup(args) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  return OfLookup(args.bits, SizesOf(args.conv2d));
}

Sizes SizesOf(const edgeax::LookupFullyConnectedArgs& args) {
  if (CheckLookup(args) != Status::kOk) return {1, 1, 1, 1, 1, 0};
  return OfLookup(args.bits, SizesOf(args.fully_connected));
}

// Whether computing it takes too long here; tensors that are cut are refused before.
bool IsTooLong(const Sizes& sizes) {
  const bool is_cut = sizes.input > kMostElements || sizes.output > kMostElements ||
                      sizes.input < 0 || sizes.output < 0;
  return !is_cut && (sizes.work < 0 || sizes.work > kMostWork);
}

// Scales that make sense, scales of any bits, or factors of any shift.
bool FactorsOf(FuzzInput* in, const Setting& setting, bool is_binary, Span<const float> given,
               Exact<edgeax::Requantization>* factors) {
  if (setting.factor_kind >= 2) {
    for (size_t c = 0; c < factors->size(); ++c) {
      const uint32_t bits = static_cast<uint32_t>(in->AnyByte()) << 16 | in->AnyByte() << 8;
      const int32_t magnitude = static_cast<int32_t>(1u << 30 | bits << 6 | in->AnyByte());
      const int32_t shift = static_cast<int8_t>(in->AnyByte());
      (*factors)[c] = {in->AnyByte() % 2 == 0 ? magnitude : -magnitude,
                       setting.factor_kind == 2 ? shift % 31 : shift};
    }
    return true;
  }
  const bool is_any = setting.factor_kind == 0;
  const float input_scale = is_any ? in->Float() : 0.5f;
  const float output_scale = is_any ? in->Float() : 0.25f;
  Exact<float> scales(factors->size());
  if (is_any) in->Fill(&scales);
  for (size_t c = 0; c < scales.size(); ++c) {
    if (given.size > 0) {
      scales[c] = given.data[given.size == 1 ? 0 : c];
    } else if (!is_any) {
      const int32_t numerator = static_cast<int8_t>(in->AnyByte());
      scales[c] = static_cast<float>(numerator) / static_cast<float>(1u << in->AnyByte() % 32);
    }
  }
  const Status status =
      is_binary
          ? BinaryRequantization(scales.view(), output_scale, factors->span())
          : RequantizationFromScales(input_scale, scales.view(), output_scale, factors->span());
  return status == Status::kOk;
}

// Bias and factors of the output channels.
struct Channels {
  Channels(FuzzInput* in, Setting* setting, bool is_binary, int64_t channels)
      : bias(setting->Size(channels)), factors(setting->Size(channels)) {
    in->Fill(&bias);
    for (size_t c = 0; c < bias.size(); ++c) bias[c] /= int32_t{1} << setting->bias_shift % 31;
    are_good = FactorsOf(in, *setting, is_binary, {nullptr, 0}, &factors);
  }

  Exact<int32_t> bias;
  Exact<edgeax::Requantization> factors;
  bool are_good;
};

}  // namespace
