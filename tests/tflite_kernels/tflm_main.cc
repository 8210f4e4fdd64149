// Runs every operator through adapters/tflm, against the stand-in for TensorFlow Lite Micro, on the
// cases that tflm_cases.py wrote. Prints the names of those that fail, and how many passed.

#include <stdint.h>
#include <string.h>

#include "tensorflow/lite/micro/micro_context.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tflite_kernels/adapters/tflm/edgeax_ops.h"

extern "C" void edgeax_print(const char* text);
extern "C" void __cxa_pure_virtual() { __builtin_trap(); }

struct MicroTensor {
  TfLiteType type;
  const int* dims;
  const unsigned char* data;
  size_t bytes;
  int scales;
  float scale;
  int zero_point;
};

struct MicroCase {
  const char *name, *custom_name;
  const unsigned char* options;
  size_t option_bytes;
  const MicroTensor* tensors;  // those of the inputs, then the output
  int inputs;
  const unsigned char* input;
  size_t input_bytes;
  const unsigned char* output;
  size_t output_bytes;
  const char* refusal;
};

#include "tflm_cases.h"

namespace {

constexpr int kMostTensors = 8;
constexpr size_t kArenaBytes = 200000, kGuardBytes = 32;

alignas(16) uint8_t arena[kArenaBytes];

char said[1024];

void Say(const char* text) {
  strncat(said, text, sizeof(said) - strlen(said) - 1);
  strncat(said, " ", sizeof(said) - strlen(said) - 1);
}

// An arena of which nothing is given back, and an interpreter of one operator.
class Context : public tflite::MicroContext {
 public:
  explicit Context(const MicroCase& one) : case_(one) {
    for (int i = 0; i <= one.inputs; ++i) eval_[i] = EvalOf(one.tensors[i]);
    eval_[0].data.data = Place(one.input_bytes, kGuardBytes);
    memcpy(eval_[0].data.data, one.input, one.input_bytes);
    const size_t room = one.tensors[one.inputs].bytes;
    output = static_cast<uint8_t*>(Place(room + 2 * kGuardBytes, kGuardBytes)) + kGuardBytes;
    memset(output - kGuardBytes, 0x5A, room + 2 * kGuardBytes);
    eval_[one.inputs].data.data = output;
  }

  void* AllocatePersistentBuffer(size_t bytes) override { return Place(bytes, 16); }

  TfLiteStatus RequestScratchBufferInArena(size_t bytes, int* number) override {
    scratch_ = Place(bytes, 16);
    *number = 0;
    return scratch_ == nullptr ? kTfLiteError : kTfLiteOk;
  }

  void* GetScratchBuffer(int) override { return scratch_; }

  TfLiteTensor* AllocateTempTfLiteTensor(int number) override {
    const MicroTensor& from = case_.tensors[number];
    TfLiteTensor& to = tensors_[number];
    to = {};
    to.type = from.type;
    to.dims = const_cast<TfLiteIntArray*>(reinterpret_cast<const TfLiteIntArray*>(from.dims));
    to.data.data = const_cast<unsigned char*>(from.data);
    to.bytes = from.bytes;
    to.allocation_type = from.data == nullptr ? kTfLiteArenaRw : kTfLiteMmapRo;
    if (from.scales > 0) {
      to.params = {from.scale, from.zero_point};
      sizes_[number] = from.scales;
      affine_[number] = {reinterpret_cast<TfLiteFloatArray*>(&sizes_[number]), nullptr, 0};
      to.quantization = {kTfLiteAffineQuantization, &affine_[number]};
    }
    ++held;
    return &to;
  }

  void DeallocateTempTfLiteTensor(TfLiteTensor*) override { --held; }

  uint8_t* AllocateTempBuffer(size_t size, size_t alignment) override {
    ++held;
    return static_cast<uint8_t*>(Place(size, alignment));
  }

  void DeallocateTempBuffer(uint8_t*) override { --held; }

  TfLiteEvalTensor* GetEvalTensor(int number) override { return &eval_[number]; }

  bool GuardsAreWhole() const {
    const size_t room = case_.tensors[case_.inputs].bytes;
    for (size_t i = 0; i < kGuardBytes; ++i) {
      if (output[-1 - static_cast<int>(i)] != 0x5A || output[room + i] != 0x5A) return false;
    }
    return true;
  }

  uint8_t* output;
  int held = 0;  // of what is lent for the time of Prepare

 private:
  static TfLiteEvalTensor EvalOf(const MicroTensor& from) {
    TfLiteEvalTensor to = {};
    to.type = from.type;
    to.data.data = const_cast<unsigned char*>(from.data);
    return to;
  }

  void* Place(size_t bytes, size_t alignment) {
    used_ = (used_ + alignment - 1) / alignment * alignment;
    if (bytes > kArenaBytes - used_) return nullptr;
    void* place = arena + used_;
    used_ += bytes;
    return place;
  }

  const MicroCase& case_;
  size_t used_ = 0;
  void* scratch_ = nullptr;
  TfLiteTensor tensors_[kMostTensors];
  TfLiteAffineQuantization affine_[kMostTensors];
  int sizes_[kMostTensors];
  TfLiteEvalTensor eval_[kMostTensors];
};

// What tflite::MicroMutableOpResolver does with operators that are not built in.
struct Resolver {
  TfLiteStatus AddCustom(const char* name, const TFLMRegistration* registration) {
    if (count == edgeax::tflm::kOperatorCount) return kTfLiteError;
    names[count] = name;
    all[count++] = registration;
    return kTfLiteOk;
  }

  const TFLMRegistration* Find(const char* name) const {
    for (int i = 0; i < count; ++i) {
      if (strcmp(names[i], name) == 0) return all[i];
    }
    return nullptr;
  }

  int count = 0;
  const char* names[edgeax::tflm::kOperatorCount];
  const TFLMRegistration* all[edgeax::tflm::kOperatorCount];
};

struct Places {
  int size;
  int data[kMostTensors];
};

bool Passes(const Resolver& resolver, const MicroCase& one) {
  const TFLMRegistration* registration = resolver.Find(one.custom_name);
  if (registration == nullptr) return false;
  Context micro(one);
  TfLiteContext context = {};
  context.impl_ = static_cast<tflite::MicroContext*>(&micro);
  Places inputs = {one.inputs, {0, 1, 2, 3, 4, 5, 6, 7}}, outputs = {1, {one.inputs}};
  TfLiteNode node = {};
  node.inputs = reinterpret_cast<TfLiteIntArray*>(&inputs);
  node.outputs = reinterpret_cast<TfLiteIntArray*>(&outputs);
  said[0] = 0;
  const char* options = reinterpret_cast<const char*>(one.options);
  node.user_data = registration->init(&context, options, one.option_bytes);
  const TfLiteStatus prepared = registration->prepare(&context, &node);
  if (micro.held != 0) return false;
  if (one.output_bytes == 0) {
    return prepared == kTfLiteError && strstr(said, one.refusal) != nullptr &&
           strstr(said, "%s:") == said;
  }
  if (prepared != kTfLiteOk || registration->invoke(&context, &node) != kTfLiteOk) return false;
  return memcmp(micro.output, one.output, one.output_bytes) == 0 && micro.GuardsAreWhole();
}

void PrintNumber(int number) {
  char text[12] = {};
  int place = 11;
  do {
    text[--place] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0);
  edgeax_print(text + place);
}

}  // namespace

void MicroPrintf(const char* format, ...) { Say(format); }
void VMicroPrintf(const char* format, va_list) { Say(format); }

int main() {
  Resolver resolver;
  if (edgeax::AddEdgeaxOps(resolver) != kTfLiteOk) return 1;
  int passed = 0, failed = 0;
  for (const MicroCase& one : kCases) {
    if (Passes(resolver, one)) {
      ++passed;
      continue;
    }
    ++failed;
    edgeax_print("failed: ");
    edgeax_print(one.name);
    edgeax_print(": ");
    edgeax_print(said);
    edgeax_print("\n");
  }
  edgeax_print("tflm: ");
  PrintNumber(passed);
  edgeax_print(" passed, ");
  PrintNumber(failed);
  edgeax_print(" failed\n");
  return failed == 0 ? 0 : 1;
}
