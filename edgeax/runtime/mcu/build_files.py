"""CMake and Make files of a generated program."""

from collections.abc import Sequence

from edgeax.runtime.mcu.cpp_program import Title
from edgeax.runtime.mcu.targets import Target

_FLAGS = "-O2 -ffunction-sections -fdata-sections -fno-exceptions -fno-rtti"

_MAKE = """\
# {head}
# Builds lib{name}.a for {target}; `make test` builds it for this machine and compares with
# test_vectors.h. CXX and HOST_CXX name the compilers.
.PHONY: all test clean

CXX = {compiler}
HOST_CXX = g++
FLAGS = {flags}
COMMON = -std=c++17 {common} -Wall -Wextra -I.
SOURCES = {sources}
BUILD = build

all: $(BUILD)/lib{name}.a

$(BUILD)/lib{name}.a: $(SOURCES:%.cc=$(BUILD)/%.o)
\t$(AR) rcs $@ $^

$(BUILD)/%.o: %.cc
\t@mkdir -p $(@D)
\t$(CXX) $(FLAGS) $(COMMON) $(CXXFLAGS) -c $< -o $@

test: $(BUILD)/{name}_test
\t$(BUILD)/{name}_test

$(BUILD)/{name}_test: {name}_test.cc $(SOURCES)
\t@mkdir -p $(@D)
\t$(HOST_CXX) $(COMMON) $(CXXFLAGS) $^ -o $@

clean:
\trm -rf $(BUILD)
"""

_CMAKE = """\
# {head}
# add_subdirectory() this folder and link {name}; compiler flags of the processor come from the
# toolchain file. On its own it builds the test too: cmake -B build && cmake --build build &&
# ctest --test-dir build
cmake_minimum_required(VERSION 3.13)
project({name} LANGUAGES CXX)

add_library({name} STATIC
{sources})
target_include_directories({name} PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})
target_compile_features({name} PUBLIC cxx_std_17)
target_compile_options({name} PRIVATE {common} -Wall -Wextra)

if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR AND NOT CMAKE_CROSSCOMPILING)
  enable_testing()
  add_executable({name}_test {name}_test.cc)
  target_link_libraries({name}_test PRIVATE {name})
  add_test(NAME {name} COMMAND {name}_test)
endif()
"""


def make_text(title: Title, sources: Sequence[str], target: Target) -> str:
    """Returns the Makefile."""
    return _MAKE.format(
        head=title.line("Makefile"),
        name=title.name,
        target=target.name,
        compiler=target.compiler,
        flags=" ".join(target.flags),
        common=_FLAGS,
        sources=" \\\n  ".join(sources),
    )


def cmake_text(title: Title, sources: Sequence[str]) -> str:
    """Returns CMakeLists.txt."""
    listed = "\n".join(f"  {source}" for source in sources)
    return _CMAKE.format(
        head=title.line("CMakeLists.txt"), name=title.name, sources=listed, common=_FLAGS
    )
