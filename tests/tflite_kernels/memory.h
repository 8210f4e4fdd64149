#pragma once  // memory.h: what the C++ test programs give to kernels.

#include <stdlib.h>

#include <vector>

#include "tflite_kernels/core/sparse.h"

// Exactly `size` elements in an allocation of their own, so that a sanitizer sees any step outside;
// bytes start `shift` bytes off the alignment of the allocation.
template <typename T>
class Exact {
 public:
  explicit Exact(size_t size, size_t shift = 1) : size_(size) {
    const size_t off = sizeof(T) == 1 ? shift : 0;
    block_ = malloc(size * sizeof(T) + off);
    data_ = reinterpret_cast<T*>(static_cast<char*>(block_) + off);
  }
  ~Exact() { free(block_); }
  Exact(const Exact&) = delete;
  Exact& operator=(const Exact&) = delete;

  T& operator[](size_t i) { return data_[i]; }
  size_t size() const { return size_; }
  edgeax::Span<T> span() { return {data_, size_}; }
  edgeax::Span<const T> view() const { return {data_, size_}; }

 private:
  void* block_;
  T* data_;
  size_t size_;
};

template <typename T>
edgeax::Span<uint8_t> BytesOf(Exact<T>* memory) {
  return {reinterpret_cast<uint8_t*>(memory->span().data), memory->size() * sizeof(T)};
}

// Places of the blocks for which `is_left(block of its row)`, asked for one after the other, says
// so.
template <typename IsLeft>
std::vector<uint8_t> WriteIndices(const edgeax::SparseFormat& format, int32_t rows, int32_t depth,
                                  IsLeft is_left) {
  const int32_t blocks = (depth - 1) / format.block + 1;
  const int32_t bits = format.places == edgeax::Places::kBitmask     ? 1
                       : format.places == edgeax::Places::kRelative4 ? 4
                                                                     : 8;
  const int32_t highest = (1 << bits) - 1;
  std::vector<uint8_t> indices;
  for (int32_t r = 0; r < rows; ++r) {
    int32_t used = 8;
    const auto write = [&](int32_t entry) {
      if (used == 8) {
        indices.push_back(0);
        used = 0;
      }
      indices.back() = static_cast<uint8_t>(indices.back() | entry << used);
      used += bits;
    };
    int32_t left_out = 0;
    for (int32_t i = 0; i < blocks; ++i) {
      const bool left = is_left(i);
      if (bits == 1) {
        write(left ? 1 : 0);
      } else if (left) {
        for (; left_out >= highest; left_out -= highest) write(highest);
        write(left_out);
        left_out = 0;
      } else {
        ++left_out;
      }
    }
    for (; bits > 1 && left_out > 0; left_out -= highest) write(highest);
  }
  return indices;
}

// Values that belong to such places, as far as these are right.
static inline size_t CountValues(const edgeax::SparseFormat& format, int32_t rows, int32_t depth,
                                 edgeax::Span<const uint8_t> indices) {
  size_t count = 0;
  const uint8_t* next = indices.data;
  for (int32_t r = 0; r < rows; ++r) {
    edgeax::SparseCursor row = edgeax::SparseRow(format, depth, next, indices.data + indices.size);
    while (edgeax::NextPlace(&row)) count += static_cast<size_t>(format.block);
    next = row.next;
  }
  return count;
}
