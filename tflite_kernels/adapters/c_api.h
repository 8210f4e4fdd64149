/* adapters/c_api.h: the kernels as plain C, for tests and for programs without an interpreter. */
#ifndef TFLITE_KERNELS_ADAPTERS_C_API_H_
#define TFLITE_KERNELS_ADAPTERS_C_API_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All structs hold int32_t, float and pointers in the order given, as ctypes lays them out. */

/* See core/window.h. `padding`: 0 SAME, 1 VALID. */
typedef struct EdgeaxWindow {
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t dilation_height, dilation_width;
  int32_t padding;
} EdgeaxWindow;

/* real = scale * (code - zero_point). `rounding`: 0 single, 1 double; see core/rounding.h. */
typedef struct EdgeaxQuantization {
  float input_scale;
  int32_t input_zero_point;
  float output_scale;
  int32_t output_zero_point;
  int32_t output_min, output_max;
  int32_t rounding;
} EdgeaxQuantization;

/* Memory of one call; sizes in elements. `bias` and `scale` have one entry per output channel, so
 * one size; `codebook` has 16, 4 or 2, for codes of 4, 2 or 1 bits. */
typedef struct EdgeaxTensors {
  const int8_t* input;
  size_t input_size;
  const uint8_t* weights;
  size_t weights_size;
  const int32_t* bias;
  const float* scale;
  size_t channels;
  const int8_t* codebook;
  size_t codebook_size;
  int8_t* output;
  size_t output_size;
} EdgeaxTensors;

/* The same for int16 activations, whose zero points are 0. */
typedef struct EdgeaxInt16Tensors {
  const int16_t* input;
  size_t input_size;
  const uint8_t* weights;
  size_t weights_size;
  const int32_t* bias;
  const float* scale;
  size_t channels;
  const int8_t* codebook;
  size_t codebook_size;
  int16_t* output;
  size_t output_size;
} EdgeaxInt16Tensors;

/* The same for int8 weights without their zeros, see core/sparse.h. */
typedef struct EdgeaxSparseTensors {
  const int8_t* input;
  size_t input_size;
  const int8_t* weights;
  size_t weights_size;
  const uint8_t* indices;
  size_t indices_size;
  const int32_t* bias;
  const float* scale;
  size_t channels;
  int8_t* output;
  size_t output_size;
} EdgeaxSparseTensors;

/* The same for int16 activations. */
typedef struct EdgeaxInt16SparseTensors {
  const int16_t* input;
  size_t input_size;
  const int8_t* weights;
  size_t weights_size;
  const uint8_t* indices;
  size_t indices_size;
  const int32_t* bias;
  const float* scale;
  size_t channels;
  int16_t* output;
  size_t output_size;
} EdgeaxInt16SparseTensors;

/* The same with the point, see core/lookup.h, that each code of the input stands for. */
typedef struct EdgeaxLookupTensors {
  const int8_t* input;
  size_t input_size;
  const uint8_t* weights;
  size_t weights_size;
  const int32_t* bias;
  const float* scale;
  size_t channels;
  const int8_t* codebook;
  size_t codebook_size;
  const int8_t* points;
  size_t points_size;
  int8_t* output;
  size_t output_size;
} EdgeaxLookupTensors;

/* Memory of one call with floats, see core/float_fully_connected.h; `codebook` has 256, 16, 4 or 2
 * entries, for codes of 8, 4, 2 or 1 bits. */
typedef struct EdgeaxFloatTensors {
  const float* input;
  size_t input_size;
  const uint8_t* weights;
  size_t weights_size;
  const float* bias;
  size_t bias_size;
  const float* scale;
  size_t scale_size;
  const float* codebook;
  size_t codebook_size;
  float* output;
  size_t output_size;
} EdgeaxFloatTensors;

typedef struct EdgeaxConv2DArgs {
  int32_t batch, height, width, channels; /* of the input */
  int32_t output_channels;
  int32_t groups;
  EdgeaxWindow window;
  EdgeaxQuantization quantization;
} EdgeaxConv2DArgs;

typedef struct EdgeaxDepthwiseConv2DArgs {
  int32_t batch, height, width, channels; /* of the input */
  int32_t depth_multiplier;
  EdgeaxWindow window;
  EdgeaxQuantization quantization;
} EdgeaxDepthwiseConv2DArgs;

typedef struct EdgeaxFullyConnectedArgs {
  int32_t rows, depth, outputs;
  EdgeaxQuantization quantization;
} EdgeaxFullyConnectedArgs;

/* `block`: weights in a block. `places`: 0 a bit mask, 1 in 4 bits each, 2 in 8 bits. */
typedef struct EdgeaxSparseConv2DArgs {
  EdgeaxConv2DArgs conv2d;
  int32_t block, places;
} EdgeaxSparseConv2DArgs;

typedef struct EdgeaxSparseFullyConnectedArgs {
  EdgeaxFullyConnectedArgs fully_connected;
  int32_t block, places;
} EdgeaxSparseFullyConnectedArgs;

/* See core/binary.h: channels and depth count numbers, and what is packed holds bits. */
typedef struct EdgeaxBinaryConv2DArgs {
  EdgeaxConv2DArgs conv2d;
  int32_t input_packed, output_packed;
  int32_t pad_value; /* 0 or 1 */
} EdgeaxBinaryConv2DArgs;

typedef struct EdgeaxBinaryFullyConnectedArgs {
  EdgeaxFullyConnectedArgs fully_connected;
  int32_t input_packed, output_packed;
} EdgeaxBinaryFullyConnectedArgs;

/* See core/sign_sum.h: activations that are sums of `planes` signs, weights of `bases`. A matrix
 * product is a 1x1 convolution of images of one pixel. */
typedef struct EdgeaxSignSumArgs {
  EdgeaxConv2DArgs conv2d;
  int32_t planes, bases;
  int32_t thresholds; /* of a plane */
  int32_t pad_value;  /* 0 or 1 */
} EdgeaxSignSumArgs;

/* `gains` [bases][planes][channels], `thresholds` [planes][thresholds]; sizes in elements. */
typedef struct EdgeaxSignSumTensors {
  const int8_t* input;
  size_t input_size;
  const uint8_t* weights;
  size_t weights_size;
  const int32_t* bias;
  const float* scale;
  size_t channels;
  const int32_t* gains;
  size_t gains_size;
  const int32_t* thresholds;
  size_t thresholds_size;
  int8_t* output;
  size_t output_size;
} EdgeaxSignSumTensors;

/* Max pooling of bits: `channels` counts numbers, and the window has dilation 1. */
typedef struct EdgeaxBinaryMaxPool2DArgs {
  int32_t batch, height, width, channels; /* of the input */
  EdgeaxWindow window;
} EdgeaxBinaryMaxPool2DArgs;

/* `bits`: of a code. `group`: weights of a row that share a scale, 0 for all. `activation`: 0 none,
 * 1 0 and up, 2 0 to 6, 3 -1 to 1. */
typedef struct EdgeaxFloatFullyConnectedArgs {
  int32_t rows, depth, outputs;
  int32_t bits, group, activation;
} EdgeaxFloatFullyConnectedArgs;

/* Weights of codewords, see core/vector_codebook.h: `codebook` is [tables][length][entries]. */
typedef struct EdgeaxVectorConv2DArgs {
  EdgeaxConv2DArgs conv2d;
  int32_t tables, entries, length;
} EdgeaxVectorConv2DArgs;

typedef struct EdgeaxVectorFullyConnectedArgs {
  EdgeaxFullyConnectedArgs fully_connected;
  int32_t tables, entries, length;
} EdgeaxVectorFullyConnectedArgs;

/* See core/grouped.h: `bits` of a code, 4 or 2; 2^group_bits weights share a codebook. */
typedef struct EdgeaxGroupedConv2DArgs {
  EdgeaxConv2DArgs conv2d;
  int32_t bits, group_bits;
} EdgeaxGroupedConv2DArgs;

typedef struct EdgeaxGroupedFullyConnectedArgs {
  EdgeaxFullyConnectedArgs fully_connected;
  int32_t bits, group_bits;
} EdgeaxGroupedFullyConnectedArgs;

/* See core/lookup.h: `bits` of a code, 4 or 2. */
typedef struct EdgeaxLookupConv2DArgs {
  EdgeaxConv2DArgs conv2d;
  int32_t bits;
} EdgeaxLookupConv2DArgs;

typedef struct EdgeaxLookupFullyConnectedArgs {
  EdgeaxFullyConnectedArgs fully_connected;
  int32_t bits;
} EdgeaxLookupFullyConnectedArgs;

/* What a buffer of coded rows says of them, see core/coded.h. `layout`: 0 4-bit indices, 1 sparse.
 * Sizes in elements; `scales` is 1 or the number of rows. */
typedef struct EdgeaxCodedRows {
  int32_t rows, depth;
  int32_t layout, block, places;
  size_t weights_size, indices_size, scales;
} EdgeaxCodedRows;

/* Where they are decoded to, in the sizes of EdgeaxCodedRows: `weights` indices or int8 values,
 * `codebook` 16, `indices` where values stood, `starts` 2 * (rows + 1), `bias` as many as rows.
 * What a layout has not may be NULL. */
typedef struct EdgeaxDecodedRows {
  uint8_t* weights;
  int8_t* codebook;
  uint8_t* indices;
  int32_t* starts;
  int32_t* bias;
  float* scale;
} EdgeaxDecodedRows;

/* What the functions below return. */
enum {
  kEdgeaxOk = 0,
  kEdgeaxBadShape = 1,
  kEdgeaxBadArgument = 2,
  kEdgeaxBadScratch = 3,
  kEdgeaxUnknownIsa = 4,
  kEdgeaxNoMemory = 5
};

/* Version of the functions and structs of this header: EDGEAX_C_API_VERSION of the library. */
#define EDGEAX_C_API_VERSION 5
int32_t edgeax_version(void);

/* Instruction sets compiled in. Names: "reference", "avx2", "avx512", "neon", "neon_dotprod";
 * NULL beyond the last one. `supported`: 1 when this processor runs it, for "auto" too. */
int32_t edgeax_isa_count(void);
const char* edgeax_isa_name(int32_t index);
int32_t edgeax_isa_supported(const char* isa);

/* Each allocates exactly the scratch that the kernel asks for. On an error the output is
 * untouched. */
int32_t edgeax_conv2d(const char* isa, const EdgeaxConv2DArgs* args, const EdgeaxTensors* tensors);
int32_t edgeax_depthwise_conv2d(const char* isa, const EdgeaxDepthwiseConv2DArgs* args,
                                const EdgeaxTensors* tensors);
int32_t edgeax_fully_connected(const char* isa, const EdgeaxFullyConnectedArgs* args,
                               const EdgeaxTensors* tensors);

/* The same for int16 activations, see core/rounding.h for `rounding`. */
int32_t edgeax_conv2d_int16(const char* isa, const EdgeaxConv2DArgs* args,
                            const EdgeaxInt16Tensors* tensors);
int32_t edgeax_depthwise_conv2d_int16(const char* isa, const EdgeaxDepthwiseConv2DArgs* args,
                                      const EdgeaxInt16Tensors* tensors);
int32_t edgeax_fully_connected_int16(const char* isa, const EdgeaxFullyConnectedArgs* args,
                                     const EdgeaxInt16Tensors* tensors);

/* The same for sparse weights, whose places are checked in every call. */
int32_t edgeax_sparse_conv2d(const char* isa, const EdgeaxSparseConv2DArgs* args,
                             const EdgeaxSparseTensors* tensors);
int32_t edgeax_sparse_fully_connected(const char* isa, const EdgeaxSparseFullyConnectedArgs* args,
                                      const EdgeaxSparseTensors* tensors);

int32_t edgeax_sparse_conv2d_int16(const char* isa, const EdgeaxSparseConv2DArgs* args,
                                   const EdgeaxInt16SparseTensors* tensors);
int32_t edgeax_sparse_fully_connected_int16(const char* isa,
                                            const EdgeaxSparseFullyConnectedArgs* args,
                                            const EdgeaxInt16SparseTensors* tensors);

/* The same for numbers that are +1 or -1. `codebook` and input_scale are not looked at, nor is
 * output_scale where the output is packed. */
int32_t edgeax_binary_conv2d(const char* isa, const EdgeaxBinaryConv2DArgs* args,
                             const EdgeaxTensors* tensors);
int32_t edgeax_binary_fully_connected(const char* isa, const EdgeaxBinaryFullyConnectedArgs* args,
                                      const EdgeaxTensors* tensors);

/* The same for sums of signs; input_scale and input_zero_point are not looked at. */
int32_t edgeax_sign_sum(const char* isa, const EdgeaxSignSumArgs* args,
                        const EdgeaxSignSumTensors* tensors);
int32_t edgeax_sign_sum_scratch_bytes(const char* isa, const EdgeaxSignSumArgs* args,
                                      size_t* bytes);

/* The same for bits alone: sizes are in bytes, and there is no scratch. */
int32_t edgeax_binary_max_pool2d(const char* isa, const EdgeaxBinaryMaxPool2DArgs* args,
                                 const uint8_t* input, size_t input_size, uint8_t* output,
                                 size_t output_size);

/* The same for floats. */
int32_t edgeax_float_fully_connected(const char* isa, const EdgeaxFloatFullyConnectedArgs* args,
                                     const EdgeaxFloatTensors* tensors);

/* The same for weights of codewords, whose indices are checked in every call. */
int32_t edgeax_vector_conv2d(const char* isa, const EdgeaxVectorConv2DArgs* args,
                             const EdgeaxTensors* tensors);
int32_t edgeax_vector_fully_connected(const char* isa, const EdgeaxVectorFullyConnectedArgs* args,
                                      const EdgeaxTensors* tensors);

/* The same for codes in groups; `codebook` holds codebooks of 16 or 4 one after the other. */
int32_t edgeax_grouped_conv2d(const char* isa, const EdgeaxGroupedConv2DArgs* args,
                              const EdgeaxTensors* tensors);
int32_t edgeax_grouped_fully_connected(const char* isa, const EdgeaxGroupedFullyConnectedArgs* args,
                                       const EdgeaxTensors* tensors);

/* The same for inputs that are put on points; input_scale and input_zero_point are not looked at.
 */
int32_t edgeax_lookup_conv2d(const char* isa, const EdgeaxLookupConv2DArgs* args,
                             const EdgeaxLookupTensors* tensors);
int32_t edgeax_lookup_fully_connected(const char* isa, const EdgeaxLookupFullyConnectedArgs* args,
                                      const EdgeaxLookupTensors* tensors);

/* Bytes of scratch that those kernels ask for. */
int32_t edgeax_conv2d_scratch_bytes(const char* isa, const EdgeaxConv2DArgs* args, size_t* bytes);
int32_t edgeax_depthwise_conv2d_scratch_bytes(const char* isa,
                                              const EdgeaxDepthwiseConv2DArgs* args, size_t* bytes);
int32_t edgeax_fully_connected_scratch_bytes(const char* isa, const EdgeaxFullyConnectedArgs* args,
                                             size_t* bytes);
int32_t edgeax_sparse_conv2d_scratch_bytes(const char* isa, const EdgeaxSparseConv2DArgs* args,
                                           size_t* bytes);
int32_t edgeax_sparse_fully_connected_scratch_bytes(const char* isa,
                                                    const EdgeaxSparseFullyConnectedArgs* args,
                                                    size_t* bytes);

int32_t edgeax_binary_conv2d_scratch_bytes(const char* isa, const EdgeaxBinaryConv2DArgs* args,
                                           size_t* bytes);
int32_t edgeax_binary_fully_connected_scratch_bytes(const char* isa,
                                                    const EdgeaxBinaryFullyConnectedArgs* args,
                                                    size_t* bytes);

int32_t edgeax_float_fully_connected_scratch_bytes(const char* isa,
                                                   const EdgeaxFloatFullyConnectedArgs* args,
                                                   size_t* bytes);

int32_t edgeax_vector_conv2d_scratch_bytes(const char* isa, const EdgeaxVectorConv2DArgs* args,
                                           size_t* bytes);
int32_t edgeax_vector_fully_connected_scratch_bytes(const char* isa,
                                                    const EdgeaxVectorFullyConnectedArgs* args,
                                                    size_t* bytes);
int32_t edgeax_grouped_conv2d_scratch_bytes(const char* isa, const EdgeaxGroupedConv2DArgs* args,
                                            size_t* bytes);
int32_t edgeax_grouped_fully_connected_scratch_bytes(const char* isa,
                                                     const EdgeaxGroupedFullyConnectedArgs* args,
                                                     size_t* bytes);
int32_t edgeax_lookup_conv2d_scratch_bytes(const char* isa, const EdgeaxLookupConv2DArgs* args,
                                           size_t* bytes);
int32_t edgeax_lookup_fully_connected_scratch_bytes(const char* isa,
                                                    const EdgeaxLookupFullyConnectedArgs* args,
                                                    size_t* bytes);

/* ratio = multiplier * 2**(shift - 31), rounded. */
int32_t edgeax_quantize_multiplier(double ratio, int32_t* multiplier, int32_t* shift);

/* out[i] = sums[i] * multiplier * 2**(shift - 31), rounded and clamped to int32. */
int32_t edgeax_requantize(const int32_t* sums, size_t count, int32_t multiplier, int32_t shift,
                          int32_t rounding, int32_t* out);

/* Cuts `count` ascending values into `intervals` of least weighted squared error, see
 * core/partition.h; `edges` has intervals + 1 entries. */
int32_t edgeax_partition(const double* values, const double* weights, size_t count,
                         size_t intervals, int32_t* edges);

/* Checks a buffer of coded rows and says what it needs; decodes it. */
int32_t edgeax_coded_read(const uint8_t* buffer, size_t size, EdgeaxCodedRows* rows);
int32_t edgeax_coded_decode(const uint8_t* buffer, size_t size, const EdgeaxDecodedRows* decoded);

/* The first `count` codes of 1, 2 or 4 bits of a packed row. */
int32_t edgeax_unpack(const uint8_t* row, size_t row_size, size_t count, int32_t bits,
                      uint8_t* codes);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* TFLITE_KERNELS_ADAPTERS_C_API_H_ */
