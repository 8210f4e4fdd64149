#pragma once  // adapters/tflite_ops.h: the operators as an interpreter calls them.

#include "tflite_kernels/adapters/tflite_abi.h"
#include "tflite_kernels/adapters/thread_pool.h"
#include "tflite_kernels/arch/dispatch.h"

namespace edgeax {

// What TfLiteDelegate::data points to.
struct Plugin {
  const KernelSet* kernels;
  ThreadPool threads;
};

// What runs in place of a node of that custom_name; null when the operator is not ours.
const TfLiteRegistration* RegistrationOf(const char* custom_name);

// The same for the operators of kGradientSpecs alone.
const TfLiteRegistration* GradientRegistrationOf(const char* custom_name);

// Of all nodes that were resolved, whichever interpreter they are in.
ThreadPool* ThreadsOfResolved();

// The same operators for a resolver: the interpreter runs each as a node of its own, without a
// delegate, with the fastest kernels of the processor.
Span<const TfLiteRegistration> ResolverRegistrations();
Span<const TfLiteRegistration> GradientResolverRegistrations();

}  // namespace edgeax
