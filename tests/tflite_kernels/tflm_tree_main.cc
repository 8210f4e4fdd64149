// Runs models in TensorFlow Lite Micro's interpreter, with the operators of tflm_resolver.h, on the
// files and inputs of tflm_models.h. Prints the names of those that fail, how many passed, and the
// largest arena that one took.

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "tensorflow/lite/micro/debug_log.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tests/emulation/counter/markers.h"
#include "tflm_resolver.h"

extern "C" void edgeax_print(const char* text);

struct ModelCase {
  const char* name;
  const unsigned char* model;
  const unsigned char* input;
  size_t input_bytes;
  const unsigned char* output;
  size_t output_bytes;
  const char* refusal;
};

#include "tflm_models.h"

#if defined(__arm__)  // what libraries would bring; nothing is deleted, and nothing aborts
extern "C" {
void __cxa_pure_virtual() { __builtin_trap(); }
int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
[[noreturn]] void abort() { __builtin_trap(); }
[[noreturn]] void __assert_func(const char*, int, const char*, const char*) { __builtin_trap(); }
}
void operator delete(void*) noexcept {}
void operator delete(void*, unsigned) noexcept {}
#endif

namespace {

constexpr size_t kArenaBytes = 160000;
alignas(16) uint8_t arena[kArenaBytes];
char said[2048];

void Say(const char* text) { strncat(said, text, sizeof(said) - strlen(said) - 1); }

void PrintNumber(unsigned long number) {
  char text[24] = {};
  int place = 23;
  do {
    text[--place] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0);
  edgeax_print(text + place);
}

__attribute__((noinline)) TfLiteStatus Invoke(tflite::MicroInterpreter& interpreter) {
  return interpreter.Invoke();
}

bool Passes(const model::OpResolver& resolver, const ModelCase& one, size_t* largest) {
  said[0] = 0;
  tflite::MicroInterpreter interpreter(tflite::GetModel(one.model), resolver, arena, kArenaBytes);
  const TfLiteStatus prepared = interpreter.AllocateTensors();
  if (one.output_bytes == 0) return prepared != kTfLiteOk && strstr(said, one.refusal) != nullptr;
  if (prepared != kTfLiteOk || interpreter.input(0)->bytes != one.input_bytes) return false;
  memcpy(interpreter.input(0)->data.data, one.input, one.input_bytes);
  EDGEAX_REGION_BEGIN(0);
  const TfLiteStatus invoked = Invoke(interpreter);
  EDGEAX_REGION_END(0);
  if (interpreter.arena_used_bytes() > *largest) *largest = interpreter.arena_used_bytes();
  const TfLiteTensor& output = *interpreter.output(0);
  return invoked == kTfLiteOk && output.bytes == one.output_bytes &&
         memcmp(output.data.data, one.output, one.output_bytes) == 0;
}

}  // namespace

// Texts without their numbers: printf would need what firmware has not.
extern "C" void DebugLog(const char* format, va_list) { Say(format); }
extern "C" int DebugVsnprintf(char*, size_t, const char*, va_list) { return 0; }

int main() {
  model::OpResolver resolver;
  if (model::AddOps(resolver) != kTfLiteOk) return 1;
  int passed = 0, failed = 0;
  size_t largest = 0;
  for (const ModelCase& one : kCases) {
    if (Passes(resolver, one, &largest)) {
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
  PrintNumber(static_cast<unsigned long>(passed));
  edgeax_print(" passed, ");
  PrintNumber(static_cast<unsigned long>(failed));
  edgeax_print(" failed, arena ");
  PrintNumber(static_cast<unsigned long>(largest));
  edgeax_print("\n");
  return failed == 0 ? 0 : 1;
}
