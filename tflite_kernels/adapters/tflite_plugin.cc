// The external delegate: the two functions that an interpreter looks up in this library.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <new>

#include "tflite_kernels/adapters/export.h"
#include "tflite_kernels/adapters/memory.h"
#include "tflite_kernels/adapters/tflite_ops.h"

namespace edgeax {
namespace {

using ReportFunction = void (*)(const char* message);

constexpr char kIsaKey[] = "isa";

void Report(ReportFunction report, const char* rule, const char* received) {
  if (report == nullptr) return;
  char message[512];
  snprintf(message, sizeof(message), "edgeax: %s Received: %.100s.", rule, received);
  report(message);
}

// "`isa` must be auto, reference, avx2.", with the sets that this processor runs.
void ReportIsa(ReportFunction report, const char* received) {
  char rule[256];
  size_t length = static_cast<size_t>(snprintf(rule, sizeof(rule), "option isa must be auto"));
  const Span<const KernelSet> sets = KernelSets();
  for (size_t i = 0; i < sets.size && length < sizeof(rule); ++i) {
    if (!sets.data[i].is_supported()) continue;
    length += static_cast<size_t>(
        snprintf(rule + length, sizeof(rule) - length, ", %s", sets.data[i].name));
  }
  if (length < sizeof(rule)) {
    snprintf(rule + length, sizeof(rule) - length, " on this processor.");
  }
  Report(report, rule, received);
}

// Null, and a report, when an option is not known.
const KernelSet* ReadOptions(const char* const* keys, const char* const* values, size_t count,
                             ReportFunction report) {
  const char* isa = "auto";
  for (size_t i = 0; i < count; ++i) {
    if (strcmp(keys[i], kIsaKey) != 0) {
      Report(report, "the options of the delegate are: isa.", keys[i]);
      return nullptr;
    }
    isa = values[i];
  }
  const KernelSet* kernels = FindKernelSet(isa);
  if (kernels == nullptr) ReportIsa(report, isa);
  return kernels;
}

// Takes over node number `index` when it is one of ours.
TfLiteStatus TakeOver(TfLiteContext* context, TfLiteDelegate* delegate, int index) {
  TfLiteNode* node = nullptr;
  TfLiteRegistration* registration = nullptr;
  const TfLiteStatus found = context->GetNodeAndRegistration(context, index, &node, &registration);
  if (found != kTfLiteOk) return found;
  const bool is_ours = registration->custom_name != nullptr && node->delegate == nullptr;
  const TfLiteRegistration* ours = is_ours ? RegistrationOf(registration->custom_name) : nullptr;
  if (ours == nullptr) return kTfLiteOk;
  // A list of one: several nodes in one call would be fused, the tensors between them unallocated.
  const TfLiteIntArray only_this = {1, {index}};
  return context->ReplaceNodeSubsetsWithDelegateKernels(context, *ours, &only_this, delegate);
}

TfLiteStatus PrepareDelegate(TfLiteContext* context, TfLiteDelegate* delegate) {
  TfLiteIntArray* plan = nullptr;
  const TfLiteStatus got = context->GetExecutionPlan(context, &plan);
  if (got != kTfLiteOk) return got;
  // A copy: taking a node over rewrites the plan. The numbers of the other nodes stay valid.
  Buffer<int> nodes;
  if (!nodes.Allocate(static_cast<size_t>(plan->size))) {
    context->ReportError(context, "edgeax: there is no memory for a plan of %d operators.",
                         plan->size);
    return kTfLiteError;
  }
  memcpy(nodes.data(), plan->data, nodes.size() * sizeof(int));
  for (size_t i = 0; i < nodes.size(); ++i) {
    const TfLiteStatus taken = TakeOver(context, delegate, nodes.data()[i]);
    if (taken != kTfLiteOk) return taken;
  }
  return kTfLiteOk;
}

// What one call of tflite_plugin_create_delegate makes; it starts with what the interpreter sees.
struct PluginDelegate {
  TfLiteDelegate delegate;
  Plugin plugin;
};

}  // namespace
}  // namespace edgeax

// The arrays hold `count` strings. `report_error` may be null. Returns null on an error.
EDGEAX_EXPORT TfLiteDelegate* tflite_plugin_create_delegate(char** option_keys,
                                                            char** option_values, size_t count,
                                                            void (*report_error)(const char*)) {
  const edgeax::KernelSet* kernels =
      edgeax::ReadOptions(option_keys, option_values, count, report_error);
  if (kernels == nullptr) return nullptr;
  void* memory = malloc(sizeof(edgeax::PluginDelegate));
  if (memory == nullptr) {
    edgeax::Report(report_error, "there is no memory for the delegate.", "nothing");
    return nullptr;
  }
  auto* made = new (memory) edgeax::PluginDelegate();
  made->plugin.kernels = kernels;
  made->delegate.data = &made->plugin;
  made->delegate.Prepare = edgeax::PrepareDelegate;
  // Exactly this flag: without it, or with more, the interpreter prepares the nodes before it asks
  // the delegate, and does not know our operators.
  made->delegate.flags = kTfLiteDelegateFlagsAllowDynamicTensors;
  return &made->delegate;
}

EDGEAX_EXPORT void tflite_plugin_destroy_delegate(TfLiteDelegate* delegate) {
  if (delegate == nullptr) return;
  auto* made = reinterpret_cast<edgeax::PluginDelegate*>(delegate);
  made->~PluginDelegate();
  free(made);
}
