// Runs the golden vectors through core/ on any target: no heap, no files. Prints
// "golden: N passed, 0 failed" and ends with 0, or names what failed and ends with 1.

#include "golden_vectors.h"
#include "tflite_kernels/core/binary_conv2d.h"
#include "tflite_kernels/core/binary_fully_connected.h"
#include "tflite_kernels/core/coded.h"
#include "tflite_kernels/core/conv2d.h"
#include "tflite_kernels/core/depthwise_conv2d.h"
#include "tflite_kernels/core/float_fully_connected.h"
#include "tflite_kernels/core/fully_connected.h"
#include "tflite_kernels/core/grouped_conv2d.h"
#include "tflite_kernels/core/grouped_fully_connected.h"
#include "tflite_kernels/core/lookup_conv2d.h"
#include "tflite_kernels/core/lookup_fully_connected.h"
#include "tflite_kernels/core/op_table.h"
#include "tflite_kernels/core/sign_sum.h"
#include "tflite_kernels/core/sparse_conv2d.h"
#include "tflite_kernels/core/sparse_fully_connected.h"
#include "tflite_kernels/core/vector_conv2d.h"
#include "tflite_kernels/core/vector_fully_connected.h"

#if defined(__linux__)
#include <stdio.h>
static void Print(const char* text) { fputs(text, stdout); }
#else
extern "C" void edgeax_print(const char* text);
static void Print(const char* text) { edgeax_print(text); }
#endif

namespace {

using edgeax::Status;

constexpr size_t kMaxOutput = 4096;
constexpr size_t kMaxChannels = 160;
constexpr int8_t kUntouched = 77;

int passed = 0;
int failed = 0;

void PrintNumber(int number) {
  char digits[12];
  char* end = digits + sizeof(digits) - 1;
  *end = '\0';
  do {
    *--end = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  Print(end);
}

void Count(bool good, const char* what, int number) {
  if (good) {
    ++passed;
    return;
  }
  ++failed;
  Print("failed: ");
  Print(what);
  Print(" ");
  PrintNumber(number);
  Print("\n");
}

template <typename T, size_t kSize>
constexpr int SizeOf(const T (&)[kSize]) {
  return static_cast<int>(kSize);
}

void RunMultipliers() {
  for (int i = 0; i < SizeOf(golden::kMultiplierCases); ++i) {
    const golden::MultiplierCase& c = golden::kMultiplierCases[i];
    edgeax::Requantization factor = {-1, -1};
    const Status status = edgeax::QuantizeMultiplier(c.ratio, &factor);
    Count(status == Status::kOk && factor.multiplier == c.multiplier && factor.shift == c.shift,
          "quantize_multiplier", i);
  }
}

void RunRequantize() {
  for (int i = 0; i < SizeOf(golden::kRequantizeCases); ++i) {
    const golden::RequantizeCase& c = golden::kRequantizeCases[i];
    bool good = true;
    for (size_t k = 0; k < c.count; ++k) {
      good &= edgeax::Requantize(c.sums[k], {c.multiplier, c.shift},
                                 static_cast<edgeax::Rounding>(c.rounding)) == c.expected[k];
    }
    Count(good, "requantize", i);
  }
}

void RunUnpack() {
  for (int i = 0; i < SizeOf(golden::kUnpackCases); ++i) {
    const golden::UnpackCase& c = golden::kUnpackCases[i];
    bool good = true;
    for (int32_t k = 0; k < c.count; ++k) {
      good &= edgeax::Unpack(c.packed, k, c.bits) == c.expected[k];
    }
    Count(good, "unpack", i);
  }
}

edgeax::Window WindowOf(const int32_t* options) {
  return {options[0],
          options[1],
          options[2],
          options[3],
          options[4],
          options[5],
          static_cast<edgeax::Padding>(options[6])};
}

template <typename Code>
edgeax::Shape4 InputShapeOf(const golden::CodeCase<Code>& c) {
  return {c.input_shape[0], c.input_shape[1], c.input_shape[2], c.input_shape[3]};
}

template <typename Code>
edgeax::Quantization QuantizationOf(const golden::CodeCase<Code>& c, const int32_t* clamp) {
  return {c.input_zero_point, c.output_zero_point, clamp[0], clamp[1],
          static_cast<edgeax::Rounding>(c.rounding)};
}

// What a kernel reads beside its weights.
template <typename Code>
struct CommonCodeTensors {
  edgeax::Span<const Code> input;
  edgeax::Span<const int32_t> bias;
  edgeax::Span<const edgeax::Requantization> requantization;
  edgeax::Span<Code> output;
};
using CommonTensors = CommonCodeTensors<int8_t>;

// The arguments as the kernels of int8 or of int16 codes take them.
template <typename Code, typename Args>
auto ArgsFor(const Args& args) {
  if constexpr (sizeof(Code) == sizeof(int16_t)) {
    return edgeax::Int16Args<Args>{args};
  } else {
    return args;
  }
}

template <typename Code>
edgeax::Conv2DArgs Conv2DArgsOf(const golden::CodeCase<Code>& c, const int32_t* clamp) {
  return {InputShapeOf(c), static_cast<int32_t>(c.channels), c.options[7], WindowOf(c.options),
          QuantizationOf(c, clamp)};
}

template <typename Code>
edgeax::FullyConnectedArgs FullyConnectedArgsOf(const golden::CodeCase<Code>& c,
                                                const int32_t* clamp) {
  const int32_t depth = c.input_shape[c.rank - 1];
  return {static_cast<int32_t>(c.input_size) / depth, depth, static_cast<int32_t>(c.channels),
          QuantizationOf(c, clamp)};
}

edgeax::SparseFormat FormatOf(const int32_t* options) {
  return {options[0], static_cast<edgeax::Places>(options[1])};
}

// Scans the weights, and sees that less or more than there is of them is refused.
template <typename Code>
Status Scan(const golden::CodeCase<Code>& c, const edgeax::SparseFormat& format, int32_t depth,
            edgeax::SparseWeights* weights) {
  static edgeax::SparseStart starts[kMaxChannels + 1];
  const auto scan = [&](size_t values, size_t indices) {
    return edgeax::ScanSparse(format, static_cast<int32_t>(c.channels), depth, {c.values, values},
                              {c.indices, indices}, {starts, c.channels + 1});
  };
  if (scan(c.values_size, c.indices_size - 1) == Status::kOk ||
      scan(c.values_size + 1, c.indices_size) != Status::kBadShape ||
      (c.values_size > 0 && scan(c.values_size - 1, c.indices_size) != Status::kBadShape)) {
    return Status::kBadArgument;
  }
  *weights = {{c.values, c.values_size}, {c.indices, c.indices_size}, {starts, c.channels + 1}};
  return scan(c.values_size, c.indices_size);
}

template <typename Code>
Status RunSparse(const golden::CodeCase<Code>& c, const CommonCodeTensors<Code>& common) {
  edgeax::SparseCodeTensors<Code> tensors = {common.input,          {},           common.bias,
                                             common.requantization, {nullptr, 0}, common.output};
  const char* name = edgeax::kOperatorSpecs[c.operator_number].name;
  if (name == edgeax::kSparseConv2DName) {
    const edgeax::SparseConv2DArgs sparse = {Conv2DArgsOf(c, c.options + 10),
                                             FormatOf(c.options + 8)};
    const auto args = ArgsFor<Code>(sparse);
    edgeax::Conv2DGeometry geometry;
    Status status = GeometryOf(args, &geometry);
    if (status == Status::kOk) status = Scan(c, sparse.format, geometry.depth, &tensors.weights);
    return status == Status::kOk ? edgeax::SparseConv2D(args, tensors) : status;
  }
  const edgeax::SparseFullyConnectedArgs sparse = {FullyConnectedArgsOf(c, c.options + 3),
                                                   FormatOf(c.options + 1)};
  const Status status = Scan(c, sparse.format, sparse.fully_connected.depth, &tensors.weights);
  if (status != Status::kOk) return status;
  return edgeax::SparseFullyConnected(ArgsFor<Code>(sparse), tensors);
}

// Weights that are codes of one codebook.
template <typename Code>
Status RunPacked(const golden::CodeCase<Code>& c, const CommonCodeTensors<Code>& common) {
  const edgeax::CodeTensors<Code> tensors = {
      common.input,          {c.weights, c.weights_size},   common.bias,
      common.requantization, {c.codebook, c.codebook_size}, {nullptr, 0},
      common.output};
  const int32_t* options = c.options;
  const char* name = edgeax::kOperatorSpecs[c.operator_number].name;
  if (name == edgeax::kConv2DName) {
    return edgeax::Conv2D(ArgsFor<Code>(Conv2DArgsOf(c, options + 8)), tensors);
  }
  if (name == edgeax::kDepthwiseConv2DName) {
    const edgeax::DepthwiseConv2DArgs args = {InputShapeOf(c), options[7], WindowOf(options),
                                              QuantizationOf(c, options + 8)};
    return edgeax::DepthwiseConv2D(ArgsFor<Code>(args), tensors);
  }
  return edgeax::FullyConnected(ArgsFor<Code>(FullyConnectedArgsOf(c, options + 1)), tensors);
}

bool IsBinary(const golden::OperatorCase& c) {
  const char* name = edgeax::kOperatorSpecs[c.operator_number].name;
  return name == edgeax::kBinaryConv2DName || name == edgeax::kBinaryFullyConnectedName;
}

// input_packed, output_packed, input_channels.
const int32_t* BinaryOptionsOf(const golden::OperatorCase& c) {
  const char* name = edgeax::kOperatorSpecs[c.operator_number].name;
  return c.options + (name == edgeax::kBinaryConv2DName ? 8 : 1);
}

Status RunBinary(const golden::OperatorCase& c, const CommonTensors& common) {
  const edgeax::BinaryTensors tensors = {common.input, {c.weights, c.weights_size},
                                         common.bias,  common.requantization,
                                         {nullptr, 0}, common.output};
  const int32_t* options = BinaryOptionsOf(c);
  const edgeax::BinaryForm form = {options[0], options[1]};
  if (edgeax::kOperatorSpecs[c.operator_number].name == edgeax::kBinaryConv2DName) {
    edgeax::Conv2DArgs conv2d = Conv2DArgsOf(c, options + 4);
    conv2d.input.channels = options[2];
    return edgeax::BinaryConv2D({conv2d, form, options[3]}, tensors);
  }
  edgeax::FullyConnectedArgs sizes = FullyConnectedArgsOf(c, options + 3);
  sizes.depth = options[2];
  return edgeax::BinaryFullyConnected({sizes, form}, tensors);
}

Status FactorsOf(const golden::OperatorCase& c, edgeax::Span<edgeax::Requantization> factors) {
  const edgeax::Span<const float> scale = {c.scale, c.channels};
  if (!IsBinary(c)) {
    return RequantizationFromScales(c.input_scale, scale, c.output_scale, factors);
  }
  const bool is_packed = BinaryOptionsOf(c)[1] != 0;
  return BinaryRequantization(scale, is_packed ? 1.0f : c.output_scale, factors);
}

Status FactorsOf(const golden::Int16Case& c, edgeax::Span<edgeax::Requantization> factors) {
  return RequantizationFromScales(c.input_scale, {c.scale, c.channels}, c.output_scale, factors);
}

bool IsVector(const golden::OperatorCase& c) {
  const char* name = edgeax::kOperatorSpecs[c.operator_number].name;
  return name == edgeax::kVectorConv2DName || name == edgeax::kVectorFullyConnectedName;
}

Status RunVector(const golden::OperatorCase& c, const CommonTensors& common) {
  const edgeax::VectorTensors tensors = {
      common.input,          {c.weights, c.weights_size},   common.bias,
      common.requantization, {c.codebook, c.codebook_size}, {nullptr, 0},
      common.output};
  const int32_t* shape = c.codebook_shape;
  const edgeax::VectorFormat format = {shape[0], shape[2], shape[1]};
  if (edgeax::kOperatorSpecs[c.operator_number].name == edgeax::kVectorConv2DName) {
    return edgeax::VectorConv2D({Conv2DArgsOf(c, c.options + 8), format}, tensors);
  }
  return edgeax::VectorFullyConnected({FullyConnectedArgsOf(c, c.options + 1), format}, tensors);
}

// The bits of codes are those of which the weights have the size.
edgeax::GroupedFormat GroupedFormatOf(const golden::OperatorCase& c, int32_t depth,
                                      int32_t group_bits) {
  const edgeax::GroupedFormat four = {4, group_bits};
  const size_t size = c.channels * static_cast<size_t>(GroupedRowBytes(four, depth));
  return c.weights_size == size ? four : edgeax::GroupedFormat{2, group_bits};
}

bool IsLookup(const golden::OperatorCase& c) {
  const char* name = edgeax::kOperatorSpecs[c.operator_number].name;
  return name == edgeax::kLookupConv2DName || name == edgeax::kLookupFullyConnectedName;
}

Status RunLookup(const golden::OperatorCase& c, const CommonTensors& common) {
  const edgeax::LookupTensors tensors = {common.input,
                                         {c.weights, c.weights_size},
                                         common.bias,
                                         common.requantization,
                                         {c.codebook, c.codebook_size},
                                         {c.points, edgeax::kLookupPoints},
                                         {nullptr, 0},
                                         common.output};
  if (edgeax::kOperatorSpecs[c.operator_number].name == edgeax::kLookupConv2DName) {
    const edgeax::Conv2DArgs conv2d = Conv2DArgsOf(c, c.options + 8);
    edgeax::Conv2DGeometry geometry;
    const Status status = GeometryOf(conv2d, &geometry);
    if (status != Status::kOk) return status;
    const int32_t bits = GroupedFormatOf(c, geometry.depth, edgeax::kMaxGroupBits).bits;
    return edgeax::LookupConv2D({conv2d, bits}, tensors);
  }
  const edgeax::FullyConnectedArgs sizes = FullyConnectedArgsOf(c, c.options + 1);
  const int32_t bits = GroupedFormatOf(c, sizes.depth, edgeax::kMaxGroupBits).bits;
  return edgeax::LookupFullyConnected({sizes, bits}, tensors);
}

// Options lie in the order of edgeax::kOperatorSpecs.
Status RunKernel(const golden::OperatorCase& c, const CommonTensors& common) {
  if (c.indices_size > 0) return RunSparse(c, common);
  if (IsBinary(c)) return RunBinary(c, common);
  if (IsVector(c)) return RunVector(c, common);
  if (IsLookup(c)) return RunLookup(c, common);
  const edgeax::Tensors tensors = {
      common.input,          {c.weights, c.weights_size},   common.bias,
      common.requantization, {c.codebook, c.codebook_size}, {nullptr, 0},
      common.output};
  const int32_t* options = c.options;
  const char* name = edgeax::kOperatorSpecs[c.operator_number].name;
  if (name == edgeax::kGroupedConv2DName) {
    const edgeax::Conv2DArgs conv2d = Conv2DArgsOf(c, options + 9);
    edgeax::Conv2DGeometry geometry;
    const Status status = GeometryOf(conv2d, &geometry);
    if (status != Status::kOk) return status;
    return edgeax::GroupedConv2D({conv2d, GroupedFormatOf(c, geometry.depth, options[8])}, tensors);
  }
  if (name == edgeax::kGroupedFullyConnectedName) {
    const edgeax::FullyConnectedArgs sizes = FullyConnectedArgsOf(c, options + 2);
    return edgeax::GroupedFullyConnected({sizes, GroupedFormatOf(c, sizes.depth, options[1])},
                                         tensors);
  }
  return RunPacked(c, common);
}

Status RunKernel(const golden::Int16Case& c, const CommonCodeTensors<int16_t>& common) {
  return c.indices_size > 0 ? RunSparse(c, common) : RunPacked(c, common);
}

Status RunKernel(const golden::SignSumCase& c, const CommonTensors& common) {
  const int32_t* options = c.common.options;
  const bool slides =
      edgeax::kOperatorSpecs[c.common.operator_number].name == edgeax::kSignSumConv2DName;
  const int32_t* parts = options + (slides ? 8 : 1);
  const int32_t thresholds = static_cast<int32_t>(c.thresholds_size) / parts[0];
  const edgeax::SignSumArgs args =
      slides ? edgeax::SignSumArgs{Conv2DArgsOf(c.common, parts + 3), parts[0], parts[1],
                                   thresholds, parts[2]}
             : SignSumProductArgs(FullyConnectedArgsOf(c.common, parts + 2), parts[0], parts[1],
                                  thresholds);
  return edgeax::SignSum(args, {common.input,
                                {c.common.weights, c.common.weights_size},
                                common.bias,
                                common.requantization,
                                {c.gains, c.gains_size},
                                {c.thresholds, c.thresholds_size},
                                {nullptr, 0},
                                common.output});
}

// `whole` is what is run, and `c` what it has in common with the others.
template <typename Code, typename Case>
bool CodesAreRight(const golden::CodeCase<Code>& c, const Case& whole) {
  static edgeax::Requantization factors[kMaxChannels];
  static Code output[kMaxOutput + 1];
  if (c.channels > kMaxChannels || c.output_size > kMaxOutput) return false;
  for (Code& value : output) value = kUntouched;
  if (FactorsOf(c, {factors, c.channels}) != Status::kOk) return false;
  CommonCodeTensors<Code> tensors = {{c.input, c.input_size},
                                     {c.bias, c.channels},
                                     {factors, c.channels},
                                     {output, c.output_size + 1}};
  // A span of the wrong size is an error, and the output stays as it was.
  if (RunKernel(whole, tensors) != Status::kBadShape || output[0] != kUntouched) return false;
  tensors.output.size = c.output_size;
  if (RunKernel(whole, tensors) != Status::kOk) return false;
  for (size_t i = 0; i < c.output_size; ++i) {
    if (output[i] != c.expected[i]) return false;
  }
  return output[c.output_size] == kUntouched;
}

void RunOperators() {
  for (int i = 0; i < SizeOf(golden::kOperatorCases); ++i) {
    const golden::OperatorCase& c = golden::kOperatorCases[i];
    Count(CodesAreRight(c, c), c.name, i);
  }
  for (int i = 0; i < SizeOf(golden::kInt16Cases); ++i) {
    const golden::Int16Case& c = golden::kInt16Cases[i];
    Count(CodesAreRight(c, c), c.name, i);
  }
  for (int i = 0; i < SizeOf(golden::kSignSumCases); ++i) {
    const golden::SignSumCase& c = golden::kSignSumCases[i];
    Count(CodesAreRight(c.common, c), c.common.name, i);
  }
}

bool FloatsAreRight(const golden::FloatCase& c) {
  static float output[kMaxOutput + 1];
  const int32_t* options = c.options;
  const edgeax::FloatFullyConnectedArgs args = {static_cast<int32_t>(c.input_size) / c.depth,
                                                c.depth,
                                                static_cast<int32_t>(c.outputs),
                                                edgeax::FloatCodeBits(c.codebook_size),
                                                options[1],
                                                static_cast<edgeax::Activation>(options[2])};
  edgeax::FloatTensors tensors = {{c.input, c.input_size},       {c.weights, c.weights_size},
                                  {c.bias, c.outputs},           {c.scale, c.scale_size},
                                  {c.codebook, c.codebook_size}, {nullptr, 0},
                                  {output, c.output_size + 1}};
  for (float& value : output) value = kUntouched;
  if (FloatFullyConnected(args, tensors) != Status::kBadShape) return false;
  if (output[0] < kUntouched || output[0] > kUntouched) return false;
  tensors.output.size = c.output_size;
  if (FloatFullyConnected(args, tensors) != Status::kOk) return false;
  for (size_t i = 0; i < c.output_size; ++i) {
    if (output[i] < c.expected[i] || output[i] > c.expected[i]) return false;
  }
  return true;
}

void RunFloats() {
  for (int i = 0; i < SizeOf(golden::kFloatCases); ++i) {
    Count(FloatsAreRight(golden::kFloatCases[i]), golden::kFloatCases[i].name, i);
  }
}

// Memory for the largest of the coded rows, and a little more.
struct CodedMemory {
  uint8_t weights[512], indices[512], buffer[512];
  int8_t codebook[edgeax::kCodebookEntries];
  edgeax::SparseStart starts[64];
  int32_t bias[64];
  float scale[64];
  uint32_t scratch[3400];
};

template <typename T>
bool AreEqual(const T* some, const T* others, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    if (some[i] != others[i]) return false;
  }
  return true;
}

// The spans of the rows.
edgeax::DecodedRows SpansOf(const edgeax::CodedRows& rows, CodedMemory* memory) {
  const size_t count = static_cast<size_t>(rows.rows);
  return {{memory->weights, rows.weights_size},
          {memory->codebook, edgeax::kCodebookEntries},
          {reinterpret_cast<int8_t*>(memory->weights), rows.weights_size},
          {memory->indices, rows.indices_size},
          {memory->starts, count + 1},
          {memory->bias, count},
          {memory->scale, rows.scale.size / sizeof(float)},
          {memory->scratch, rows.scratch_words}};
}

bool DecodesRight(const golden::CodedCase& c, const edgeax::CodedRows& rows, CodedMemory* memory) {
  if (!edgeax::HasSize(c.rows, rows.rows) || rows.weights_size != c.weights_size ||
      rows.indices_size != c.indices_size || rows.scale.size != sizeof(float) * c.scale_size ||
      rows.scratch_words > static_cast<size_t>(SizeOf(memory->scratch))) {
    return false;
  }
  edgeax::DecodedRows decoded = SpansOf(rows, memory);
  // Spans of the wrong size are an error.
  decoded.bias.size += 1;
  if (DecodeCodedRows(rows, decoded) != Status::kBadShape) return false;
  decoded.bias.size -= 1;
  decoded.scratch.size -= 1;
  if (DecodeCodedRows(rows, decoded) != Status::kBadScratch) return false;
  decoded.scratch.size += 1;
  if (DecodeCodedRows(rows, decoded) != Status::kOk) return false;
  if (rows.layout == edgeax::CodedLayout::kPacked4) {
    if (!AreEqual(memory->codebook, c.codebook, edgeax::kCodebookEntries)) return false;
  } else {
    edgeax::SparseStart starts[64];
    const edgeax::Span<edgeax::SparseStart> scanned = {starts, c.rows + 1};
    if (ScanSparse(rows.format, rows.rows, rows.depth, {decoded.values.data, c.weights_size},
                   {memory->indices, c.indices_size}, scanned) != Status::kOk) {
      return false;
    }
    for (size_t i = 0; i <= c.rows; ++i) {
      if (starts[i].value != memory->starts[i].value) return false;
      if (starts[i].index != memory->starts[i].index) return false;
    }
  }
  return AreEqual(memory->weights, c.weights, c.weights_size) &&
         AreEqual(memory->indices, c.indices, c.indices_size) &&
         AreEqual(memory->bias, c.bias, c.rows) && AreEqual(memory->scale, c.scale, c.scale_size);
}

bool CodedIsRight(const golden::CodedCase& c) {
  static CodedMemory memory;
  edgeax::CodedRows rows;
  // Of a buffer that is cut short or has another bit, the checksum is wrong.
  if (ReadCodedRows({c.buffer, c.buffer_size - 1}, &rows) != Status::kBadArgument) return false;
  for (size_t i = 0; i < c.buffer_size; ++i) memory.buffer[i] = c.buffer[i];
  memory.buffer[c.buffer_size / 2] ^= 4;
  if (ReadCodedRows({memory.buffer, c.buffer_size}, &rows) != Status::kBadArgument) return false;
  if (ReadCodedRows({c.buffer, c.buffer_size}, &rows) != Status::kOk) return false;
  return DecodesRight(c, rows, &memory);
}

void RunCoded() {
  for (int i = 0; i < SizeOf(golden::kCodedCases); ++i) {
    Count(CodedIsRight(golden::kCodedCases[i]), golden::kCodedCases[i].name, i);
  }
}

}  // namespace

int main() {
  RunMultipliers();
  RunRequantize();
  RunUnpack();
  RunOperators();
  RunFloats();
  RunCoded();
  Print("golden: ");
  PrintNumber(passed);
  Print(" passed, ");
  PrintNumber(failed);
  Print(" failed\n");
  return failed == 0 ? 0 : 1;
}
