#pragma once  // adapters/tflm/node.h: an operator of a model in TensorFlow Lite Micro.

#include <string.h>

#include <new>

#include "tensorflow/lite/micro/micro_common.h"
#include "tensorflow/lite/micro/micro_context.h"
#include "tflite_kernels/adapters/tflm/kernels.h"

namespace edgeax {
namespace tflm {
namespace {

// As the built-in operators of the tree round.
#if TFLITE_SINGLE_ROUNDING
constexpr Rounding kRounding = Rounding::kSingle;
#else
constexpr Rounding kRounding = Rounding::kDouble;
#endif

constexpr int kNoScratch = -1;

// What Prepare leaves for Eval. Constants stay where the model lies.
template <typename Op>
struct NodeOf {
  const void* options;
  size_t option_bytes;
  typename Op::Args args;
  typename Op::Storage storage;
  Constants constants;
  Span<const int32_t> bias;
  NodeBuffer<Requantization> requantization;
  size_t input_bytes, output_bytes, scratch_bytes;
  int scratch;  // number of a buffer of the arena, or kNoScratch
};

// A copy for each operator: a program does not hold what is written about the others.
template <typename Op>
constexpr OperatorSpec kSpecOf = Op::kSpec;

template <typename Op>
void* Init(TfLiteContext* context, const char* buffer, size_t length) {
  void* memory = tflite::GetMicroContext(context)->AllocatePersistentBuffer(sizeof(NodeOf<Op>));
  if (memory == nullptr) return nullptr;
  auto* node = new (memory) NodeOf<Op>();
  node->options = buffer;
  node->option_bytes = buffer == nullptr ? 0 : length;
  return node;
}

// The tensors of a node for the time of its Prepare.
class PreparedTensors {
 public:
  PreparedTensors(TfLiteContext* context, const TfLiteNode& node)
      : micro_(tflite::GetMicroContext(context)), node_(node) {}
  ~PreparedTensors() {
    while (count_ > 0) micro_->DeallocateTempTfLiteTensor(tensors_[--count_]);
  }
  PreparedTensors(const PreparedTensors&) = delete;
  PreparedTensors& operator=(const PreparedTensors&) = delete;

  // Null when the node leaves the place empty, or when there is no memory.
  const TfLiteTensor* Input(int place) {
    return Kept(micro_->AllocateTempInputTensor(&node_, place));
  }
  const TfLiteTensor* Output() { return Kept(micro_->AllocateTempOutputTensor(&node_, 0)); }

 private:
  const TfLiteTensor* Kept(TfLiteTensor* tensor) {
    if (tensor != nullptr) tensors_[count_++] = tensor;
    return tensor;
  }

  tflite::MicroContext* micro_;
  const TfLiteNode& node_;
  TfLiteTensor* tensors_[kInputCount + 1];
  int count_ = 0;
};

TfLiteStatus FindOperands(const Site& site, const TfLiteNode& host, PreparedTensors* tensors,
                          Operands* operands) {
  const OperatorSpec& spec = *site.spec;
  if (host.inputs->size != spec.input_count || host.outputs->size != 1) {
    return Fail(site, "the operator must have %d inputs and 1 output. Received: %d and %d.",
                static_cast<int>(spec.input_count), host.inputs->size, host.outputs->size);
  }
  Operand found[kInputCount + 1] = {};
  for (int i = 0; i <= spec.input_count; ++i) {
    const bool is_input = i < spec.input_count;
    Operand& operand = found[is_input ? i : kInputCount];
    operand = {is_input ? spec.input_names[i] : kOutputName,
               is_input ? tensors->Input(i) : tensors->Output()};
    if (operand.tensor == nullptr) {
      return Fail(site, "tensor %s must be a tensor of the model, and the arena hold it.",
                  operand.name);
    }
  }
  *operands = OperandsFrom(found);
  return kTfLiteOk;
}

template <typename Options>
TfLiteStatus ReadOptions(const Site& site, const void* data, size_t bytes, Options* options) {
  int32_t numbers[1 + sizeof(Options) / sizeof(int32_t)] = {};
  memcpy(numbers, data, bytes < sizeof(numbers) ? bytes : sizeof(numbers));
  EDGEAX_RETURN_IF_ERROR(CheckOptions(site, numbers, static_cast<int64_t>(bytes)));
  memcpy(options, numbers + 1, sizeof(*options));
  return kTfLiteOk;
}

// The shapes of a model do not change here: the output has to have the one that it is to get.
TfLiteStatus CheckOutputShape(const Site& site, const Operand& output, const Wanted& wanted) {
  EDGEAX_RETURN_IF_ERROR(CheckShape(site, output, wanted.output_rank, wanted.output_rank));
  for (int i = 0; i < wanted.output_rank; ++i) {
    const int64_t size = output.tensor->dims->data[i];
    if (size == wanted.output_shape[i]) continue;
    return Fail(site, "dimension %d of tensor output must be %lld. Received: %lld.", i,
                static_cast<long long>(wanted.output_shape[i]), static_cast<long long>(size));
  }
  return kTfLiteOk;
}

Constants ConstantsOf(const Operands& operands) {
  const auto bytes = [](const Operand& operand) {
    return operand.tensor == nullptr ? Span<const uint8_t>{} : BytesOf<uint8_t>(*operand.tensor);
  };
  return {bytes(operands.weights), bytes(operands.bias), bytes(operands.scale), bytes(operands.key),
          bytes(operands.steps)};
}

// Where biases lie that a kernel can read; null where they have to be copied.
template <typename Storage>
const int32_t* StoredBias(const Operands& operands, const Storage&) {
  const void* data = DataOf(*operands.bias.tensor);
  const bool is_aligned = reinterpret_cast<uintptr_t>(data) % alignof(int32_t) == 0;
  return is_aligned ? static_cast<const int32_t*>(data) : nullptr;
}
const int32_t* StoredBias(const Operands&, const CodedStorage& storage) {
  return storage.bias.data();
}

// The biases and factors of the channels.
template <typename Op>
TfLiteStatus PrepareChannels(const Site& site, const BinaryForm& form, const Operands& operands,
                             const Wanted& wanted, NodeOf<Op>* node) {
  const size_t channels = static_cast<size_t>(wanted.channels);
  const int32_t* stored = StoredBias(operands, node->storage);
  NodeBuffer<int32_t> copy;
  TemporaryBuffer<int32_t> read;
  TemporaryBuffer<float> scales;
  const bool fits = node->requantization.Allocate(site.context, channels) &&
                    (stored != nullptr || copy.Allocate(site.context, channels)) &&
                    read.Allocate(site.context, channels) &&
                    scales.Allocate(site.context, channels);
  if (!fits)
    return Fail(site, "the arena is too small for %d channels.", static_cast<int>(channels));
  EDGEAX_RETURN_IF_ERROR(node->storage.CopyChannels(site, operands, {read.data(), channels},
                                                    {scales.data(), channels}));
  if (stored == nullptr) memcpy(copy.data(), read.data(), channels * sizeof(int32_t));
  node->bias = {stored == nullptr ? copy.data() : stored, channels};
  return FillFactors<Op>(site, form, operands, {scales.data(), channels},
                         {node->requantization.data(), channels});
}

template <typename Op>
TfLiteStatus RequestScratch(const Site& site, NodeOf<Op>* node) {
  const KernelsOf<Op> kernels;
  if (Op::KernelIn(kernels).scratch_bytes(node->args, &node->scratch_bytes) != Status::kOk) {
    return Fail(site, "the kernel rejects the shapes.");
  }
  node->scratch = kNoScratch;
  if (node->scratch_bytes == 0) return kTfLiteOk;
  return tflite::GetMicroContext(site.context)
      ->RequestScratchBufferInArena(node->scratch_bytes, &node->scratch);
}

template <typename Op>
TfLiteStatus Prepare(TfLiteContext* context, TfLiteNode* host) {
  const Site site = {context, &kSpecOf<Op>};
  auto* node = static_cast<NodeOf<Op>*>(host->user_data);
  if (node == nullptr) return Fail(site, "the arena is too small for the operator.");
  typename Op::Options options;
  EDGEAX_RETURN_IF_ERROR(ReadOptions(site, node->options, node->option_bytes, &options));
  PreparedTensors tensors(context, *host);
  Operands operands;
  EDGEAX_RETURN_IF_ERROR(FindOperands(site, *host, &tensors, &operands));
  Wanted wanted = {};
  EDGEAX_RETURN_IF_ERROR(PrepareArguments<Op>(site, options, operands, kRounding, &node->args,
                                              &node->storage, &wanted));
  EDGEAX_RETURN_IF_ERROR(CheckOutputShape(site, operands.output, wanted));
  if constexpr (kHasFactors<Op>) {
    EDGEAX_RETURN_IF_ERROR(PrepareChannels<Op>(site, FormOf(options), operands, wanted, node));
  }
  node->constants = ConstantsOf(operands);
  node->input_bytes = operands.input.tensor->bytes;
  node->output_bytes = operands.output.tensor->bytes;
  return RequestScratch(site, node);
}

template <typename Op>
TfLiteStatus Eval(TfLiteContext* context, TfLiteNode* host) {
  const Site site = {context, &kSpecOf<Op>};
  const auto& node = *static_cast<const NodeOf<Op>*>(host->user_data);
  tflite::MicroContext* micro = tflite::GetMicroContext(context);
  const TfLiteEvalTensor* input = micro->GetEvalTensor(host->inputs->data[kInput]);
  const TfLiteEvalTensor* output = micro->GetEvalTensor(host->outputs->data[0]);
  const CommonTensors common = {{static_cast<const int8_t*>(input->data.data), node.input_bytes},
                                node.bias,
                                {node.requantization.data(), node.requantization.size()},
                                {static_cast<int8_t*>(output->data.data), node.output_bytes}};
  EDGEAX_RETURN_IF_ERROR(CheckMemory<Op>(site, node.args, common));
  auto tensors = node.storage.TensorsOf(node.constants, common);
  if (node.scratch != kNoScratch) {
    auto* scratch = static_cast<uint8_t*>(micro->GetScratchBuffer(node.scratch));
    GiveShare({0, 1}, {scratch, node.scratch_bytes}, &tensors);
  }
  const KernelsOf<Op> kernels;
  const Status status = Op::KernelIn(kernels).run(node.args, tensors);
  if (status == Status::kOk) return kTfLiteOk;
  return Fail(site, "the kernel failed with status %d.", static_cast<int>(status));
}

template <typename Op>
constexpr TFLMRegistration RegistrationFor() {
  TFLMRegistration registration = {};
  registration.init = Init<Op>;
  registration.prepare = Prepare<Op>;
  registration.invoke = Eval<Op>;
  registration.builtin_code = 32;  // BuiltinOperator_CUSTOM of the schema
  registration.custom_name = Op::kSpec.name;
  return registration;
}

template <typename Op>
constexpr TFLMRegistration kRegistration = RegistrationFor<Op>();

}  // namespace
}  // namespace tflm
}  // namespace edgeax
