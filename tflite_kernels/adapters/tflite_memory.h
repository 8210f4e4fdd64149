#pragma once  // adapters/tflite_memory.h: memory that an operator's Prepare asks for.

#include "tflite_kernels/adapters/tflite_abi.h"

#if defined(TF_LITE_STATIC_MEMORY)
#include "tflite_kernels/adapters/tflm/arena.h"
#else

#include "tflite_kernels/adapters/memory.h"
#include "tflite_kernels/adapters/prepared_rows.h"

namespace edgeax {

// `size()` elements of a plain type, uninitialized, as long as the node lives.
template <typename T>
class NodeBuffer : public Buffer<T> {
 public:
  // As Buffer::Allocate.
  bool Allocate(TfLiteContext*, size_t size) { return Buffer<T>::Allocate(size); }
};

// The same for the time that it is in scope, which is a part of Prepare.
template <typename T>
using TemporaryBuffer = NodeBuffer<T>;

}  // namespace edgeax

#endif  // TF_LITE_STATIC_MEMORY
