"""Sessions into train, val and test, so that nothing that belongs together stands on two sides."""
