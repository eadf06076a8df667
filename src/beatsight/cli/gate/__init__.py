"""``beatsight gate``: may this data be trained on, may this model be shipped?

One file of this package a command. Each prints its results, writes a JSON report and one offline HTML page
where asked to, and with ``--strict`` exits 1 unless every gate passed.
"""

from __future__ import annotations

import importlib

import typer

app = typer.Typer(
    help="Readiness gates: may this data be trained on, may this model be shipped?\n\n"
    "Example: beatsight gate health --events events.jsonl --min-class-count 20 --strict",
    no_args_is_help=True,
    add_completion=False,
)

# command -> (module of this package, its function), in the order of the work
COMMANDS: dict[str, tuple[str, str]] = {
    "alignment": ("alignment", "alignment"),
    "health": ("health", "health"),
    "boundary": ("boundary", "boundary"),
    "openset": ("openset", "openset"),
    "bootstrap": ("bootstrap", "bootstrap"),
    "calibration": ("calibration", "calibration"),
    "regression": ("regression", "regression"),
    "latency": ("latency", "latency"),
    "all": ("readiness", "readiness"),
    "page": ("page", "page"),
}

for command, (module, function) in COMMANDS.items():
    app.command(command)(getattr(importlib.import_module(f"beatsight.cli.gate.{module}"), function))
