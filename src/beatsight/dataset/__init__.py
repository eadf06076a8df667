"""Training data on disk and in batches: build from events, open, cut, augment."""
