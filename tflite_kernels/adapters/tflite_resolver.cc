#include "tflite_kernels/adapters/tflite_resolver.h"

#include <stdio.h>
#include <stdlib.h>

#if defined(__ELF__)
// Of TensorFlow Lite's C API; null in a program without it.
extern "C" const char* TfLiteVersion(void) __attribute__((weak));
#endif

namespace edgeax {
namespace {

constexpr long kOldestMajor = 2, kOldestMinor = 14;

const char* LinkedVersion() {
#if defined(__ELF__)
  if (TfLiteVersion != nullptr) return TfLiteVersion();
#endif
  return nullptr;
}

bool IsTooOld(const char* version) {
  char* end = nullptr;
  const long major = strtol(version, &end, 10);
  const long minor = *end == '.' ? strtol(end + 1, nullptr, 10) : 0;
  return major < kOldestMajor || (major == kOldestMajor && minor < kOldestMinor);
}

}  // namespace

TfLiteStatus CheckResolver(const void* resolver) {
  if (resolver == nullptr) {
    fprintf(stderr,
            "edgeax: `resolver` must not be null. Received: null. Pass the address of a "
            "tflite::MutableOpResolver.\n");
    return kTfLiteError;
  }
  const char* version = LinkedVersion();
  if (version != nullptr && IsTooOld(version)) {
    fprintf(stderr,
            "edgeax: the TensorFlow Lite library of this program must be %ld.%ld or newer. "
            "Received: %.40s. Link the library of the tree that TFLITE_ROOT names.\n",
            kOldestMajor, kOldestMinor, version);
    return kTfLiteError;
  }
  return kTfLiteOk;
}

}  // namespace edgeax
