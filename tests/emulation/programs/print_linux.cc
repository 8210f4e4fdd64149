// The print hook of the programs that run on every rig: here the text goes to standard output.

#include <cstdio>

extern "C" void edgeax_print(const char* text) { std::fputs(text, stdout); }
