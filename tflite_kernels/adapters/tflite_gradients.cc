#include <string.h>

#include "tflite_kernels/adapters/tflite_gradient_ops.h"
#include "tflite_kernels/adapters/tflite_host.h"

namespace edgeax {
namespace {

// More attributes than that are no operator's.
constexpr int64_t kMostOptionBytes = 4096;

template <typename Op>
struct GradientNode : HostNode {
  int64_t option_bytes;
  Buffer<uint8_t> options;
  typename Op::Args args;
};

template <typename Op>
void CopyOptions(const void* options, int64_t bytes, GradientNode<Op>* node) {
  node->option_bytes = options == nullptr ? 0 : bytes;
  if (node->option_bytes <= 0 || node->option_bytes > kMostOptionBytes) return;
  if (!node->options.Allocate(static_cast<size_t>(bytes))) return;
  memcpy(node->options.data(), options, static_cast<size_t>(bytes));
}

template <typename Op>
TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* host) {
  const Site site = {context, &Op::kSpec};
  auto* node = static_cast<GradientNode<Op>*>(host->user_data);
  if (node == nullptr) return Fail(site, "there is no memory for the operator.");
  if (node->option_bytes > kMostOptionBytes) {
    return Fail(site, "the options must have at most %d bytes. Received: %lld.",
                static_cast<int>(kMostOptionBytes), static_cast<long long>(node->option_bytes));
  }
  FoundTensors tensors = {};
  EDGEAX_RETURN_IF_ERROR(FindTensors(site, *node, tensors));
  EDGEAX_RETURN_IF_ERROR(CheckType(site, tensors[kInputCount], kTfLiteFloat32));
  WantedGradient wanted = {};
  const FlexMap map({node->options.data(), node->options.size()});
  EDGEAX_RETURN_IF_ERROR(Op::Translate(site, map, tensors, &node->args, &wanted));
  const auto& kernel = Op::KernelIn(*node->kernels);
  size_t scratch_bytes = 0;
  if (kernel.scratch_bytes(node->args, &scratch_bytes) != Status::kOk) {
    return Fail(site, "the kernel %s rejects the shapes.", node->kernels->name);
  }
  node->share_bytes = AlignedBytes(scratch_bytes);
  node->shares =
      kernel.splits ? SharesOf(wanted.products, node->share_bytes, context->recommended_num_threads)
                    : 1;
  const size_t shares = static_cast<size_t>(node->shares);
  EDGEAX_RETURN_IF_ERROR(ResizeScratch(site, shares * node->share_bytes, *node, host));
  return Resize(site, node->output, wanted.rank, wanted.shape);
}

// The numbers of a tensor.
template <typename T>
TfLiteStatus NumbersOf(const Site& site, const TfLiteTensor& tensor, Span<T>* numbers) {
  T* data = static_cast<T*>(DataOf(tensor));
  *numbers = {data, tensor.bytes / sizeof(T)};
  if (data != nullptr && reinterpret_cast<uintptr_t>(data) % alignof(T) == 0) return kTfLiteOk;
  return Fail(site, "tensors must have memory at multiples of %d bytes.",
              static_cast<int>(alignof(T)));
}

template <typename Op>
TfLiteStatus Eval(TfLiteContext* context, TfLiteNode* host) {
  const Site site = {context, &Op::kSpec};
  const auto& node = *static_cast<const GradientNode<Op>*>(host->user_data);
  typename Op::Tensors tensors = {};
  const auto input = [&](int place, auto* numbers) {
    return NumbersOf(site, context->tensors[node.inputs[place]], numbers);
  };
  if constexpr (Op::kInputs.bias != kNoValues) {
    EDGEAX_RETURN_IF_ERROR(input(Op::kInputs.values, &tensors.input));
    EDGEAX_RETURN_IF_ERROR(input(Op::kInputs.gradients, &tensors.weights));
    EDGEAX_RETURN_IF_ERROR(input(Op::kInputs.bias, &tensors.bias));
  } else {
    if constexpr (Op::kInputs.values != kNoValues) {
      EDGEAX_RETURN_IF_ERROR(input(Op::kInputs.values, &tensors.values));
    }
    EDGEAX_RETURN_IF_ERROR(input(Op::kInputs.gradients, &tensors.gradients));
  }
  EDGEAX_RETURN_IF_ERROR(NumbersOf(site, context->tensors[node.output], &tensors.output));
  return RunShares<Op>(site, node, tensors);
}

template <typename Op>
constexpr NodeFunctions kFunctionsOf = FunctionsOf<GradientNode<Op>, Prepare<Op>, Eval<Op>>();

template <typename... Ops>
struct Registrations {
  static constexpr TfLiteRegistration kDelegated[] = {
      RegistrationOf(Ops::kSpec, kFunctionsOf<Ops>)...};
  static constexpr TfLiteRegistration kResolved[] = {
      ResolverRegistrationOf(Ops::kSpec, kFunctionsOf<Ops>)...};
};

using All = Registrations<BackpropFilterOp<kConv2DBackpropFilter, false>,
                          BackpropInputOp<kConv2DBackpropInput, false>,
                          BackpropFilterOp<kDepthwiseConv2dNativeBackpropFilter, true>,
                          BackpropInputOp<kDepthwiseConv2dNativeBackpropInput, true>, MaxPoolGradOp,
                          AvgPoolGradOp, ActivationGradOp<kReluGrad, ActivationKind::kRelu>,
                          ActivationGradOp<kRelu6Grad, ActivationKind::kRelu6>,
                          ActivationGradOp<kLeakyReluGrad, ActivationKind::kLeakyRelu>,
                          ActivationGradOp<kEluGrad, ActivationKind::kElu>,
                          VariableConv2DOp<kEdgeaxVariableConv2D, false>,
                          VariableConv2DOp<kEdgeaxVariableDepthwiseConv2D, true>,
                          VariableFullyConnectedOp, PredictedSignsOp<kEdgeaxPredictedSigns, false>,
                          PredictedSignsOp<kEdgeaxDepthwisePredictedSigns, true>>;
static_assert(sizeof(All::kDelegated) / sizeof(TfLiteRegistration) ==
                  sizeof(kGradientSpecs) / sizeof(OperatorSpec),
              "every operator has a kernel");

}  // namespace

const TfLiteRegistration* GradientRegistrationOf(const char* custom_name) {
  for (const TfLiteRegistration& registration : All::kDelegated) {
    if (strcmp(custom_name, registration.custom_name) == 0) return &registration;
  }
  return nullptr;
}

Span<const TfLiteRegistration> GradientResolverRegistrations() {
  return {All::kResolved, sizeof(All::kResolved) / sizeof(TfLiteRegistration)};
}

}  // namespace edgeax
