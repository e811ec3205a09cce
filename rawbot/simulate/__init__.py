"""The platforms' side, for trying out, tests and benchmarks."""
