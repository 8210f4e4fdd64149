# What a user, a developer and CI type. Each step leaves a stamp, so that a repeated call is quick.
#   make quickstart   train, compress, export and run a network on Fashion-MNIST
#   make test         lint, type check and all tests, with the emulated Arm processors
.PHONY: quickstart test lint format wheels bench soak clean

PYTHON3 ?= python3
PYTEST_FLAGS ?= -n 2 --dist loadfile --no-loadscope-reorder
VENV := build/venv
PYTHON := $(VENV)/bin/python
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check
TFLITE_RUNTIME := build/tflite_runtime
TFLITE_MICRO := build/tflite_micro

KERNELS := $(shell find tflite_kernels -type f -not -name '*.pyc')
PACKAGE := $(shell find edgeax -name '*.py')
CPP := $(shell find tflite_kernels tests demos -name '*.cc' -o -name '*.h')
BENCHMARKS := $(basename $(notdir $(shell grep -l '__main__' benchmarks/*.py)))

# Where every Arm tool can be installed, no Arm test may skip.
ifneq (,$(filter true,$(CI))$(shell . /etc/os-release 2>/dev/null && [ "$$ID" = debian ] && id -u | grep -x 0))
export EDGEAX_REQUIRE_ARM := 1
endif

# Where tflite-micro has wheels, no test of it may skip.
ifeq (Linux x86_64,$(shell uname -sm))
TFLITE_MICRO_READY := $(TFLITE_MICRO)/.ready
export EDGEAX_REQUIRE_TFLM := 1
endif

quickstart: $(VENV)/.installed
	$(PYTHON) demos/quickstart.py --output build/quickstart

test: lint $(TFLITE_RUNTIME)/.ready $(TFLITE_MICRO_READY)
	$(PYTHON) -m tests.emulation.setup
	$(PYTHON) -m pytest $(PYTEST_FLAGS)

lint: $(VENV)/.editable
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy
	@$(VENV)/bin/clang-format --dry-run -Werror $(CPP)

format: $(VENV)/.editable
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format
	$(VENV)/bin/clang-format -i $(CPP)

wheels: $(VENV)/.editable
	$(PYTHON) tflite_kernels/build_wheels.py build/wheels

bench: $(VENV)/.editable
	mkdir -p build/bench
	for name in $(BENCHMARKS); do \
	  $(PYTHON) -m benchmarks.$$name --json build/bench/$$name.json || exit; done

# Tests that take many minutes, half an hour of fuzzing among them.
soak: $(VENV)/.editable
	$(PYTHON) -m tests.emulation.setup
	$(PYTHON) -m pytest -m soak --timeout 3600

clean:
	rm -rf build edgeax.egg-info edgeax/runtime/lib .mypy_cache .pytest_cache .ruff_cache

# The same environment holds either the package as a user installs it or an editable one, whose
# object files are those of tests/tflite_kernels/native.py.
$(VENV)/.installed: $(VENV)/.tools setup.py $(PACKAGE) $(KERNELS)
	$(INSTALL) --no-build-isolation -c constraints.txt ".[train,plot]"
	rm -f $(VENV)/.editable
	touch $@

$(VENV)/.editable: $(VENV)/.tools setup.py edgeax/_version.py $(KERNELS)
	CXX="$(CXX) -Werror" $(INSTALL) --no-build-isolation -c constraints.txt -e ".[train,dev,plot]"
	rm -f $(VENV)/.installed
	touch $@

$(VENV)/.tools: constraints.txt
	$(PYTHON3) -m venv $(VENV)
	$(INSTALL) -c constraints.txt pip setuptools
	touch $@

# It needs an older numpy than TensorFlow does.
$(TFLITE_RUNTIME)/.ready: constraints-tflite-runtime.txt
	$(PYTHON3) -m venv $(TFLITE_RUNTIME)
	$(TFLITE_RUNTIME)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# It is a pre-release of its own numpy and flatbuffers.
$(TFLITE_MICRO)/.ready: constraints-tflite-micro.txt
	$(PYTHON3) -m venv $(TFLITE_MICRO)
	$(TFLITE_MICRO)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@
