// Runs inputs of fuzz_main.cc that lie in files, for processors that libFuzzer is not built for.
// Prints what fuzz_main.cc prints, or ends as that does. Usage: fuzz_replay FILE...

#include <stdint.h>
#include <stdio.h>

#include <vector>

extern "C" int LLVMFuzzerInitialize(int*, char***);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int argument_count, char** arguments) {
  if (LLVMFuzzerInitialize(nullptr, nullptr) != 0) return 1;
  for (int i = 1; i < argument_count; ++i) {
    FILE* file = fopen(arguments[i], "rb");
    if (file == nullptr) return 1;
    std::vector<uint8_t> input(size_t{1} << 20);
    input.resize(fread(input.data(), 1, input.size(), file));
    fclose(file);
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  return 0;
}
