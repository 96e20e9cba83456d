"""Counterfactuals: the same notes with one thing changed, and what that does to an answer and its map."""
