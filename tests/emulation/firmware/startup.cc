// From reset to `main`, and the way out: main's result is the exit code, a fault ends with 99.

#include <cstdint>

#include "semihosting.h"

int main();

namespace {

constexpr int kFaultCode = 99;

using Function = void (*)();

void PrintHex(const char* name, uint32_t value) {
  char digits[] = "0x00000000";
  for (int i = 9; i > 1; --i, value >>= 4) digits[i] = "0123456789abcdef"[value & 15];
  semihosting::Print(name);
  semihosting::Print(digits);
}

}  // namespace

extern "C" {

// Bounds that common.ld sets.
extern uint32_t data_source[], data_begin[], data_end[], bss_begin[], bss_end[], stack_top[];
extern Function init_array_begin[], init_array_end[];

void* __dso_handle = nullptr;
int __aeabi_atexit(void*, void (*)(void*), void*) { return 0; }  // nothing outlives `main`

[[noreturn, gnu::used]] void StartProgram() {
  const uint32_t* from = data_source;
  for (uint32_t* to = data_begin; to < data_end;) *to++ = *from++;
  for (uint32_t* to = bss_begin; to < bss_end;) *to++ = 0;
  for (Function* initialize = init_array_begin; initialize < init_array_end; ++initialize) {
    (*initialize)();
  }
  semihosting::Exit(main());
}

[[noreturn, gnu::used]] void ReportFault(uint32_t address) {
  const uint32_t status = *reinterpret_cast<volatile uint32_t*>(0xE000ED28);  // CFSR
  PrintHex("FAULT at ", address);
  PrintHex(", status ", status);
  semihosting::Print("\n");
  semihosting::Exit(kFaultCode);
}

// In assembly, because a compiler may use vector registers in any C++ function, be it the one
// that copies .data: the FPU must be on before the first of them runs.
[[gnu::naked, noreturn]] void Reset() {
  __asm__ volatile(
#if __ARM_ARCH > 6
      "ldr r0, =0xE000ED88\n"  // CPACR: full access to coprocessors 10 and 11 (FPU and MVE)
      "ldr r1, [r0]\n"
      "orr r1, r1, #0xF00000\n"
      "str r1, [r0]\n"
#endif
#if __ARM_ARCH >= 8
      "ldr r0, =0xE000ED14\n"  // CCR: branch cache and low-overhead loops
      "ldr r1, [r0]\n"
      "orr r1, r1, #0xC0000\n"
      "str r1, [r0]\n"
#endif
      "dsb\n"
      "isb\n"
      "ldr r0, =stack_top\n"
      "mov sp, r0\n"
      "bl StartProgram\n"
      ".ltorg\n");
}

[[gnu::naked, noreturn]] void Fault() {
  __asm__ volatile(
      "ldr r0, [sp, #24]\n"  // where the core has put the address of the faulting instruction
      "bl ReportFault\n");
}

}  // extern "C"

[[gnu::section(".vectors"), gnu::used]] static const Function kVectors[16] = {
    reinterpret_cast<Function>(stack_top),
    Reset,
    Fault,  // NMI
    Fault,  // HardFault
    Fault,  // MemManage
    Fault,  // BusFault
    Fault,  // UsageFault
    Fault,  // SecureFault
    nullptr,
    nullptr,
    nullptr,
    Fault,  // SVCall
    Fault,  // DebugMonitor
    nullptr,
    Fault,  // PendSV
    Fault,  // SysTick
};
