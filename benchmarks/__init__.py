"""What karma-sync's numbers are, measured: `make bench` writes build/bench.json."""
