#include "tflite_kernels/arch/backprop_filter.h"
#include "tflite_kernels/arch/backprop_input.h"
#include "tflite_kernels/arch/gradient_avx512.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/pool_gradients.h"
#include "tflite_kernels/arch/variable_conv2d.h"

namespace edgeax {

Status BackpropFilterAvx512(const Conv2DGradientArgs& args, const GradientTensors& tensors) {
  return BackpropFilterOn<GradientAvx512>(args, tensors);
}

Status BackpropFilterScratchBytesAvx512(const Conv2DGradientArgs& args, size_t* bytes) {
  return BackpropFilterScratchBytesOn<GradientAvx512>(args, bytes);
}

Status BackpropInputAvx512(const Conv2DGradientArgs& args, const GradientTensors& tensors) {
  return BackpropInputOn<GradientAvx512>(args, tensors);
}

Status BackpropInputScratchBytesAvx512(const Conv2DGradientArgs& args, size_t* bytes) {
  return BackpropInputScratchBytesOn<GradientAvx512>(args, bytes);
}

Status MaxPoolGradAvx512(const PoolGradientArgs& args, const GradientTensors& tensors) {
  return MaxPoolGradOn<GradientAvx512>(args, tensors);
}

Status AvgPoolGradAvx512(const PoolGradientArgs& args, const GradientTensors& tensors) {
  return AvgPoolGradOn<GradientAvx512>(args, tensors);
}

Status ActivationGradAvx512(const ActivationGradientArgs& args, const GradientTensors& tensors) {
  return ActivationGradOn<GradientAvx512>(args, tensors);
}

Status VariableConv2DAvx512(const VariableConv2DArgs& args, const VariableConv2DTensors& tensors) {
  return VariableConv2DOn<GradientAvx512>(args, tensors);
}

Status VariableConv2DScratchBytesAvx512(const VariableConv2DArgs& args, size_t* bytes) {
  return VariableConv2DScratchBytesOn<GradientAvx512>(args, bytes);
}

}  // namespace edgeax
