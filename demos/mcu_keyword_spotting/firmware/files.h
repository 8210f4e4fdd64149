#pragma once  // Files, as far as classify.cc needs them, of a board or of a PC.

#include <stddef.h>
#include <stdint.h>

using Handle = intptr_t;
constexpr Handle kNoFile = -1;

Handle OpenToRead(const char* name);
Handle OpenToWrite(const char* name);
bool Read(Handle file, void* to, size_t size);  // whether all of it was there
bool Write(Handle file, const void* from, size_t size);
void Close(Handle file);
