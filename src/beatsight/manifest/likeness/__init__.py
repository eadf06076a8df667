"""One sound, or one performance, under two names: fingerprints, alignment, pairs."""
