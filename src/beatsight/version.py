"""The program's version, its only home (pyproject.toml and checkpoints read it from here)."""

VERSION = "0.1.0"
