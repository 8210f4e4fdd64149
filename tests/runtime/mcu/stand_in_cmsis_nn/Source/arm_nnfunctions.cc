// Slow and plain: what the functions promise. They ask for as much scratch as real ones do and fill
// it, so that a plan that gives them too little shows; and they refuse what real ones do wrong.

#include "arm_nnfunctions.h"

namespace {

#if defined(ARM_MATH_MVEI)
constexpr bool kHelium = true;
#else
constexpr bool kHelium = false;
#endif
#if defined(ARM_MATH_DSP)
constexpr bool kDsp = true;
#else
constexpr bool kDsp = false;
#endif

int32_t Clamped(int32_t code, cmsis_nn_activation limits) {
  return code < limits.min ? limits.min : code > limits.max ? limits.max : code;
}

// a * b / 2^31, rounded half up.
int32_t HighProduct(int64_t a, int64_t b) {
  return static_cast<int32_t>((a * b + (int64_t{1} << 30)) >> 31);
}

// x / 2^power, rounded half away from zero.
int32_t Divided(int32_t x, int32_t power) {
  const int64_t mask = (int64_t{1} << power) - 1;
  return static_cast<int32_t>((x >> power) + ((x & mask) > (mask >> 1) + (x < 0)));
}

int32_t Scaled(int32_t x, int32_t multiplier, int32_t shift) {
  const int64_t wide = shift > 0 ? static_cast<int64_t>(x) << shift : x;
  return Divided(HighProduct(static_cast<int32_t>(wide), multiplier), shift > 0 ? 0 : -shift);
}

void Fill(const cmsis_nn_context* context, int32_t bytes) {
  for (int32_t i = 0; i < bytes; ++i) static_cast<volatile int8_t*>(context->buf)[i] = 0x5A;
}

int32_t RoundedUp(int32_t x, int32_t step) { return (x + step - 1) / step * step; }

int32_t PatchBytes(int32_t patch) {
  return kHelium ? 4 * RoundedUp(patch, 16) : 4 * RoundedUp(patch, 4);
}

// Calls `tap(offset of the input pixel, number of the tap)` for the taps that lie in the image.
template <typename Tap>
void ForTaps(const cmsis_nn_dims& in, const cmsis_nn_dims& kernel, cmsis_nn_tile origin,
             cmsis_nn_tile apart, Tap tap) {
  for (int32_t i = 0; i < kernel.h; ++i) {
    for (int32_t j = 0; j < kernel.w; ++j) {
      const int32_t y = origin.h + i * apart.h, x = origin.w + j * apart.w;
      if (y >= 0 && y < in.h && x >= 0 && x < in.w) tap(y * in.w + x, i * kernel.w + j);
    }
  }
}

// Calls `pixel(number of the image, place of the window in it)` for all output pixels in order.
template <typename Pixel>
void ForPixels(const cmsis_nn_dims& out, cmsis_nn_tile stride, cmsis_nn_tile pad, Pixel pixel) {
  for (int32_t n = 0; n < out.n; ++n) {
    for (int32_t y = 0; y < out.h; ++y) {
      for (int32_t x = 0; x < out.w; ++x) {
        pixel(n, cmsis_nn_tile{x * stride.w - pad.w, y * stride.h - pad.h});
      }
    }
  }
}

bool IsPoint(const cmsis_nn_conv_params* p, const cmsis_nn_dims* in, const cmsis_nn_dims* filter) {
  return p->padding.w == 0 && p->padding.h == 0 && filter->w == 1 && filter->h == 1 &&
         p->dilation.w == 1 && p->dilation.h == 1 && in->c == filter->c;
}

int32_t PadRight(cmsis_nn_tile stride, cmsis_nn_tile pad, const cmsis_nn_dims* in,
                 const cmsis_nn_dims* filter, const cmsis_nn_dims* out) {
  return (out->w - 1) * stride.w - pad.w + filter->w - in->w;
}

// Whether Helium's function for a row is chosen for a padding that it does not know.
bool IsWrongRow(const cmsis_nn_conv_params* p, const cmsis_nn_dims* in, const cmsis_nn_dims* filter,
                const cmsis_nn_dims* out) {
  const bool is_row = in->h == 1 && filter->h == 1 && p->dilation.w == 1 && in->c == filter->c;
  const int32_t left = p->padding.w, right = PadRight(p->stride, p->padding, in, filter, out);
  const bool is_known = right == left || right == left + 1;
  const bool is_padded = left != 0 || right != 0;
  return kHelium && is_row && (!is_known || (is_padded && p->stride.w != 1));
}

bool IsDense(const cmsis_nn_dims* in, const cmsis_nn_dims* out) {
  return kHelium && in->c == 1 && out->c > 1;
}

bool IsPlain(const cmsis_nn_dw_conv_params* p, const cmsis_nn_dims* in) {
  return p->ch_mult == 1 && in->n == 1 && p->dilation.w == 1 && p->dilation.h == 1;
}

bool Is3x3(const cmsis_nn_dw_conv_params* p, const cmsis_nn_dims* filter) {
  return !kHelium && filter->w == 3 && filter->h == 3 && p->padding.h <= 1 && p->padding.w <= 1;
}

// Exponential functions of fixed point, as TensorFlow Lite Micro defines them: int32 numbers that
// stand for x / 2^31 or, with 5 whole bits, for x / 2^26.
int32_t ExpOfNegative(int32_t x) {
  if (x == 0) return INT32_MAX;
  constexpr int32_t kFactors[] = {1672461947, 1302514674, 790015084, 290630308,
                                  39332535,   720401,     242};
  const int32_t last = (x & ((1 << 24) - 1)) - (1 << 24), quarters = last - x;
  const int32_t centered = last * 32 + (1 << 28);
  const int32_t square = HighProduct(centered, centered);
  const int32_t higher =
      HighProduct(Divided(HighProduct(square, square), 2) + HighProduct(square, centered),
                  715827883) +
      square;
  int32_t result = 1895147668 + HighProduct(1895147668, centered + Divided(higher, 1));
  for (int32_t i = 0; i < 7; ++i) {
    if ((quarters >> (24 + i)) & 1) result = HighProduct(result, kFactors[i]);
  }
  return result;
}

// 1 / (1 + x).
int32_t Reciprocal(int32_t x) {
  const int32_t half = static_cast<int32_t>((int64_t{x} + INT32_MAX + 1) >> 1);
  int32_t result = 1515870810 + HighProduct(half, -1010580540);
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t rest = (1 << 29) - HighProduct(half, result);
    result += HighProduct(result, rest) * 4;
  }
  const int64_t doubled = int64_t{result} * 2;
  return static_cast<int32_t>(doubled > INT32_MAX ? INT32_MAX : doubled);
}

}  // namespace

extern "C" {

int32_t arm_convolve_wrapper_s8_get_buffer_size(const cmsis_nn_conv_params* p,
                                                const cmsis_nn_dims* in,
                                                const cmsis_nn_dims* filter, const cmsis_nn_dims*) {
  if (IsPoint(p, in, filter)) return 0;
  return PatchBytes(filter->w * filter->h * in->c);
}

arm_cmsis_nn_status arm_convolve_wrapper_s8(const cmsis_nn_context* context,
                                            const cmsis_nn_conv_params* p,
                                            const cmsis_nn_per_channel_quant_params* factors,
                                            const cmsis_nn_dims* in, const int8_t* input,
                                            const cmsis_nn_dims* filter, const int8_t* weights,
                                            const cmsis_nn_dims*, const int32_t* bias,
                                            const cmsis_nn_dims* out, int8_t* output) {
  if (!IsPoint(p, in, filter) && IsWrongRow(p, in, filter, out)) return ARM_CMSIS_NN_FAILURE;
  Fill(context, arm_convolve_wrapper_s8_get_buffer_size(p, in, filter, out));
  const int32_t depth = filter->c, group = out->c / (in->c / depth), taps = filter->h * filter->w;
  ForPixels(*out, p->stride, p->padding, [&](int32_t n, cmsis_nn_tile origin) {
    for (int32_t c = 0; c < out->c; ++c) {
      int32_t sum = bias[c];
      ForTaps(*in, *filter, origin, p->dilation, [&](int32_t pixel, int32_t tap) {
        const int8_t* const codes = input + (n * in->h * in->w + pixel) * in->c + c / group * depth;
        for (int32_t k = 0; k < depth; ++k) {
          sum += (codes[k] + p->input_offset) * weights[(c * taps + tap) * depth + k];
        }
      });
      sum = Scaled(sum, factors->multiplier[c], factors->shift[c]) + p->output_offset;
      *output++ = static_cast<int8_t>(Clamped(sum, p->activation));
    }
  });
  return ARM_CMSIS_NN_SUCCESS;
}

int32_t arm_depthwise_conv_wrapper_s8_get_buffer_size(const cmsis_nn_dw_conv_params* p,
                                                      const cmsis_nn_dims* in,
                                                      const cmsis_nn_dims* filter,
                                                      const cmsis_nn_dims* out) {
  const int32_t taps = filter->w * filter->h;
  if (IsDense(in, out)) return PatchBytes(taps) + taps * out->c;
  if (!IsPlain(p, in) || Is3x3(p, filter)) return 0;
  return kHelium ? 4 * 124 * taps : kDsp ? 2 * in->c * taps : 0;
}

arm_cmsis_nn_status arm_depthwise_conv_wrapper_s8(
    const cmsis_nn_context* context, const cmsis_nn_dw_conv_params* p,
    const cmsis_nn_per_channel_quant_params* factors, const cmsis_nn_dims* in, const int8_t* input,
    const cmsis_nn_dims* filter, const int8_t* weights, const cmsis_nn_dims*, const int32_t* bias,
    const cmsis_nn_dims* out, int8_t* output) {
  const int32_t right = PadRight(p->stride, p->padding, in, filter, out);
  if (IsPlain(p, in) && Is3x3(p, filter) && right > 1) return ARM_CMSIS_NN_FAILURE;
  Fill(context, arm_depthwise_conv_wrapper_s8_get_buffer_size(p, in, filter, out));
  ForPixels(*out, p->stride, p->padding, [&](int32_t n, cmsis_nn_tile origin) {
    for (int32_t c = 0; c < out->c; ++c) {
      int32_t sum = bias[c];
      ForTaps(*in, *filter, origin, p->dilation, [&](int32_t pixel, int32_t tap) {
        const int8_t code = input[(n * in->h * in->w + pixel) * in->c + c / p->ch_mult];
        sum += (code + p->input_offset) * weights[tap * out->c + c];
      });
      sum = Scaled(sum, factors->multiplier[c], factors->shift[c]) + p->output_offset;
      *output++ = static_cast<int8_t>(Clamped(sum, p->activation));
    }
  });
  return ARM_CMSIS_NN_SUCCESS;
}

int32_t arm_fully_connected_s8_get_buffer_size(const cmsis_nn_dims* filter) {
  return kHelium ? 4 * filter->c : 0;
}

// With Helium the buffer holds what all sums begin with.
arm_cmsis_nn_status arm_fully_connected_s8(const cmsis_nn_context* context,
                                           const cmsis_nn_fc_params* p,
                                           const cmsis_nn_per_tensor_quant_params* factor,
                                           const cmsis_nn_dims* in, const int8_t* input,
                                           const cmsis_nn_dims* filter, const int8_t* weights,
                                           const cmsis_nn_dims*, const int32_t* bias,
                                           const cmsis_nn_dims* out, int8_t* output) {
  const int32_t* const begin = kHelium ? static_cast<const int32_t*>(context->buf) : bias;
  const int32_t offset = kHelium ? 0 : p->input_offset, depth = filter->n;
  for (int32_t row = 0; row < in->n; ++row) {
    for (int32_t c = 0; c < out->c; ++c) {
      int32_t sum = begin[c];
      for (int32_t k = 0; k < depth; ++k) {
        sum += (input[row * depth + k] + offset) * weights[c * depth + k];
      }
      sum = Scaled(sum, factor->multiplier, factor->shift) + p->output_offset;
      *output++ = static_cast<int8_t>(Clamped(sum, p->activation));
    }
  }
  return ARM_CMSIS_NN_SUCCESS;
}

int32_t arm_avgpool_s8_get_buffer_size(const int, const int channels) {
  return kDsp && !kHelium ? 4 * channels : 0;
}

arm_cmsis_nn_status arm_avgpool_s8(const cmsis_nn_context* context, const cmsis_nn_pool_params* p,
                                   const cmsis_nn_dims* in, const int8_t* input,
                                   const cmsis_nn_dims* filter, const cmsis_nn_dims* out,
                                   int8_t* output) {
  Fill(context, arm_avgpool_s8_get_buffer_size(out->w, in->c));
  ForPixels(*out, p->stride, p->padding, [&](int32_t n, cmsis_nn_tile origin) {
    for (int32_t c = 0; c < in->c; ++c) {
      int32_t sum = 0, count = 0;
      ForTaps(*in, *filter, origin, {1, 1}, [&](int32_t pixel, int32_t) {
        sum += input[(n * in->h * in->w + pixel) * in->c + c];
        ++count;
      });
      const int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
      *output++ = static_cast<int8_t>(Clamped(mean, p->activation));
    }
  });
  return ARM_CMSIS_NN_SUCCESS;
}

arm_cmsis_nn_status arm_max_pool_s8(const cmsis_nn_context*, const cmsis_nn_pool_params* p,
                                    const cmsis_nn_dims* in, const int8_t* input,
                                    const cmsis_nn_dims* filter, const cmsis_nn_dims* out,
                                    int8_t* output) {
  ForPixels(*out, p->stride, p->padding, [&](int32_t n, cmsis_nn_tile origin) {
    for (int32_t c = 0; c < in->c; ++c) {
      int32_t most = INT8_MIN;
      ForTaps(*in, *filter, origin, {1, 1}, [&](int32_t pixel, int32_t) {
        const int32_t code = input[(n * in->h * in->w + pixel) * in->c + c];
        most = code > most ? code : most;
      });
      *output++ = static_cast<int8_t>(Clamped(most, p->activation));
    }
  });
  return ARM_CMSIS_NN_SUCCESS;
}

arm_cmsis_nn_status arm_elementwise_add_s8(const int8_t* a, const int8_t* b, const int32_t a_offset,
                                           const int32_t a_multiplier, const int32_t a_shift,
                                           const int32_t b_offset, const int32_t b_multiplier,
                                           const int32_t b_shift, const int32_t left_shift,
                                           int8_t* output, const int32_t output_offset,
                                           const int32_t output_multiplier,
                                           const int32_t output_shift, const int32_t least,
                                           const int32_t most, const int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    const int32_t sum = Scaled((a[i] + a_offset) * (1 << left_shift), a_multiplier, a_shift) +
                        Scaled((b[i] + b_offset) * (1 << left_shift), b_multiplier, b_shift);
    const int32_t code = Scaled(sum, output_multiplier, output_shift) + output_offset;
    output[i] = static_cast<int8_t>(Clamped(code, {least, most}));
  }
  return ARM_CMSIS_NN_SUCCESS;
}

arm_cmsis_nn_status arm_elementwise_mul_s8(const int8_t* a, const int8_t* b, const int32_t a_offset,
                                           const int32_t b_offset, int8_t* output,
                                           const int32_t output_offset, const int32_t multiplier,
                                           const int32_t shift, const int32_t least,
                                           const int32_t most, const int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    const int32_t product = (a[i] + a_offset) * (b[i] + b_offset);
    const int32_t code = Scaled(product, multiplier, shift) + output_offset;
    output[i] = static_cast<int8_t>(Clamped(code, {least, most}));
  }
  return ARM_CMSIS_NN_SUCCESS;
}

void arm_softmax_s8(const int8_t* input, const int32_t rows, const int32_t row_size,
                    const int32_t multiplier, const int32_t shift, const int32_t least_difference,
                    int8_t* output) {
  for (int32_t row = 0; row < rows; ++row, input += row_size, output += row_size) {
    int32_t most = INT8_MIN, sum = 0;
    for (int32_t i = 0; i < row_size; ++i) most = input[i] > most ? input[i] : most;
    const auto exp_of = [&](int32_t i) {
      return ExpOfNegative(HighProduct((input[i] - most) * (int64_t{1} << shift), multiplier));
    };
    for (int32_t i = 0; i < row_size; ++i) {
      if (input[i] - most >= least_difference) sum += Divided(exp_of(i), 12);
    }
    const int32_t headroom = __builtin_clz(static_cast<uint32_t>(sum));
    const uint32_t scaled = (static_cast<uint32_t>(sum) << headroom) - (1u << 31);
    const int32_t scale = Reciprocal(static_cast<int32_t>(scaled));
    for (int32_t i = 0; i < row_size; ++i) {
      int32_t code = INT8_MIN;
      if (input[i] - most >= least_difference) {
        code += Divided(HighProduct(scale, exp_of(i)), 12 - headroom + 31 - 8);
      }
      output[i] = static_cast<int8_t>(Clamped(code, {INT8_MIN, INT8_MAX}));
    }
  }
}

}  // extern "C"
