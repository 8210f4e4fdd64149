// Translates arguments to those of CMSIS-NN, and holds no maths.

#include "tflite_kernels/micro/cmsis_nn.h"

#ifdef EDGEAX_USE_CMSIS_NN

#include <arm_nnfunctions.h>

#ifdef CMSIS_NN_USE_SINGLE_ROUNDING
#error \
    "CMSIS-NN must round twice, as the program was generated: leave out CMSIS_NN_USE_SINGLE_ROUNDING"
#endif

namespace edgeax {
namespace micro {
namespace {

void Require(bool holds) {
  if (!holds) __builtin_trap();
}

void Require(arm_cmsis_nn_status status) { Require(status == ARM_CMSIS_NN_SUCCESS); }

// The images that a call reads and writes, as if they were whole.
struct Part {
  cmsis_nn_dims input, output;
  cmsis_nn_tile pad;
};

Part PartOf(const ConvolutionShape& shape, const Rows& rows) {
  const int32_t reach = (shape.kernel_height - 1) * shape.dilation_height + 1;
  const int32_t first = rows.begin * shape.stride_height - shape.pad_top;
  const int32_t last = (rows.end - 1) * shape.stride_height - shape.pad_top + reach;
  const bool is_whole = shape.batches > 1 || last > shape.input_height;
  const int32_t height = (is_whole ? shape.input_height : last) - rows.input_begin;
  return {{shape.batches, height, shape.input_width, shape.input_channels},
          {shape.batches, rows.end - rows.begin, shape.output_width, shape.output_channels},
          {shape.pad_left, rows.input_begin - first}};
}

cmsis_nn_per_channel_quant_params FactorsOf(const CmsisConv2DArgs& args) {
  return {const_cast<int32_t*>(args.multiplier), const_cast<int32_t*>(args.shift)};
}

}  // namespace

void CmsisConv2D(const CmsisConv2DArgs& args, const Rows& rows, const int8_t* input, int8_t* output,
                 void* scratch) {
  const ConvolutionShape& shape = args.shape;
  const Part part = PartOf(shape, rows);
  const cmsis_nn_conv_params params = {-args.input_zero_point,
                                       args.output_zero_point,
                                       {shape.stride_width, shape.stride_height},
                                       part.pad,
                                       {shape.dilation_width, shape.dilation_height},
                                       {args.clamp.min, args.clamp.max}};
  const cmsis_nn_per_channel_quant_params factors = FactorsOf(args);
  const cmsis_nn_dims weights = {shape.output_channels, shape.kernel_height, shape.kernel_width,
                                 shape.input_channels / shape.groups};
  const cmsis_nn_dims bias = {1, 1, 1, shape.output_channels};
  Require(arm_convolve_wrapper_s8_get_buffer_size(&params, &part.input, &weights, &part.output) <=
          args.scratch_bytes);
  const cmsis_nn_context context = {scratch, args.scratch_bytes};
  Require(arm_convolve_wrapper_s8(&context, &params, &factors, &part.input, input, &weights,
                                  args.weights, &bias, args.bias, &part.output, output));
}

void CmsisDepthwiseConv2D(const CmsisConv2DArgs& args, const Rows& rows, const int8_t* input,
                          int8_t* output, void* scratch) {
  const ConvolutionShape& shape = args.shape;
  const Part part = PartOf(shape, rows);
  const cmsis_nn_dw_conv_params params = {-args.input_zero_point,
                                          args.output_zero_point,
                                          shape.output_channels / shape.input_channels,
                                          {shape.stride_width, shape.stride_height},
                                          part.pad,
                                          {shape.dilation_width, shape.dilation_height},
                                          {args.clamp.min, args.clamp.max}};
  const cmsis_nn_per_channel_quant_params factors = FactorsOf(args);
  const cmsis_nn_dims weights = {1, shape.kernel_height, shape.kernel_width, shape.output_channels};
  const cmsis_nn_dims bias = {1, 1, 1, shape.output_channels};
  Require(arm_depthwise_conv_wrapper_s8_get_buffer_size(&params, &part.input, &weights,
                                                        &part.output) <= args.scratch_bytes);
  const cmsis_nn_context context = {scratch, args.scratch_bytes};
  Require(arm_depthwise_conv_wrapper_s8(&context, &params, &factors, &part.input, input, &weights,
                                        args.weights, &bias, args.bias, &part.output, output));
}

// The zero point of the input stands in the bias; so the bias is what Helium wants as the sums of
// the weights, too, whichever version multiplies these by the offset of the input.
void CmsisFullyConnected(const CmsisFullyConnectedArgs& args, const int8_t* input, int8_t* output) {
  const cmsis_nn_fc_params params = {
      0, 0, args.output_zero_point, {args.clamp.min, args.clamp.max}};
  const cmsis_nn_per_tensor_quant_params factor = {args.factor.multiplier, args.factor.shift};
  const cmsis_nn_dims inputs = {args.rows, 1, 1, args.depth};
  const cmsis_nn_dims weights = {args.depth, 1, 1, args.outputs};
  const cmsis_nn_dims bias = {1, 1, 1, args.outputs};
  const cmsis_nn_dims outputs = {args.rows, 1, 1, args.outputs};
  const cmsis_nn_context sums = {const_cast<int32_t*>(args.bias), args.outputs * 4};
  Require(arm_fully_connected_s8_get_buffer_size(&weights) <= sums.size);
  Require(arm_fully_connected_s8(&sums, &params, &factor, &inputs, input, &weights, args.weights,
                                 &bias, args.bias, &outputs, output));
}

void CmsisAveragePool2D(const CmsisPool2DArgs& args, const Rows& rows, const int8_t* input,
                        int8_t* output, void* scratch) {
  const ConvolutionShape& shape = args.shape;
  const Part part = PartOf(shape, rows);
  const cmsis_nn_pool_params params = {
      {shape.stride_width, shape.stride_height}, part.pad, {args.clamp.min, args.clamp.max}};
  const cmsis_nn_dims window = {1, shape.kernel_height, shape.kernel_width, 1};
  Require(arm_avgpool_s8_get_buffer_size(shape.output_width, shape.input_channels) <=
          args.scratch_bytes);
  const cmsis_nn_context context = {scratch, args.scratch_bytes};
  Require(arm_avgpool_s8(&context, &params, &part.input, input, &window, &part.output, output));
}

void CmsisMaxPool2D(const CmsisPool2DArgs& args, const Rows& rows, const int8_t* input,
                    int8_t* output) {
  const ConvolutionShape& shape = args.shape;
  const Part part = PartOf(shape, rows);
  const cmsis_nn_pool_params params = {
      {shape.stride_width, shape.stride_height}, part.pad, {args.clamp.min, args.clamp.max}};
  const cmsis_nn_dims window = {1, shape.kernel_height, shape.kernel_width, 1};
  const cmsis_nn_context context = {nullptr, 0};
  Require(arm_max_pool_s8(&context, &params, &part.input, input, &window, &part.output, output));
}

void CmsisAdd(const CmsisAddArgs& args, int32_t count, const int8_t* a, const int8_t* b,
              int8_t* output) {
  Require(arm_elementwise_add_s8(a, b, -args.a_zero_point, args.a_factor.multiplier,
                                 args.a_factor.shift, -args.b_zero_point, args.b_factor.multiplier,
                                 args.b_factor.shift, args.left_shift, output,
                                 args.output_zero_point, args.output_factor.multiplier,
                                 args.output_factor.shift, args.clamp.min, args.clamp.max, count));
}

void CmsisMultiply(const CmsisMultiplyArgs& args, int32_t count, const int8_t* a, const int8_t* b,
                   int8_t* output) {
  Require(arm_elementwise_mul_s8(a, b, -args.a_zero_point, -args.b_zero_point, output,
                                 args.output_zero_point, args.factor.multiplier, args.factor.shift,
                                 args.clamp.min, args.clamp.max, count));
}

void CmsisSoftmax(const CmsisSoftmaxArgs& args, const int8_t* input, int8_t* output) {
  arm_softmax_s8(input, args.rows, args.depth, args.factor.multiplier, args.factor.shift,
                 args.least_difference, output);
}

}  // namespace micro
}  // namespace edgeax

#endif  // EDGEAX_USE_CMSIS_NN
