#pragma once  // adapters/tflite_storage.h: how weights are stored.

#include <string.h>

#include "tflite_kernels/adapters/tflite_arguments.h"
#include "tflite_kernels/core/coded.h"
#include "tflite_kernels/core/vector_codebook.h"

namespace edgeax {
namespace {

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

  EitherTensors<CodeTensors> TensorsOf(const Constants& constants,
                                       const CommonTensors& common) const {
    return TensorsOfEither({common.input,
                            constants.weights,
                            common.bias,
                            common.requantization,
                            CodesOf(constants.key),
                            {},
                            common.output,
                            Share{0, 1},
                            prepared.sums()});
  }
};

// Rows of `weight_columns` int8 weights without their zeros, and the places of what is left.
struct SparseStorage : ChannelTensors {
  static constexpr char kRowsText[] = "numbers of tensor bias";

  NodeBuffer<SparseStart> starts;
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
    const SparseFormat format = FormatOf(options);
    if (CheckSparseFormat(format) != Status::kOk) {
      return Fail(site, "option block must be 1, 2, 4, 8 or 16. Received: %d.",
                  static_cast<int>(options.block));
    }
    const int32_t rows = static_cast<int32_t>(wanted.weight_rows);
    const int32_t depth = static_cast<int32_t>(wanted.weight_columns);
    if (!starts.Allocate(site.context, static_cast<size_t>(rows) + 1)) {
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

  SparseWeights WeightsOf(Span<const int8_t> weights, Span<const uint8_t> indices) const {
    return {weights, indices, {starts.data(), starts.size()}};
  }

  EitherTensors<SparseCodeTensors> TensorsOf(const Constants& constants,
                                             const CommonTensors& common) const {
    return TensorsOfEither(SparseTensors{common.input,
                                         WeightsOf(CodesOf(constants.weights), constants.key),
                                         common.bias,
                                         common.requantization,
                                         {},
                                         common.output,
                                         Share{0, 1},
                                         prepared.balanced()});
  }

 private:
  static bool IsEmptyVector(const Operand& operand) {
    const TfLiteTensor& tensor = *operand.tensor;
    return tensor.dims != nullptr && tensor.dims->size == 1 && tensor.dims->data[0] == 0 &&
           tensor.bytes == 0;
  }
};

// Indices of sub-vectors, and the tables of codewords that they point into.
struct VectorStorage : ChannelTensors {
  static constexpr char kRowsText[] = "numbers of tensor bias";

  VectorFormat format;

  TfLiteStatus CheckOperands(const Site& site, const Operands& operands) {
    EDGEAX_RETURN_IF_ERROR(CheckChannels(site, operands));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.weights, kTfLiteUInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.weights, 1, 1));
    EDGEAX_RETURN_IF_ERROR(CheckConstant(site, operands.weights, sizeof(uint8_t)));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, operands.key, kTfLiteInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, operands.key, 3, 3));
    EDGEAX_RETURN_IF_ERROR(CheckConstant(site, operands.key, sizeof(int8_t)));
    const int* dims = operands.key.tensor->dims->data;
    format = {dims[0], dims[2], dims[1]};
    if (format.entries >= 2 && format.entries <= kMaxVectorEntries) return kTfLiteOk;
    return Fail(site, "the last dimension of tensor codebook must lie in [2, %d]. Received: %d.",
                static_cast<int>(kMaxVectorEntries), static_cast<int>(format.entries));
  }

  static int32_t RowsOf(const Operands& operands) { return operands.bias.tensor->dims->data[0]; }

  template <typename Options>
  TfLiteStatus Prepare(const Site& site, const Operands& operands, const Options&,
                       const Wanted& wanted) const {
    const int32_t depth = static_cast<int32_t>(wanted.depth);
    const int32_t channels = static_cast<int32_t>(wanted.channels);
    if (CheckVectorFormat(format, depth) != Status::kOk) {
      return Fail(site,
                  "the %d weights of an output must be sub-vectors of the length in the middle "
                  "dimension of tensor codebook, and the number of these a multiple of the first "
                  "dimension. Received: [%d, %d, %d].",
                  static_cast<int>(depth), static_cast<int>(format.tables),
                  static_cast<int>(format.length), static_cast<int>(format.entries));
    }
    const int32_t places = VectorPlaces(format, depth);
    EDGEAX_RETURN_IF_ERROR(CheckVector(site, operands.weights,
                                       int64_t{places} * PackedBytes(channels, IndexBits(format))));
    if (IndicesFit(format, places, channels, BytesOf<uint8_t>(*operands.weights.tensor))) {
      return kTfLiteOk;
    }
    return Fail(site, "every index of tensor weights must be below the %d entries of a table.",
                static_cast<int>(format.entries));
  }

  VectorTensors TensorsOf(const Constants& constants, const CommonTensors& common) const {
    return {common.input,
            constants.weights,
            common.bias,
            common.requantization,
            CodesOf(constants.key),
            {},
            common.output,
            Share{0, 1},
            true};
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

  BinaryTensors TensorsOf(const Constants& constants, const CommonTensors& common) const {
    return {common.input, constants.weights, common.bias, common.requantization, {}, common.output};
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

  BinaryPoolTensors TensorsOf(const Constants&, const CommonTensors& common) const {
    return {{reinterpret_cast<const uint8_t*>(common.input.data), common.input.size},
            {},
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
  NodeBuffer<uint8_t> weights, indices;
  NodeBuffer<int8_t> codebook;
  NodeBuffer<SparseStart> starts;
  NodeBuffer<int32_t> bias;
  NodeBuffer<float> scale;
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
    TemporaryBuffer<uint32_t> scratch;
    if (!weights.Allocate(site.context, rows.weights_size) ||
        !indices.Allocate(site.context, rows.indices_size) ||
        !codebook.Allocate(site.context, kCodebookEntries) ||
        !starts.Allocate(site.context, is_sparse ? count + 1 : 0) ||
        !bias.Allocate(site.context, count) ||
        !scale.Allocate(site.context, rows.scale.size / sizeof(float)) ||
        !scratch.Allocate(site.context, rows.scratch_words)) {
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

  CodedTensors TensorsOf(const Constants&, const CommonTensors& common) const {
    const Span<const uint8_t> bytes = {weights.data(), weights.size()};
    const SparseWeights values = {{reinterpret_cast<const int8_t*>(bytes.data), bytes.size},
                                  {indices.data(), indices.size()},
                                  {starts.data(), starts.size()}};
    return {{common.input,
             bytes,
             common.bias,
             common.requantization,
             {codebook.data(), codebook.size()},
             {},
             common.output,
             Share{0, 1},
             prepared.sums()},
            {common.input, values, common.bias, common.requantization, {}, common.output}};
  }
};

}  // namespace
}  // namespace edgeax
