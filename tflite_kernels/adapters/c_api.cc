#include "tflite_kernels/adapters/c_api.h"

#include <type_traits>

#include "tflite_kernels/adapters/export.h"
#include "tflite_kernels/adapters/memory.h"
#include "tflite_kernels/arch/dispatch.h"
#include "tflite_kernels/core/coded.h"
#include "tflite_kernels/core/partition.h"

namespace edgeax {
namespace {

Window From(const EdgeaxWindow& w) {
  return {w.kernel_height,
          w.kernel_width,
          w.stride_height,
          w.stride_width,
          w.dilation_height,
          w.dilation_width,
          static_cast<Padding>(w.padding)};
}

Quantization From(const EdgeaxQuantization& q) {
  return {q.input_zero_point, q.output_zero_point, q.output_min, q.output_max,
          static_cast<Rounding>(q.rounding)};
}

Conv2DArgs From(const EdgeaxConv2DArgs& a) {
  return {{a.batch, a.height, a.width, a.channels},
          a.output_channels,
          a.groups,
          From(a.window),
          From(a.quantization)};
}

DepthwiseConv2DArgs From(const EdgeaxDepthwiseConv2DArgs& a) {
  return {{a.batch, a.height, a.width, a.channels},
          a.depth_multiplier,
          From(a.window),
          From(a.quantization)};
}

FullyConnectedArgs From(const EdgeaxFullyConnectedArgs& a) {
  return {a.rows, a.depth, a.outputs, From(a.quantization)};
}

SparseConv2DArgs From(const EdgeaxSparseConv2DArgs& a) {
  return {From(a.conv2d), {a.block, static_cast<Places>(a.places)}};
}

SparseFullyConnectedArgs From(const EdgeaxSparseFullyConnectedArgs& a) {
  return {From(a.fully_connected), {a.block, static_cast<Places>(a.places)}};
}

BinaryConv2DArgs From(const EdgeaxBinaryConv2DArgs& a) {
  return {From(a.conv2d), {a.input_packed, a.output_packed}, a.pad_value};
}

BinaryFullyConnectedArgs From(const EdgeaxBinaryFullyConnectedArgs& a) {
  return {From(a.fully_connected), {a.input_packed, a.output_packed}};
}

BinaryMaxPool2DArgs From(const EdgeaxBinaryMaxPool2DArgs& a) {
  return {{a.batch, a.height, a.width, a.channels}, From(a.window)};
}

SignSumArgs From(const EdgeaxSignSumArgs& a) {
  return {From(a.conv2d), a.planes, a.bases, a.thresholds, a.pad_value};
}

FloatFullyConnectedArgs From(const EdgeaxFloatFullyConnectedArgs& a) {
  return {a.rows, a.depth, a.outputs, a.bits, a.group, static_cast<Activation>(a.activation)};
}

VectorConv2DArgs From(const EdgeaxVectorConv2DArgs& a) {
  return {From(a.conv2d), {a.tables, a.entries, a.length}};
}

VectorFullyConnectedArgs From(const EdgeaxVectorFullyConnectedArgs& a) {
  return {From(a.fully_connected), {a.tables, a.entries, a.length}};
}

GroupedConv2DArgs From(const EdgeaxGroupedConv2DArgs& a) {
  return {From(a.conv2d), {a.bits, a.group_bits}};
}

GroupedFullyConnectedArgs From(const EdgeaxGroupedFullyConnectedArgs& a) {
  return {From(a.fully_connected), {a.bits, a.group_bits}};
}

LookupConv2DArgs From(const EdgeaxLookupConv2DArgs& a) { return {From(a.conv2d), a.bits}; }

LookupFullyConnectedArgs From(const EdgeaxLookupFullyConnectedArgs& a) {
  return {From(a.fully_connected), a.bits};
}

const EdgeaxQuantization& QuantizationOf(const EdgeaxSparseConv2DArgs& a) {
  return a.conv2d.quantization;
}
const EdgeaxQuantization& QuantizationOf(const EdgeaxSparseFullyConnectedArgs& a) {
  return a.fully_connected.quantization;
}
const EdgeaxQuantization& QuantizationOf(const EdgeaxSignSumArgs& a) {
  return a.conv2d.quantization;
}
const EdgeaxQuantization& QuantizationOf(const EdgeaxBinaryConv2DArgs& a) {
  return a.conv2d.quantization;
}
const EdgeaxQuantization& QuantizationOf(const EdgeaxBinaryFullyConnectedArgs& a) {
  return a.fully_connected.quantization;
}
const EdgeaxQuantization& QuantizationOf(const EdgeaxVectorConv2DArgs& a) {
  return a.conv2d.quantization;
}
const EdgeaxQuantization& QuantizationOf(const EdgeaxVectorFullyConnectedArgs& a) {
  return a.fully_connected.quantization;
}
const EdgeaxQuantization& QuantizationOf(const EdgeaxGroupedConv2DArgs& a) {
  return a.conv2d.quantization;
}
const EdgeaxQuantization& QuantizationOf(const EdgeaxGroupedFullyConnectedArgs& a) {
  return a.fully_connected.quantization;
}
const EdgeaxQuantization& QuantizationOf(const EdgeaxLookupConv2DArgs& a) {
  return a.conv2d.quantization;
}
const EdgeaxQuantization& QuantizationOf(const EdgeaxLookupFullyConnectedArgs& a) {
  return a.fully_connected.quantization;
}
template <typename CArgs>
const EdgeaxQuantization& QuantizationOf(const CArgs& a) {
  return a.quantization;
}

// Which kernel of a set takes which arguments.
const Kernel<Conv2DArgs>& KernelOf(const KernelSet& set, const Conv2DArgs*) { return set.conv2d; }
const Kernel<DepthwiseConv2DArgs>& KernelOf(const KernelSet& set, const DepthwiseConv2DArgs*) {
  return set.depthwise_conv2d;
}
const Kernel<FullyConnectedArgs>& KernelOf(const KernelSet& set, const FullyConnectedArgs*) {
  return set.fully_connected;
}
const Kernel<SparseConv2DArgs, SparseTensors>& KernelOf(const KernelSet& set,
                                                        const SparseConv2DArgs*) {
  return set.sparse_conv2d;
}
const Kernel<SparseFullyConnectedArgs, SparseTensors>& KernelOf(const KernelSet& set,
                                                                const SparseFullyConnectedArgs*) {
  return set.sparse_fully_connected;
}

const Kernel<BinaryConv2DArgs, BinaryTensors>& KernelOf(const KernelSet& set,
                                                        const BinaryConv2DArgs*) {
  return set.binary_conv2d;
}
const Kernel<BinaryFullyConnectedArgs, BinaryTensors>& KernelOf(const KernelSet& set,
                                                                const BinaryFullyConnectedArgs*) {
  return set.binary_fully_connected;
}

const Kernel<SignSumArgs, SignSumTensors>& KernelOf(const KernelSet& set, const SignSumArgs*) {
  return set.sign_sum;
}

const Kernel<FloatFullyConnectedArgs, FloatTensors>& KernelOf(const KernelSet& set,
                                                              const FloatFullyConnectedArgs*) {
  return set.float_fully_connected;
}

const Kernel<Int16Args<Conv2DArgs>, Int16Tensors>& KernelOf(const KernelSet& set,
                                                            const Int16Args<Conv2DArgs>*) {
  return set.int16_conv2d;
}
const Kernel<Int16Args<DepthwiseConv2DArgs>, Int16Tensors>& KernelOf(
    const KernelSet& set, const Int16Args<DepthwiseConv2DArgs>*) {
  return set.int16_depthwise_conv2d;
}
const Kernel<Int16Args<FullyConnectedArgs>, Int16Tensors>& KernelOf(
    const KernelSet& set, const Int16Args<FullyConnectedArgs>*) {
  return set.int16_fully_connected;
}

const Kernel<Int16Args<SparseConv2DArgs>, Int16SparseTensors>& KernelOf(
    const KernelSet& set, const Int16Args<SparseConv2DArgs>*) {
  return set.int16_sparse_conv2d;
}
const Kernel<Int16Args<SparseFullyConnectedArgs>, Int16SparseTensors>& KernelOf(
    const KernelSet& set, const Int16Args<SparseFullyConnectedArgs>*) {
  return set.int16_sparse_fully_connected;
}

const Kernel<VectorConv2DArgs, VectorTensors>& KernelOf(const KernelSet& set,
                                                        const VectorConv2DArgs*) {
  return set.vector_conv2d;
}
const Kernel<VectorFullyConnectedArgs, VectorTensors>& KernelOf(const KernelSet& set,
                                                                const VectorFullyConnectedArgs*) {
  return set.vector_fully_connected;
}

const Kernel<GroupedConv2DArgs>& KernelOf(const KernelSet& set, const GroupedConv2DArgs*) {
  return set.grouped_conv2d;
}
const Kernel<GroupedFullyConnectedArgs>& KernelOf(const KernelSet& set,
                                                  const GroupedFullyConnectedArgs*) {
  return set.grouped_fully_connected;
}

const Kernel<LookupConv2DArgs, LookupTensors>& KernelOf(const KernelSet& set,
                                                        const LookupConv2DArgs*) {
  return set.lookup_conv2d;
}
const Kernel<LookupFullyConnectedArgs, LookupTensors>& KernelOf(const KernelSet& set,
                                                                const LookupFullyConnectedArgs*) {
  return set.lookup_fully_connected;
}

// The factors of a kernel's sums.
template <typename TensorsOfArgs, typename Args>
Status FactorsOf(const Args& args, const EdgeaxQuantization& q, Span<const float> scales,
                 Span<Requantization> factors) {
  if constexpr (std::is_same_v<TensorsOfArgs, BinaryTensors>) {
    const float output_scale = args.form.output_packed != 0 ? 1.0f : q.output_scale;
    return BinaryRequantization(scales, output_scale, factors);
  } else if constexpr (std::is_same_v<TensorsOfArgs, SignSumTensors> ||
                       std::is_same_v<TensorsOfArgs, LookupTensors>) {
    return RequantizationFromScales(1.0f, scales, q.output_scale, factors);
  } else {
    return RequantizationFromScales(q.input_scale, scales, q.output_scale, factors);
  }
}

int32_t Code(Status status) { return static_cast<int32_t>(status); }

template <typename CArgs>
int32_t ScratchBytes(const char* isa, const CArgs& c_args, size_t* bytes) {
  const KernelSet* set = FindKernelSet(isa);
  if (set == nullptr) return kEdgeaxUnknownIsa;
  const auto args = From(c_args);
  return Code(KernelOf(*set, &args).scratch_bytes(args, bytes));
}

const SparseFormat& FormatOf(const SparseConv2DArgs& args) { return args.format; }
const SparseFormat& FormatOf(const SparseFullyConnectedArgs& args) { return args.format; }
template <typename Args>
const SparseFormat& FormatOf(const Int16Args<Args>& args) {
  return args.args.format;
}

// The sizes of the geometry that the sparse weights have to fit.
Status RowsOf(const SparseConv2DArgs& args, int32_t* rows, int32_t* depth) {
  Conv2DGeometry geometry;
  const Status status = GeometryOf(args, &geometry);
  if (status != Status::kOk) return status;
  *rows = args.conv2d.output_channels;
  *depth = geometry.depth;
  return Status::kOk;
}

Status RowsOf(const SparseFullyConnectedArgs& args, int32_t* rows, int32_t* depth) {
  *rows = args.fully_connected.outputs;
  *depth = args.fully_connected.depth;
  return CheckSparseFullyConnected(args);
}

Status RowsOf(const Int16Args<SparseConv2DArgs>& args, int32_t* rows, int32_t* depth) {
  Conv2DGeometry geometry;
  const Status status = GeometryOf(args, &geometry);
  if (status != Status::kOk) return status;
  *rows = args.args.conv2d.output_channels;
  *depth = geometry.depth;
  return Status::kOk;
}

Status RowsOf(const Int16Args<SparseFullyConnectedArgs>& args, int32_t* rows, int32_t* depth) {
  *rows = args.args.fully_connected.outputs;
  *depth = args.args.fully_connected.depth;
  return CheckSparseFullyConnected(args);
}

// What a call holds beside the caller's memory, so that all of it is given back.
struct CallMemory {
  Buffer<Requantization> factors;
  Buffer<uint8_t> scratch;
  Buffer<SparseStart> starts;
};

template <typename Args, typename CTensors, typename Code>
int32_t MakeTensors(const Args&, const CTensors& t, CallMemory* memory,
                    CodeTensors<Code>* tensors) {
  *tensors = {{t.input, t.input_size},       {t.weights, t.weights_size},
              {t.bias, t.channels},          {memory->factors.data(), t.channels},
              {t.codebook, t.codebook_size}, {memory->scratch.data(), memory->scratch.size()},
              {t.output, t.output_size}};
  return kEdgeaxOk;
}

template <typename Args, typename CTensors, typename Code>
int32_t MakeTensors(const Args& args, const CTensors& t, CallMemory* memory,
                    SparseCodeTensors<Code>* tensors) {
  int32_t rows = 0, depth = 0;
  Status status = RowsOf(args, &rows, &depth);
  if (status == Status::kOk && !HasSize(t.channels, rows)) status = Status::kBadShape;
  if (status != Status::kOk) return Code(status);
  if (!memory->starts.Allocate(static_cast<size_t>(rows) + 1)) return kEdgeaxNoMemory;
  const Span<const int8_t> values = {t.weights, t.weights_size};
  const Span<const uint8_t> indices = {t.indices, t.indices_size};
  const Span<SparseStart> starts = {memory->starts.data(), memory->starts.size()};
  status = ScanSparse(FormatOf(args), rows, depth, values, indices, starts);
  if (status != Status::kOk) return Code(status);
  *tensors = {{t.input, t.input_size},
              {values, indices, {starts.data, starts.size}},
              {t.bias, t.channels},
              {memory->factors.data(), t.channels},
              {memory->scratch.data(), memory->scratch.size()},
              {t.output, t.output_size}};
  return kEdgeaxOk;
}

template <typename Args>
int32_t MakeTensors(const Args&, const EdgeaxTensors& t, CallMemory* memory,
                    VectorTensors* tensors) {
  *tensors = {{t.input, t.input_size},       {t.weights, t.weights_size},
              {t.bias, t.channels},          {memory->factors.data(), t.channels},
              {t.codebook, t.codebook_size}, {memory->scratch.data(), memory->scratch.size()},
              {t.output, t.output_size}};
  return kEdgeaxOk;
}

template <typename Args>
int32_t MakeTensors(const Args&, const EdgeaxLookupTensors& t, CallMemory* memory,
                    LookupTensors* tensors) {
  *tensors = {{t.input, t.input_size},
              {t.weights, t.weights_size},
              {t.bias, t.channels},
              {memory->factors.data(), t.channels},
              {t.codebook, t.codebook_size},
              {t.points, t.points_size},
              {memory->scratch.data(), memory->scratch.size()},
              {t.output, t.output_size}};
  return kEdgeaxOk;
}

template <typename Args>
int32_t MakeTensors(const Args&, const EdgeaxTensors& t, CallMemory* memory,
                    BinaryTensors* tensors) {
  *tensors = {{t.input, t.input_size},
              {t.weights, t.weights_size},
              {t.bias, t.channels},
              {memory->factors.data(), t.channels},
              {memory->scratch.data(), memory->scratch.size()},
              {t.output, t.output_size}};
  return kEdgeaxOk;
}

template <typename Args>
int32_t MakeTensors(const Args&, const EdgeaxSignSumTensors& t, CallMemory* memory,
                    SignSumTensors* tensors) {
  *tensors = {{t.input, t.input_size},
              {t.weights, t.weights_size},
              {t.bias, t.channels},
              {memory->factors.data(), t.channels},
              {t.gains, t.gains_size},
              {t.thresholds, t.thresholds_size},
              {memory->scratch.data(), memory->scratch.size()},
              {t.output, t.output_size}};
  return kEdgeaxOk;
}

template <typename Args, typename TensorsOfArgs, typename CTensors>
int32_t Run(const Kernel<Args, TensorsOfArgs>& kernel, const Args& args,
            const EdgeaxQuantization& quantization, const CTensors& t) {
  CallMemory memory;
  if (!memory.factors.Allocate(t.channels)) return kEdgeaxNoMemory;
  Status status = FactorsOf<TensorsOfArgs>(args, quantization, {t.scale, t.channels},
                                           {memory.factors.data(), t.channels});
  if (status != Status::kOk) return Code(status);
  size_t scratch_bytes = 0;
  status = kernel.scratch_bytes(args, &scratch_bytes);
  if (status != Status::kOk) return Code(status);
  if (!memory.scratch.Allocate(scratch_bytes)) return kEdgeaxNoMemory;
  TensorsOfArgs tensors;
  const int32_t made = MakeTensors(args, t, &memory, &tensors);
  return made == kEdgeaxOk ? Code(kernel.run(args, tensors)) : made;
}

template <typename CArgs, typename CTensors>
int32_t Run(const char* isa, const CArgs& c_args, const CTensors& tensors) {
  const KernelSet* set = FindKernelSet(isa);
  if (set == nullptr) return kEdgeaxUnknownIsa;
  const auto args = From(c_args);
  return Run(KernelOf(*set, &args), args, QuantizationOf(c_args), tensors);
}

template <typename CArgs, typename CTensors>
int32_t RunInt16(const char* isa, const CArgs& c_args, const CTensors& tensors) {
  const KernelSet* set = FindKernelSet(isa);
  if (set == nullptr) return kEdgeaxUnknownIsa;
  const auto int8_args = From(c_args);
  const Int16Args<std::decay_t<decltype(int8_args)>> args = {int8_args};
  return Run(KernelOf(*set, &args), args, QuantizationOf(c_args), tensors);
}

int32_t Run(const char* isa, const EdgeaxFloatFullyConnectedArgs& c_args,
            const EdgeaxFloatTensors& t) {
  const KernelSet* set = FindKernelSet(isa);
  if (set == nullptr) return kEdgeaxUnknownIsa;
  const FloatFullyConnectedArgs args = From(c_args);
  size_t scratch_bytes = 0;
  const Status status = set->float_fully_connected.scratch_bytes(args, &scratch_bytes);
  if (status != Status::kOk) return Code(status);
  Buffer<uint8_t> scratch;
  if (!scratch.Allocate(scratch_bytes)) return kEdgeaxNoMemory;
  return Code(set->float_fully_connected.run(args, {{t.input, t.input_size},
                                                    {t.weights, t.weights_size},
                                                    {t.bias, t.bias_size},
                                                    {t.scale, t.scale_size},
                                                    {t.codebook, t.codebook_size},
                                                    {scratch.data(), scratch.size()},
                                                    {t.output, t.output_size}}));
}

}  // namespace
}  // namespace edgeax

EDGEAX_EXPORT int32_t edgeax_version(void) { return EDGEAX_C_API_VERSION; }

EDGEAX_EXPORT int32_t edgeax_isa_count(void) {
  return static_cast<int32_t>(edgeax::KernelSets().size);
}

EDGEAX_EXPORT const char* edgeax_isa_name(int32_t index) {
  const bool in_range = index >= 0 && index < edgeax_isa_count();
  return in_range ? edgeax::KernelSets().data[index].name : nullptr;
}

EDGEAX_EXPORT int32_t edgeax_isa_supported(const char* isa) {
  return edgeax::FindKernelSet(isa) != nullptr ? 1 : 0;
}

EDGEAX_EXPORT int32_t edgeax_conv2d(const char* isa, const EdgeaxConv2DArgs* args,
                                    const EdgeaxTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_depthwise_conv2d(const char* isa,
                                              const EdgeaxDepthwiseConv2DArgs* args,
                                              const EdgeaxTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_fully_connected(const char* isa, const EdgeaxFullyConnectedArgs* args,
                                             const EdgeaxTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_conv2d_int16(const char* isa, const EdgeaxConv2DArgs* args,
                                          const EdgeaxInt16Tensors* tensors) {
  return edgeax::RunInt16(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_depthwise_conv2d_int16(const char* isa,
                                                    const EdgeaxDepthwiseConv2DArgs* args,
                                                    const EdgeaxInt16Tensors* tensors) {
  return edgeax::RunInt16(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_fully_connected_int16(const char* isa,
                                                   const EdgeaxFullyConnectedArgs* args,
                                                   const EdgeaxInt16Tensors* tensors) {
  return edgeax::RunInt16(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_sparse_conv2d(const char* isa, const EdgeaxSparseConv2DArgs* args,
                                           const EdgeaxSparseTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_sparse_fully_connected(const char* isa,
                                                    const EdgeaxSparseFullyConnectedArgs* args,
                                                    const EdgeaxSparseTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_sparse_conv2d_int16(const char* isa,
                                                 const EdgeaxSparseConv2DArgs* args,
                                                 const EdgeaxInt16SparseTensors* tensors) {
  return edgeax::RunInt16(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t
edgeax_sparse_fully_connected_int16(const char* isa, const EdgeaxSparseFullyConnectedArgs* args,
                                    const EdgeaxInt16SparseTensors* tensors) {
  return edgeax::RunInt16(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_conv2d_scratch_bytes(const char* isa, const EdgeaxConv2DArgs* args,
                                                  size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_depthwise_conv2d_scratch_bytes(const char* isa,
                                                            const EdgeaxDepthwiseConv2DArgs* args,
                                                            size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_fully_connected_scratch_bytes(const char* isa,
                                                           const EdgeaxFullyConnectedArgs* args,
                                                           size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_sparse_conv2d_scratch_bytes(const char* isa,
                                                         const EdgeaxSparseConv2DArgs* args,
                                                         size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_sparse_fully_connected_scratch_bytes(
    const char* isa, const EdgeaxSparseFullyConnectedArgs* args, size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_binary_conv2d(const char* isa, const EdgeaxBinaryConv2DArgs* args,
                                           const EdgeaxTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_binary_fully_connected(const char* isa,
                                                    const EdgeaxBinaryFullyConnectedArgs* args,
                                                    const EdgeaxTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_sign_sum(const char* isa, const EdgeaxSignSumArgs* args,
                                      const EdgeaxSignSumTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_sign_sum_scratch_bytes(const char* isa, const EdgeaxSignSumArgs* args,
                                                    size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_binary_max_pool2d(const char* isa,
                                               const EdgeaxBinaryMaxPool2DArgs* args,
                                               const uint8_t* input, size_t input_size,
                                               uint8_t* output, size_t output_size) {
  const edgeax::KernelSet* set = edgeax::FindKernelSet(isa);
  if (set == nullptr) return kEdgeaxUnknownIsa;
  return edgeax::Code(set->binary_max_pool2d.run(edgeax::From(*args),
                                                 {{input, input_size}, {}, {output, output_size}}));
}

EDGEAX_EXPORT int32_t edgeax_binary_conv2d_scratch_bytes(const char* isa,
                                                         const EdgeaxBinaryConv2DArgs* args,
                                                         size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_binary_fully_connected_scratch_bytes(
    const char* isa, const EdgeaxBinaryFullyConnectedArgs* args, size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_float_fully_connected(const char* isa,
                                                   const EdgeaxFloatFullyConnectedArgs* args,
                                                   const EdgeaxFloatTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_float_fully_connected_scratch_bytes(
    const char* isa, const EdgeaxFloatFullyConnectedArgs* args, size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_vector_conv2d(const char* isa, const EdgeaxVectorConv2DArgs* args,
                                           const EdgeaxTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_vector_fully_connected(const char* isa,
                                                    const EdgeaxVectorFullyConnectedArgs* args,
                                                    const EdgeaxTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_vector_conv2d_scratch_bytes(const char* isa,
                                                         const EdgeaxVectorConv2DArgs* args,
                                                         size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_vector_fully_connected_scratch_bytes(
    const char* isa, const EdgeaxVectorFullyConnectedArgs* args, size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_grouped_conv2d(const char* isa, const EdgeaxGroupedConv2DArgs* args,
                                            const EdgeaxTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_grouped_fully_connected(const char* isa,
                                                     const EdgeaxGroupedFullyConnectedArgs* args,
                                                     const EdgeaxTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_grouped_conv2d_scratch_bytes(const char* isa,
                                                          const EdgeaxGroupedConv2DArgs* args,
                                                          size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_grouped_fully_connected_scratch_bytes(
    const char* isa, const EdgeaxGroupedFullyConnectedArgs* args, size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_lookup_conv2d(const char* isa, const EdgeaxLookupConv2DArgs* args,
                                           const EdgeaxLookupTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_lookup_fully_connected(const char* isa,
                                                    const EdgeaxLookupFullyConnectedArgs* args,
                                                    const EdgeaxLookupTensors* tensors) {
  return edgeax::Run(isa, *args, *tensors);
}

EDGEAX_EXPORT int32_t edgeax_lookup_conv2d_scratch_bytes(const char* isa,
                                                         const EdgeaxLookupConv2DArgs* args,
                                                         size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_lookup_fully_connected_scratch_bytes(
    const char* isa, const EdgeaxLookupFullyConnectedArgs* args, size_t* bytes) {
  return edgeax::ScratchBytes(isa, *args, bytes);
}

EDGEAX_EXPORT int32_t edgeax_quantize_multiplier(double ratio, int32_t* multiplier,
                                                 int32_t* shift) {
  edgeax::Requantization factor;
  const edgeax::Status status = edgeax::QuantizeMultiplier(ratio, &factor);
  if (status != edgeax::Status::kOk) return edgeax::Code(status);
  *multiplier = factor.multiplier;
  *shift = factor.shift;
  return kEdgeaxOk;
}

EDGEAX_EXPORT int32_t edgeax_requantize(const int32_t* sums, size_t count, int32_t multiplier,
                                        int32_t shift, int32_t rounding, int32_t* out) {
  const bool shift_fits = shift >= edgeax::kMinShift && shift <= edgeax::kMaxShift;
  if (!shift_fits || rounding < 0 || rounding > 1) return kEdgeaxBadArgument;
  for (size_t i = 0; i < count; ++i) {
    out[i] =
        edgeax::Requantize(sums[i], {multiplier, shift}, static_cast<edgeax::Rounding>(rounding));
  }
  return kEdgeaxOk;
}

EDGEAX_EXPORT int32_t edgeax_partition(const double* values, const double* weights, size_t count,
                                       size_t intervals, int32_t* edges) {
  edgeax::Buffer<edgeax::PartitionSums> sums;
  edgeax::Buffer<edgeax::Wide> costs;
  edgeax::Buffer<int32_t> places;
  if (count > edgeax::kMaxPartitionSize || intervals > count) return kEdgeaxBadShape;
  if (!sums.Allocate(count + 1) || !costs.Allocate(count + 1) ||
      !places.Allocate(5 * (count + 1))) {
    return kEdgeaxNoMemory;
  }
  const edgeax::PartitionScratch scratch = {
      {sums.data(), sums.size()}, {costs.data(), costs.size()}, {places.data(), places.size()}};
  return edgeax::Code(
      edgeax::Partition({values, count}, {weights, count}, scratch, {edges, intervals + 1}));
}

EDGEAX_EXPORT int32_t edgeax_coded_read(const uint8_t* buffer, size_t size, EdgeaxCodedRows* rows) {
  edgeax::CodedRows coded;
  const edgeax::Status status = edgeax::ReadCodedRows({buffer, size}, &coded);
  if (status != edgeax::Status::kOk) return edgeax::Code(status);
  *rows = {coded.rows,
           coded.depth,
           static_cast<int32_t>(coded.layout),
           coded.format.block,
           static_cast<int32_t>(coded.format.places),
           coded.weights_size,
           coded.indices_size,
           coded.scale.size / sizeof(float)};
  return kEdgeaxOk;
}

EDGEAX_EXPORT int32_t edgeax_coded_decode(const uint8_t* buffer, size_t size,
                                          const EdgeaxDecodedRows* decoded) {
  edgeax::CodedRows coded;
  const edgeax::Status status = edgeax::ReadCodedRows({buffer, size}, &coded);
  if (status != edgeax::Status::kOk) return edgeax::Code(status);
  edgeax::Buffer<uint32_t> scratch;
  if (!scratch.Allocate(coded.scratch_words)) return kEdgeaxNoMemory;
  const size_t rows = static_cast<size_t>(coded.rows);
  const edgeax::DecodedRows spans = {
      {decoded->weights, coded.weights_size},
      {decoded->codebook, edgeax::kCodebookEntries},
      {reinterpret_cast<int8_t*>(decoded->weights), coded.weights_size},
      {decoded->indices, coded.indices_size},
      {reinterpret_cast<edgeax::SparseStart*>(decoded->starts), rows + 1},
      {decoded->bias, rows},
      {decoded->scale, coded.scale.size / sizeof(float)},
      {scratch.data(), scratch.size()}};
  return edgeax::Code(edgeax::DecodeCodedRows(coded, spans));
}

EDGEAX_EXPORT int32_t edgeax_unpack(const uint8_t* row, size_t row_size, size_t count, int32_t bits,
                                    uint8_t* codes) {
  if (bits != 1 && bits != 2 && bits != 4) return kEdgeaxBadArgument;
  if (count > static_cast<size_t>(edgeax::kMaxElements)) return kEdgeaxBadShape;
  const int32_t codes_in_row = static_cast<int32_t>(count);
  if (!edgeax::HasSize(row_size, edgeax::PackedBytes(codes_in_row, bits))) return kEdgeaxBadShape;
  for (int32_t i = 0; i < codes_in_row; ++i) codes[i] = edgeax::Unpack(row, i, bits);
  return kEdgeaxOk;
}
