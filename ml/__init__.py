"""The science of Timbrescope: recordings, log-mel spectrograms, networks, explanations. Knows no HTTP and no queue."""
