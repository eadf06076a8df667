"""``beatsight manifest``: tables of labelled events, checked, merged, compared and made ready for training.

One file of this package a command; all of them say what they left out, and write nothing by halves.
"""

from __future__ import annotations

import importlib

import typer

app = typer.Typer(
    help="Check, convert, merge, compare and prepare manifests of labelled events.\n\n"
    "Example: beatsight manifest validate events.jsonl",
    no_args_is_help=True,
    add_completion=False,
)

# In the order of the work; a command is the function of its own name in the module of that name.
COMMANDS = (
    "validate", "convert", "merge", "diff", "stats", "techniques", "openness", "weights", "split",
    "near-duplicates", "negatives", "boundary-pack", "verify",
)  # fmt: skip

for command in COMMANDS:
    name = command.replace("-", "_")
    app.command(command)(getattr(importlib.import_module(f"beatsight.cli.manifest.{name}"), name))
