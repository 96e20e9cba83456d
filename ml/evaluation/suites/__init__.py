"""Suites: what a model is tested on and how that is reported, one module each behind one interface."""
