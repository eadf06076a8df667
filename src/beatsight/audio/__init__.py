"""Sound to arrays and back: decoding and resampling, log-mel features, onset detection."""
