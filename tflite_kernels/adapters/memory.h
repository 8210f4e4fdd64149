#pragma once  // adapters/memory.h: memory owned by one object, from malloc. No exceptions.

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

namespace edgeax {

// `size()` elements of a plain type, uninitialized.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Returns false, the buffer then empty, when there is no memory. The former elements are lost.
  bool Allocate(size_t size) {
    free(data_);
    size_ = 0;
    data_ = nullptr;
    if (size > SIZE_MAX / sizeof(T)) return false;
    data_ = static_cast<T*>(malloc(size == 0 ? 1 : size * sizeof(T)));
    if (data_ == nullptr) return false;
    size_ = size;
    return true;
  }

  T* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace edgeax
