#include "tflite_kernels/adapters/tflite_ops.h"

#include <string.h>

#include <new>
#include <type_traits>

#include "tflite_kernels/adapters/memory.h"
#include "tflite_kernels/adapters/prepared_rows.h"
#include "tflite_kernels/adapters/tflite_check.h"
#include "tflite_kernels/arch/scratch.h"
#include "tflite_kernels/core/coded.h"
#include "tflite_kernels/core/op_table.h"

namespace edgeax {
namespace {

constexpr int kInputCount = kConv2DInputCount;
constexpr int kMaxOptionNumbers = 1 + kBinaryConv2DOptionCount;
constexpr char kOutputName[] = "output";
constexpr char kScratchName[] = "edgeax_scratch";

// One operator of a model. Init copies what the original node says, unchecked; Prepare checks it.
struct Node {
  const KernelSet* kernels;
  ThreadPool* threads;
  int32_t shares;      // parts that are computed at the same time
  size_t share_bytes;  // scratch of each
  int32_t options[kMaxOptionNumbers];
  int64_t option_bytes;
  // Tensors in the order of the original node: the delegate's own node has them sorted.
  int input_count;
  int inputs[kInputCount];
  int output_count;
  int output;
  int scratch;  // a tensor of the arena, so that all nodes share its memory
  // The files' vectors may lie unaligned: a copy of the bias, and what follows from the scales.
  Buffer<int32_t> bias;
  Buffer<Requantization> requantization;
};

template <typename Op>
struct NodeOf : Node {
  typename Op::Args args;
  typename Op::Storage storage;
};

// The parts of one call that Prepare has checked. `key` is what the weights are read with: their
// codebook, or the places of sparse ones. Coded weights have no bias, scale and key of their own.
struct Operands {
  Operand input, weights, bias, scale, key, output;
};

#define EDGEAX_RETURN_IF_ERROR(expression)     \
  do {                                         \
    const TfLiteStatus status_ = (expression); \
    if (status_ != kTfLiteOk) return status_;  \
  } while (false)

// What the operators' tensors have to look like, once the arguments are known.
struct Wanted {
  int64_t weight_rows, weight_columns;
  int64_t channels;
  int output_rank;
  int64_t output_shape[kMaxRank];
  int64_t depth;  // products of an output
};

// What all operators give to their kernels.
struct CommonTensors {
  Span<const int8_t> input;
  Span<const int32_t> bias;
  Span<const Requantization> requantization;
  Span<uint8_t> scratch;
  Span<int8_t> output;
};

template <typename T>
Span<const T> BytesOf(const TfLiteTensor& tensor) {
  static_assert(sizeof(T) == 1, "a tensor of the file may lie unaligned");
  return {static_cast<const T*>(DataOf(tensor)), tensor.bytes};
}

// ---- How weights are stored.

// Bias and scale of each output channel as tensors.
struct ChannelTensors {
  static TfLiteStatus CheckChannels(const Site& site, const Operands& operands) {
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.bias, kTfLiteInt32));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.bias, 1, 1));
    EDGEAX_RETURN_IF_ERROR(CheckConstant(site, operands.bias, sizeof(int32_t)));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.scale, kTfLiteFloat32));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.scale, 1, 1));
    return CheckConstant(site, operands.scale, sizeof(float));
  }

  static TfLiteStatus CopyChannels(const Site& site, const Operands& operands, Span<int32_t> bias,
                                   Span<float> scale) {
    EDGEAX_RETURN_IF_ERROR(CheckVector(site, operands.bias, static_cast<int64_t>(bias.size)));
    EDGEAX_RETURN_IF_ERROR(CheckVector(site, operands.scale, static_cast<int64_t>(scale.size)));
    memcpy(bias.data, DataOf(*operands.bias.tensor), bias.size * sizeof(int32_t));
    memcpy(scale.data, DataOf(*operands.scale.tensor), scale.size * sizeof(float));
    return kTfLiteOk;
  }
};

// Rows of packed weights, `weight_columns` bytes each.
struct RowStorage : ChannelTensors {
  static constexpr char kRowsText[] = "rows of tensor weights";

  static TfLiteStatus CheckRows(const Site& site, const Operands& operands) {
    EDGEAX_RETURN_IF_ERROR(CheckChannels(site, operands));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.weights, kTfLiteUInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.weights, 2, 2));
    return CheckConstant(site, operands.weights, sizeof(uint8_t));
  }

  static int32_t RowsOf(const Operands& operands) { return operands.weights.tensor->dims->data[0]; }

  template <typename Options>
  static TfLiteStatus Prepare(const Site& site, const Operands& operands, const Options&,
                              const Wanted& wanted) {
    return CheckMatrix(site, operands.weights, wanted.weight_rows, wanted.weight_columns);
  }
};

// Rows of codes, and the codebook that they point into.
struct CodebookStorage : RowStorage {
  int32_t bits;  // of a code
  PreparedRows prepared;

  TfLiteStatus CheckOperands(const Site& site, const Operands& operands) {
    EDGEAX_RETURN_IF_ERROR(CheckRows(site, operands));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.key, kTfLiteInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.key, 1, 1));
    const int entries = operands.key.tensor->dims->data[0];
    bits = CodeBits(static_cast<size_t>(entries));
    if (bits == 0) {
      return Fail(site, "tensor codebook must have 16, 4 or 2 entries. Received: %d.", entries);
    }
    return CheckConstant(site, operands.key, sizeof(int8_t));
  }

  Tensors TensorsOf(const TfLiteTensor* all, const int* inputs, const CommonTensors& common) const {
    return {common.input,
            BytesOf<uint8_t>(all[inputs[kWeights]]),
            common.bias,
            common.requantization,
            BytesOf<int8_t>(all[inputs[kCodebook]]),
            common.scratch,
            common.output,
            Share{0, 1},
            prepared.sums()};
  }
};

// Rows of `weight_columns` int8 weights without their zeros, and the places of what is left.
struct SparseStorage : ChannelTensors {
  static constexpr char kRowsText[] = "numbers of tensor bias";

  Buffer<SparseStart> starts;
  PreparedRows prepared;

  static TfLiteStatus CheckOperands(const Site& site, const Operands& operands) {
    EDGEAX_RETURN_IF_ERROR(CheckChannels(site, operands));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.weights, kTfLiteInt8));
    if (!IsEmptyVector(operands.weights)) {  // nothing is left, and nothing is stored
      EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.weights, 1, 1));
      EDGEAX_RETURN_IF_ERROR(CheckConstant(site, operands.weights, sizeof(int8_t)));
    }
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.key, kTfLiteUInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.key, 1, 1));
    return CheckConstant(site, operands.key, sizeof(uint8_t));
  }

  static int32_t RowsOf(const Operands& operands) { return operands.bias.tensor->dims->data[0]; }

  template <typename Options>
  TfLiteStatus Prepare(const Site& site, const Operands& operands, const Options& options,
                       const Wanted& wanted) {
    const SparseFormat format = {options.block, static_cast<Places>(options.places)};
    if (CheckSparseFormat(format) != Status::kOk) {
      return Fail(site, "option block must be 1, 2, 4, 8 or 16. Received: %d.",
                  static_cast<int>(options.block));
    }
    const int32_t rows = static_cast<int32_t>(wanted.weight_rows);
    const int32_t depth = static_cast<int32_t>(wanted.weight_columns);
    if (!starts.Allocate(static_cast<size_t>(rows) + 1)) {
      return Fail(site, "there is no memory for the starts of %d rows.", static_cast<int>(rows));
    }
    const Span<const int8_t> values = BytesOf<int8_t>(*operands.weights.tensor);
    const Span<const uint8_t> indices = BytesOf<uint8_t>(*operands.key.tensor);
    const Status status =
        ScanSparse(format, rows, depth, values, indices, {starts.data(), starts.size()});
    const int32_t blocks = (depth - 1) / format.block + 1;
    if (status == Status::kBadArgument) {
      return Fail(site, "tensor indices must place every block of a row before number %d.",
                  static_cast<int>(blocks));
    }
    if (status == Status::kOk) return kTfLiteOk;
    return Fail(site,
                "tensors indices and weights must hold exactly the places and values of %d rows "
                "of %d blocks of %d. Received: %llu and %llu bytes.",
                static_cast<int>(rows), static_cast<int>(blocks), static_cast<int>(format.block),
                static_cast<unsigned long long>(indices.size),
                static_cast<unsigned long long>(values.size));
  }

  SparseWeights WeightsOf(const TfLiteTensor& weights, const TfLiteTensor& indices) const {
    return {BytesOf<int8_t>(weights), BytesOf<uint8_t>(indices), {starts.data(), starts.size()}};
  }

  SparseTensors TensorsOf(const TfLiteTensor* all, const int* inputs,
                          const CommonTensors& common) const {
    return {common.input,   WeightsOf(all[inputs[kWeights]], all[inputs[kIndices]]),
            common.bias,    common.requantization,
            common.scratch, common.output,
            Share{0, 1},    prepared.balanced()};
  }

 private:
  static bool IsEmptyVector(const Operand& operand) {
    const TfLiteTensor& tensor = *operand.tensor;
    return tensor.dims != nullptr && tensor.dims->size == 1 && tensor.dims->data[0] == 0 &&
           tensor.bytes == 0;
  }
};

// Rows of bits.
struct BinaryStorage : RowStorage {
  static TfLiteStatus CheckOperands(const Site& site, const Operands& operands) {
    return CheckRows(site, operands);
  }

  static TfLiteStatus CopyChannels(const Site& site, const Operands& operands, Span<int32_t> bias,
                                   Span<float> scale) {
    EDGEAX_RETURN_IF_ERROR(ChannelTensors::CopyChannels(site, operands, bias, scale));
    for (size_t i = 0; i < bias.size; ++i) {
      if (bias.data[i] >= -kMaxBinaryBias && bias.data[i] <= kMaxBinaryBias) continue;
      return Fail(site, "every number of tensor bias must lie in [%d, %d]. Received: %d.",
                  -static_cast<int>(kMaxBinaryBias), static_cast<int>(kMaxBinaryBias),
                  static_cast<int>(bias.data[i]));
    }
    return kTfLiteOk;
  }

  BinaryTensors TensorsOf(const TfLiteTensor* all, const int* inputs,
                          const CommonTensors& common) const {
    return {common.input,   BytesOf<uint8_t>(all[inputs[kWeights]]),
            common.bias,    common.requantization,
            common.scratch, common.output};
  }
};

// Nothing is stored.
struct NoStorage {
  static TfLiteStatus CheckOperands(const Site&, const Operands&) { return kTfLiteOk; }

  static TfLiteStatus CopyChannels(const Site&, const Operands&, Span<int32_t>, Span<float>) {
    return kTfLiteOk;
  }

  template <typename Options>
  static TfLiteStatus Prepare(const Site&, const Operands&, const Options&, const Wanted&) {
    return kTfLiteOk;
  }

  BinaryPoolTensors TensorsOf(const TfLiteTensor*, const int*, const CommonTensors& common) const {
    return {{reinterpret_cast<const uint8_t*>(common.input.data), common.input.size},
            common.scratch,
            {reinterpret_cast<uint8_t*>(common.output.data), common.output.size}};
  }
};

// What a kernel for coded weights reads and writes: one of both, as they were decoded.
struct CodedTensors {
  Tensors packed;
  SparseTensors sparse;
};

// Rows with their biases and scales in one tensor, decoded once into memory of its own.
struct CodedStorage {
  static constexpr char kRowsText[] = "rows of tensor coded";

  CodedRows rows;
  Buffer<uint8_t> weights, indices;
  Buffer<int8_t> codebook;
  Buffer<SparseStart> starts;
  Buffer<int32_t> bias;
  Buffer<float> scale;
  PreparedRows prepared;

  TfLiteStatus CheckOperands(const Site& site, const Operands& operands) {
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.weights, kTfLiteUInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.weights, 1, 1));
    EDGEAX_RETURN_IF_ERROR(CheckConstant(site, operands.weights, sizeof(uint8_t)));
    if (ReadCodedRows(BytesOf<uint8_t>(*operands.weights.tensor), &rows) == Status::kOk) {
      return kTfLiteOk;
    }
    return Fail(site, "tensor coded must hold coded rows with their checksum. It is damaged.");
  }

  int32_t RowsOf(const Operands&) const { return rows.rows; }

  template <typename Options>
  TfLiteStatus Prepare(const Site& site, const Operands&, const Options&, const Wanted& wanted) {
    if (rows.depth != wanted.weight_columns) {
      return Fail(site, "tensor coded must hold rows of %d weights. Received: %d.",
                  static_cast<int>(wanted.weight_columns), static_cast<int>(rows.depth));
    }
    const size_t count = static_cast<size_t>(rows.rows);
    const bool is_sparse = rows.layout == CodedLayout::kSparse;
    Buffer<uint32_t> scratch;
    if (!weights.Allocate(rows.weights_size) || !indices.Allocate(rows.indices_size) ||
        !codebook.Allocate(kCodebookEntries) || !starts.Allocate(is_sparse ? count + 1 : 0) ||
        !bias.Allocate(count) || !scale.Allocate(rows.scale.size / sizeof(float)) ||
        !scratch.Allocate(rows.scratch_words)) {
      return Fail(site, "there is no memory for the weights of %d rows.",
                  static_cast<int>(rows.rows));
    }
    const Span<uint8_t> bytes = {weights.data(), weights.size()};
    const Status status =
        DecodeCodedRows(rows, {bytes,
                               {codebook.data(), codebook.size()},
                               {reinterpret_cast<int8_t*>(bytes.data), bytes.size},
                               {indices.data(), indices.size()},
                               {starts.data(), starts.size()},
                               {bias.data(), bias.size()},
                               {scale.data(), scale.size()},
                               {scratch.data(), scratch.size()}});
    if (status == Status::kOk) return kTfLiteOk;
    return Fail(site, "tensor coded must hold exactly the weights and biases of %d rows of %d.",
                static_cast<int>(rows.rows), static_cast<int>(rows.depth));
  }

  TfLiteStatus CopyChannels(const Site&, const Operands&, Span<int32_t> biases,
                            Span<float> scales) const {
    memcpy(biases.data, bias.data(), biases.size * sizeof(int32_t));
    for (size_t i = 0; i < scales.size; ++i) {
      scales.data[i] = scale.data()[scale.size() == 1 ? 0 : i];
    }
    return kTfLiteOk;
  }

  CodedTensors TensorsOf(const TfLiteTensor*, const int*, const CommonTensors& common) const {
    const Span<const uint8_t> bytes = {weights.data(), weights.size()};
    const SparseWeights values = {{reinterpret_cast<const int8_t*>(bytes.data), bytes.size},
                                  {indices.data(), indices.size()},
                                  {starts.data(), starts.size()}};
    return {
        {common.input,
         bytes,
         common.bias,
         common.requantization,
         {codebook.data(), codebook.size()},
         common.scratch,
         common.output,
         Share{0, 1},
         prepared.sums()},
        {common.input, values, common.bias, common.requantization, common.scratch, common.output}};
  }
};

// ---- What differs between the operators: options and shapes to arguments, and what to call.

template <typename Options>
Window WindowOf(const Options& o) {
  return {o.kernel_height,
          o.kernel_width,
          o.stride_height,
          o.stride_width,
          o.dilation_height,
          o.dilation_width,
          static_cast<Padding>(o.padding)};
}

Shape4 Shape4Of(const TfLiteIntArray& dims) {
  return {dims.data[0], dims.data[1], dims.data[2], dims.data[3]};
}

int32_t LastOf(const Operands& operands) {
  const TfLiteIntArray& dims = *operands.input.tensor->dims;
  return dims.data[dims.size - 1];
}

TfLiteStatus FailWindow(const Site& site, const Shape4& input) {
  return Fail(site,
              "tensor input of height %d and width %d must hold the dilated kernel "
              "(kernel_height, kernel_width, dilation_height, dilation_width).",
              static_cast<int>(input.height), static_cast<int>(input.width));
}

// As many channels as the storage has rows.
template <typename Options, typename Storage>
TfLiteStatus TranslateConv2D(const Site& site, const Options& options, const Operands& operands,
                             const Shape4& input, const Storage& storage,
                             const Quantization& quantization, Conv2DArgs* args,
                             Conv2DGeometry* geometry) {
  const int32_t channels = storage.RowsOf(operands);
  if (input.channels % options.groups != 0 || channels % options.groups != 0) {
    return Fail(site,
                "option groups must divide the %d channels of tensor input and the %d %s. "
                "Received: %d.",
                static_cast<int>(input.channels), static_cast<int>(channels), Storage::kRowsText,
                static_cast<int>(options.groups));
  }
  *args = {input, channels, options.groups, WindowOf(options), quantization};
  if (GeometryOf(args->window, input.height, input.width, &geometry->window) != Status::kOk) {
    return FailWindow(site, input);
  }
  if (GeometryOf(*args, geometry) == Status::kOk) return kTfLiteOk;
  return Fail(site,
              "a row of tensor %s (kernel_height x kernel_width x channels of a group) "
              "must have at most %d weights.",
              operands.weights.name, static_cast<int>(kMaxRowDepth));
}

Wanted WantedOf(const Conv2DArgs& args, const Conv2DGeometry& geometry, int32_t weight_columns) {
  const int32_t channels = args.output_channels;
  return {channels,
          weight_columns,
          channels,
          4,
          {args.input.batch, geometry.window.height.output, geometry.window.width.output, channels},
          geometry.depth};
}

template <typename Options>
TfLiteStatus TranslateFullyConnected(const Site& site, const Options& options,
                                     const Operands& operands, int32_t depth, int32_t outputs,
                                     const Quantization& quantization, FullyConnectedArgs* args,
                                     Wanted* wanted) {
  const TfLiteIntArray& dims = *operands.input.tensor->dims;
  int32_t rows = 1;
  for (int i = 0; i + 1 < dims.size; ++i) rows *= dims.data[i];  // CheckShape: no overflow
  *args = {rows, depth, outputs, quantization};
  if (CheckFullyConnected(*args) != Status::kOk) {
    return Fail(site, "the last dimension of tensor input must be at most %d. Received: %d.",
                static_cast<int>(kMaxRowDepth), static_cast<int>(depth));
  }
  *wanted = {outputs, depth, outputs, 2, {rows, outputs}, depth};
  if (options.keep_num_dims != 0) {
    wanted->output_rank = dims.size;
    for (int i = 0; i + 1 < dims.size; ++i) wanted->output_shape[i] = dims.data[i];
    wanted->output_shape[dims.size - 1] = outputs;
  }
  return kTfLiteOk;
}

// Which of input and output hold bits.
template <typename Options>
BinaryForm FormOf(const Options&) {
  return {0, 0};
}
BinaryForm FormOf(const BinaryConv2DOptions& options) {
  return {options.input_packed, options.output_packed};
}
BinaryForm FormOf(const BinaryFullyConnectedOptions& options) {
  return {options.input_packed, options.output_packed};
}

BinaryForm FormOf(const BinaryMaxPool2DOptions&) { return {1, 1}; }

// Whether the last dimension of the input holds option input_channels.
template <typename Options>
TfLiteStatus CheckBinaryInput(const Site& site, const Options& options, const Operands& operands) {
  const int32_t is_packed = FormOf(options).input_packed;
  const int32_t wanted = BinaryBytes(is_packed, options.input_channels);
  if (LastOf(operands) == wanted) return kTfLiteOk;
  return Fail(site,
              "the last dimension of tensor input must be %d for the options input_packed %d and "
              "input_channels %d. Received: %d.",
              static_cast<int>(wanted), static_cast<int>(is_packed),
              static_cast<int>(options.input_channels), static_cast<int>(LastOf(operands)));
}

// The output codes of an operator that has a fused activation.
struct Clamp {
  int32_t low, high;
};
template <typename Options>
Clamp ClampOf(const Options& options) {
  return {options.output_min, options.output_max};
}
Clamp ClampOf(const BinaryMaxPool2DOptions&) { return {-128, 127}; }

template <typename Options>
SparseFormat FormatOf(const Options& options) {
  return {options.block, static_cast<Places>(options.places)};
}

// `sparse` but for its format are the arguments of the kernel for packed rows too.
template <typename SparseArgs>
struct CodedArgs {
  CodedLayout layout;
  SparseArgs sparse;
};

const Conv2DArgs& PackedOf(const SparseConv2DArgs& args) { return args.conv2d; }
const FullyConnectedArgs& PackedOf(const SparseFullyConnectedArgs& args) {
  return args.fully_connected;
}

// The kernels for both layouts of coded weights as one.
template <typename PackedArgs, typename SparseArgs>
struct CodedKernel {
  const Kernel<PackedArgs>& packed;
  const Kernel<SparseArgs, SparseTensors>& sparse;

  Status scratch_bytes(const CodedArgs<SparseArgs>& args, size_t* bytes) const {
    return args.layout == CodedLayout::kPacked4 ? packed.scratch_bytes(PackedOf(args.sparse), bytes)
                                                : sparse.scratch_bytes(args.sparse, bytes);
  }

  bool splits(const CodedArgs<SparseArgs>& args) const {
    return args.layout == CodedLayout::kPacked4 ? packed.splits : sparse.splits;
  }

  Status run(const CodedArgs<SparseArgs>& args, const CodedTensors& tensors) const {
    return args.layout == CodedLayout::kPacked4 ? packed.run(PackedOf(args.sparse), tensors.packed)
                                                : sparse.run(args.sparse, tensors.sparse);
  }
};

template <typename Args, typename TensorsOfArgs>
bool Splits(const Kernel<Args, TensorsOfArgs>& kernel, const Args&) {
  return kernel.splits;
}

template <typename PackedArgs, typename SparseArgs>
bool Splits(const CodedKernel<PackedArgs, SparseArgs>& kernel, const CodedArgs<SparseArgs>& args) {
  return kernel.splits(args);
}

template <typename TensorsOfArgs>
void GiveShare(Share share, Span<uint8_t> scratch, TensorsOfArgs* tensors) {
  tensors->share = share;
  tensors->scratch = scratch;
}

void GiveShare(Share share, Span<uint8_t> scratch, CodedTensors* tensors) {
  GiveShare(share, scratch, &tensors->packed);
  GiveShare(share, scratch, &tensors->sparse);
}

// What is made of weights once, for the kernels of products that take it.

template <typename Args, typename Storage>
void PrepareRows(const Operands&, const Args&, Storage*) {}

void PrepareRows(const Operands& operands, const FullyConnectedArgs& args,
                 CodebookStorage* storage) {
  storage->prepared.Sum(args, BytesOf<uint8_t>(*operands.weights.tensor),
                        BytesOf<int8_t>(*operands.key.tensor));
}

void PrepareRows(const Operands& operands, const SparseFullyConnectedArgs& args,
                 SparseStorage* storage) {
  storage->prepared.Balance(args,
                            storage->WeightsOf(*operands.weights.tensor, *operands.key.tensor));
}

// Sparse ones are not balanced: they would lie in memory twice.
void PrepareRows(const Operands&, const CodedArgs<SparseFullyConnectedArgs>& args,
                 CodedStorage* storage) {
  if (args.layout != CodedLayout::kPacked4) return;
  storage->prepared.Sum(args.sparse.fully_connected,
                        {storage->weights.data(), storage->weights.size()},
                        {storage->codebook.data(), storage->codebook.size()});
}

struct Conv2DOp {
  using Storage = CodebookStorage;
  using Args = Conv2DArgs;
  using Options = Conv2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[0];
  static_assert(kSpec.name == kConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  static const Kernel<Args>& KernelIn(const KernelSet& set) { return set.conv2d; }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    Conv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands,
                                           Shape4Of(*operands.input.tensor->dims), storage,
                                           quantization, args, &geometry));
    *wanted = WantedOf(*args, geometry, PackedBytes(geometry.depth, storage.bits));
    return kTfLiteOk;
  }
};

struct DepthwiseConv2DOp {
  using Storage = CodebookStorage;
  using Args = DepthwiseConv2DArgs;
  using Options = DepthwiseConv2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[1];
  static_assert(kSpec.name == kDepthwiseConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  static const Kernel<Args>& KernelIn(const KernelSet& set) { return set.depthwise_conv2d; }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    const Shape4 input = Shape4Of(*operands.input.tensor->dims);
    *args = {input, options.depth_multiplier, WindowOf(options), quantization};
    DepthwiseConv2DGeometry geometry;
    if (GeometryOf(args->window, input.height, input.width, &geometry.window) != Status::kOk) {
      return FailWindow(site, input);
    }
    if (GeometryOf(*args, &geometry) != Status::kOk) {
      return Fail(site,
                  "options kernel_height x kernel_width must give at most %d positions, and "
                  "depth_multiplier x %d channels of tensor input at most %lld channels.",
                  static_cast<int>(kMaxRowDepth), static_cast<int>(input.channels),
                  static_cast<long long>(kMaxElements));
    }
    *wanted = {geometry.taps,
               PackedBytes(geometry.output_channels, storage.bits),
               geometry.output_channels,
               4,
               {input.batch, geometry.window.height.output, geometry.window.width.output,
                geometry.output_channels},
               geometry.taps};
    return kTfLiteOk;
  }
};

struct FullyConnectedOp {
  using Storage = CodebookStorage;
  using Args = FullyConnectedArgs;
  using Options = FullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[2];
  static_assert(kSpec.name == kFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  static const Kernel<Args>& KernelIn(const KernelSet& set) { return set.fully_connected; }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    EDGEAX_RETURN_IF_ERROR(TranslateFullyConnected(site, options, operands, LastOf(operands),
                                                   storage.RowsOf(operands), quantization, args,
                                                   wanted));
    wanted->weight_columns = PackedBytes(args->depth, storage.bits);
    return kTfLiteOk;
  }
};

struct SparseConv2DOp {
  using Storage = SparseStorage;
  using Args = SparseConv2DArgs;
  using Options = SparseConv2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[3];
  static_assert(kSpec.name == kSparseConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  static const Kernel<Args, SparseTensors>& KernelIn(const KernelSet& set) {
    return set.sparse_conv2d;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->format = FormatOf(options);
    Conv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands,
                                           Shape4Of(*operands.input.tensor->dims), storage,
                                           quantization, &args->conv2d, &geometry));
    *wanted = WantedOf(args->conv2d, geometry, geometry.depth);
    return kTfLiteOk;
  }
};

struct SparseFullyConnectedOp {
  using Storage = SparseStorage;
  using Args = SparseFullyConnectedArgs;
  using Options = SparseFullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[4];
  static_assert(kSpec.name == kSparseFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  static const Kernel<Args, SparseTensors>& KernelIn(const KernelSet& set) {
    return set.sparse_fully_connected;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->format = FormatOf(options);
    return TranslateFullyConnected(site, options, operands, LastOf(operands),
                                   storage.RowsOf(operands), quantization, &args->fully_connected,
                                   wanted);
  }
};

struct CodedConv2DOp {
  using Storage = CodedStorage;
  using Args = CodedArgs<SparseConv2DArgs>;
  using Options = CodedConv2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[5];
  static_assert(kSpec.name == kCodedConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  static CodedKernel<Conv2DArgs, SparseConv2DArgs> KernelIn(const KernelSet& set) {
    return {set.conv2d, set.sparse_conv2d};
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->layout = storage.rows.layout;
    args->sparse.format = storage.rows.format;
    Conv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands,
                                           Shape4Of(*operands.input.tensor->dims), storage,
                                           quantization, &args->sparse.conv2d, &geometry));
    *wanted = WantedOf(args->sparse.conv2d, geometry, geometry.depth);
    return kTfLiteOk;
  }
};

struct CodedFullyConnectedOp {
  using Storage = CodedStorage;
  using Args = CodedArgs<SparseFullyConnectedArgs>;
  using Options = CodedFullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[6];
  static_assert(kSpec.name == kCodedFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  static CodedKernel<FullyConnectedArgs, SparseFullyConnectedArgs> KernelIn(const KernelSet& set) {
    return {set.fully_connected, set.sparse_fully_connected};
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    args->layout = storage.rows.layout;
    args->sparse.format = storage.rows.format;
    return TranslateFullyConnected(site, options, operands, LastOf(operands),
                                   storage.RowsOf(operands), quantization,
                                   &args->sparse.fully_connected, wanted);
  }
};

struct BinaryConv2DOp {
  using Storage = BinaryStorage;
  using Args = BinaryConv2DArgs;
  using Options = BinaryConv2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[7];
  static_assert(kSpec.name == kBinaryConv2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  static const Kernel<Args, BinaryTensors>& KernelIn(const KernelSet& set) {
    return set.binary_conv2d;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    EDGEAX_RETURN_IF_ERROR(CheckBinaryInput(site, options, operands));
    args->form = FormOf(options);
    args->pad_value = options.pad_value;
    Shape4 input = Shape4Of(*operands.input.tensor->dims);
    input.channels = options.input_channels;
    BinaryConv2DGeometry geometry;
    EDGEAX_RETURN_IF_ERROR(TranslateConv2D(site, options, operands, input, storage, quantization,
                                           &args->conv2d, &geometry.conv2d));
    if (GeometryOf(*args, &geometry) != Status::kOk) {
      return Fail(site, "the options do not fit the tensors.");
    }
    *wanted = WantedOf(args->conv2d, geometry.conv2d, geometry.row_bytes);
    wanted->output_shape[3] = BinaryBytes(options.output_packed, args->conv2d.output_channels);
    return kTfLiteOk;
  }
};

struct BinaryFullyConnectedOp {
  using Storage = BinaryStorage;
  using Args = BinaryFullyConnectedArgs;
  using Options = BinaryFullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[8];
  static_assert(kSpec.name == kBinaryFullyConnectedName, "the order of the operator table");
  static constexpr int kLowRank = 1, kHighRank = kMaxRank;

  static const Kernel<Args, BinaryTensors>& KernelIn(const KernelSet& set) {
    return set.binary_fully_connected;
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                const Storage& storage, const Quantization& quantization,
                                Args* args, Wanted* wanted) {
    EDGEAX_RETURN_IF_ERROR(CheckBinaryInput(site, options, operands));
    args->form = FormOf(options);
    const int32_t outputs = storage.RowsOf(operands);
    EDGEAX_RETURN_IF_ERROR(TranslateFullyConnected(site, options, operands, options.input_channels,
                                                   outputs, quantization, &args->fully_connected,
                                                   wanted));
    wanted->weight_columns = PackedBytes(options.input_channels, 1);
    wanted->output_shape[wanted->output_rank - 1] = BinaryBytes(options.output_packed, outputs);
    return kTfLiteOk;
  }
};

struct BinaryMaxPool2DOp {
  using Storage = NoStorage;
  using Args = BinaryMaxPool2DArgs;
  using Options = BinaryMaxPool2DOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[9];
  static_assert(kSpec.name == kBinaryMaxPool2DName, "the order of the operator table");
  static constexpr int kLowRank = 4, kHighRank = 4;

  static const Kernel<Args, BinaryPoolTensors>& KernelIn(const KernelSet& set) {
    return set.binary_max_pool2d;
  }

  static TfLiteStatus Translate(const Site& site, const Options& o, const Operands& operands,
                                const Storage&, const Quantization&, Args* args, Wanted* wanted) {
    EDGEAX_RETURN_IF_ERROR(CheckBinaryInput(site, o, operands));
    Shape4 input = Shape4Of(*operands.input.tensor->dims);
    const int32_t bytes = input.channels;
    input.channels = o.input_channels;
    *args = {input,
             {o.kernel_height, o.kernel_width, o.stride_height, o.stride_width, 1, 1,
              static_cast<Padding>(o.padding)}};
    WindowGeometry window;
    if (GeometryOf(*args, &window) != Status::kOk) {
      return Fail(site,
                  "tensor input of height %d and width %d must hold the window (kernel_height, "
                  "kernel_width) and at most %lld numbers.",
                  static_cast<int>(input.height), static_cast<int>(input.width),
                  static_cast<long long>(kMaxElements));
    }
    wanted->output_rank = 4;
    const int64_t shape[] = {input.batch, window.height.output, window.width.output, bytes};
    for (int i = 0; i < 4; ++i) wanted->output_shape[i] = shape[i];
    wanted->depth = int64_t{o.kernel_height} * o.kernel_width;
    return kTfLiteOk;
  }
};

// Rows of codes that stand for floats. What the kernel reads as floats may lie unaligned in a file:
// then it is a copy.
struct FloatStorage {
  Buffer<float> bias, scale, codebook;

  // `copy` stays empty where the tensor is aligned.
  static TfLiteStatus CopyUnaligned(const Site& site, const Operand& operand, Buffer<float>* copy) {
    if (IsAligned(*operand.tensor)) return kTfLiteOk;
    const size_t count = operand.tensor->bytes / sizeof(float);
    if (!copy->Allocate(count)) {
      return Fail(site, "there is no memory for %llu numbers of tensor %s.",
                  static_cast<unsigned long long>(count), operand.name);
    }
    memcpy(copy->data(), DataOf(*operand.tensor), count * sizeof(float));
    return kTfLiteOk;
  }

  static bool IsAligned(const TfLiteTensor& tensor) {
    return reinterpret_cast<uintptr_t>(DataOf(tensor)) % alignof(float) == 0;
  }

  static Span<const float> FloatsOf(const TfLiteTensor& tensor, const Buffer<float>& copy) {
    if (!IsAligned(tensor)) return {copy.data(), copy.size()};
    return {static_cast<const float*>(DataOf(tensor)), tensor.bytes / sizeof(float)};
  }
};

struct FloatFullyConnectedOp {
  using Storage = FloatStorage;
  using Args = FloatFullyConnectedArgs;
  using Options = FloatFullyConnectedOptions;
  static constexpr const OperatorSpec& kSpec = kOperatorSpecs[10];
  static_assert(kSpec.name == kFloatFullyConnectedName, "the order of the operator table");

  static const Kernel<Args, FloatTensors>& KernelIn(const KernelSet& set) {
    return set.float_fully_connected;
  }

  static TfLiteStatus CheckFloats(const Site& site, const Operand& operand, int rank) {
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operand, kTfLiteFloat32));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operand, rank, rank));
    return CheckConstant(site, operand, sizeof(float));
  }

  // Types, ranks, constants: all that does not depend on the other tensors.
  static TfLiteStatus CheckOperands(const Site& site, const Operands& operands) {
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.input, kTfLiteFloat32));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.input, 1, kMaxRank));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.weights, kTfLiteUInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.weights, 2, 2));
    EDGEAX_RETURN_IF_ERROR(CheckConstant(site, operands.weights, sizeof(uint8_t)));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, operands.bias, 1));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, operands.scale, 2));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, operands.key, 1));
    return CheckType(site, operands.output, kTfLiteFloat32);
  }

  static TfLiteStatus Translate(const Site& site, const Options& options, const Operands& operands,
                                Args* args, Wanted* wanted) {
    const int entries = operands.key.tensor->dims->data[0];
    const int32_t bits = FloatCodeBits(static_cast<size_t>(entries));
    if (bits == 0) {
      return Fail(site, "tensor codebook must have 256, 16, 4 or 2 entries. Received: %d.",
                  entries);
    }
    if (options.group % 8 != 0) {
      return Fail(site, "option group must be a multiple of 8. Received: %d.",
                  static_cast<int>(options.group));
    }
    const Quantization none = {0, 0, 0, 0, Rounding::kSingle};
    FullyConnectedArgs sizes;
    EDGEAX_RETURN_IF_ERROR(TranslateFullyConnected(site, options, operands, LastOf(operands),
                                                   operands.weights.tensor->dims->data[0], none,
                                                   &sizes, wanted));
    *args = {sizes.rows, sizes.depth,   sizes.outputs,
             bits,       options.group, static_cast<Activation>(options.activation)};
    const int64_t outputs = sizes.outputs;
    EDGEAX_RETURN_IF_ERROR(
        CheckMatrix(site, operands.weights, outputs, PackedBytes(sizes.depth, bits)));
    EDGEAX_RETURN_IF_ERROR(CheckVector(site, operands.bias, outputs));
    return CheckMatrix(site, operands.scale, outputs, GroupsOf(*args));
  }
};

// ---- What is common to the operators.

// The factors of a kernel's sums.
template <typename Op>
Status FactorsOf(const BinaryForm& form, const Operands& operands, Span<const float> scales,
                 Span<Requantization> factors) {
  const float output_scale = operands.output.tensor->params.scale;
  if constexpr (std::is_same_v<typename Op::Storage, NoStorage>) {
    return Status::kOk;
  } else if constexpr (std::is_same_v<typename Op::Storage, BinaryStorage>) {
    return BinaryRequantization(scales, form.output_packed != 0 ? 1.0f : output_scale, factors);
  } else {
    return RequantizationFromScales(operands.input.tensor->params.scale, scales, output_scale,
                                    factors);
  }
}

TfLiteIntArray* NewIntArray(int size) {
  // The interpreter frees it with free().
  TfLiteIntArray* array =
      static_cast<TfLiteIntArray*>(malloc(sizeof(int) * (static_cast<size_t>(size) + 1)));
  if (array != nullptr) array->size = size;
  return array;
}

void CopyOptions(const void* options, int64_t bytes, Node* node) {
  node->option_bytes = options == nullptr ? 0 : bytes;
  const int64_t room = sizeof(node->options);
  const int64_t copied = node->option_bytes < room ? node->option_bytes : room;
  if (copied > 0) memcpy(node->options, options, static_cast<size_t>(copied));
}

void CopyTensorIndices(const TfLiteNode& from, Node* node) {
  node->input_count = from.inputs->size;
  for (int i = 0; i < kInputCount && i < node->input_count; ++i) {
    node->inputs[i] = from.inputs->data[i];
  }
  node->output_count = from.outputs->size;
  node->output = node->output_count > 0 ? from.outputs->data[0] : -1;
}

template <typename Op>
void Free(TfLiteContext*, void* buffer) {
  if (buffer == nullptr) return;
  auto* node = static_cast<NodeOf<Op>*>(buffer);
  node->~NodeOf();
  free(node);
}

// Returns null when there is no memory; Prepare then reports it.
template <typename Op>
NodeOf<Op>* NewNode(TfLiteContext* context, const KernelSet* kernels, ThreadPool* threads) {
  void* memory = malloc(sizeof(NodeOf<Op>));
  if (memory == nullptr) return nullptr;
  auto* node = new (memory) NodeOf<Op>();
  if (context->AddTensors(context, 1, &node->scratch) != kTfLiteOk) {
    Free<Op>(context, node);
    return nullptr;
  }
  node->kernels = kernels;
  node->threads = threads;
  return node;
}

// Of a node that the delegate took over.
template <typename Op>
void* Init(TfLiteContext* context, const char* buffer, size_t) {
  const auto& params = *reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  TfLiteNode* original = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, params.nodes_to_replace->data[0], &original,
                                      &registration) != kTfLiteOk) {
    return nullptr;
  }
  auto& plugin = *static_cast<Plugin*>(params.delegate->data);
  auto* node = NewNode<Op>(context, plugin.kernels, &plugin.threads);
  if (node == nullptr) return nullptr;
  CopyOptions(original->custom_initial_data, original->custom_initial_data_size, node);
  CopyTensorIndices(*original, node);
  return node;
}

// Of all nodes that were resolved, whichever interpreter they are in.
ThreadPool resolved_threads;

// Of a node that was resolved: `buffer` holds its options, and its tensors are known in Prepare.
template <typename Op>
void* InitResolved(TfLiteContext* context, const char* buffer, size_t length) {
  auto* node = NewNode<Op>(context, FindKernelSet("auto"), &resolved_threads);
  if (node != nullptr) CopyOptions(buffer, static_cast<int64_t>(length), node);
  return node;
}

TfLiteStatus FindOperands(const Site& site, const Node& node, Operands* operands) {
  const OperatorSpec& spec = *site.spec;
  if (node.input_count != spec.input_count || node.output_count != 1) {
    return Fail(site, "the operator must have %d inputs and 1 output. Received: %d and %d.",
                static_cast<int>(spec.input_count), node.input_count, node.output_count);
  }
  Operand found[kInputCount + 1] = {};
  for (int i = 0; i <= spec.input_count; ++i) {
    const bool is_input = i < spec.input_count;
    const int index = is_input ? node.inputs[i] : node.output;
    const char* name = is_input ? spec.input_names[i] : kOutputName;
    if (index < 0 || static_cast<size_t>(index) >= site.context->tensors_size) {
      return Fail(site, "tensor %s must be a tensor of the model. Received: number %d.", name,
                  index);
    }
    found[is_input ? i : kInputCount] = {name, &site.context->tensors[index]};
  }
  static_assert(kCodebook == kIndices, "the place of the key of the weights");
  static_assert(kCoded == kWeights, "the place of the weights");
  *operands = {found[kInput], found[kWeights],  found[kBias],
               found[kScale], found[kCodebook], found[kInputCount]};
  return kTfLiteOk;
}

// Of codes or, where they are packed, of bits.
TfLiteStatus CheckActivations(const Site& site, const Operand& operand, int32_t is_packed) {
  if (is_packed != 0) return CheckType(site, operand, kTfLiteUInt8);
  EDGEAX_RETURN_IF_ERROR(CheckType(site, operand, kTfLiteInt8));
  return CheckQuantized(site, operand);
}

// Types, ranks, constants and quantization: all that does not depend on the other tensors.
template <typename Op>
TfLiteStatus CheckOperands(const Site& site, const BinaryForm& form, const Operands& operands,
                           NodeOf<Op>* node) {
  EDGEAX_RETURN_IF_ERROR(CheckActivations(site, operands.input, form.input_packed));
  EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.input, Op::kLowRank, Op::kHighRank));
  EDGEAX_RETURN_IF_ERROR(node->storage.CheckOperands(site, operands));
  return CheckActivations(site, operands.output, form.output_packed);
}

int32_t ZeroPointOf(const Operand& operand, int32_t is_packed) {
  return is_packed != 0 ? 0 : operand.tensor->params.zero_point;
}

TfLiteStatus CheckOutput(const Site& site, const Wanted& wanted) {
  int64_t elements = 1;
  for (int i = 0; i < wanted.output_rank && elements > 0; ++i) {
    elements = CheckedProduct(elements, wanted.output_shape[i]);
  }
  if (elements > 0) return kTfLiteOk;
  return Fail(site, "tensor output must have at most %lld elements.",
              static_cast<long long>(kMaxElements));
}

template <typename Op>
TfLiteStatus CopyChannels(const Site& site, const BinaryForm& form, const Operands& operands,
                          const Wanted& wanted, NodeOf<Op>* node) {
  const size_t channels = static_cast<size_t>(wanted.channels);
  Buffer<float> scales;
  if (!node->bias.Allocate(channels) || !node->requantization.Allocate(channels) ||
      !scales.Allocate(channels)) {
    return Fail(site, "there is no memory for %llu channels.",
                static_cast<unsigned long long>(channels));
  }
  EDGEAX_RETURN_IF_ERROR(node->storage.CopyChannels(site, operands, {node->bias.data(), channels},
                                                    {scales.data(), channels}));
  const Status status = FactorsOf<Op>(form, operands, {scales.data(), channels},
                                      {node->requantization.data(), channels});
  if (status == Status::kOk) return kTfLiteOk;
  return Fail(site, "every number of tensor scale must be finite.");
}

TfLiteStatus Resize(const Site& site, int tensor, int rank, const int64_t* shape) {
  TfLiteIntArray* dims = NewIntArray(rank);
  if (dims == nullptr) return Fail(site, "there is no memory for a shape.");
  for (int i = 0; i < rank; ++i) dims->data[i] = static_cast<int>(shape[i]);
  return site.context->ResizeTensor(site.context, &site.context->tensors[tensor], dims);
}

TfLiteStatus ResizeScratch(const Site& site, size_t bytes, const Node& node, TfLiteNode* host) {
  if (bytes > static_cast<size_t>(kMaxElements)) {
    return Fail(site, "the operator is too large: it needs %llu bytes of scratch memory.",
                static_cast<unsigned long long>(bytes));
  }
  TfLiteIntArray* temporaries = NewIntArray(1);
  if (temporaries == nullptr) return Fail(site, "there is no memory for a list of tensors.");
  temporaries->data[0] = node.scratch;
  free(host->temporaries);
  host->temporaries = temporaries;
  TfLiteTensor& scratch = site.context->tensors[node.scratch];
  scratch.type = kTfLiteUInt8;
  scratch.allocation_type = kTfLiteArenaRw;
  scratch.name = kScratchName;
  const int64_t shape[] = {bytes == 0 ? 1 : static_cast<int64_t>(bytes)};
  return Resize(site, node.scratch, 1, shape);
}

// A thread is woken only for so many products: on a slow core they take tens of microseconds.
constexpr int64_t kLeastProducts = 1 << 18;

// Into how many parts an operator is split. `wanted` is checked.
int32_t SharesOf(const Wanted& wanted, size_t share_bytes, int threads) {
  int64_t products = wanted.depth;
  for (int i = 0; i < wanted.output_rank; ++i) products *= wanted.output_shape[i];
  const int64_t room = kMaxElements / static_cast<int64_t>(share_bytes + 1);
  int64_t shares = threads < ThreadPool::kMostParts ? threads : ThreadPool::kMostParts;
  if (shares > products / kLeastProducts) shares = products / kLeastProducts;
  if (shares > room) shares = room;
  return shares > 1 ? static_cast<int32_t>(shares) : 1;
}

// Gives a node whose tensors are checked its scratch and its output.
template <typename Op>
TfLiteStatus PrepareKernel(const Site& site, const Wanted& wanted, NodeOf<Op>* node,
                           TfLiteNode* host) {
  const auto& kernel = Op::KernelIn(*node->kernels);
  size_t scratch_bytes = 0;
  if (kernel.scratch_bytes(node->args, &scratch_bytes) != Status::kOk) {
    return Fail(site, "the kernel %s rejects the shapes.", node->kernels->name);
  }
  node->share_bytes = AlignedBytes(scratch_bytes);
  node->shares = Splits(kernel, node->args)
                     ? SharesOf(wanted, node->share_bytes, site.context->recommended_num_threads)
                     : 1;
  const size_t shares = static_cast<size_t>(node->shares);
  EDGEAX_RETURN_IF_ERROR(ResizeScratch(site, shares * node->share_bytes, *node, host));
  return Resize(site, node->output, wanted.output_rank, wanted.output_shape);
}

template <typename Op>
TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* host) {
  const Site site = {context, &Op::kSpec};
  auto* node = static_cast<NodeOf<Op>*>(host->user_data);
  if (node == nullptr) return Fail(site, "there is no memory for the operator.");
  EDGEAX_RETURN_IF_ERROR(CheckOptions(site, node->options, node->option_bytes));
  typename Op::Options options;
  memcpy(&options, node->options + 1, sizeof(options));
  const Clamp clamp = ClampOf(options);
  if (clamp.low > clamp.high) {
    return Fail(site, "option output_min must not be above output_max. Received: %d and %d.",
                static_cast<int>(clamp.low), static_cast<int>(clamp.high));
  }
  Operands operands;
  EDGEAX_RETURN_IF_ERROR(FindOperands(site, *node, &operands));
  const BinaryForm form = FormOf(options);
  EDGEAX_RETURN_IF_ERROR(CheckOperands<Op>(site, form, operands, node));
  const Quantization quantization = {ZeroPointOf(operands.input, form.input_packed),
                                     ZeroPointOf(operands.output, form.output_packed), clamp.low,
                                     clamp.high, Rounding::kSingle};
  Wanted wanted = {};
  EDGEAX_RETURN_IF_ERROR(
      Op::Translate(site, options, operands, node->storage, quantization, &node->args, &wanted));
  EDGEAX_RETURN_IF_ERROR(node->storage.Prepare(site, operands, options, wanted));
  if (node->kernels->takes_prepared_rows) PrepareRows(operands, node->args, &node->storage);
  EDGEAX_RETURN_IF_ERROR(CheckOutput(site, wanted));
  EDGEAX_RETURN_IF_ERROR(CopyChannels<Op>(site, form, operands, wanted, node));
  return PrepareKernel(site, wanted, node, host);
}

template <>
TfLiteStatus Prepare<FloatFullyConnectedOp>(TfLiteContext* context, TfLiteNode* host) {
  using Op = FloatFullyConnectedOp;
  const Site site = {context, &Op::kSpec};
  auto* node = static_cast<NodeOf<Op>*>(host->user_data);
  if (node == nullptr) return Fail(site, "there is no memory for the operator.");
  EDGEAX_RETURN_IF_ERROR(CheckOptions(site, node->options, node->option_bytes));
  Op::Options options;
  memcpy(&options, node->options + 1, sizeof(options));
  Operands operands;
  EDGEAX_RETURN_IF_ERROR(FindOperands(site, *node, &operands));
  EDGEAX_RETURN_IF_ERROR(Op::CheckOperands(site, operands));
  Wanted wanted = {};
  EDGEAX_RETURN_IF_ERROR(Op::Translate(site, options, operands, &node->args, &wanted));
  EDGEAX_RETURN_IF_ERROR(CheckOutput(site, wanted));
  FloatStorage& storage = node->storage;
  EDGEAX_RETURN_IF_ERROR(storage.CopyUnaligned(site, operands.bias, &storage.bias));
  EDGEAX_RETURN_IF_ERROR(storage.CopyUnaligned(site, operands.scale, &storage.scale));
  EDGEAX_RETURN_IF_ERROR(storage.CopyUnaligned(site, operands.key, &storage.codebook));
  return PrepareKernel(site, wanted, node, host);
}

template <typename Op>
TfLiteStatus PrepareResolved(TfLiteContext* context, TfLiteNode* host) {
  auto* node = static_cast<NodeOf<Op>*>(host->user_data);
  if (node != nullptr) CopyTensorIndices(*host, node);
  return Prepare<Op>(context, host);
}

// Runs a kernel, in as many parts as Prepare decided. Returns kOk when all of them do.
template <typename Op, typename TensorsOfArgs>
Status RunShares(const NodeOf<Op>& node, const TensorsOfArgs& tensors, Span<uint8_t> scratch) {
  struct Call {
    const NodeOf<Op>& node;
    const TensorsOfArgs& tensors;
    Span<uint8_t> scratch;
    Status statuses[ThreadPool::kMostParts];
  } call = {node, tensors, scratch, {}};
  const auto run = [](void* context, int32_t part) {
    auto& call = *static_cast<Call*>(context);
    const NodeOf<Op>& node = call.node;
    TensorsOfArgs own = call.tensors;
    uint8_t* start = call.scratch.data + static_cast<size_t>(part) * node.share_bytes;
    GiveShare({part, node.shares}, {start, node.share_bytes}, &own);
    call.statuses[part] = Op::KernelIn(*node.kernels).run(node.args, own);
  };
  node.threads->Run(node.shares, run, &call);
  for (int32_t i = 0; i < node.shares; ++i) {
    if (call.statuses[i] != Status::kOk) return call.statuses[i];
  }
  return Status::kOk;
}

template <typename Op>
TfLiteStatus Eval(TfLiteContext* context, TfLiteNode* host) {
  const Site site = {context, &Op::kSpec};
  const auto& node = *static_cast<const NodeOf<Op>*>(host->user_data);
  const TfLiteTensor* all = context->tensors;
  const TfLiteTensor& output = all[node.output];
  const TfLiteTensor& scratch = all[node.scratch];
  const CommonTensors common = {BytesOf<int8_t>(all[node.inputs[kInput]]),
                                {node.bias.data(), node.bias.size()},
                                {node.requantization.data(), node.requantization.size()},
                                {static_cast<uint8_t*>(DataOf(scratch)), scratch.bytes},
                                {static_cast<int8_t*>(DataOf(output)), output.bytes}};
  if (common.input.data == nullptr || common.output.data == nullptr) {
    return Fail(site, "tensors input and output must have memory. Allocate the tensors first.");
  }
  const auto tensors = node.storage.TensorsOf(all, node.inputs, common);
  const Status status = RunShares(node, tensors, common.scratch);
  if (status == Status::kOk) return kTfLiteOk;
  return Fail(site, "the kernel %s failed with status %d.", node.kernels->name,
              static_cast<int>(status));
}

template <>
TfLiteStatus Eval<FloatFullyConnectedOp>(TfLiteContext* context, TfLiteNode* host) {
  using Op = FloatFullyConnectedOp;
  const Site site = {context, &Op::kSpec};
  const auto& node = *static_cast<const NodeOf<Op>*>(host->user_data);
  const TfLiteTensor* all = context->tensors;
  const TfLiteTensor& input = all[node.inputs[kInput]];
  const TfLiteTensor& output = all[node.output];
  const TfLiteTensor& scratch = all[node.scratch];
  if (DataOf(input) == nullptr || DataOf(output) == nullptr) {
    return Fail(site, "tensors input and output must have memory. Allocate the tensors first.");
  }
  if (!FloatStorage::IsAligned(input) || !FloatStorage::IsAligned(output)) {
    return Fail(site, "tensors input and output must lie at multiples of 4 bytes.");
  }
  const FloatStorage& storage = node.storage;
  const Span<uint8_t> memory = {static_cast<uint8_t*>(DataOf(scratch)), scratch.bytes};
  const FloatTensors tensors = {
      {static_cast<const float*>(DataOf(input)), input.bytes / sizeof(float)},
      BytesOf<uint8_t>(all[node.inputs[kWeights]]),
      FloatStorage::FloatsOf(all[node.inputs[kBias]], storage.bias),
      FloatStorage::FloatsOf(all[node.inputs[kScale]], storage.scale),
      FloatStorage::FloatsOf(all[node.inputs[kCodebook]], storage.codebook),
      memory,
      {static_cast<float*>(DataOf(output)), output.bytes / sizeof(float)}};
  const Status status = RunShares(node, tensors, memory);
  if (status == Status::kOk) return kTfLiteOk;
  return Fail(site, "the kernel %s failed with status %d.", node.kernels->name,
              static_cast<int>(status));
}

template <typename Op>
constexpr TfLiteRegistration RegistrationFor() {
  TfLiteRegistration registration = {};
  registration.init = Init<Op>;
  registration.free = Free<Op>;
  registration.prepare = Prepare<Op>;
  registration.invoke = Eval<Op>;
  registration.custom_name = Op::kSpec.name;
  registration.version = Op::kSpec.version;
  return registration;
}

template <typename Op>
constexpr TfLiteRegistration ResolverRegistrationFor() {
  TfLiteRegistration registration = RegistrationFor<Op>();
  registration.init = InitResolved<Op>;
  registration.prepare = PrepareResolved<Op>;
  return registration;
}

constexpr TfLiteRegistration kRegistrations[] = {
    RegistrationFor<Conv2DOp>(),
    RegistrationFor<DepthwiseConv2DOp>(),
    RegistrationFor<FullyConnectedOp>(),
    RegistrationFor<SparseConv2DOp>(),
    RegistrationFor<SparseFullyConnectedOp>(),
    RegistrationFor<CodedConv2DOp>(),
    RegistrationFor<CodedFullyConnectedOp>(),
    RegistrationFor<BinaryConv2DOp>(),
    RegistrationFor<BinaryFullyConnectedOp>(),
    RegistrationFor<BinaryMaxPool2DOp>(),
    RegistrationFor<FloatFullyConnectedOp>(),
};

constexpr TfLiteRegistration kResolverRegistrations[] = {
    ResolverRegistrationFor<Conv2DOp>(),
    ResolverRegistrationFor<DepthwiseConv2DOp>(),
    ResolverRegistrationFor<FullyConnectedOp>(),
    ResolverRegistrationFor<SparseConv2DOp>(),
    ResolverRegistrationFor<SparseFullyConnectedOp>(),
    ResolverRegistrationFor<CodedConv2DOp>(),
    ResolverRegistrationFor<CodedFullyConnectedOp>(),
    ResolverRegistrationFor<BinaryConv2DOp>(),
    ResolverRegistrationFor<BinaryFullyConnectedOp>(),
    ResolverRegistrationFor<BinaryMaxPool2DOp>(),
    ResolverRegistrationFor<FloatFullyConnectedOp>(),
};

}  // namespace

const TfLiteRegistration* RegistrationOf(const char* custom_name) {
  for (const TfLiteRegistration& registration : kRegistrations) {
    if (strcmp(custom_name, registration.custom_name) == 0) return &registration;
  }
  return nullptr;
}

Span<const TfLiteRegistration> ResolverRegistrations() {
  return {kResolverRegistrations, sizeof(kResolverRegistrations) / sizeof(TfLiteRegistration)};
}

}  // namespace edgeax
