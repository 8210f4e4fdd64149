#pragma once  // adapters/tflm/edgeax_ops.h: the operators in TensorFlow Lite Micro, see TFLM.md.

#if !defined(TF_LITE_STATIC_MEMORY)
#error "Define TF_LITE_STATIC_MEMORY, as TensorFlow Lite Micro is built with it."
#endif

#include "tensorflow/lite/micro/micro_common.h"

namespace edgeax {
namespace tflm {

// One operator each, which lives as long as the program:
//
//   tflite::MicroMutableOpResolver<1> resolver;
//   resolver.AddCustom("EdgeaxConv2D", edgeax::tflm::Register_EDGEAX_CONV_2D());
//
// A program that is linked with --gc-sections holds what it registers and nothing else.
const TFLMRegistration* Register_EDGEAX_CONV_2D();
const TFLMRegistration* Register_EDGEAX_DEPTHWISE_CONV_2D();
const TFLMRegistration* Register_EDGEAX_FULLY_CONNECTED();
const TFLMRegistration* Register_EDGEAX_SPARSE_CONV_2D();
const TFLMRegistration* Register_EDGEAX_SPARSE_FULLY_CONNECTED();
const TFLMRegistration* Register_EDGEAX_CODED_CONV_2D();
const TFLMRegistration* Register_EDGEAX_CODED_FULLY_CONNECTED();
const TFLMRegistration* Register_EDGEAX_BINARY_CONV_2D();
const TFLMRegistration* Register_EDGEAX_BINARY_FULLY_CONNECTED();
const TFLMRegistration* Register_EDGEAX_BINARY_MAX_POOL_2D();
const TFLMRegistration* Register_EDGEAX_FLOAT_FULLY_CONNECTED();
const TFLMRegistration* Register_EDGEAX_SIGN_SUM_CONV_2D();
const TFLMRegistration* Register_EDGEAX_SIGN_SUM_FULLY_CONNECTED();
const TFLMRegistration* Register_EDGEAX_VECTOR_CONV_2D();
const TFLMRegistration* Register_EDGEAX_VECTOR_FULLY_CONNECTED();
const TFLMRegistration* Register_EDGEAX_GROUPED_CONV_2D();
const TFLMRegistration* Register_EDGEAX_GROUPED_FULLY_CONNECTED();
const TFLMRegistration* Register_EDGEAX_LOOKUP_CONV_2D();
const TFLMRegistration* Register_EDGEAX_LOOKUP_FULLY_CONNECTED();

constexpr int kOperatorCount = 19;

}  // namespace tflm

// Adds all operators to a tflite::MicroMutableOpResolver with room for tflm::kOperatorCount more.
// Returns kTfLiteError, having said why, when there is none.
template <typename Resolver>
TfLiteStatus AddEdgeaxOps(Resolver& resolver) {
  const TFLMRegistration* const all[] = {
      tflm::Register_EDGEAX_CONV_2D(),
      tflm::Register_EDGEAX_DEPTHWISE_CONV_2D(),
      tflm::Register_EDGEAX_FULLY_CONNECTED(),
      tflm::Register_EDGEAX_SPARSE_CONV_2D(),
      tflm::Register_EDGEAX_SPARSE_FULLY_CONNECTED(),
      tflm::Register_EDGEAX_CODED_CONV_2D(),
      tflm::Register_EDGEAX_CODED_FULLY_CONNECTED(),
      tflm::Register_EDGEAX_BINARY_CONV_2D(),
      tflm::Register_EDGEAX_BINARY_FULLY_CONNECTED(),
      tflm::Register_EDGEAX_BINARY_MAX_POOL_2D(),
      tflm::Register_EDGEAX_FLOAT_FULLY_CONNECTED(),
      tflm::Register_EDGEAX_SIGN_SUM_CONV_2D(),
      tflm::Register_EDGEAX_SIGN_SUM_FULLY_CONNECTED(),
      tflm::Register_EDGEAX_VECTOR_CONV_2D(),
      tflm::Register_EDGEAX_VECTOR_FULLY_CONNECTED(),
      tflm::Register_EDGEAX_GROUPED_CONV_2D(),
      tflm::Register_EDGEAX_GROUPED_FULLY_CONNECTED(),
      tflm::Register_EDGEAX_LOOKUP_CONV_2D(),
      tflm::Register_EDGEAX_LOOKUP_FULLY_CONNECTED(),
  };
  static_assert(sizeof(all) / sizeof(all[0]) == tflm::kOperatorCount, "every operator");
  for (const TFLMRegistration* one : all) {
    const TfLiteStatus status = resolver.AddCustom(one->custom_name, one);
    if (status != kTfLiteOk) return status;
  }
  return kTfLiteOk;
}

}  // namespace edgeax
