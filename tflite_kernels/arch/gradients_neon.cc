#include "tflite_kernels/arch/backprop_filter.h"
#include "tflite_kernels/arch/backprop_input.h"
#include "tflite_kernels/arch/gradient_neon.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/pool_gradients.h"
#include "tflite_kernels/arch/variable_conv2d.h"

namespace edgeax {

Status BackpropFilterNeon(const Conv2DGradientArgs& args, const GradientTensors& tensors) {
  return BackpropFilterOn<GradientNeon>(args, tensors);
}

Status BackpropFilterScratchBytesNeon(const Conv2DGradientArgs& args, size_t* bytes) {
  return BackpropFilterScratchBytesOn<GradientNeon>(args, bytes);
}

Status BackpropInputNeon(const Conv2DGradientArgs& args, const GradientTensors& tensors) {
  return BackpropInputOn<GradientNeon>(args, tensors);
}

Status BackpropInputScratchBytesNeon(const Conv2DGradientArgs& args, size_t* bytes) {
  return BackpropInputScratchBytesOn<GradientNeon>(args, bytes);
}

Status MaxPoolGradNeon(const PoolGradientArgs& args, const GradientTensors& tensors) {
  return MaxPoolGradOn<GradientNeon>(args, tensors);
}

Status AvgPoolGradNeon(const PoolGradientArgs& args, const GradientTensors& tensors) {
  return AvgPoolGradOn<GradientNeon>(args, tensors);
}

Status ActivationGradNeon(const ActivationGradientArgs& args, const GradientTensors& tensors) {
  return ActivationGradOn<GradientNeon>(args, tensors);
}

Status VariableConv2DNeon(const VariableConv2DArgs& args, const VariableConv2DTensors& tensors) {
  return VariableConv2DOn<GradientNeon>(args, tensors);
}

Status VariableConv2DScratchBytesNeon(const VariableConv2DArgs& args, size_t* bytes) {
  return VariableConv2DScratchBytesOn<GradientNeon>(args, bytes);
}

}  // namespace edgeax
