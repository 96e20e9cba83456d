"""Evaluation: how well a model hears, measured with intervals."""
