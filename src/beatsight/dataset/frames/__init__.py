"""Rendered songs as frames: what the transcriber is trained on."""
