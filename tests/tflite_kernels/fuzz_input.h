#pragma once  // fuzz_input.h: the bytes of libFuzzer as numbers and tensors. Python twin, which
              // writes them: fuzz_corpus.py.

#include <string.h>

#include "tests/tflite_kernels/memory.h"

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : next_(data), end_(data + size) {
    for (size_t i = 0; i < size; ++i) random_ = (random_ ^ data[i]) * 1099511628211u;
  }

  // The next byte, 0 beyond the end.
  uint8_t Byte() { return next_ == end_ ? uint8_t{0} : *next_++; }

  // A number, of as few bytes as are needed, so that most changes of a byte give another small one:
  // below 240 itself; then the lowest 4 bits and the next byte, below 3840; or, after 255, an
  // int32.
  int32_t Number() {
    const uint8_t first = Byte();
    if (first < 240) return first;
    if (first < 255) return (first - 240) * 256 + Byte();
    uint32_t number = 0;
    for (int32_t i = 0; i < 4; ++i) number |= static_cast<uint32_t>(Byte()) << (8 * i);
    return static_cast<int32_t>(number);
  }

  // A number around 0: one less 128.
  int32_t Signed() { return static_cast<int32_t>(static_cast<uint32_t>(Number()) - uint32_t{128}); }

  // A float of any bits.
  float Float() {
    float number;
    uint8_t bytes[sizeof(number)];
    for (uint8_t& byte : bytes) byte = Byte();
    memcpy(&number, bytes, sizeof(number));
    return number;
  }

  // From now on made-up bytes are only 0x80 and 0x7F, or any.
  void SetExtremes(bool extremes) { extremes_ = extremes; }

  // The next byte, or one that is made up when there is none.
  uint8_t AnyByte() {
    if (next_ != end_) return *next_++;
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    const uint8_t byte = static_cast<uint8_t>(random_ >> 56);
    return extremes_ ? static_cast<uint8_t>((byte & 1) != 0 ? 0x80 : 0x7F) : byte;
  }

  template <typename T>
  void Fill(Exact<T>* memory) {
    const edgeax::Span<uint8_t> bytes = BytesOf(memory);
    for (size_t i = 0; i < bytes.size; ++i) bytes.data[i] = AnyByte();
  }

 private:
  const uint8_t* next_;
  const uint8_t* end_;
  uint64_t random_ = 14695981039346656037u;
  bool extremes_ = false;
};
