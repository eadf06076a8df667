"""The options of ``beatsight synth``, declared here so that the command itself can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")]
Kits = Annotated[
    list[Path] | None,
    typer.Option(
        "--kit", help="Recorded kits: folders of kits, .sfz files or .sf2 SoundFonts. Needs --grooves."
    ),
]
Grooves = Annotated[
    Path | None, typer.Option("--grooves", help="Folder of MIDI drum performances to play on them.")
]
Backing = Annotated[
    list[Path] | None,
    typer.Option("--backing", help="Recordings without drums, to put under them; folders or files."),
]
Instruments = Annotated[
    list[Path] | None,
    typer.Option(
        "--instruments",
        help="With --kit: instruments for the band; folders of notes (A3.wav), or .sf2 SoundFonts.",
    ),
]
Songs = Annotated[int, typer.Option("--songs", min=1, help="How many songs.")]
Seconds = Annotated[float, typer.Option("--seconds", min=3.0, help="Length of each.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Another seed, other songs.")]
DrumsOnly = Annotated[bool, typer.Option("--drums-only", help="Leave everything but drums out.")]
Stems = Annotated[
    bool, typer.Option("--stems", help="With --kit: drums and backing as files of their own, too.")
]
Workers = Annotated[
    int, typer.Option("--workers", min=1, help="With --kit: processes; the songs stay the same.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
