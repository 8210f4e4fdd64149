#!/bin/sh
# Bazel 4 asks for this tool for any test; no coverage is measured here.
exit 0
