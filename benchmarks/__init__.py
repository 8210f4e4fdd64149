"""One script per claim: `python -m benchmarks.NAME --json FILE [--quick]`."""
