#pragma once  // adapters/flexbuffer.h: a map of attributes in the bytes of a file.

#include "tflite_kernels/core/types.h"

namespace edgeax {

// What a file says of a key: nothing, a value of the kind that was asked for, or something else,
// which may be bytes that are no flexbuffer.
enum class Found { kNothing, kValue, kOther };

// The map at the root of a flexbuffer. Anyone may have written `bytes`: nothing outside of them is
// read. https://flatbuffers.dev/internals/#flexbuffers
class FlexMap {
 public:
  explicit FlexMap(Span<const uint8_t> bytes) : bytes_(bytes) {}

  // A list of whole numbers, `count` of them.
  Found Ints(const char* key, int32_t count, int64_t* values) const;
  Found Int(const char* key, int64_t* value) const;
  Found Float(const char* key, double* value) const;
  // Whether the text is one of `texts`, which end with null, and which.
  Found Text(const char* key, const char* const* texts, int32_t* number) const;

 private:
  // Where a value lies, what it is and how wide its numbers are.
  struct Value {
    uint64_t at;
    uint8_t type, width;
  };

  bool ReadUnsigned(uint64_t at, uint8_t width, uint64_t* value) const;
  bool ReadSigned(uint64_t at, uint8_t width, int64_t* value) const;
  // The value whose place in its parent is `at`, and its type there.
  bool Resolve(uint64_t at, uint8_t parent_width, uint8_t packed_type, Value* value) const;
  bool ReadInt(const Value& value, int64_t* number) const;
  bool IsText(uint64_t at, const char* text) const;
  Found Find(const char* key, Value* value) const;

  Span<const uint8_t> bytes_;
};

}  // namespace edgeax
