"""Training the transcriber on rendered songs."""
