"""What rawbot costs, measured beside something known in the same run: `python -m benchmarks`."""
