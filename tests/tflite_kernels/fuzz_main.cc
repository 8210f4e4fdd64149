// A libFuzzer target: calls of every operator, most of them right and some damaged, go through the
// checks and then through every kernel set of this processor; see fuzz_agree.h for what is held.
// How to run it: tests/tflite_kernels/fuzzing.py.

#include "tests/tflite_kernels/computed_codebook.h"
#include "tests/tflite_kernels/fuzz_coded.h"
#include "tests/tflite_kernels/fuzz_prepared.h"
#include "tflite_kernels/core/op_table.h"

namespace {

// What was done, for the last line that is printed.
int64_t calls = 0, computed = 0;

void PrintCalls() {
  fprintf(stderr, "fuzz: %lld calls, %lld computed\n", static_cast<long long>(calls),
          static_cast<long long>(computed));
}

template <typename Args, typename Code>
void FuzzCodes(FuzzInput* in, Setting* setting, const Args& args,
               edgeax::Kernel<Args, edgeax::CodeTensors<Code>> KernelSet::*kernel) {
  const Sizes sizes = SizesOf(args);
  if (IsTooLong(sizes)) return;
  const int32_t bits = 1 << in->Byte() % 3;
  const int64_t row = edgeax::PackedBytes(static_cast<int32_t>(sizes.row), bits);
  Exact<Code> input(setting->Size(sizes.input), setting->shift);
  Exact<uint8_t> weights(setting->Size(CheckedProduct(sizes.rows, row)), setting->shift);
  Exact<int8_t> codebook(setting->Size(int64_t{1} << bits), setting->shift);
  const size_t output = setting->Size(sizes.output);
  in->Fill(&codebook);
  in->Fill(&input);
  in->Fill(&weights);
  Channels channels(in, setting, false, sizes.channels);
  if (!channels.are_good) return;
  const WeightSums prepared(*setting, weights.view(), codebook.view(), sizes);
  computed += RunAll(args,
                     {input.view(),
                      weights.view(),
                      channels.bias.view(),
                      channels.factors.view(),
                      codebook.view(),
                      {},
                      {},
                      {0, 1},
                      prepared.sums.view()},
                     output, kernel, setting->how);
}

// Whether activations are int16; then the quantization is made one that fits, mostly.
bool AreInt16(FuzzInput* in, edgeax::Quantization* q) {
  if (in->Byte() % 2 == 0) return false;
  for (int32_t* zero_point : {&q->input_zero_point, &q->output_zero_point}) {
    if (in->Byte() < 250) *zero_point = 0;
  }
  // Limits of 8 bits, of 16 bits, or beyond.
  for (int32_t* limit : {&q->output_min, &q->output_max}) {
    const uint8_t factor = in->Byte();
    *limit = static_cast<int32_t>(static_cast<uint32_t>(*limit) << (factor < 250 ? factor % 9 : 9));
  }
  return true;
}

// Codes beside int8 activations or int16 ones.
template <typename Args>
void FuzzCodesOfEither(
    FuzzInput* in, Setting* setting, Args args, edgeax::Kernel<Args> KernelSet::*int8,
    edgeax::Kernel<edgeax::Int16Args<Args>, edgeax::Int16Tensors> KernelSet::*int16) {
  if (!AreInt16(in, QuantizationIn(&args))) return FuzzCodes(in, setting, args, int8);
  FuzzCodes(in, setting, edgeax::Int16Args<Args>{args}, int16);
}

// Places: any bytes, or those of blocks of which some are left.
std::vector<uint8_t> IndicesOf(FuzzInput* in, const edgeax::SparseFormat& format,
                               const Sizes& sizes) {
  const int32_t rows = static_cast<int32_t>(sizes.rows), depth = static_cast<int32_t>(sizes.row);
  const uint8_t density = in->Byte();
  if (density > 0) {
    return WriteIndices(format, rows, depth, [&](int32_t) { return in->AnyByte() < density; });
  }
  std::vector<uint8_t> indices(static_cast<size_t>(in->Number()) % kMostElements);
  for (uint8_t& byte : indices) byte = in->AnyByte();
  return indices;
}

template <typename Args, typename Code>
void FuzzSparse(FuzzInput* in, Setting* setting, const Args& args,
                const edgeax::SparseFormat& format,
                edgeax::Kernel<Args, edgeax::SparseCodeTensors<Code>> KernelSet::*kernel) {
  const Sizes sizes = SizesOf(args);
  const int64_t codes = CheckedProduct(sizes.rows, sizes.row);
  if (IsTooLong(sizes) || codes < 0 || codes > kMostWork) return;
  const int32_t rows = static_cast<int32_t>(sizes.rows), depth = static_cast<int32_t>(sizes.row);
  const bool is_format = CheckSparseFormat(format) == Status::kOk;
  const std::vector<uint8_t> places =
      is_format ? IndicesOf(in, format, sizes) : std::vector<uint8_t>(1);
  Exact<uint8_t> indices(setting->Size(static_cast<int64_t>(places.size())), setting->shift);
  for (size_t i = 0; i < indices.size(); ++i) indices[i] = i < places.size() ? places[i] : 0;
  const size_t count = is_format ? CountValues(format, rows, depth, indices.view()) : 1;
  Exact<int8_t> values(setting->Size(static_cast<int64_t>(count)), setting->shift);
  Exact<Code> input(setting->Size(sizes.input), setting->shift);
  Exact<edgeax::SparseStart> starts(static_cast<size_t>(rows) + 1);
  const size_t output = setting->Size(sizes.output);
  in->Fill(&input);
  in->Fill(&values);
  Channels channels(in, setting, false, sizes.channels);
  const Status scanned =
      ScanSparse(format, rows, depth, values.view(), indices.view(), starts.span());
  if (!channels.are_good || (is_format && scanned != Status::kOk)) return;
  Expect(is_format || scanned == Status::kBadArgument, "scan", "takes a format that there is not");
  const edgeax::SparseWeights weights = {values.view(), indices.view(), starts.view()};
  const Balanced prepared(setting->prepares && is_format, format, rows, depth, weights);
  computed += RunAll(args,
                     {input.view(),
                      weights,
                      channels.bias.view(),
                      channels.factors.view(),
                      {},
                      {},
                      {0, 1},
                      prepared.view()},
                     output, kernel, setting->how);
}

template <typename Args>
void FuzzBinary(FuzzInput* in, Setting* setting, const Args& args,
                edgeax::Kernel<Args, edgeax::BinaryTensors> KernelSet::*kernel) {
  const Sizes sizes = SizesOf(args);
  if (IsTooLong(sizes)) return;
  Exact<int8_t> input(setting->Size(sizes.input), setting->shift);
  Exact<uint8_t> weights(setting->Size(CheckedProduct(sizes.rows, sizes.row)), setting->shift);
  const size_t output = setting->Size(sizes.output);
  in->Fill(&input);
  in->Fill(&weights);
  Channels channels(in, setting, true, sizes.channels);
  if (!channels.are_good) return;
  computed += RunAll(
      args, {input.view(), weights.view(), channels.bias.view(), channels.factors.view(), {}, {}},
      output, kernel, setting->how);
}

// The same beside int8 activations or int16 ones.
template <typename Args>
void FuzzSparseOfEither(
    FuzzInput* in, Setting* setting, Args args,
    edgeax::Kernel<Args, edgeax::SparseTensors> KernelSet::*int8,
    edgeax::Kernel<edgeax::Int16Args<Args>, edgeax::Int16SparseTensors> KernelSet::*int16) {
  const edgeax::SparseFormat format = args.format;
  if (!AreInt16(in, QuantizationIn(&args))) return FuzzSparse(in, setting, args, format, int8);
  FuzzSparse(in, setting, edgeax::Int16Args<Args>{args}, format, int16);
}

template <typename Args>
void FuzzVector(FuzzInput* in, Setting* setting, const Args& args,
                edgeax::Kernel<Args, edgeax::VectorTensors> KernelSet::*kernel) {
  const edgeax::VectorFormat& format = args.format;
  const Sizes sizes = SizesOf(args);
  if (IsTooLong(sizes)) return;
  const int32_t channels = static_cast<int32_t>(sizes.channels);
  Exact<uint8_t> weights(
      setting->Size(CheckedProduct(sizes.row, edgeax::PackedBytes(channels, IndexBits(format)))),
      setting->shift);
  Exact<int8_t> codebook(
      setting->Size(CheckedProduct(format.tables, format.entries, format.length)), setting->shift);
  Exact<int8_t> input(setting->Size(sizes.input), setting->shift);
  const bool any_index = in->Byte() % 4 == 0;
  const size_t output = setting->Size(sizes.output);
  in->Fill(&codebook);
  in->Fill(&input);
  in->Fill(&weights);
  const int32_t entries = format.entries < 2 ? 2 : format.entries;
  for (size_t i = 0; i < weights.size() && !any_index; ++i) {
    const int32_t low = weights[i] & 15, high = weights[i] >> 4;
    weights[i] = static_cast<uint8_t>(IndexBits(format) == 4 ? low % entries | high % entries << 4
                                                             : weights[i] % entries);
  }
  Channels bias(in, setting, false, sizes.channels);
  if (!bias.are_good) return;
  computed += RunAll(args,
                     {input.view(),
                      weights.view(),
                      bias.bias.view(),
                      bias.factors.view(),
                      codebook.view(),
                      {},
                      {}},
                     output, kernel, setting->how);
}

// Runs decoded rows, when they fit the arguments, as the operators do that have them in one buffer.
template <typename Args, typename SparseArgs>
void FuzzCoded(FuzzInput* in, Setting* setting, Args args, int32_t Args::*row_count,
               edgeax::Kernel<Args> KernelSet::*packed,
               edgeax::Kernel<SparseArgs, edgeax::SparseTensors> KernelSet::*sparse) {
  const std::vector<uint8_t> bytes = CodedBytes(in, *setting);
  Exact<uint8_t> buffer(bytes.size(), setting->shift);
  if (!bytes.empty()) memcpy(buffer.span().data, bytes.data(), bytes.size());
  edgeax::CodedRows rows;
  if (ReadCodedRows(buffer.view(), &rows) != Status::kOk) return;
  if (int64_t{rows.rows} * rows.depth > kMostElements) return;
  Decoded decoded(rows, 0xA5);
  ExpectRightRows(rows, &decoded);
  args.*row_count = rows.rows;
  const Sizes sizes = SizesOf(args);
  if (decoded.status != Status::kOk || sizes.row != rows.depth || IsTooLong(sizes)) return;
  Exact<int8_t> input(setting->Size(sizes.input), setting->shift);
  const size_t output = setting->Size(sizes.output);
  in->Fill(&input);
  Exact<edgeax::Requantization> factors(decoded.bias.size());
  if (!FactorsOf(in, *setting, false, decoded.scale.view(), &factors)) return;
  if (rows.layout == edgeax::CodedLayout::kPacked4) {
    computed += RunAll(args,
                       {input.view(),
                        decoded.weights.view(),
                        decoded.bias.view(),
                        factors.view(),
                        decoded.codebook.view(),
                        {},
                        {}},
                       output, packed, setting->how);
    return;
  }
  const Span<const int8_t> values = {decoded.Values().data, decoded.weights.size()};
  computed += RunAll(SparseArgs{args, rows.format},
                     {input.view(),
                      {values, decoded.indices.view(), decoded.starts.view()},
                      decoded.bias.view(),
                      factors.view(),
                      {},
                      {}},
                     output, sparse, setting->how);
}

void FuzzConv2D(FuzzInput* in, Setting* setting) {
  FuzzCodesOfEither(in, setting, Conv2DArgsOf(in), &KernelSet::conv2d, &KernelSet::int16_conv2d);
}

void FuzzDepthwiseConv2D(FuzzInput* in, Setting* setting) {
  edgeax::DepthwiseConv2DArgs args;
  args.input = ShapeOf(in);
  args.depth_multiplier = in->Number();
  args.window = WindowOf(in);
  args.quantization = QuantizationOf(in);
  FuzzCodesOfEither(in, setting, args, &KernelSet::depthwise_conv2d,
                    &KernelSet::int16_depthwise_conv2d);
}

void FuzzFullyConnected(FuzzInput* in, Setting* setting) {
  FuzzCodesOfEither(in, setting, FullyConnectedArgsOf(in), &KernelSet::fully_connected,
                    &KernelSet::int16_fully_connected);
}

void FuzzSparseConv2D(FuzzInput* in, Setting* setting) {
  const edgeax::Conv2DArgs conv2d = Conv2DArgsOf(in);
  const edgeax::SparseConv2DArgs args = {conv2d, FormatOf(in)};
  FuzzSparseOfEither(in, setting, args, &KernelSet::sparse_conv2d, &KernelSet::int16_sparse_conv2d);
}

void FuzzSparseFullyConnected(FuzzInput* in, Setting* setting) {
  const edgeax::FullyConnectedArgs sizes = FullyConnectedArgsOf(in);
  const edgeax::SparseFullyConnectedArgs args = {sizes, FormatOf(in)};
  FuzzSparseOfEither(in, setting, args, &KernelSet::sparse_fully_connected,
                     &KernelSet::int16_sparse_fully_connected);
}

void FuzzCodedConv2D(FuzzInput* in, Setting* setting) {
  FuzzCoded(in, setting, Conv2DArgsOf(in), &edgeax::Conv2DArgs::output_channels, &KernelSet::conv2d,
            &KernelSet::sparse_conv2d);
}

void FuzzCodedFullyConnected(FuzzInput* in, Setting* setting) {
  FuzzCoded(in, setting, FullyConnectedArgsOf(in), &edgeax::FullyConnectedArgs::outputs,
            &KernelSet::fully_connected, &KernelSet::sparse_fully_connected);
}

void FuzzBinaryConv2D(FuzzInput* in, Setting* setting) {
  const edgeax::Conv2DArgs conv2d = Conv2DArgsOf(in);
  const edgeax::BinaryForm form = FormOf(in);
  const edgeax::BinaryConv2DArgs args = {conv2d, form, in->Number()};
  FuzzBinary(in, setting, args, &KernelSet::binary_conv2d);
}

void FuzzBinaryFullyConnected(FuzzInput* in, Setting* setting) {
  const edgeax::FullyConnectedArgs sizes = FullyConnectedArgsOf(in);
  const edgeax::BinaryFullyConnectedArgs args = {sizes, FormOf(in)};
  FuzzBinary(in, setting, args, &KernelSet::binary_fully_connected);
}

void FuzzBinaryMaxPool2D(FuzzInput* in, Setting* setting) {
  edgeax::BinaryMaxPool2DArgs args;
  args.input = ShapeOf(in);
  args.window = WindowOf(in);
  const Sizes sizes = SizesOf(args);
  if (IsTooLong(sizes)) return;
  Exact<uint8_t> input(setting->Size(sizes.input), setting->shift);
  const size_t output = setting->Size(sizes.output);
  in->Fill(&input);
  computed +=
      RunAll(args, {input.view(), {}, {}}, output, &KernelSet::binary_max_pool2d, setting->how);
}

// Gains of which most are taken, the higher the fewer.
void FillGains(FuzzInput* in, Exact<int32_t>* gains) {
  const int32_t shift = in->AnyByte() % 24;
  for (size_t i = 0; i < gains->size(); ++i) {
    (*gains)[i] = static_cast<int8_t>(in->AnyByte()) * (int32_t{1} << shift);
  }
}

void FuzzSignSum(FuzzInput* in, Setting* setting, edgeax::SignSumArgs args) {
  for (int32_t* number : {&args.planes, &args.bases, &args.thresholds}) *number = in->Number();
  const Sizes sizes = SizesOf(args);
  if (IsTooLong(sizes)) return;
  edgeax::BinaryConv2DGeometry geometry;
  const bool is_right = GeometryOf(args, &geometry) == Status::kOk;
  const int64_t planes = is_right ? args.planes : 1, bases = is_right ? args.bases : 1;
  Exact<int8_t> input(setting->Size(sizes.input), setting->shift);
  Exact<uint8_t> weights(setting->Size(CheckedProduct(bases, sizes.rows, sizes.row)),
                         setting->shift);
  Exact<int32_t> gains(setting->Size(CheckedProduct(bases, planes, sizes.channels)));
  Exact<int32_t> thresholds(setting->Size(is_right ? CheckedProduct(planes, args.thresholds) : 1));
  const size_t output = setting->Size(sizes.output);
  FillGains(in, &gains);
  for (size_t i = 0; i < thresholds.size(); ++i) thresholds[i] = in->AnyByte() - 127;
  in->Fill(&input);
  in->Fill(&weights);
  Channels channels(in, setting, true, sizes.channels);
  if (!channels.are_good) return;
  computed += RunAll(args,
                     {input.view(),
                      weights.view(),
                      channels.bias.view(),
                      channels.factors.view(),
                      gains.view(),
                      thresholds.view(),
                      {},
                      {}},
                     output, &KernelSet::sign_sum, setting->how);
}

void FuzzSignSumConv2D(FuzzInput* in, Setting* setting) {
  edgeax::SignSumArgs args = {};
  args.conv2d = Conv2DArgsOf(in);
  args.pad_value = in->Number();
  FuzzSignSum(in, setting, args);
}

void FuzzSignSumFullyConnected(FuzzInput* in, Setting* setting) {
  const edgeax::FullyConnectedArgs sizes = FullyConnectedArgsOf(in);
  FuzzSignSum(in, setting, SignSumProductArgs(sizes, 1, 1, 1));
}

// Numbers of which no sum overflows.
void FillNumbers(FuzzInput* in, Exact<float>* numbers) {
  for (size_t i = 0; i < numbers->size(); ++i) {
    const float whole = static_cast<int8_t>(in->AnyByte());
    (*numbers)[i] = whole / static_cast<float>(1u << in->AnyByte() % 32);
  }
}

void FuzzFloatFullyConnected(FuzzInput* in, Setting* setting) {
  edgeax::FloatFullyConnectedArgs args;
  for (int32_t* number : {&args.rows, &args.depth, &args.outputs}) *number = in->Number();
  args.bits = 1 << in->Byte() % 4;
  args.group = in->Number();
  args.activation = static_cast<edgeax::Activation>(in->Number());
  const int32_t table = in->Byte();
  const Sizes sizes = SizesOf(args);
  if (IsTooLong(sizes)) return;
  const bool is_right = CheckFloatFullyConnected(args) == Status::kOk;
  const int64_t row = is_right ? edgeax::PackedBytes(args.depth, args.bits) : 1;
  const int64_t groups = is_right ? GroupsOf(args) : 1;
  Exact<float> input(setting->Size(sizes.input));
  Exact<uint8_t> weights(setting->Size(CheckedProduct(sizes.rows, row)), setting->shift);
  Exact<float> bias(setting->Size(sizes.channels));
  Exact<float> scale(setting->Size(CheckedProduct(sizes.channels, groups)));
  Exact<float> codebook(setting->Size(int64_t{1} << args.bits));
  const size_t output = setting->Size(sizes.output);
  for (Exact<float>* numbers : {&codebook, &input, &bias, &scale}) FillNumbers(in, numbers);
  const int32_t exponent_bits = table % 8 - 2;  // below 0: any floats
  if (args.bits == 8 && exponent_bits >= 0) WriteComputed({exponent_bits, table >= 128}, &codebook);
  in->Fill(&weights);
  computed += RunAll(
      args, {input.view(), weights.view(), bias.view(), scale.view(), codebook.view(), {}, {}},
      output, &KernelSet::float_fully_connected, setting->how);
}

void FuzzVectorConv2D(FuzzInput* in, Setting* setting) {
  const edgeax::Conv2DArgs conv2d = Conv2DArgsOf(in);
  const edgeax::VectorConv2DArgs args = {conv2d, VectorFormatOf(in)};
  FuzzVector(in, setting, args, &KernelSet::vector_conv2d);
}

void FuzzVectorFullyConnected(FuzzInput* in, Setting* setting) {
  const edgeax::FullyConnectedArgs sizes = FullyConnectedArgsOf(in);
  const edgeax::VectorFullyConnectedArgs args = {sizes, VectorFormatOf(in)};
  FuzzVector(in, setting, args, &KernelSet::vector_fully_connected);
}

template <typename Args>
void FuzzGrouped(FuzzInput* in, Setting* setting, const Args& args,
                 edgeax::Kernel<Args> KernelSet::*kernel) {
  const Sizes sizes = SizesOf(args);
  if (IsTooLong(sizes)) return;
  const bool is_format = CheckGroupedFormat(args.format) == Status::kOk;
  const int64_t codebooks = int64_t{1} << in->Byte() % 9;
  Exact<int8_t> input(setting->Size(sizes.input), setting->shift);
  Exact<uint8_t> weights(setting->Size(CheckedProduct(sizes.rows, sizes.row)), setting->shift);
  Exact<int8_t> codebook(setting->Size(is_format ? codebooks << args.format.bits : 1),
                         setting->shift);
  const size_t output = setting->Size(sizes.output);
  in->Fill(&codebook);
  in->Fill(&input);
  in->Fill(&weights);
  Channels channels(in, setting, false, sizes.channels);
  if (!channels.are_good) return;
  computed += RunAll(args,
                     {input.view(),
                      weights.view(),
                      channels.bias.view(),
                      channels.factors.view(),
                      codebook.view(),
                      {},
                      {}},
                     output, kernel, setting->how);
}

void FuzzGroupedConv2D(FuzzInput* in, Setting* setting) {
  const edgeax::Conv2DArgs conv2d = Conv2DArgsOf(in);
  const edgeax::GroupedConv2DArgs args = {conv2d, GroupedFormatOf(in)};
  FuzzGrouped(in, setting, args, &KernelSet::grouped_conv2d);
}

void FuzzGroupedFullyConnected(FuzzInput* in, Setting* setting) {
  const edgeax::FullyConnectedArgs sizes = FullyConnectedArgsOf(in);
  const edgeax::GroupedFullyConnectedArgs args = {sizes, GroupedFormatOf(in)};
  FuzzGrouped(in, setting, args, &KernelSet::grouped_fully_connected);
}

template <typename Args>
void FuzzLookup(FuzzInput* in, Setting* setting, const Args& args,
                edgeax::Kernel<Args, edgeax::LookupTensors> KernelSet::*kernel) {
  const Sizes sizes = SizesOf(args);
  if (IsTooLong(sizes)) return;
  const int64_t codebooks = int64_t{1} << in->Byte() % 9;
  Exact<int8_t> input(setting->Size(sizes.input), setting->shift);
  Exact<uint8_t> weights(setting->Size(CheckedProduct(sizes.rows, sizes.row)), setting->shift);
  Exact<int8_t> codebook(setting->Size(codebooks << (args.bits == 2 ? 2 : 4)), setting->shift);
  Exact<int8_t> points(setting->Size(edgeax::kLookupPoints), setting->shift);
  const size_t output = setting->Size(sizes.output);
  in->Fill(&codebook);
  in->Fill(&points);
  in->Fill(&input);
  in->Fill(&weights);
  Channels channels(in, setting, false, sizes.channels);
  if (!channels.are_good) return;
  computed += RunAll(args,
                     {input.view(),
                      weights.view(),
                      channels.bias.view(),
                      channels.factors.view(),
                      codebook.view(),
                      points.view(),
                      {},
                      {}},
                     output, kernel, setting->how);
}

void FuzzLookupConv2D(FuzzInput* in, Setting* setting) {
  const edgeax::Conv2DArgs conv2d = Conv2DArgsOf(in);
  const edgeax::LookupConv2DArgs args = {conv2d, in->Number()};
  FuzzLookup(in, setting, args, &KernelSet::lookup_conv2d);
}

void FuzzLookupFullyConnected(FuzzInput* in, Setting* setting) {
  const edgeax::FullyConnectedArgs sizes = FullyConnectedArgsOf(in);
  const edgeax::LookupFullyConnectedArgs args = {sizes, in->Number()};
  FuzzLookup(in, setting, args, &KernelSet::lookup_fully_connected);
}

// Gradients.

edgeax::Axis AxisOf(FuzzInput* in, int32_t input) {
  edgeax::Axis axis = {input, 0, 0, 0, 0, 0};
  for (int32_t* number : {&axis.output, &axis.kernel, &axis.stride, &axis.dilation, &axis.pad}) {
    *number = in->Number();
  }
  return axis;
}

edgeax::WindowGeometry GeometryOf(FuzzInput* in, const edgeax::Shape4& input) {
  const edgeax::Axis height = AxisOf(in, input.height);
  return {height, AxisOf(in, input.width)};
}

// `work` is about how many products there are.
template <typename Args, typename TensorsOfArgs>
void FuzzGradient(FuzzInput* in, Setting* setting, const Args& args,
                  Status (*check)(const Args&, edgeax::GradientSizes*),
                  edgeax::Kernel<Args, TensorsOfArgs> KernelSet::*kernel, int64_t work) {
  using Values = std::remove_const_t<std::remove_pointer_t<decltype(TensorsOfArgs::values.data)>>;
  using Gradients =
      std::remove_const_t<std::remove_pointer_t<decltype(TensorsOfArgs::gradients.data)>>;
  edgeax::GradientSizes sizes = {1, 1, 1};
  if (check(args, &sizes) != Status::kOk) {
    sizes = {1, 1, 1};
    work = 0;
  }
  const auto is_cut = [](int64_t size) { return size > kMostElements; };
  if (!is_cut(sizes.values) && !is_cut(sizes.gradients) && !is_cut(sizes.output) &&
      (work < 0 || work > kMostWork)) {
    return;
  }
  Exact<Values> values(setting->Size(sizes.values));
  Exact<Gradients> gradients(setting->Size(sizes.gradients));
  const size_t output = setting->Size(sizes.output);
  in->Fill(&values);
  in->Fill(&gradients);
  computed += RunAll(args, {values.view(), gradients.view(), {}, {}}, output, kernel, setting->how);
}

edgeax::Conv2DGradientArgs ConvolutionOf(FuzzInput* in, bool is_depthwise) {
  edgeax::Conv2DGradientArgs args;
  args.input = ShapeOf(in);
  args.output_channels = in->Number();
  args.groups = in->Number();
  if (is_depthwise) {
    args.groups = args.input.channels;
    const int64_t outputs = CheckedProduct(args.input.channels, args.output_channels);
    args.output_channels = outputs < 0 ? 0 : static_cast<int32_t>(outputs);
  }
  args.window = GeometryOf(in, args.input);
  return args;
}

// About how many products there are, or -1.
int64_t WorkOf(const edgeax::Conv2DGradientArgs& args) {
  const edgeax::Axis &height = args.window.height, &width = args.window.width;
  const int64_t inputs = args.groups < 1 ? 1 : args.input.channels / args.groups;
  const int64_t products = CheckedProduct(args.input.batch, height.kernel, width.kernel, inputs,
                                          args.output_channels, height.output, width.output);
  // Of inputs that no tap reads there are products of other numbers.
  const int64_t taps = CheckedProduct(args.input.batch, args.input.height, args.input.width,
                                      args.input.channels, height.kernel, width.kernel);
  return products < 0 || taps < 0 ? -1 : products + taps;
}

void FuzzConvolutionGradient(
    FuzzInput* in, Setting* setting, bool is_depthwise,
    Status (*check)(const edgeax::Conv2DGradientArgs&, edgeax::GradientSizes*),
    edgeax::Kernel<edgeax::Conv2DGradientArgs, edgeax::GradientTensors> KernelSet::*kernel) {
  const edgeax::Conv2DGradientArgs args = ConvolutionOf(in, is_depthwise);
  FuzzGradient(in, setting, args, check, kernel, WorkOf(args));
}

template <bool kIsDepthwise>
void FuzzBackpropFilter(FuzzInput* in, Setting* setting) {
  FuzzConvolutionGradient(in, setting, kIsDepthwise, edgeax::CheckBackpropFilter,
                          &KernelSet::backprop_filter);
}

template <bool kIsDepthwise>
void FuzzBackpropInput(FuzzInput* in, Setting* setting) {
  FuzzConvolutionGradient(in, setting, kIsDepthwise, edgeax::CheckBackpropInput,
                          &KernelSet::backprop_input);
}

void FuzzPoolGradient(
    FuzzInput* in, Setting* setting,
    Status (*check)(const edgeax::PoolGradientArgs&, edgeax::GradientSizes*),
    edgeax::Kernel<edgeax::PoolGradientArgs, edgeax::GradientTensors> KernelSet::*kernel) {
  edgeax::PoolGradientArgs args;
  args.input = ShapeOf(in);
  args.window = GeometryOf(in, args.input);
  const edgeax::Axis &height = args.window.height, &width = args.window.width;
  FuzzGradient(in, setting, args, check, kernel,
               CheckedProduct(args.input.batch, height.output, width.output, args.input.channels,
                              height.kernel, width.kernel));
}

void FuzzMaxPoolGrad(FuzzInput* in, Setting* setting) {
  FuzzPoolGradient(in, setting, edgeax::CheckMaxPoolGrad, &KernelSet::max_pool_grad);
}

void FuzzAvgPoolGrad(FuzzInput* in, Setting* setting) {
  FuzzPoolGradient(in, setting, edgeax::CheckAvgPoolGrad, &KernelSet::avg_pool_grad);
}

template <int32_t kKind>
void FuzzActivationGrad(FuzzInput* in, Setting* setting) {
  const int32_t count = in->Number(), more = in->Number();
  const edgeax::ActivationGradientArgs args = {
      count, static_cast<edgeax::ActivationKind>(kKind + (more > 250 ? more : 0)), in->Float()};
  FuzzGradient(in, setting, args, edgeax::CheckActivationGrad, &KernelSet::activation_grad, count);
}

// Layers whose weights change.

void FuzzVariable(FuzzInput* in, Setting* setting, const edgeax::Conv2DGradientArgs& layer) {
  const int32_t activation = in->Byte() % 5;  // the last one is none
  const edgeax::VariableConv2DArgs args = {layer, static_cast<edgeax::Activation>(activation)};
  edgeax::VariableConv2DSizes sizes;
  int64_t work = WorkOf(layer);
  if (edgeax::CheckVariableConv2D(args, &sizes) != Status::kOk) {
    sizes = {1, 1, 1, 1};
    work = 0;
  }
  const auto is_cut = [](int64_t size) { return size > kMostElements; };
  if (!is_cut(sizes.input) && !is_cut(sizes.weights) && !is_cut(sizes.output) &&
      (work < 0 || work > kMostWork)) {
    return;
  }
  Exact<float> input(setting->Size(sizes.input)), weights(setting->Size(sizes.weights));
  Exact<float> bias(setting->Size(sizes.bias));
  const size_t output = setting->Size(sizes.output);
  in->Fill(&input);
  in->Fill(&weights);
  in->Fill(&bias);
  computed += RunAll(args, {input.view(), weights.view(), bias.view(), {}, {}}, output,
                     &KernelSet::variable_conv2d, setting->how);
}

template <bool kIsDepthwise>
void FuzzVariableConv2D(FuzzInput* in, Setting* setting) {
  FuzzVariable(in, setting, ConvolutionOf(in, kIsDepthwise));
}

void FuzzVariableFullyConnected(FuzzInput* in, Setting* setting) {
  const int32_t rows = in->Number(), depth = in->Number(), outputs = in->Number();
  const edgeax::Axis one = {1, 1, 1, 1, 1, 0}, all = {rows, rows, 1, 1, 1, 0};
  FuzzVariable(in, setting, {{1, 1, rows, depth}, outputs, 1, {one, all}});
}

template <bool kIsDepthwise>
void FuzzPredictedSigns(FuzzInput* in, Setting* setting) {
  edgeax::PredictedSignsArgs args;
  args.layer = ConvolutionOf(in, kIsDepthwise);
  const int64_t work = WorkOf(args.layer);
  edgeax::SignPrediction& p = args.prediction;
  for (int32_t* number :
       {&p.bits, &p.predicted_bits, &p.gradient_bits, &p.predicted_gradient_bits, &p.carries}) {
    *number = in->Number();
  }
  p.beta = in->Float();
  FuzzGradient(in, setting, args, edgeax::CheckPredictedSigns, &KernelSet::predicted_signs,
               work < 0 ? -1 : 3 * work);
}

// In the order of edgeax::kOperatorSpecs, and behind them of edgeax::kGradientSpecs.
constexpr void (*kFuzz[])(FuzzInput* in, Setting* setting) = {FuzzConv2D,
                                                              FuzzDepthwiseConv2D,
                                                              FuzzFullyConnected,
                                                              FuzzSparseConv2D,
                                                              FuzzSparseFullyConnected,
                                                              FuzzCodedConv2D,
                                                              FuzzCodedFullyConnected,
                                                              FuzzBinaryConv2D,
                                                              FuzzBinaryFullyConnected,
                                                              FuzzBinaryMaxPool2D,
                                                              FuzzFloatFullyConnected,
                                                              FuzzSignSumConv2D,
                                                              FuzzSignSumFullyConnected,
                                                              FuzzVectorConv2D,
                                                              FuzzVectorFullyConnected,
                                                              FuzzGroupedConv2D,
                                                              FuzzGroupedFullyConnected,
                                                              FuzzLookupConv2D,
                                                              FuzzLookupFullyConnected,
                                                              FuzzBackpropFilter<false>,
                                                              FuzzBackpropInput<false>,
                                                              FuzzBackpropFilter<true>,
                                                              FuzzBackpropInput<true>,
                                                              FuzzMaxPoolGrad,
                                                              FuzzAvgPoolGrad,
                                                              FuzzActivationGrad<0>,
                                                              FuzzActivationGrad<1>,
                                                              FuzzActivationGrad<2>,
                                                              FuzzActivationGrad<3>,
                                                              FuzzPredictedSigns<false>,
                                                              FuzzPredictedSigns<true>,
                                                              FuzzVariableConv2D<false>,
                                                              FuzzVariableConv2D<true>,
                                                              FuzzVariableFullyConnected};
constexpr size_t kOperators = sizeof(kFuzz) / sizeof(kFuzz[0]);
static_assert(kOperators == (sizeof(edgeax::kOperatorSpecs) + sizeof(edgeax::kGradientSpecs)) /
                                sizeof(edgeax::OperatorSpec),
              "every operator is fuzzed");

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) { return atexit(PrintCalls); }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ++calls;
  FuzzInput in(data, size);
  const size_t number = in.Byte() % kOperators;
  Setting setting(&in);
  kFuzz[number](&in, &setting);
  return 0;
}
