"""Benchmarks of karma-sync; `make bench` runs them, and README.md says what their results mean."""
