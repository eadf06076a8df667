"""The options of ``beatsight transcribe``, declared here so that the command itself can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# A bracket alone in a help text would be read as markup.
Songs = Annotated[
    list[Path] | None,
    typer.Argument(metavar="SONG...", help="Audio files, or folders of them; - for standard input."),
]
Output = Annotated[
    list[Path] | None,
    typer.Option(
        "--output",
        "-o",
        help="Chart to write; .bsm, .mid, .csv, .jams, .chart or .musicxml. May be repeated; a folder "
        "for many songs.",
    ),
]
Formats = Annotated[
    list[str] | None,
    typer.Option(
        "--format",
        help="With a folder: bsm, mid, csv, jams, chart or musicxml; with --stream - the raw samples: "
        "s16le or f32le.  \\[bsm]",
    ),
]
Vocabulary = Annotated[
    str,
    typer.Option(
        "--vocabulary", help="Labels of the charts: classifier (12), production (18), extended (24)."
    ),
]
MlModel = Annotated[
    Path | None, typer.Option("--ml-model", help="Model file to use: a transcriber or a classifier.")
]
NoMl = Annotated[bool, typer.Option("--no-ml", help="Use the rule of thumb instead of a model.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Engine = Annotated[
    str | None,
    typer.Option("--engine", help="What runs the transcriber: numpy, onnx or torch.  \\[numpy; cuda: torch]"),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes, for many songs.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Skip songs whose charts are there and newer than the song.")
]
Stream = Annotated[bool, typer.Option("--stream", help="Print hits as they are found, a line of JSON each.")]
Microphone = Annotated[bool, typer.Option("--microphone", help="With --stream: listen to it.")]
Rate = Annotated[int | None, typer.Option("--rate", help="With --stream -: Hz of raw samples.")]
Channels = Annotated[int, typer.Option("--channels", help="With --stream -: of raw samples.")]
Page = Annotated[
    Path | None,
    typer.Option("--page", help="HTML file to write: the song to hear, its hits clicked. For one song."),
]
Separate = Annotated[
    bool,
    typer.Option("--separate", help="Take the drums out of the mix first, by Demucs (extra: demucs)."),
]
KeepStem = Annotated[
    Path | None, typer.Option("--keep-stem", help="With --separate: where the drums stay; wav or flac.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
