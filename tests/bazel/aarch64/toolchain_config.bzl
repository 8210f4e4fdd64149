"""Debian's cross compiler for aarch64 Linux, g++-aarch64-linux-gnu."""

load("@rules_cc//cc:action_names.bzl", "ACTION_NAMES")
load(
    "@rules_cc//cc:cc_toolchain_config_lib.bzl",
    "feature",
    "flag_group",
    "flag_set",
    "tool_path",
)
load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/toolchains:cc_toolchain_config_info.bzl", "CcToolchainConfigInfo")

TRIPLET = "aarch64-linux-gnu"
TOOLS = ["ar", "cpp", "gcc", "gcov", "ld", "nm", "objcopy", "objdump", "strip"]

def _aarch64_toolchain_config_impl(ctx):
    # Bazel links by the C compiler.
    cpp_library = feature(
        name = "cpp_library",
        enabled = True,
        flag_sets = [flag_set(
            actions = [
                ACTION_NAMES.cpp_link_dynamic_library,
                ACTION_NAMES.cpp_link_executable,
                ACTION_NAMES.cpp_link_nodeps_dynamic_library,
            ],
            flag_groups = [flag_group(flags = ["-lstdc++"])],
        )],
    )
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "glibc",
        abi_version = "gcc",
        compiler = "gcc",
        cxx_builtin_include_directories = [
            "/usr/lib/gcc-cross/" + TRIPLET,
            "/usr/" + TRIPLET + "/include",
        ],
        features = [cpp_library, feature(name = "supports_pic", enabled = True)],
        host_system_name = "local",
        target_cpu = "aarch64",
        target_libc = "glibc",
        target_system_name = TRIPLET,
        tool_paths = [
            tool_path(name = name, path = "/usr/bin/%s-%s" % (TRIPLET, name))
            for name in TOOLS
        ],
        toolchain_identifier = TRIPLET,
    )

aarch64_toolchain_config = rule(
    implementation = _aarch64_toolchain_config_impl,
    provides = [CcToolchainConfigInfo],
)
