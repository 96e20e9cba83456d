"""Measurements: `make bench` prints ratios of two sides that ran interleaved on this very machine."""
