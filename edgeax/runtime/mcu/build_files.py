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
{cmsis_nn}
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
\t$(HOST_CXX) $(COMMON) $(CXXFLAGS) $^{library} -o $@

clean:
\trm -rf build
"""

_MAKE_CMSIS_NN = """
# CMSIS-NN instead of our kernels where it has one: make EDGEAX_USE_CMSIS_NN=FOLDER, a tree of
# version 6.0 or newer. Your program links CMSIS-NN too, as its own build makes it for the
# processor; `make test` needs CMSIS_NN_LIBRARY=FILE, the same made for this machine.
ifneq ($(EDGEAX_USE_CMSIS_NN),)
ifeq ($(wildcard $(EDGEAX_USE_CMSIS_NN)/Include/arm_nnfunctions.h),)
$(error EDGEAX_USE_CMSIS_NN must be a tree of CMSIS-NN, with Include/arm_nnfunctions.h. \\
Received: $(EDGEAX_USE_CMSIS_NN). Leave it out for our kernels)
endif
ifneq ($(filter test,$(MAKECMDGOALS)),)
ifeq ($(wildcard $(CMSIS_NN_LIBRARY)),)
$(error CMSIS_NN_LIBRARY must be the library of CMSIS-NN for this machine. \\
Received: $(CMSIS_NN_LIBRARY). Build it with the CMake files of CMSIS-NN)
endif
endif
COMMON += -DEDGEAX_USE_CMSIS_NN=1 -isystem $(EDGEAX_USE_CMSIS_NN)/Include
BUILD = build/cmsis_nn
endif
"""

_MAKE_OURS = """
ifneq ($(EDGEAX_USE_CMSIS_NN),)
$(error EDGEAX_USE_CMSIS_NN must not be set: this program has none of CMSIS-NN. \\
Received: $(EDGEAX_USE_CMSIS_NN). Generate it for a Cortex-M, with double rounding)
endif
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
{cmsis_nn}
if(CMAKE_SOURCE_DIR STREQUAL CMAKE_CURRENT_SOURCE_DIR AND NOT CMAKE_CROSSCOMPILING)
  enable_testing()
  add_executable({name}_test {name}_test.cc)
  target_link_libraries({name}_test PRIVATE {name})
  add_test(NAME {name} COMMAND {name}_test)
endif()
"""

_CMAKE_CMSIS_NN = """
# CMSIS-NN instead of our kernels where it has one: -DEDGEAX_USE_CMSIS_NN=FOLDER, a tree of version
# 6.0 or newer. {name} links its target cmsis-nn, which your project has by add_subdirectory() of
# that tree, or CMSIS_NN_LIBRARY, a library made of it for the processor.
set(EDGEAX_USE_CMSIS_NN "" CACHE PATH "A tree of CMSIS-NN; empty: the kernels of edgeax")
set(CMSIS_NN_LIBRARY "" CACHE FILEPATH "The library of CMSIS-NN; empty: the target cmsis-nn")
if(EDGEAX_USE_CMSIS_NN)
  if(NOT EXISTS "${{EDGEAX_USE_CMSIS_NN}}/Include/arm_nnfunctions.h")
    message(FATAL_ERROR "EDGEAX_USE_CMSIS_NN must be a tree of CMSIS-NN, with "
      "Include/arm_nnfunctions.h. Received: ${{EDGEAX_USE_CMSIS_NN}}. Leave it out for ours.")
  endif()
  target_compile_definitions({name} PUBLIC EDGEAX_USE_CMSIS_NN=1)
  target_include_directories({name} SYSTEM PRIVATE "${{EDGEAX_USE_CMSIS_NN}}/Include")
  if(CMSIS_NN_LIBRARY)
    target_link_libraries({name} PUBLIC "${{CMSIS_NN_LIBRARY}}")
  else()
    target_link_libraries({name} PUBLIC cmsis-nn)
  endif()
endif()
"""

_CMAKE_OURS = """
if(EDGEAX_USE_CMSIS_NN)
  message(FATAL_ERROR "EDGEAX_USE_CMSIS_NN must not be set: this program has none of CMSIS-NN. "
    "Received: ${{EDGEAX_USE_CMSIS_NN}}. Generate it for a Cortex-M, with double rounding.")
endif()
"""


def make_text(
    title: Title, sources: Sequence[str], target: Target, has_cmsis_nn: bool = False
) -> str:
    """Returns the Makefile; `has_cmsis_nn`: of sources that can use CMSIS-NN."""
    return _MAKE.format(
        head=title.line("Makefile"),
        name=title.name,
        target=target.name,
        compiler=target.compiler,
        flags=" ".join(target.flags),
        common=_FLAGS,
        sources=" \\\n  ".join(sources),
        cmsis_nn=_MAKE_CMSIS_NN if has_cmsis_nn else _MAKE_OURS,
        library=" $(CMSIS_NN_LIBRARY)" if has_cmsis_nn else "",
    )


def cmake_text(title: Title, sources: Sequence[str], has_cmsis_nn: bool = False) -> str:
    """Returns CMakeLists.txt; `has_cmsis_nn`: of sources that can use CMSIS-NN."""
    listed = "\n".join(f"  {source}" for source in sources)
    cmsis_nn = _CMAKE_CMSIS_NN if has_cmsis_nn else _CMAKE_OURS
    return _CMAKE.format(
        head=title.line("CMakeLists.txt"),
        name=title.name,
        sources=listed,
        common=_FLAGS,
        cmsis_nn=cmsis_nn.format(name=title.name),
    )
