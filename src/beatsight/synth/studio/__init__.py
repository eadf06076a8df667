"""Recorded kits played by human performances: songs of real samples with exact labels."""
