// Files by semihosting: the board asks QEMU, or the debugger, for each of them.

#include "files.h"
#include "semihosting.h"

namespace {

enum Operation : uint32_t { kOpen = 0x01, kClose = 0x02, kWrite = 0x05, kRead = 0x06 };
enum Mode : uint32_t { kReadBytes = 1, kWriteBytes = 5 };

template <typename T>
uint32_t Word(T value) {
  return (uint32_t)value;
}

Handle Open(const char* name, Mode mode) {
  uint32_t length = 0;
  while (name[length] != 0) ++length;
  const uint32_t block[3] = {Word(name), mode, length};
  return semihosting::Call(kOpen, block);
}

}  // namespace

Handle OpenToRead(const char* name) { return Open(name, kReadBytes); }

Handle OpenToWrite(const char* name) { return Open(name, kWriteBytes); }

// Reading and writing give how many bytes are left.
bool Read(Handle file, void* to, size_t size) {
  const uint32_t block[3] = {Word(file), Word(to), Word(size)};
  return semihosting::Call(kRead, block) == 0;
}

bool Write(Handle file, const void* from, size_t size) {
  const uint32_t block[3] = {Word(file), Word(from), Word(size)};
  return semihosting::Call(kWrite, block) == 0;
}

void Close(Handle file) {
  const uint32_t block[1] = {Word(file)};
  semihosting::Call(kClose, block);
}
