#pragma once  // arch/no_scratch.h: the scratch of kernels that ask for none.

#include "tflite_kernels/core/gradients.h"

namespace edgeax {
namespace {

// The kernels of core/ ask for no scratch: what gives its size checks their arguments only.

template <typename Geometry, typename Args>
Status NoScratch(const Args& args, size_t* bytes) {
  *bytes = 0;
  Geometry geometry;
  return GeometryOf(args, &geometry);
}

template <typename Args, Status (*Check)(const Args&)>
Status NoScratch(const Args& args, size_t* bytes) {
  *bytes = 0;
  return Check(args);
}

template <typename Args, typename Sizes, Status (*Check)(const Args&, Sizes*)>
Status NoScratch(const Args& args, size_t* bytes) {
  *bytes = 0;
  Sizes sizes;
  return Check(args, &sizes);
}

}  // namespace
}  // namespace edgeax
