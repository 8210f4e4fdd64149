#pragma once  // adapters/tflite_abi.h: what TensorFlow Lite's C structs look like in memory.

// Our own declarations of the structs that an interpreter hands to an external delegate, from
// TensorFlow Lite 2.14 on. The order of fields is the ABI; the assertions below hold it. Structs
// and functions that this library does not use are opaque pointers here. The interpreter's own
// functions are reached through TfLiteContext, so nothing of it is linked.
//
// With EDGEAX_USE_OFFICIAL_TFLITE_HEADERS the declarations are those of the user's own tree, LiteRT
// or TensorFlow, and the same assertions hold it to the layout that these kernels were tested with.
// With TF_LITE_STATIC_MEMORY, the macro of every build of TensorFlow Lite Micro, they are that
// tree's, whatever their layout: adapters/tflm is compiled with the interpreter.

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(EDGEAX_USE_OFFICIAL_TFLITE_HEADERS)

#if defined(TF_LITE_STATIC_MEMORY)
#error "TF_LITE_STATIC_MEMORY must not be defined: TFLite Micro has no resolver of this kind."
#endif
#if __has_include("tflite/core/c/common.h")
#include "tflite/core/c/common.h"
#elif __has_include("tensorflow/lite/core/c/common.h")
#include "tensorflow/lite/core/c/common.h"
#else
#error "TFLITE_ROOT must hold tensorflow/lite/core/c/common.h or tflite/core/c/common.h."
#endif

namespace edgeax {
// `data` is a union of pointers in these headers.
static inline void* DataOf(const TfLiteTensor& tensor) { return tensor.data.data; }
}  // namespace edgeax

#elif defined(TF_LITE_STATIC_MEMORY)

#include "tensorflow/lite/c/common.h"

namespace edgeax {
static inline void* DataOf(const TfLiteTensor& tensor) { return tensor.data.data; }
}  // namespace edgeax

#else

extern "C" {

enum TfLiteStatus : int32_t {
  kTfLiteOk = 0,
  kTfLiteError = 1,
  kTfLiteDelegateError = 2,
};

// Types of tensors; those beyond the ones used here are other numbers.
enum TfLiteType : int32_t {
  kTfLiteNoType = 0,
  kTfLiteFloat32 = 1,
  kTfLiteInt32 = 2,
  kTfLiteUInt8 = 3,
  kTfLiteInt16 = 7,
  kTfLiteInt8 = 9,
};

enum TfLiteAllocationType : int32_t {
  kTfLiteMemNone = 0,
  kTfLiteMmapRo = 1,  // constant: the bytes of the model file
  kTfLiteArenaRw = 2,
};

enum TfLiteQuantizationType : int32_t {
  kTfLiteNoQuantization = 0,
  kTfLiteAffineQuantization = 1,
};

constexpr int64_t kTfLiteDelegateFlagsAllowDynamicTensors = 1;

// `size` ints follow the size.
struct TfLiteIntArray {
  int size;
  int data[1];
};

struct TfLiteContext;
struct TfLiteDelegate;

// Scale and zero point of a tensor quantized as a whole; {0, 0} for any other tensor.
struct TfLiteQuantizationParams {
  float scale;
  int32_t zero_point;
};

// What `params` points to has changed its layout between releases: it is not read here, see
// TfLiteTensor::params.
struct TfLiteQuantization {
  TfLiteQuantizationType type;
  void* params;
};

struct TfLiteTensor {
  TfLiteType type;
  void* data;
  TfLiteIntArray* dims;
  TfLiteQuantizationParams params;
  TfLiteAllocationType allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  TfLiteDelegate* delegate;
  int buffer_handle;
  bool data_is_stale;
  bool is_variable;
  TfLiteQuantization quantization;
  void* sparsity;
  const TfLiteIntArray* dims_signature;
};

struct TfLiteNode {
  TfLiteIntArray* inputs;
  TfLiteIntArray* outputs;
  TfLiteIntArray* intermediates;
  TfLiteIntArray* temporaries;
  void* user_data;
  void* builtin_data;
  const void* custom_initial_data;
  int custom_initial_data_size;
  TfLiteDelegate* delegate;
  bool might_have_side_effect;
};

// Passed by value: a field that is not set has to be zero.
struct TfLiteRegistration {
  void* (*init)(TfLiteContext* context, const char* buffer, size_t length);
  void (*free)(TfLiteContext* context, void* buffer);
  TfLiteStatus (*prepare)(TfLiteContext* context, TfLiteNode* node);
  TfLiteStatus (*invoke)(TfLiteContext* context, TfLiteNode* node);
  const char* (*profiling_string)(const TfLiteContext* context, const TfLiteNode* node);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  void* registration_external;
  void* async_kernel;
  uint64_t inplace_operator;
};

struct TfLiteContext {
  size_t tensors_size;
  TfLiteStatus (*GetExecutionPlan)(TfLiteContext* context, TfLiteIntArray** plan);
  TfLiteTensor* tensors;
  void* impl;
  // Takes over `new_size`, which it frees with free().
  TfLiteStatus (*ResizeTensor)(TfLiteContext* context, TfLiteTensor* tensor,
                               TfLiteIntArray* new_size);
  void (*ReportError)(TfLiteContext* context, const char* format, ...);
  // May move `tensors`.
  TfLiteStatus (*AddTensors)(TfLiteContext* context, int count, int* first_index);
  TfLiteStatus (*GetNodeAndRegistration)(TfLiteContext* context, int node_index, TfLiteNode** node,
                                         TfLiteRegistration** registration);
  TfLiteStatus (*ReplaceNodeSubsetsWithDelegateKernels)(TfLiteContext* context,
                                                        TfLiteRegistration registration,
                                                        const TfLiteIntArray* nodes_to_replace,
                                                        TfLiteDelegate* delegate);
  int recommended_num_threads;
  void* GetExternalContext;
  void* SetExternalContext;
  bool allow_fp32_relax_to_fp16;
  void* profiler;
  void* AllocatePersistentBuffer;
  void* AllocateBufferForEval;
  void* RequestScratchBufferInArena;
  void* GetScratchBuffer;
  void* ResizeTensorExplicit;
  void* PreviewDelegatePartitioning;
  void* GetTensor;
  void* GetEvalTensor;
  void* GetModelMetadata;
  void* AcquireSubgraphContext;
  void* ReleaseSubgraphContext;
};

struct TfLiteDelegate {
  void* data;
  TfLiteStatus (*Prepare)(TfLiteContext* context, TfLiteDelegate* delegate);
  void* CopyFromBufferHandle;
  void* CopyToBufferHandle;
  void* FreeBufferHandle;
  int64_t flags;
  void* opaque_delegate_builder;
};

// The buffer that TfLiteRegistration::init gets for a node that a delegate took over.
struct TfLiteDelegateParams {
  TfLiteDelegate* delegate;
  TfLiteIntArray* nodes_to_replace;
  TfLiteIntArray* input_tensors;
  TfLiteIntArray* output_tensors;
};

}  // extern "C"

namespace edgeax {
static inline void* DataOf(const TfLiteTensor& tensor) { return tensor.data; }
}  // namespace edgeax

#endif  // EDGEAX_USE_OFFICIAL_TFLITE_HEADERS

#if defined(__LP64__) && !defined(TF_LITE_STATIC_MEMORY)
static_assert(sizeof(TfLiteTensor) == 112, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteTensor, data) == 8, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteTensor, params) == 24, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteTensor, bytes) == 40, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteTensor, quantization) == 80, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteTensor, dims_signature) == 104, "ABI of TensorFlow Lite 2.14");
static_assert(sizeof(TfLiteNode) == 80, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteNode, user_data) == 32, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteNode, custom_initial_data_size) == 56, "ABI of TensorFlow Lite 2.14");
static_assert(sizeof(TfLiteRegistration) == 88, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteRegistration, custom_name) == 48, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteRegistration, inplace_operator) == 80, "ABI of TensorFlow Lite 2.14");
static_assert(sizeof(TfLiteContext) == 200, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteContext, ResizeTensor) == 32, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteContext, recommended_num_threads) == 72,
              "ABI of TensorFlow Lite 2.14");
static_assert(sizeof(TfLiteDelegate) == 56, "ABI of TensorFlow Lite 2.14");
static_assert(offsetof(TfLiteDelegate, flags) == 40, "ABI of TensorFlow Lite 2.14");
static_assert(sizeof(TfLiteDelegateParams) == 32, "ABI of TensorFlow Lite 2.14");
#endif
