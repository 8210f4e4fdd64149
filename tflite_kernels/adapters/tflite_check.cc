#include "tflite_kernels/adapters/tflite_check.h"

#include <stdarg.h>
#include <stdio.h>

#include "tflite_kernels/core/types.h"

#if defined(TF_LITE_STATIC_MEMORY)
#include "tensorflow/lite/micro/micro_log.h"
#endif

namespace edgeax {
namespace {

constexpr float kLargestFloat = 3.402823466e+38f;

// "[1, 28, 28, 64]", cut off where the text is full.
struct ShapeText {
  char text[128];
};

// Appends a number, which printf would write into programs that have no use for the rest of it.
void Append(int64_t number, size_t* length, ShapeText* shape) {
  char digits[24];
  int count = 0;
  for (uint64_t left = static_cast<uint64_t>(number < 0 ? -number : number); left > 0 || count == 0;
       left /= 10) {
    digits[count++] = static_cast<char>('0' + left % 10);
  }
  if (number < 0) digits[count++] = '-';
  while (count > 0 && *length + 1 < sizeof(shape->text)) shape->text[(*length)++] = digits[--count];
}

void Append(const char* text, size_t* length, ShapeText* shape) {
  while (*text != 0 && *length + 1 < sizeof(shape->text)) shape->text[(*length)++] = *text++;
}

ShapeText TextOf(const TfLiteIntArray* dims) {
  ShapeText result;
  size_t length = 0;
  Append("[", &length, &result);
  for (int i = 0; i < dims->size; ++i) {
    if (i > 0) Append(", ", &length, &result);
    Append(dims->data[i], &length, &result);
  }
  Append("]", &length, &result);
  result.text[length] = 0;
  return result;
}

const char* NameOf(TfLiteType type) {
  switch (type) {
    case kTfLiteFloat32:
      return "float32";
    case kTfLiteInt32:
      return "int32";
    case kTfLiteUInt8:
      return "uint8";
    case kTfLiteInt16:
      return "int16";
    case kTfLiteInt8:
      return "int8";
    default:
      return "another type";
  }
}

int64_t ElementsOf(const TfLiteIntArray* dims) {
  int64_t elements = 1;
  for (int i = 0; i < dims->size && elements > 0; ++i) {
    elements = CheckedProduct(elements, dims->data[i]);
  }
  return elements;
}

}  // namespace

#if defined(TF_LITE_STATIC_MEMORY) && !defined(TF_LITE_STRIP_ERROR_STRINGS)

// Two lines, as the text is not put together anywhere.
TfLiteStatus Fail(const Site& site, const char* format, ...) {
  MicroPrintf("%s:", site.spec->name);
  va_list arguments;
  va_start(arguments, format);
  VMicroPrintf(format, arguments);
  va_end(arguments);
  return kTfLiteError;
}

#elif !defined(TF_LITE_STRIP_ERROR_STRINGS)

TfLiteStatus Fail(const Site& site, const char* format, ...) {
  char message[384];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  site.context->ReportError(site.context, "%s: %s", site.spec->name, message);
  return kTfLiteError;
}

#endif

TfLiteStatus CheckOptions(const Site& site, const int32_t* numbers, int64_t bytes) {
  const OperatorSpec& spec = *site.spec;
  const int64_t wanted = int64_t{1 + spec.option_count} * int64_t{sizeof(int32_t)};
  if (bytes != wanted) {
    return Fail(site, "the options must have %lld bytes. Received: %lld.",
                static_cast<long long>(wanted), static_cast<long long>(bytes));
  }
  if (numbers[0] != spec.version) {
    return Fail(site,
                "option version must be %d. Received: %d. Use the release of edgeax that "
                "wrote the file.",
                static_cast<int>(spec.version), static_cast<int>(numbers[0]));
  }
  for (int32_t i = 0; i < spec.option_count; ++i) {
    const OptionSpec& option = spec.options[i];
    const int value = static_cast<int>(numbers[1 + i]);
    if (value < option.low || value > option.high) {
      return Fail(site, "option %s must lie in [%d, %d]. Received: %d.", option.name,
                  static_cast<int>(option.low), static_cast<int>(option.high), value);
    }
  }
  return kTfLiteOk;
}

TfLiteStatus CheckType(const Site& site, const Operand& operand, TfLiteType type) {
  if (operand.tensor->type == type) return kTfLiteOk;
  return Fail(site, "tensor %s must be %s. Received: %s (%d).", operand.name, NameOf(type),
              NameOf(operand.tensor->type), static_cast<int>(operand.tensor->type));
}

TfLiteStatus CheckShape(const Site& site, const Operand& operand, int low_rank, int high_rank) {
  const TfLiteIntArray* dims = operand.tensor->dims;
  if (dims == nullptr) return Fail(site, "tensor %s must have a shape.", operand.name);
  if (dims->size < low_rank || dims->size > high_rank) {
    return Fail(site, "tensor %s must have a rank in [%d, %d]. Received: the shape %s.",
                operand.name, low_rank, high_rank, TextOf(dims).text);
  }
  if (ElementsOf(dims) < 0) {
    return Fail(site, "tensor %s must have from 1 to %lld elements. Received: the shape %s.",
                operand.name, static_cast<long long>(kMaxElements), TextOf(dims).text);
  }
  return kTfLiteOk;
}

TfLiteStatus CheckConstant(const Site& site, const Operand& operand, size_t element_bytes) {
  const TfLiteTensor& tensor = *operand.tensor;
  if (tensor.allocation_type != kTfLiteMmapRo || DataOf(tensor) == nullptr) {
    return Fail(site, "tensor %s must be a constant of the model.", operand.name);
  }
  const uint64_t wanted = static_cast<uint64_t>(ElementsOf(tensor.dims)) * element_bytes;
  if (tensor.bytes != wanted) {
    return Fail(site, "tensor %s of shape %s must have %llu bytes. Received: %llu.", operand.name,
                TextOf(tensor.dims).text, static_cast<unsigned long long>(wanted),
                static_cast<unsigned long long>(tensor.bytes));
  }
  return kTfLiteOk;
}

TfLiteStatus CheckVector(const Site& site, const Operand& operand, int64_t length) {
  const TfLiteIntArray* dims = operand.tensor->dims;
  if (dims->size == 1 && dims->data[0] == length) return kTfLiteOk;
  return Fail(site, "tensor %s must have the shape [%lld]. Received: %s.", operand.name,
              static_cast<long long>(length), TextOf(dims).text);
}

TfLiteStatus CheckMatrix(const Site& site, const Operand& operand, int64_t rows, int64_t columns) {
  const TfLiteIntArray* dims = operand.tensor->dims;
  if (dims->size == 2 && dims->data[0] == rows && dims->data[1] == columns) return kTfLiteOk;
  return Fail(site, "tensor %s must have the shape [%lld, %lld]. Received: %s.", operand.name,
              static_cast<long long>(rows), static_cast<long long>(columns), TextOf(dims).text);
}

namespace {

bool HasOneScale(const TfLiteTensor& tensor) {
  if (tensor.quantization.type != kTfLiteAffineQuantization) return false;
#if defined(TF_LITE_STATIC_MEMORY)
  const auto& affine = *static_cast<const TfLiteAffineQuantization*>(tensor.quantization.params);
  return affine.scale->size == 1;
#else
  // The interpreter fills `params` only from a quantization with exactly one scale and zero point.
  return tensor.params.scale != 0.0f || tensor.params.zero_point != 0;
#endif
}

// The tensor has one positive finite scale and one zero point.
TfLiteStatus CheckScale(const Site& site, const Operand& operand) {
  const TfLiteTensor& tensor = *operand.tensor;
  if (!HasOneScale(tensor)) {
    return Fail(site, "tensor %s must be quantized with one scale and one zero point.",
                operand.name);
  }
  if (tensor.params.scale > 0.0f && tensor.params.scale <= kLargestFloat) return kTfLiteOk;
  return Fail(site, "the scale of tensor %s must be positive and finite. Received: %g.",
              operand.name, static_cast<double>(tensor.params.scale));
}

}  // namespace

TfLiteStatus CheckQuantized(const Site& site, const Operand& operand) {
  const TfLiteStatus status = CheckScale(site, operand);
  if (status != kTfLiteOk) return status;
  const int32_t zero_point = operand.tensor->params.zero_point;
  if (zero_point >= INT8_MIN && zero_point <= INT8_MAX) return kTfLiteOk;
  return Fail(site, "the zero point of tensor %s must lie in [-128, 127]. Received: %d.",
              operand.name, static_cast<int>(zero_point));
}

TfLiteStatus CheckInt16Quantized(const Site& site, const Operand& operand) {
  const TfLiteStatus status = CheckScale(site, operand);
  if (status != kTfLiteOk) return status;
  const int32_t zero_point = operand.tensor->params.zero_point;
  if (zero_point == 0) return kTfLiteOk;
  return Fail(site, "the zero point of tensor %s must be 0, as it is int16. Received: %d.",
              operand.name, static_cast<int>(zero_point));
}

}  // namespace edgeax
