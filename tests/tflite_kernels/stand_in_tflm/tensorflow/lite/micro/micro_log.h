#pragma once  // Stands in for TensorFlow Lite Micro's header: what an operator says.

#include <stdarg.h>

void MicroPrintf(const char* format, ...);
void VMicroPrintf(const char* format, va_list arguments);
