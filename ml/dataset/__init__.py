"""Data sets: checksummed shards of synthesised clips, and reading them for training."""
