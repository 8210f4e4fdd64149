#include "tflite_kernels/adapters/tflite_ops.h"

#include <string.h>

#include <new>

#include "tflite_kernels/adapters/tflite_node.h"
#include "tflite_kernels/adapters/tflite_prepare.h"
#include "tflite_kernels/adapters/tflite_prepare_rows.h"
#include "tflite_kernels/arch/scratch.h"

namespace edgeax {
namespace {

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
  *operands = OperandsFrom(found);
  return kTfLiteOk;
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

// The options of a node and its tensors, whose number is checked.
template <typename Op>
TfLiteStatus ReadNode(const Site& site, const NodeOf<Op>* node, typename Op::Options* options,
                      Operands* operands) {
  if (node == nullptr) return Fail(site, "there is no memory for the operator.");
  EDGEAX_RETURN_IF_ERROR(CheckOptions(site, node->options, node->option_bytes));
  memcpy(options, node->options + 1, sizeof(*options));
  return FindOperands(site, *node, operands);
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
TfLiteStatus PrepareResolved(TfLiteContext* context, TfLiteNode* host) {
  auto* node = static_cast<NodeOf<Op>*>(host->user_data);
  if (node != nullptr) CopyTensorIndices(*host, node);
  return Prepare<Op>(context, host);
}

// Runs a kernel, in as many parts as Prepare decided; each gets its part of the scratch.
template <typename Op, typename TensorsOfArgs>
TfLiteStatus RunShares(const Site& site, const NodeOf<Op>& node, const TensorsOfArgs& tensors) {
  const TfLiteTensor& memory = site.context->tensors[node.scratch];
  struct Call {
    const NodeOf<Op>& node;
    const TensorsOfArgs& tensors;
    Span<uint8_t> scratch;
    Status statuses[ThreadPool::kMostParts];
  } call = {node, tensors, {static_cast<uint8_t*>(DataOf(memory)), memory.bytes}, {}};
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
    if (call.statuses[i] == Status::kOk) continue;
    return Fail(site, "the kernel %s failed with status %d.", node.kernels->name,
                static_cast<int>(call.statuses[i]));
  }
  return kTfLiteOk;
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
  return RunShares(site, node, node.storage.TensorsOf(ConstantsOf<Op>(all, node), common));
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

template <typename... Ops>
struct Registrations {
  static constexpr TfLiteRegistration kDelegated[] = {RegistrationFor<Ops>()...};
  static constexpr TfLiteRegistration kResolved[] = {ResolverRegistrationFor<Ops>()...};
};

using All =
    Registrations<Conv2DOp, DepthwiseConv2DOp, FullyConnectedOp, SparseConv2DOp,
                  SparseFullyConnectedOp, CodedConv2DOp, CodedFullyConnectedOp, BinaryConv2DOp,
                  BinaryFullyConnectedOp, BinaryMaxPool2DOp, FloatFullyConnectedOp, SignSumConv2DOp,
                  SignSumFullyConnectedOp, VectorConv2DOp, VectorFullyConnectedOp, GroupedConv2DOp,
                  GroupedFullyConnectedOp, LookupConv2DOp, LookupFullyConnectedOp>;

}  // namespace

const TfLiteRegistration* RegistrationOf(const char* custom_name) {
  for (const TfLiteRegistration& registration : All::kDelegated) {
    if (strcmp(custom_name, registration.custom_name) == 0) return &registration;
  }
  return nullptr;
}

Span<const TfLiteRegistration> ResolverRegistrations() {
  return {All::kResolved, sizeof(All::kResolved) / sizeof(TfLiteRegistration)};
}

}  // namespace edgeax
