// Runs an undefined instruction.

int main() { __builtin_trap(); }
