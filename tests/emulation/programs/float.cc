// Float arithmetic, bit for bit: 1.5 * 2.25 = 3.375 and 1 / 3, both rounded to nearest.

#include <cstdint>
#include <cstring>

extern "C" void edgeax_print(const char* text);

namespace {

volatile float a = 1.5f, b = 2.25f, one = 1.0f, three = 3.0f;

bool HasBits(float value, uint32_t bits) {
  uint32_t found;
  std::memcpy(&found, &value, sizeof found);
  return found == bits;
}

}  // namespace

int main() {
  const bool right = HasBits(a * b, 0x40580000) && HasBits(one / three, 0x3eaaaaab);
  edgeax_print(right ? "float right\n" : "float wrong\n");
  return right ? 0 : 1;
}
