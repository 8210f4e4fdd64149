#pragma once  // micro/depthwise_planes.h: rows of an image taken apart into planes of channels.

#include "tflite_kernels/micro/types.h"

namespace edgeax {
namespace micro {
namespace {

template <typename Code>
void Fill(Code* to, int32_t count, Code value) {
  for (int32_t i = 0; i < count; ++i) to[i] = value;
}

// Moves elements to lower addresses.
template <typename Code>
void MoveDown(Code* to, const Code* from, int32_t count) {
  for (int32_t i = 0; i < count; ++i) to[i] = from[i];
}

// The first `planes` channels of `width` pixels, which lie `channels` apart, to planes that lie
// `plane_size` apart.
template <typename Code>
void TakeApart(const Code* pixels, int32_t width, int32_t channels, int32_t planes,
               int32_t plane_size, Code* to) {
  for (int32_t plane = 0; plane < planes; ++plane) {
    const Code* from = pixels + plane;
    for (int32_t x = 0; x < width; ++x) {
      to[x] = *from;
      from += channels;
    }
    to += plane_size;
  }
}

}  // namespace
}  // namespace micro
}  // namespace edgeax
