"""Training: a data set and a configuration become a model folder."""
