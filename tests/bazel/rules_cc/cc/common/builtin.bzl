"""Symbols built into Bazel 4: a file cannot export one under its own name."""

builtin_cc_common = cc_common
builtin_cc_toolchain_config_info = CcToolchainConfigInfo
