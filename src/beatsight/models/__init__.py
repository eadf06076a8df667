"""Networks and the checkpoint file: all that inference needs."""
