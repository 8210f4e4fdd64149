#pragma once  // adapters/tflite_host.h: what nodes ask of the interpreter that they are in.

#include <new>

#include "tflite_kernels/adapters/tflite_node.h"
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

void CopyTensorIndices(const TfLiteNode& from, HostNode* node) {
  node->input_count = from.inputs->size;
  for (int i = 0; i < kInputCount && i < node->input_count; ++i) {
    node->inputs[i] = from.inputs->data[i];
  }
  node->output_count = from.outputs->size;
  node->output = node->output_count > 0 ? from.outputs->data[0] : -1;
}

template <typename NodeOfOp>
void Free(TfLiteContext*, void* buffer) {
  if (buffer == nullptr) return;
  auto* node = static_cast<NodeOfOp*>(buffer);
  node->~NodeOfOp();
  free(node);
}

// Returns null when there is no memory; Prepare then reports it.
template <typename NodeOfOp>
NodeOfOp* NewNode(TfLiteContext* context, const KernelSet* kernels, ThreadPool* threads) {
  void* memory = malloc(sizeof(NodeOfOp));
  if (memory == nullptr) return nullptr;
  auto* node = new (memory) NodeOfOp();
  if (context->AddTensors(context, 1, &node->scratch) != kTfLiteOk) {
    Free<NodeOfOp>(context, node);
    return nullptr;
  }
  node->kernels = kernels;
  node->threads = threads;
  return node;
}

// Of a node that the delegate took over.
template <typename NodeOfOp>
void* Init(TfLiteContext* context, const char* buffer, size_t) {
  const auto& params = *reinterpret_cast<const TfLiteDelegateParams*>(buffer);
  TfLiteNode* original = nullptr;
  TfLiteRegistration* registration = nullptr;
  if (context->GetNodeAndRegistration(context, params.nodes_to_replace->data[0], &original,
                                      &registration) != kTfLiteOk) {
    return nullptr;
  }
  auto& plugin = *static_cast<Plugin*>(params.delegate->data);
  auto* node = NewNode<NodeOfOp>(context, plugin.kernels, &plugin.threads);
  if (node == nullptr) return nullptr;
  CopyOptions(original->custom_initial_data, original->custom_initial_data_size, node);
  CopyTensorIndices(*original, node);
  return node;
}

// Of a node that was resolved: `buffer` holds its options, and its tensors are known in Prepare.
template <typename NodeOfOp>
void* InitResolved(TfLiteContext* context, const char* buffer, size_t length) {
  auto* node = NewNode<NodeOfOp>(context, FindKernelSet("auto"), ThreadsOfResolved());
  if (node != nullptr) CopyOptions(buffer, static_cast<int64_t>(length), node);
  return node;
}

// Fills the places of the inputs, and behind them that of the output.
TfLiteStatus FindTensors(const Site& site, const HostNode& node,
                         Operand (&found)[kInputCount + 1]) {
  const OperatorSpec& spec = *site.spec;
  if (node.input_count != spec.input_count || node.output_count != 1) {
    return Fail(site, "the operator must have %d inputs and 1 output. Received: %d and %d.",
                static_cast<int>(spec.input_count), node.input_count, node.output_count);
  }
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
  return kTfLiteOk;
}

TfLiteStatus Resize(const Site& site, int tensor, int rank, const int64_t* shape) {
  TfLiteIntArray* dims = NewIntArray(rank);
  if (dims == nullptr) return Fail(site, "there is no memory for a shape.");
  for (int i = 0; i < rank; ++i) dims->data[i] = static_cast<int>(shape[i]);
  return site.context->ResizeTensor(site.context, &site.context->tensors[tensor], dims);
}

TfLiteStatus ResizeScratch(const Site& site, size_t bytes, const HostNode& node, TfLiteNode* host) {
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

// Into how many parts an operator of so many products is split.
int32_t SharesOf(int64_t products, size_t share_bytes, int threads) {
  const int64_t room = kMaxElements / static_cast<int64_t>(share_bytes + 1);
  int64_t shares = threads < ThreadPool::kMostParts ? threads : ThreadPool::kMostParts;
  if (shares > products / kLeastProducts) shares = products / kLeastProducts;
  if (shares > room) shares = room;
  return shares > 1 ? static_cast<int32_t>(shares) : 1;
}

template <typename NodeOfOp, TfLiteStatus (*kPrepare)(TfLiteContext*, TfLiteNode*)>
TfLiteStatus PrepareResolved(TfLiteContext* context, TfLiteNode* host) {
  auto* node = static_cast<NodeOfOp*>(host->user_data);
  if (node != nullptr) CopyTensorIndices(*host, node);
  return kPrepare(context, host);
}

// Runs a kernel, in as many parts as Prepare decided; each gets its part of the scratch.
template <typename Op, typename NodeOfOp, typename TensorsOfArgs>
TfLiteStatus RunShares(const Site& site, const NodeOfOp& node, const TensorsOfArgs& tensors) {
  const TfLiteTensor& memory = site.context->tensors[node.scratch];
  struct Call {
    const NodeOfOp& node;
    const TensorsOfArgs& tensors;
    Span<uint8_t> scratch;
    Status statuses[ThreadPool::kMostParts];
  } call = {node, tensors, {static_cast<uint8_t*>(DataOf(memory)), memory.bytes}, {}};
  const auto run = [](void* context, int32_t part) {
    auto& call = *static_cast<Call*>(context);
    const NodeOfOp& node = call.node;
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

// How an interpreter calls an operator: as a node of a delegate, or as one that was resolved.
struct NodeFunctions {
  void* (*init)(TfLiteContext* context, const char* buffer, size_t length);
  void* (*init_resolved)(TfLiteContext* context, const char* buffer, size_t length);
  void (*free)(TfLiteContext* context, void* buffer);
  TfLiteStatus (*prepare)(TfLiteContext* context, TfLiteNode* node);
  TfLiteStatus (*prepare_resolved)(TfLiteContext* context, TfLiteNode* node);
  TfLiteStatus (*invoke)(TfLiteContext* context, TfLiteNode* node);
};

template <typename NodeOfOp, TfLiteStatus (*kPrepare)(TfLiteContext*, TfLiteNode*),
          TfLiteStatus (*kEval)(TfLiteContext*, TfLiteNode*)>
constexpr NodeFunctions FunctionsOf() {
  return {Init<NodeOfOp>,
          InitResolved<NodeOfOp>,
          Free<NodeOfOp>,
          kPrepare,
          PrepareResolved<NodeOfOp, kPrepare>,
          kEval};
}

constexpr TfLiteRegistration RegistrationOf(const OperatorSpec& spec,
                                            const NodeFunctions& functions) {
  TfLiteRegistration registration = {};
  registration.init = functions.init;
  registration.free = functions.free;
  registration.prepare = functions.prepare;
  registration.invoke = functions.invoke;
  registration.custom_name = spec.name;
  registration.version = spec.version;
  return registration;
}

constexpr TfLiteRegistration ResolverRegistrationOf(const OperatorSpec& spec,
                                                    const NodeFunctions& functions) {
  TfLiteRegistration registration = RegistrationOf(spec, functions);
  registration.init = functions.init_resolved;
  registration.prepare = functions.prepare_resolved;
  return registration;
}

}  // namespace
}  // namespace edgeax
