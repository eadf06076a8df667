"""Arguments and words that the manifest commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import number, printable

__all__ = ["Events", "Json", "ManyEvents", "number", "printable"]

Events = Annotated[
    Path, typer.Argument(metavar="EVENTS", help="Manifest: .jsonl, .jsonl.gz, .jsonl.zst or .parquet.")
]
ManyEvents = Annotated[
    list[Path],
    typer.Argument(metavar="EVENTS...", help="Manifests: .jsonl, .jsonl.gz, .jsonl.zst, .parquet."),
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
