"""Exact labels for free: a synthetic kit, grooves, a band and a room make songs of known strokes."""
