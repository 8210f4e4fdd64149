#pragma once  // adapters/tflm/arena.h: memory that an operator's Prepare asks for, of the arena.

#include "tensorflow/lite/micro/micro_context.h"
#include "tflite_kernels/core/sparse.h"

namespace edgeax {

// `size()` elements of a plain type, uninitialized, as long as the interpreter lives.
template <typename T>
class NodeBuffer {
 public:
  // Returns false, the buffer then empty, when the arena is full. Is called once.
  bool Allocate(TfLiteContext* context, size_t size) {
    if (size == 0) return true;
    if (size > SIZE_MAX / sizeof(T)) return false;
    tflite::MicroContext* micro = tflite::GetMicroContext(context);
    data_ = static_cast<T*>(micro->AllocatePersistentBuffer(size * sizeof(T)));
    size_ = data_ == nullptr ? 0 : size;
    return data_ != nullptr;
  }

  T* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

// The same for the time that it is in scope, which is a part of Prepare. Ask for what stays first:
// the arena does not see that both ends meet.
template <typename T>
class TemporaryBuffer {
 public:
  TemporaryBuffer() = default;
  ~TemporaryBuffer() {
    if (data_ != nullptr) micro_->DeallocateTempBuffer(reinterpret_cast<uint8_t*>(data_));
  }
  TemporaryBuffer(const TemporaryBuffer&) = delete;
  TemporaryBuffer& operator=(const TemporaryBuffer&) = delete;

  // As NodeBuffer::Allocate.
  bool Allocate(TfLiteContext* context, size_t size) {
    if (size == 0) return true;
    if (size > SIZE_MAX / sizeof(T)) return false;
    micro_ = tflite::GetMicroContext(context);
    data_ = reinterpret_cast<T*>(micro_->AllocateTempBuffer(size * sizeof(T), alignof(T)));
    size_ = data_ == nullptr ? 0 : size;
    return data_ != nullptr;
  }

  T* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  tflite::MicroContext* micro_ = nullptr;
  T* data_ = nullptr;
  size_t size_ = 0;
};

// Kernels for microcontrollers read weights as they are.
struct PreparedRows {
  static Span<const int32_t> sums() { return {}; }
  static BalancedWeights balanced() { return {}; }
};

}  // namespace edgeax
