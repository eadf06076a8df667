"""``beatsight manifest convert``: a manifest in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from beatsight.cli.console import counted, progress_bar, say
from beatsight.cli.manifest.options import Events, Json
from beatsight.manifest.convert import convert as convert_manifest


def convert(
    events: Events,
    output: Annotated[
        Path, typer.Argument(metavar="OUTPUT", help="File to write; its suffix says the format.")
    ],
    as_json: Json = False,
) -> None:
    """Write a manifest as JSON lines (plain, .gz, .zst) or as Parquet, nothing lost.

    Example: beatsight manifest convert events.jsonl events.parquet
    """
    with progress_bar("Converting") as progress:
        count = convert_manifest(events, output, progress=progress)
    say(as_json, {"events": count, "output": str(output)}, f"{output}: {counted(count, 'event')}.")
