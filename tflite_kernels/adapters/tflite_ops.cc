#include "tflite_kernels/adapters/tflite_ops.h"

#include <string.h>

#include "tflite_kernels/adapters/tflite_host.h"
#include "tflite_kernels/adapters/tflite_prepare.h"
#include "tflite_kernels/adapters/tflite_prepare_rows.h"
#include "tflite_kernels/arch/scratch.h"

namespace edgeax {
namespace {

void CopyOptions(const void* options, int64_t bytes, Node* node) {
  node->option_bytes = options == nullptr ? 0 : bytes;
  const int64_t room = sizeof(node->options);
  const int64_t copied = node->option_bytes < room ? node->option_bytes : room;
  if (copied > 0) memcpy(node->options, options, static_cast<size_t>(copied));
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
  return FillFactors<Op>(site, form, operands, {scales.data(), channels},
                         {node->requantization.data(), channels});
}

// `wanted` is checked.
int64_t ProductsOf(const Wanted& wanted) {
  int64_t products = wanted.depth;
  for (int i = 0; i < wanted.output_rank; ++i) products *= wanted.output_shape[i];
  return products;
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
  node->shares = Splits(kernel, node->args) ? SharesOf(ProductsOf(wanted), node->share_bytes,
                                                       site.context->recommended_num_threads)
                                            : 1;
  const size_t shares = static_cast<size_t>(node->shares);
  EDGEAX_RETURN_IF_ERROR(ResizeScratch(site, shares * node->share_bytes, *node, host));
  return Resize(site, node->output, wanted.output_rank, wanted.output_shape);
}

// The options of a node and its tensors, whose number is checked.
template <typename Op>
TfLiteStatus ReadNode(const Site& site, const NodeOf<Op>* node, typename Op::Options* options,
                      Operands* operands) {
  if (node == nullptr) return Fail(site, "there is no memory for the operator.");
  EDGEAX_RETURN_IF_ERROR(CheckOptions(site, node->options, node->option_bytes));
  memcpy(options, node->options + 1, sizeof(*options));
  Operand found[kInputCount + 1] = {};
  EDGEAX_RETURN_IF_ERROR(FindTensors(site, *node, found));
  *operands = OperandsFrom(found);
  return kTfLiteOk;
}

template <typename Op>
TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* host) {
  const Site site = {context, &Op::kSpec};
  auto* node = static_cast<NodeOf<Op>*>(host->user_data);
  typename Op::Options options;
  Operands operands;
  EDGEAX_RETURN_IF_ERROR(ReadNode(site, node, &options, &operands));
  Wanted wanted = {};
  // As the fastest built-in operators round, XNNPACK's.
  EDGEAX_RETURN_IF_ERROR(PrepareArguments<Op>(site, options, operands, Rounding::kSingle,
                                              &node->args, &node->storage, &wanted));
  PrepareRows(*node->kernels, operands, node->args, &node->storage);
  if constexpr (kHasFactors<Op>) {
    EDGEAX_RETURN_IF_ERROR(CopyChannels<Op>(site, FormOf(options), operands, wanted, node));
  }
  return PrepareKernel(site, wanted, node, host);
}

template <typename Op>
Constants ConstantsOf(const TfLiteTensor* all, const Node& node) {
  const auto bytes = [&](int32_t place) {
    return place < Op::kSpec.input_count ? BytesOf<uint8_t>(all[node.inputs[place]])
                                         : Span<const uint8_t>{};
  };
  return {bytes(kWeights), bytes(kBias), bytes(kScale), bytes(kCodebook), bytes(kThresholds)};
}

template <typename Op>
TfLiteStatus Eval(TfLiteContext* context, TfLiteNode* host) {
  const Site site = {context, &Op::kSpec};
  const auto& node = *static_cast<const NodeOf<Op>*>(host->user_data);
  const TfLiteTensor* all = context->tensors;
  const TfLiteTensor& output = all[node.output];
  const CommonTensors common = {BytesOf<int8_t>(all[node.inputs[kInput]]),
                                {node.bias.data(), node.bias.size()},
                                {node.requantization.data(), node.requantization.size()},
                                {static_cast<int8_t*>(DataOf(output)), output.bytes}};
  EDGEAX_RETURN_IF_ERROR(CheckMemory<Op>(site, node.args, common));
  return RunShares<Op>(site, node, node.storage.TensorsOf(ConstantsOf<Op>(all, node), common));
}

template <typename Op>
constexpr NodeFunctions kFunctionsOf = FunctionsOf<NodeOf<Op>, Prepare<Op>, Eval<Op>>();

template <typename... Ops>
struct Registrations {
  static constexpr TfLiteRegistration kDelegated[] = {
      RegistrationOf(Ops::kSpec, kFunctionsOf<Ops>)...};
  static constexpr TfLiteRegistration kResolved[] = {
      ResolverRegistrationOf(Ops::kSpec, kFunctionsOf<Ops>)...};
};

using All =
    Registrations<Conv2DOp, DepthwiseConv2DOp, FullyConnectedOp, SparseConv2DOp,
                  SparseFullyConnectedOp, CodedConv2DOp, CodedFullyConnectedOp, BinaryConv2DOp,
                  BinaryFullyConnectedOp, BinaryMaxPool2DOp, FloatFullyConnectedOp, SignSumConv2DOp,
                  SignSumFullyConnectedOp, VectorConv2DOp, VectorFullyConnectedOp, GroupedConv2DOp,
                  GroupedFullyConnectedOp, LookupConv2DOp, LookupFullyConnectedOp>;

// Of all nodes that were resolved, whichever interpreter they are in.
ThreadPool resolved_threads;

}  // namespace

const TfLiteRegistration* RegistrationOf(const char* custom_name) {
  for (const TfLiteRegistration& registration : All::kDelegated) {
    if (strcmp(custom_name, registration.custom_name) == 0) return &registration;
  }
  return GradientRegistrationOf(custom_name);
}

ThreadPool* ThreadsOfResolved() { return &resolved_threads; }

Span<const TfLiteRegistration> ResolverRegistrations() {
  return {All::kResolved, sizeof(All::kResolved) / sizeof(TfLiteRegistration)};
}

}  // namespace edgeax
