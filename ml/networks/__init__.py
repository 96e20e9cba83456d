"""Networks that map a log-mel spectrogram to one logit per instrument."""
