"""Benchmarks: they print figures and assert nothing. `python -m bench` runs all."""
