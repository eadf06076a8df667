"""Training: one config, one loop."""
