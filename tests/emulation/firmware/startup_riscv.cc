// From the entry of a Linux program without a C library to `main`, and the way out.

int main();

namespace {

constexpr int kWrite = 64, kExit = 93;  // calls of Linux

int Call(int number, int first, const void* second, int third) {
  register int a0 __asm__("a0") = first;
  register const void* a1 __asm__("a1") = second;
  register int a2 __asm__("a2") = third;
  register int a7 __asm__("a7") = number;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
  return a0;
}

}  // namespace

extern "C" {

// The print hook of the programs that run on every rig.
void edgeax_print(const char* text) {
  int size = 0;
  while (text[size] != 0) ++size;
  Call(kWrite, 1, text, size);
}

// What compilers call without being asked to.
void* memcpy(void* to, const void* from, __SIZE_TYPE__ size) {
  for (__SIZE_TYPE__ i = 0; i < size; ++i) {
    static_cast<char*>(to)[i] = static_cast<const char*>(from)[i];
  }
  return to;
}

void* memset(void* to, int byte, __SIZE_TYPE__ size) {
  for (__SIZE_TYPE__ i = 0; i < size; ++i) static_cast<char*>(to)[i] = static_cast<char>(byte);
  return to;
}

[[noreturn, gnu::used]] void RunProgram() {
  Call(kExit, main(), nullptr, 0);
  for (;;) {
  }
}

// In assembly, because compilers reach data from where gp points to.
[[gnu::naked, noreturn]] void _start() {
  __asm__ volatile(
      ".option push\n"
      ".option norelax\n"
      "la gp, __global_pointer$\n"
      ".option pop\n"
      "j RunProgram\n");
}

}  // extern "C"
