#pragma once  // adapters/tflite_gradient_ops.h: gradients under TensorFlow's names, and the layers
              // whose weights they change.

#include "tflite_kernels/adapters/flexbuffer.h"
#include "tflite_kernels/adapters/tflite_operands.h"
#include "tflite_kernels/arch/dispatch.h"

namespace edgeax {
namespace {

// The tensors of a node: the inputs, and behind them the output.
using FoundTensors = Operand[kInputCount + 1];

// What Prepare finds out of a node beside the arguments of its kernel.
struct WantedGradient {
  int rank;
  int64_t shape[kMaxRank];  // of the output
  int64_t products;
};

constexpr int kNoValues = -1;

// Which inputs a kernel reads; a layer has weights in place of gradients, and a bias.
struct GradientInputs {
  int values, gradients, bias = kNoValues;
};

constexpr int32_t kMostInWindow = 65535;

// Attributes that say how a window slides.
struct WindowAttributes {
  int64_t kernel[4], strides[4], dilations[4];
  int32_t padding;
  int64_t explicit_paddings[8];
};
enum PaddingText : int32_t { kSameText, kValidText, kExplicitText };

// A list of 4 numbers for batch, height, width and channels, the outer ones 1. What is not there
// stays as it is where it `may_lack`.
TfLiteStatus ReadSizes(const Site& site, const FlexMap& map, const char* key, bool may_lack,
                       int64_t (*sizes)[4]) {
  const Found found = map.Ints(key, 4, *sizes);
  if (found == Found::kNothing && may_lack) return kTfLiteOk;
  if (found != Found::kValue) {
    return Fail(site, "attribute %s must be a list of 4 whole numbers.", key);
  }
  const int64_t* s = *sizes;
  const bool are_good = s[0] == 1 && s[3] == 1 && s[1] >= 1 && s[2] >= 1 && s[1] <= kMostInWindow &&
                        s[2] <= kMostInWindow;
  if (are_good) return kTfLiteOk;
  return Fail(site,
              "attribute %s must be [1, h, w, 1] with h and w in [1, %d]. Received: [%lld, %lld, "
              "%lld, %lld].",
              key, static_cast<int>(kMostInWindow), static_cast<long long>(s[0]),
              static_cast<long long>(s[1]), static_cast<long long>(s[2]),
              static_cast<long long>(s[3]));
}

// The padding of each side, where these are written.
TfLiteStatus ReadExplicit(const Site& site, const FlexMap& map, WindowAttributes* window) {
  if (window->padding != kExplicitText) return kTfLiteOk;
  int64_t* sides = window->explicit_paddings;
  bool are_good = map.Ints("explicit_paddings", 8, sides) == Found::kValue;
  for (int i = 0; i < 8 && are_good; ++i) {
    are_good = sides[i] >= 0 && sides[i] <= (i < 2 || i > 5 ? 0 : kMostInWindow);
  }
  if (are_good) return kTfLiteOk;
  return Fail(site,
              "attribute explicit_paddings must be a list of 8 numbers in [0, %d], those of batch "
              "and channels 0.",
              static_cast<int>(kMostInWindow));
}

TfLiteStatus ReadWindow(const Site& site, const FlexMap& map, bool may_be_explicit,
                        WindowAttributes* window) {
  static constexpr const char* kPaddings[] = {"SAME", "VALID", "EXPLICIT", nullptr};
  static constexpr const char* kSamePaddings[] = {"SAME", "VALID", nullptr};
  static constexpr const char* kFormats[] = {"NHWC", nullptr};
  EDGEAX_RETURN_IF_ERROR(ReadSizes(site, map, "strides", false, &window->strides));
  if (map.Text("padding", may_be_explicit ? kPaddings : kSamePaddings, &window->padding) !=
      Found::kValue) {
    return Fail(site, "attribute padding must be %s.",
                may_be_explicit ? "SAME, VALID or EXPLICIT" : "SAME or VALID");
  }
  int32_t format = 0;
  if (map.Text("data_format", kFormats, &format) == Found::kOther) {
    return Fail(site, "attribute data_format must be NHWC.");
  }
  return ReadExplicit(site, map, window);
}

// How the window slides over an image of `input`.
TfLiteStatus PlaceWindow(const Site& site, const WindowAttributes& attributes, const Shape4& input,
                         WindowGeometry* geometry) {
  const auto number = [](int64_t value) { return static_cast<int32_t>(value); };
  const bool is_explicit = attributes.padding == kExplicitText;
  const int64_t* sides = attributes.explicit_paddings;
  const Window window = {number(attributes.kernel[1]),
                         number(attributes.kernel[2]),
                         number(attributes.strides[1]),
                         number(attributes.strides[2]),
                         number(attributes.dilations[1]),
                         number(attributes.dilations[2]),
                         attributes.padding == kSameText ? Padding::kSame : Padding::kValid};
  const int64_t height = input.height + (is_explicit ? sides[2] + sides[3] : 0);
  const int64_t width = input.width + (is_explicit ? sides[4] + sides[5] : 0);
  if (height > INT32_MAX || width > INT32_MAX ||
      GeometryOf(window, number(height), number(width), geometry) != Status::kOk) {
    return Fail(site, "an image of height %d and width %d must hold the dilated kernel.",
                static_cast<int>(input.height), static_cast<int>(input.width));
  }
  if (is_explicit) {
    geometry->height.input = input.height;
    geometry->height.pad = number(sides[2]);
    geometry->width.input = input.width;
    geometry->width.pad = number(sides[4]);
  }
  return kTfLiteOk;
}

// Whether a gradient is as large as the output of its layer, which has `channels`.
TfLiteStatus CheckGradient(const Site& site, const Operand& gradient, int32_t batch,
                           const WindowGeometry& geometry, int32_t channels) {
  const TfLiteIntArray& dims = *gradient.tensor->dims;
  const int wanted[] = {batch, geometry.height.output, geometry.width.output, channels};
  for (int i = 0; i < 4; ++i) {
    if (dims.data[i] == wanted[i]) continue;
    return Fail(site,
                "tensor %s must have the shape [%d, %d, %d, %d], the layer's output. Received: "
                "[%d, %d, %d, %d].",
                gradient.name, wanted[0], wanted[1], wanted[2], wanted[3], dims.data[0],
                dims.data[1], dims.data[2], dims.data[3]);
  }
  return kTfLiteOk;
}

TfLiteStatus CheckFloats(const Site& site, const Operand& operand, int low_rank, int high_rank) {
  EDGEAX_RETURN_IF_ERROR(CheckType(site, operand, kTfLiteFloat32));
  return CheckShape(site, operand, low_rank, high_rank);
}

// A shape of rank 4 that a constant of the file holds.
TfLiteStatus ReadShape(const Site& site, const Operand& operand, Shape4* shape) {
  EDGEAX_RETURN_IF_ERROR(CheckType(site, operand, kTfLiteInt32));
  EDGEAX_RETURN_IF_ERROR(CheckShape(site, operand, 1, 1));
  EDGEAX_RETURN_IF_ERROR(CheckVector(site, operand, 4));
  EDGEAX_RETURN_IF_ERROR(CheckConstant(site, operand, sizeof(int32_t)));
  memcpy(shape, DataOf(*operand.tensor), sizeof(*shape));
  if (CheckedProduct(shape->batch, shape->height, shape->width, shape->channels) > 0) {
    return kTfLiteOk;
  }
  return Fail(site,
              "tensor %s must hold 4 positive numbers with a product of at most %lld. Received: "
              "%d, %d, %d, %d.",
              operand.name, static_cast<long long>(kMaxElements), static_cast<int>(shape->batch),
              static_cast<int>(shape->height), static_cast<int>(shape->width),
              static_cast<int>(shape->channels));
}

Shape4 ShapeOf(const Operand& operand) {
  const int* dims = operand.tensor->dims->data;
  return {dims[0], dims[1], dims[2], dims[3]};
}

WantedGradient WantedShape(const Shape4& shape, int64_t products) {
  return {4, {shape.batch, shape.height, shape.width, shape.channels}, products};
}

// Convolutions, of which `kernel` is the shape of the kernel.
TfLiteStatus PrepareConvolution(const Site& site, const FlexMap& map, bool is_depthwise,
                                const Shape4& input, const Shape4& kernel, const char* kernel_name,
                                Conv2DGradientArgs* args, int64_t* products) {
  WindowAttributes window = {};
  window.kernel[1] = kernel.batch;
  window.kernel[2] = kernel.height;
  for (int64_t& dilation : window.dilations) dilation = 1;
  EDGEAX_RETURN_IF_ERROR(ReadWindow(site, map, true, &window));
  EDGEAX_RETURN_IF_ERROR(ReadSizes(site, map, "dilations", true, &window.dilations));
  // In a depthwise kernel, an input channel has kernel.channels outputs.
  const int64_t outputs =
      is_depthwise ? int64_t{kernel.width} * kernel.channels : int64_t{kernel.channels};
  const int32_t groups = is_depthwise ? input.channels : input.channels / kernel.width;
  const bool fits = is_depthwise ? kernel.width == input.channels
                                 : groups > 0 && input.channels % kernel.width == 0 &&
                                       kernel.channels % groups == 0;
  if (!fits || kernel.batch > kMostInWindow || kernel.height > kMostInWindow) {
    return Fail(site,
                "tensor %s must be that of a kernel for %d channels, at most %d high and wide. "
                "Received: [%d, %d, %d, %d].",
                kernel_name, static_cast<int>(input.channels), static_cast<int>(kMostInWindow),
                static_cast<int>(kernel.batch), static_cast<int>(kernel.height),
                static_cast<int>(kernel.width), static_cast<int>(kernel.channels));
  }
  *args = {input, static_cast<int32_t>(outputs), groups, {}};
  EDGEAX_RETURN_IF_ERROR(PlaceWindow(site, window, input, &args->window));
  const int64_t positions =
      int64_t{input.batch} * args->window.height.output * args->window.width.output;
  *products = positions * kernel.batch * kernel.height * (input.channels / groups) * outputs;
  return kTfLiteOk;
}

template <GradientIndex kIndex, bool kIsDepthwise>
struct BackpropFilterOp {
  using Args = Conv2DGradientArgs;
  using Tensors = GradientTensors;
  static constexpr const OperatorSpec& kSpec = kGradientSpecs[kIndex];
  static constexpr GradientInputs kInputs = {0, 2};

  static const Kernel<Args, GradientTensors>& KernelIn(const KernelSet& set) {
    return set.backprop_filter;
  }

  static TfLiteStatus Translate(const Site& site, const FlexMap& map, const FoundTensors& tensors,
                                Args* args, WantedGradient* wanted) {
    Shape4 kernel;
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, tensors[0], 4, 4));
    EDGEAX_RETURN_IF_ERROR(ReadShape(site, tensors[1], &kernel));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, tensors[2], 4, 4));
    *wanted = WantedShape(kernel, 0);
    EDGEAX_RETURN_IF_ERROR(PrepareConvolution(site, map, kIsDepthwise, ShapeOf(tensors[0]), kernel,
                                              tensors[1].name, args, &wanted->products));
    return CheckGradient(site, tensors[2], args->input.batch, args->window, args->output_channels);
  }
};

template <GradientIndex kIndex, bool kIsDepthwise>
struct BackpropInputOp {
  using Args = Conv2DGradientArgs;
  using Tensors = GradientTensors;
  static constexpr const OperatorSpec& kSpec = kGradientSpecs[kIndex];
  static constexpr GradientInputs kInputs = {1, 2};

  static const Kernel<Args, GradientTensors>& KernelIn(const KernelSet& set) {
    return set.backprop_input;
  }

  static TfLiteStatus Translate(const Site& site, const FlexMap& map, const FoundTensors& tensors,
                                Args* args, WantedGradient* wanted) {
    Shape4 input;
    EDGEAX_RETURN_IF_ERROR(ReadShape(site, tensors[0], &input));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, tensors[1], 4, 4));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, tensors[2], 4, 4));
    *wanted = WantedShape(input, 0);
    EDGEAX_RETURN_IF_ERROR(PrepareConvolution(site, map, kIsDepthwise, input, ShapeOf(tensors[1]),
                                              tensors[1].name, args, &wanted->products));
    return CheckGradient(site, tensors[2], input.batch, args->window, args->output_channels);
  }
};

TfLiteStatus ReadActivation(const Site& site, const FlexMap& map, Activation* activation) {
  static constexpr const char* kActivations[] = {"NONE", "RELU", "RELU6", "RELU_N1_TO_1", nullptr};
  int32_t number = 0;
  if (map.Text("activation", kActivations, &number) == Found::kOther) {
    return Fail(site, "attribute activation must be NONE, RELU, RELU6 or RELU_N1_TO_1.");
  }
  *activation = static_cast<Activation>(number);
  return kTfLiteOk;
}

struct VariableOp {
  using Args = VariableConv2DArgs;
  using Tensors = VariableConv2DTensors;
  static constexpr GradientInputs kInputs = {0, 1, 2};

  static const Kernel<Args, VariableConv2DTensors>& KernelIn(const KernelSet& set) {
    return set.variable_conv2d;
  }

  static TfLiteStatus CheckBias(const Site& site, const Operand& bias, int32_t channels) {
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, bias, 1, 1));
    return CheckVector(site, bias, channels);
  }
};

template <GradientIndex kIndex, bool kIsDepthwise>
struct VariableConv2DOp : VariableOp {
  static constexpr const OperatorSpec& kSpec = kGradientSpecs[kIndex];

  static TfLiteStatus Translate(const Site& site, const FlexMap& map, const FoundTensors& tensors,
                                Args* args, WantedGradient* wanted) {
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, tensors[0], 4, 4));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, tensors[1], 4, 4));
    EDGEAX_RETURN_IF_ERROR(ReadActivation(site, map, &args->activation));
    const Shape4 input = ShapeOf(tensors[0]);
    int64_t products = 0;
    EDGEAX_RETURN_IF_ERROR(PrepareConvolution(site, map, kIsDepthwise, input, ShapeOf(tensors[1]),
                                              tensors[1].name, &args->layer, &products));
    const WindowGeometry& window = args->layer.window;
    const int32_t channels = args->layer.output_channels;
    *wanted =
        WantedShape({input.batch, window.height.output, window.width.output, channels}, products);
    return CheckBias(site, tensors[2], channels);
  }
};

// A dense layer: a convolution of one tap, whose pixels are the rows of its input.
struct VariableFullyConnectedOp : VariableOp {
  static constexpr const OperatorSpec& kSpec = kGradientSpecs[kEdgeaxVariableFullyConnected];

  static TfLiteStatus Translate(const Site& site, const FlexMap& map, const FoundTensors& tensors,
                                Args* args, WantedGradient* wanted) {
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, tensors[0], 1, kMaxRank));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, tensors[1], 2, 2));
    EDGEAX_RETURN_IF_ERROR(ReadActivation(site, map, &args->activation));
    const TfLiteIntArray &dims = *tensors[0].tensor->dims, &kernel = *tensors[1].tensor->dims;
    const int last = dims.size - 1, depth = dims.data[last], outputs = kernel.data[1];
    if (kernel.data[0] != depth) {
      return Fail(site, "tensor %s must have %d rows. Received: %d.", tensors[1].name, depth,
                  kernel.data[0]);
    }
    *wanted = {dims.size, {}, int64_t{depth} * outputs};
    int32_t rows = 1;
    for (int i = 0; i < last; ++i) {
      wanted->shape[i] = dims.data[i];
      rows *= dims.data[i];
    }
    wanted->shape[last] = outputs;
    wanted->products *= rows;
    const Axis one = {1, 1, 1, 1, 1, 0}, all = {rows, rows, 1, 1, 1, 0};
    args->layer = {{1, 1, rows, depth}, outputs, 1, {one, all}};
    return CheckBias(site, tensors[2], outputs);
  }
};

// A whole number in [low, high].
TfLiteStatus ReadNumber(const Site& site, const FlexMap& map, const char* key, int32_t low,
                        int32_t high, int32_t* number) {
  int64_t value = 0;
  const bool is_good =
      map.Int(key, &value) == Found::kValue && value >= int64_t{low} && value <= int64_t{high};
  *number = is_good ? static_cast<int32_t>(value) : 0;
  if (is_good) return kTfLiteOk;
  return Fail(site, "attribute %s must be a whole number in [%d, %d].", key, static_cast<int>(low),
              static_cast<int>(high));
}

TfLiteStatus ReadPrediction(const Site& site, const FlexMap& map, SignPrediction* prediction) {
  SignPrediction& p = *prediction;
  EDGEAX_RETURN_IF_ERROR(ReadNumber(site, map, "bits", 2, 8, &p.bits));
  EDGEAX_RETURN_IF_ERROR(ReadNumber(site, map, "predicted_bits", 0, p.bits, &p.predicted_bits));
  EDGEAX_RETURN_IF_ERROR(ReadNumber(site, map, "gradient_bits", 2, 16, &p.gradient_bits));
  EDGEAX_RETURN_IF_ERROR(ReadNumber(site, map, "predicted_gradient_bits", 1, p.gradient_bits,
                                    &p.predicted_gradient_bits));
  EDGEAX_RETURN_IF_ERROR(ReadNumber(site, map, "carry", 0, 1, &p.carries));
  double beta = 0.0;
  if (map.Float("beta", &beta) != Found::kValue || !(beta >= 0.0 && beta <= 1.0)) {
    return Fail(site, "attribute beta must be a number in [0, 1].");
  }
  p.beta = static_cast<float>(beta);
  return kTfLiteOk;
}

template <GradientIndex kIndex, bool kIsDepthwise>
struct PredictedSignsOp {
  using Args = PredictedSignsArgs;
  using Tensors = SignTensors;
  static constexpr const OperatorSpec& kSpec = kGradientSpecs[kIndex];
  static constexpr GradientInputs kInputs = {0, 2};

  static const Kernel<Args, Tensors>& KernelIn(const KernelSet& set) { return set.predicted_signs; }

  static TfLiteStatus Translate(const Site& site, const FlexMap& map, const FoundTensors& tensors,
                                Args* args, WantedGradient* wanted) {
    Shape4 kernel;
    EDGEAX_RETURN_IF_ERROR(CheckType(site, tensors[0], kTfLiteInt8));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, tensors[0], 4, 4));
    EDGEAX_RETURN_IF_ERROR(ReadShape(site, tensors[1], &kernel));
    EDGEAX_RETURN_IF_ERROR(CheckType(site, tensors[2], kTfLiteInt16));
    EDGEAX_RETURN_IF_ERROR(CheckShape(site, tensors[2], 4, 4));
    EDGEAX_RETURN_IF_ERROR(ReadPrediction(site, map, &args->prediction));
    *wanted = WantedShape(kernel, 0);
    EDGEAX_RETURN_IF_ERROR(PrepareConvolution(site, map, kIsDepthwise, ShapeOf(tensors[0]), kernel,
                                              tensors[1].name, &args->layer, &wanted->products));
    const Conv2DGradientArgs& layer = args->layer;
    return CheckGradient(site, tensors[2], layer.input.batch, layer.window, layer.output_channels);
  }
};

TfLiteStatus PreparePool(const Site& site, const FlexMap& map, const Shape4& input,
                         const Operand& gradient, PoolGradientArgs* args, WantedGradient* wanted) {
  WindowAttributes window = {};
  for (int64_t& dilation : window.dilations) dilation = 1;
  EDGEAX_RETURN_IF_ERROR(CheckFloats(site, gradient, 4, 4));
  EDGEAX_RETURN_IF_ERROR(ReadSizes(site, map, "ksize", false, &window.kernel));
  EDGEAX_RETURN_IF_ERROR(ReadWindow(site, map, false, &window));
  args->input = input;
  EDGEAX_RETURN_IF_ERROR(PlaceWindow(site, window, input, &args->window));
  EDGEAX_RETURN_IF_ERROR(CheckGradient(site, gradient, input.batch, args->window, input.channels));
  const int64_t outputs = int64_t{input.batch} * args->window.height.output *
                          args->window.width.output * input.channels;
  *wanted = WantedShape(input, outputs * window.kernel[1] * window.kernel[2]);
  return kTfLiteOk;
}

struct MaxPoolGradOp {
  using Args = PoolGradientArgs;
  using Tensors = GradientTensors;
  static constexpr const OperatorSpec& kSpec = kGradientSpecs[kMaxPoolGrad];
  static constexpr GradientInputs kInputs = {0, 2};

  static const Kernel<Args, GradientTensors>& KernelIn(const KernelSet& set) {
    return set.max_pool_grad;
  }

  // The layer's output is an input too, which is not read: what is highest is known without it.
  static TfLiteStatus Translate(const Site& site, const FlexMap& map, const FoundTensors& tensors,
                                Args* args, WantedGradient* wanted) {
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, tensors[0], 4, 4));
    return PreparePool(site, map, ShapeOf(tensors[0]), tensors[2], args, wanted);
  }
};

struct AvgPoolGradOp {
  using Args = PoolGradientArgs;
  using Tensors = GradientTensors;
  static constexpr const OperatorSpec& kSpec = kGradientSpecs[kAvgPoolGrad];
  static constexpr GradientInputs kInputs = {kNoValues, 1};

  static const Kernel<Args, GradientTensors>& KernelIn(const KernelSet& set) {
    return set.avg_pool_grad;
  }

  static TfLiteStatus Translate(const Site& site, const FlexMap& map, const FoundTensors& tensors,
                                Args* args, WantedGradient* wanted) {
    Shape4 input;
    EDGEAX_RETURN_IF_ERROR(ReadShape(site, tensors[0], &input));
    return PreparePool(site, map, input, tensors[1], args, wanted);
  }
};

template <GradientIndex kIndex, ActivationKind kKind>
struct ActivationGradOp {
  using Args = ActivationGradientArgs;
  using Tensors = GradientTensors;
  static constexpr const OperatorSpec& kSpec = kGradientSpecs[kIndex];
  static constexpr GradientInputs kInputs = {1, 0};

  static const Kernel<Args, GradientTensors>& KernelIn(const KernelSet& set) {
    return set.activation_grad;
  }

  static TfLiteStatus Translate(const Site& site, const FlexMap& map, const FoundTensors& tensors,
                                Args* args, WantedGradient* wanted) {
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, tensors[0], 0, kMaxRank));
    EDGEAX_RETURN_IF_ERROR(CheckFloats(site, tensors[1], 0, kMaxRank));
    const TfLiteIntArray &dims = *tensors[0].tensor->dims, &others = *tensors[1].tensor->dims;
    bool are_same = dims.size == others.size;
    *wanted = {dims.size, {}, 1};
    for (int i = 0; i < dims.size && are_same; ++i) {
      are_same = dims.data[i] == others.data[i];
      wanted->shape[i] = dims.data[i];
      wanted->products *= dims.data[i];
    }
    if (!are_same) {
      return Fail(site, "tensors %s and %s must have the same shape.", tensors[0].name,
                  tensors[1].name);
    }
    double alpha = 0.2;  // TensorFlow's, where nothing is said
    if (kKind == ActivationKind::kLeakyRelu && map.Float("alpha", &alpha) == Found::kOther) {
      return Fail(site, "attribute alpha must be a number.");
    }
    *args = {static_cast<int32_t>(wanted->products), kKind, static_cast<float>(alpha)};
    return kTfLiteOk;
  }
};

}  // namespace
}  // namespace edgeax
