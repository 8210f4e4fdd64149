#include "tflite_kernels/adapters/flexbuffer.h"

#include <string.h>

namespace edgeax {
namespace {

enum Type : uint8_t {
  kInt = 1,
  kUint = 2,
  kFloat = 3,
  kString = 5,
  kMap = 9,
  kVector = 10,
  kVectorInt = 11,
  kBool = 26,
};

bool IsInline(uint8_t type) { return type <= kFloat || type == kBool; }

}  // namespace

bool FlexMap::ReadUnsigned(uint64_t at, uint8_t width, uint64_t* value) const {
  if (at > bytes_.size || bytes_.size - at < width) return false;
  *value = 0;
  for (uint8_t i = 0; i < width; ++i) *value |= uint64_t{bytes_.data[at + i]} << (8 * i);
  return true;
}

bool FlexMap::ReadSigned(uint64_t at, uint8_t width, int64_t* value) const {
  uint64_t bits = 0;
  if (!ReadUnsigned(at, width, &bits)) return false;
  if (width < 8 && (bits >> (8 * width - 1)) != 0) bits |= ~uint64_t{0} << (8 * width);
  memcpy(value, &bits, sizeof(bits));
  return true;
}

bool FlexMap::Resolve(uint64_t at, uint8_t parent_width, uint8_t packed_type, Value* value) const {
  *value = {at, static_cast<uint8_t>(packed_type >> 2), parent_width};
  if (IsInline(value->type)) return true;
  uint64_t distance = 0;
  if (!ReadUnsigned(at, parent_width, &distance) || distance > at) return false;
  value->at = at - distance;
  value->width = static_cast<uint8_t>(1 << (packed_type & 3));
  return true;
}

bool FlexMap::ReadInt(const Value& value, int64_t* number) const {
  if (value.type == kInt) return ReadSigned(value.at, value.width, number);
  uint64_t bits = 0;
  if (value.type != kUint || !ReadUnsigned(value.at, value.width, &bits)) return false;
  *number = static_cast<int64_t>(bits);
  return *number >= 0;
}

bool FlexMap::IsText(uint64_t at, const char* text) const {
  const size_t length = strlen(text) + 1;
  return at <= bytes_.size && bytes_.size - at >= length &&
         memcmp(bytes_.data + at, text, length) == 0;
}

Found FlexMap::Find(const char* key, Value* value) const {
  Value map;
  const uint64_t size = bytes_.size;
  if (size < 3) return Found::kOther;
  const uint8_t root_width = bytes_.data[size - 1];
  const bool is_width = root_width == 1 || root_width == 2 || root_width == 4 || root_width == 8;
  if (!is_width || size - 2 < root_width ||
      !Resolve(size - 2 - root_width, root_width, bytes_.data[size - 2], &map) ||
      map.type != kMap) {
    return Found::kOther;
  }
  // Before the values lie: where the keys are, how wide their places are, how many there are.
  const uint64_t width = map.width;
  uint64_t count = 0, keys = 0, key_width = 0;
  if (map.at < 3 * width || !ReadUnsigned(map.at - width, map.width, &count) ||
      !ReadUnsigned(map.at - 2 * width, map.width, &key_width) ||
      !ReadUnsigned(map.at - 3 * width, map.width, &keys) || keys > map.at - 3 * width ||
      count > size || (key_width != 1 && key_width != 2 && key_width != 4 && key_width != 8)) {
    return Found::kOther;
  }
  const uint64_t first_key = map.at - 3 * width - keys;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t distance = 0, type = 0;
    const uint64_t at = first_key + i * key_width;
    if (!ReadUnsigned(at, static_cast<uint8_t>(key_width), &distance) || distance > at) {
      return Found::kOther;
    }
    if (!IsText(at - distance, key)) continue;
    if (!ReadUnsigned(map.at + count * width + i, 1, &type)) return Found::kOther;
    const bool is_there = Resolve(map.at + i * width, map.width, static_cast<uint8_t>(type), value);
    return is_there ? Found::kValue : Found::kOther;
  }
  return Found::kNothing;
}

Found FlexMap::Ints(const char* key, int32_t count, int64_t* values) const {
  Value list;
  const Found found = Find(key, &list);
  if (found != Found::kValue) return found;
  uint64_t length = 0;
  if ((list.type != kVector && list.type != kVectorInt) || list.at < list.width ||
      !ReadUnsigned(list.at - list.width, list.width, &length) ||
      length != static_cast<uint64_t>(count)) {
    return Found::kOther;
  }
  for (uint64_t i = 0; i < length; ++i) {
    Value value = {list.at + i * list.width, kInt, list.width};
    uint64_t type = 0;
    if (list.type == kVector &&
        (!ReadUnsigned(list.at + length * list.width + i, 1, &type) ||
         !Resolve(value.at, list.width, static_cast<uint8_t>(type), &value))) {
      return Found::kOther;
    }
    if (!ReadInt(value, values + i)) return Found::kOther;
  }
  return Found::kValue;
}

Found FlexMap::Int(const char* key, int64_t* value) const {
  Value found_value;
  const Found found = Find(key, &found_value);
  if (found != Found::kValue) return found;
  return ReadInt(found_value, value) ? Found::kValue : Found::kOther;
}

Found FlexMap::Float(const char* key, double* value) const {
  Value found_value;
  const Found found = Find(key, &found_value);
  if (found != Found::kValue) return found;
  uint64_t bits = 0;
  if (found_value.type != kFloat || found_value.width < 4 ||
      !ReadUnsigned(found_value.at, found_value.width, &bits)) {
    return Found::kOther;
  }
  if (found_value.width == 8) {
    memcpy(value, &bits, sizeof(*value));
  } else {
    const uint32_t low = static_cast<uint32_t>(bits);
    float narrow;
    memcpy(&narrow, &low, sizeof(narrow));
    *value = static_cast<double>(narrow);
  }
  return Found::kValue;
}

Found FlexMap::Text(const char* key, const char* const* texts, int32_t* number) const {
  Value text;
  const Found found = Find(key, &text);
  if (found != Found::kValue) return found;
  if (text.type != kString) return Found::kOther;
  for (*number = 0; texts[*number] != nullptr; ++*number) {
    if (IsText(text.at, texts[*number])) return Found::kValue;
  }
  return Found::kOther;
}

}  // namespace edgeax
