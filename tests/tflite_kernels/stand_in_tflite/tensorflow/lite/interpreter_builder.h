#pragma once  // Stands in for TensorFlow Lite's header: the functions of 2.21 called here.

#include <string.h>

#include <memory>
#include <vector>

#include "mutable_op_resolver.h"

namespace tflite {

class Model;
class ErrorReporter;
class Allocation;
class InterpreterOptions;
ErrorReporter* DefaultErrorReporter();

// The root of a file lies where its first four bytes say.
inline const Model* GetModel(const void* bytes) {
  uint32_t offset;
  memcpy(&offset, bytes, sizeof(offset));
  return reinterpret_cast<const Model*>(static_cast<const char*>(bytes) + offset);
}

namespace impl {

class SignatureRunner {
 public:
  TfLiteTensor* input_tensor(const char* name);
  const TfLiteTensor* output_tensor(const char* name) const;
  TfLiteStatus Invoke();
};

class Interpreter {
 public:
  ~Interpreter();
  TfLiteStatus AllocateTensors();
  TfLiteStatus ResizeInputTensor(int tensor, const std::vector<int>& shape);
  SignatureRunner* GetSignatureRunner(const char* key);
};

class InterpreterBuilder {
 public:
  InterpreterBuilder(const Model* model, const OpResolver& resolver,
                     ErrorReporter* reporter = DefaultErrorReporter(),
                     const InterpreterOptions* options = nullptr,
                     const Allocation* allocation = nullptr);
  ~InterpreterBuilder();
  TfLiteStatus operator()(std::unique_ptr<Interpreter>* interpreter);

 private:
  alignas(16) char room_[4096];  // more than the class has
};

}  // namespace impl

using Interpreter = impl::Interpreter;
using InterpreterBuilder = impl::InterpreterBuilder;
using SignatureRunner = impl::SignatureRunner;

}  // namespace tflite
