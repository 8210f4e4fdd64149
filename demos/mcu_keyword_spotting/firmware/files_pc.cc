// Files of the C library.

#include <stdio.h>

#include "files.h"

namespace {

Handle Open(const char* name, const char* mode) {
  FILE* const file = fopen(name, mode);
  return file == nullptr ? kNoFile : reinterpret_cast<Handle>(file);
}

FILE* File(Handle file) { return reinterpret_cast<FILE*>(file); }

}  // namespace

Handle OpenToRead(const char* name) { return Open(name, "rb"); }

Handle OpenToWrite(const char* name) { return Open(name, "wb"); }

bool Read(Handle file, void* to, size_t size) { return fread(to, 1, size, File(file)) == size; }

bool Write(Handle file, const void* from, size_t size) {
  return fwrite(from, 1, size, File(file)) == size;
}

void Close(Handle file) { fclose(File(file)); }
