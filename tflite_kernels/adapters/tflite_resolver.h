#pragma once  // adapters/tflite_resolver.h: the operators in programs that build TensorFlow Lite.

#if !defined(EDGEAX_USE_OFFICIAL_TFLITE_HEADERS)
#error "Link the CMake target edgeax_ops, which defines EDGEAX_USE_OFFICIAL_TFLITE_HEADERS."
#endif

#include "tflite_kernels/adapters/tflite_ops.h"

namespace edgeax {

// Whether edgeax_register_ops can go on; says on standard error why not.
TfLiteStatus CheckResolver(const void* resolver);

}  // namespace edgeax

// Adds the operators of edgeax to a tflite::MutableOpResolver, or a class derived from it, such as
// tflite::ops::builtin::BuiltinOpResolver:
//
//   tflite::ops::builtin::BuiltinOpResolver resolver;
//   if (edgeax_register_ops(&resolver) != kTfLiteOk) return 1;
//   tflite::InterpreterBuilder(*model, resolver)(&interpreter);
//
// Returns kTfLiteError, the resolver unchanged, when it is null, or when the TensorFlow Lite
// library of the program is older than 2.14 and says so by TfLiteVersion().
template <typename Resolver>
TfLiteStatus edgeax_register_ops(Resolver* resolver) {
  const TfLiteStatus checked = edgeax::CheckResolver(resolver);
  if (checked != kTfLiteOk) return checked;
  for (const edgeax::Span<const TfLiteRegistration>& operators :
       {edgeax::ResolverRegistrations(), edgeax::GradientResolverRegistrations()}) {
    for (size_t i = 0; i < operators.size; ++i) {
      const TfLiteRegistration& one = operators.data[i];
      resolver->AddCustom(one.custom_name, &one, one.version);
    }
  }
  return kTfLiteOk;
}
