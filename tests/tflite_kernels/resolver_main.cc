// A program that builds TensorFlow Lite and registers our operators in its resolver.
//
//   resolver_main [MODEL INPUT OUTPUT]...
//
// Runs each MODEL, whose only input is named "x" and whose only output "y", on the bytes of INPUT,
// of any batch, and writes the bytes of the output to OUTPUT. A model that is refused is named on
// standard output; the reason is on standard error. Without arguments it registers in a null
// resolver. Ends with 1 when nothing could be registered.

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/mutable_op_resolver.h"
#include "tflite_kernels/adapters/tflite_resolver.h"

namespace {

std::vector<char> Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Gives the input the batch of `bytes` bytes.
bool Resize(tflite::Interpreter& interpreter, const TfLiteTensor& input, size_t bytes) {
  std::vector<int> shape(input.dims->data, input.dims->data + input.dims->size);
  shape[0] *= static_cast<int>(bytes / input.bytes);
  return interpreter.ResizeInputTensor(0, shape) == kTfLiteOk &&
         interpreter.AllocateTensors() == kTfLiteOk;
}

bool Run(const tflite::MutableOpResolver& resolver, const std::vector<char>& model,
         const std::vector<char>& from, std::ostream& to) {
  std::unique_ptr<tflite::Interpreter> interpreter;
  tflite::InterpreterBuilder builder(tflite::GetModel(model.data()), resolver);
  if (builder(&interpreter) != kTfLiteOk || interpreter->AllocateTensors() != kTfLiteOk) {
    return false;
  }
  tflite::SignatureRunner* runner = interpreter->GetSignatureRunner(nullptr);
  if (!Resize(*interpreter, *runner->input_tensor("x"), from.size())) return false;
  const TfLiteTensor& input = *runner->input_tensor("x");
  if (input.bytes != from.size()) return false;
  std::copy(from.begin(), from.end(), input.data.raw);
  if (runner->Invoke() != kTfLiteOk) return false;
  const TfLiteTensor& output = *runner->output_tensor("y");
  to.write(output.data.raw, static_cast<std::streamsize>(output.bytes));
  return true;
}

}  // namespace

int main(int count, char** words) {
  const auto resolver = std::make_unique<tflite::MutableOpResolver>();
  if (edgeax_register_ops(count > 1 ? resolver.get() : nullptr) != kTfLiteOk) return 1;
  for (int i = 1; i + 2 < count; i += 3) {
    std::ofstream to(words[i + 2], std::ios::binary);
    if (!Run(*resolver, Read(words[i]), Read(words[i + 1]), to)) {
      std::cout << words[i] << ": refused\n";
    }
  }
  return 0;
}
