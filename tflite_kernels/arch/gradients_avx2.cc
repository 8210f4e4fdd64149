#include "tflite_kernels/arch/backprop_filter.h"
#include "tflite_kernels/arch/backprop_input.h"
#include "tflite_kernels/arch/gradient_avx2.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/pool_gradients.h"
#include "tflite_kernels/arch/variable_conv2d.h"

namespace edgeax {

Status BackpropFilterAvx2(const Conv2DGradientArgs& args, const GradientTensors& tensors) {
  return BackpropFilterOn<GradientAvx2>(args, tensors);
}

Status BackpropFilterScratchBytesAvx2(const Conv2DGradientArgs& args, size_t* bytes) {
  return BackpropFilterScratchBytesOn<GradientAvx2>(args, bytes);
}

Status BackpropInputAvx2(const Conv2DGradientArgs& args, const GradientTensors& tensors) {
  return BackpropInputOn<GradientAvx2>(args, tensors);
}

Status BackpropInputScratchBytesAvx2(const Conv2DGradientArgs& args, size_t* bytes) {
  return BackpropInputScratchBytesOn<GradientAvx2>(args, bytes);
}

Status MaxPoolGradAvx2(const PoolGradientArgs& args, const GradientTensors& tensors) {
  return MaxPoolGradOn<GradientAvx2>(args, tensors);
}

Status AvgPoolGradAvx2(const PoolGradientArgs& args, const GradientTensors& tensors) {
  return AvgPoolGradOn<GradientAvx2>(args, tensors);
}

Status ActivationGradAvx2(const ActivationGradientArgs& args, const GradientTensors& tensors) {
  return ActivationGradOn<GradientAvx2>(args, tensors);
}

Status VariableConv2DAvx2(const VariableConv2DArgs& args, const VariableConv2DTensors& tensors) {
  return VariableConv2DOn<GradientAvx2>(args, tensors);
}

Status VariableConv2DScratchBytesAvx2(const VariableConv2DArgs& args, size_t* bytes) {
  return VariableConv2DScratchBytesOn<GradientAvx2>(args, bytes);
}

}  // namespace edgeax
