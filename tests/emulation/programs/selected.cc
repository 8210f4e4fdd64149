// Prints the name of the kernels that this processor is given when nobody asks for others.

#include "tflite_kernels/arch/dispatch.h"

extern "C" void edgeax_print(const char* text);

int main() {
  edgeax_print(edgeax::FindKernelSet("auto")->name);
  edgeax_print("\n");
  return 0;
}
