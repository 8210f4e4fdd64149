// The print hook of the programs that run on every rig: here the text goes to QEMU.

#include "semihosting.h"

extern "C" void edgeax_print(const char* text) { semihosting::Print(text); }
