// A program that builds TensorFlow Lite and registers our operators in its resolver.
//
//   resolver_main [MODEL NAME=INPUT[,NAME=INPUT]... OUTPUT]...
//
// Runs each MODEL, whose only output is named "y", on the bytes of each INPUT, and writes the bytes
// of the output to OUTPUT. A sole input "x" may be of any batch. A model that is refused is named
// on standard output; the reason is on standard error. Without arguments it registers in a null
// resolver. Ends with 1 when nothing could be registered.

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
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

using Inputs = std::map<std::string, std::vector<char>>;

// Reads what "NAME=INPUT,..." names.
Inputs ReadInputs(const std::string& words) {
  Inputs inputs;
  std::istringstream rest(words);
  for (std::string word; std::getline(rest, word, ',');) {
    const size_t end = word.find('=');
    inputs[word.substr(0, end)] = Read(word.substr(end + 1));
  }
  return inputs;
}

// Gives the input the batch of `bytes` bytes.
bool Resize(tflite::Interpreter& interpreter, const TfLiteTensor& input, size_t bytes) {
  std::vector<int> shape(input.dims->data, input.dims->data + input.dims->size);
  shape[0] *= static_cast<int>(bytes / input.bytes);
  return interpreter.ResizeInputTensor(0, shape) == kTfLiteOk &&
         interpreter.AllocateTensors() == kTfLiteOk;
}

bool Run(const tflite::MutableOpResolver& resolver, const std::vector<char>& model,
         const Inputs& inputs, std::ostream& to) {
  std::unique_ptr<tflite::Interpreter> interpreter;
  tflite::InterpreterBuilder builder(tflite::GetModel(model.data()), resolver);
  if (builder(&interpreter) != kTfLiteOk || interpreter->AllocateTensors() != kTfLiteOk) {
    return false;
  }
  tflite::SignatureRunner* runner = interpreter->GetSignatureRunner(nullptr);
  if (const auto x = inputs.find("x"); x != inputs.end()) {
    if (!Resize(*interpreter, *runner->input_tensor("x"), x->second.size())) return false;
  }
  for (const auto& [name, from] : inputs) {
    const TfLiteTensor& input = *runner->input_tensor(name.c_str());
    if (input.bytes != from.size()) return false;
    std::copy(from.begin(), from.end(), input.data.raw);
  }
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
    if (!Run(*resolver, Read(words[i]), ReadInputs(words[i + 1]), to)) {
      std::cout << words[i] << ": refused\n";
    }
  }
  return 0;
}
