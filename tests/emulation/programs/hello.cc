// Proves that a rig starts a program as C++ wants it: data copied, zeros cleared, constructors run.

extern "C" void edgeax_print(const char* text);

namespace {

struct Constructed {
  Constructed() : value(volatile_source + 1) {}
  static volatile int volatile_source;
  int value;
};
volatile int Constructed::volatile_source = 41;  // in .data
const Constructed constructed;                   // by .init_array
volatile int cleared[1000];                      // in .bss

}  // namespace

int main() {
  int sum = 0;
  for (int value : cleared) sum += value;
  const bool started = constructed.value == 42 && sum == 0;
  edgeax_print(started ? "hello\n" : "badly started\n");
  return started ? 7 : 1;
}
