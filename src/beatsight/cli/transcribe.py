"""``beatsight transcribe``: songs into charts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from beatsight.charts import SUFFIXES, Chart, write_chart
from beatsight.cli.console import counted, progress_bar, say
from beatsight.errors import InputError, UsageError
from beatsight.transcription.pipeline import transcribe as transcribe_song
from beatsight.transcription.recogniser import choose_recogniser

app = typer.Typer(add_completion=False)


@app.command()
def transcribe(
    songs: Annotated[list[Path], typer.Argument(metavar="SONG...", help="Audio files.")],
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            help="Chart to write; .bsm, .mid, .csv, .jams, .chart or .musicxml. May be repeated; a folder "
            "for many songs.",
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="With a folder: bsm, mid, csv, jams, chart or musicxml.  [bsm]"),
    ] = None,
    ml_model: Annotated[Path | None, typer.Option("--ml-model", help="Model file to use.")] = None,
    no_ml: Annotated[bool, typer.Option("--no-ml", help="Use the rule of thumb instead of a model.")] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Find every drum hit of a song, its loudness, the tempo and the meter, and write a playable chart.

    Without --ml-model, BEATSIGHT_ML_MODEL_PATH or models/best_drum_classifier.pth is used if it is there;
    BEATSIGHT_USE_ML_CLASSIFIER=0 turns models off.

    Example: beatsight transcribe song.mp3 -o song.bsm -o song.mid

    Example: beatsight transcribe album/*.flac -o charts --format bsm --format mid
    """
    targets = _targets(songs, output or [], formats or [])
    recogniser = choose_recogniser(ml_model, use_ml=False if no_ml else None, device=device)
    answers, faults = [], []
    with progress_bar("Transcribing") as progress:
        for number, song in enumerate(songs, start=1):
            try:
                chart = transcribe_song(song, recogniser=recogniser)
                changed = {str(path): write_chart(chart, path) for path in targets[song]}
                answers.append(_summary(song, chart, changed, recogniser.name))
            except InputError as error:
                faults.append(str(error))
            progress(number, len(songs))
    prose = "\n".join(_prose(answer) for answer in answers)
    if answers:
        say(as_json, answers[0] if len(songs) == 1 else answers, prose)
    if len(faults) == 1:
        raise InputError(faults[0])
    if faults:
        raise InputError("\n  ".join([f"{len(faults)} of {len(songs)} songs failed:", *faults]))


def _targets(songs: list[Path], outputs: list[Path], formats: list[str]) -> dict[Path, list[Path]]:
    """The charts to write of each song."""
    suffixes = [f".{name.lstrip('.').lower()}" for name in formats]
    if unknown := [suffix for suffix in suffixes if suffix not in SUFFIXES]:
        raise UsageError(f"unknown chart format {unknown[0]!r}; known: {', '.join(SUFFIXES)}")
    files = [path for path in outputs if path.suffix.lower() in SUFFIXES and not path.is_dir()]
    if len(songs) == 1 and files and not formats:
        if other := [path for path in outputs if path not in files]:
            raise UsageError(f"{other[0]}: unknown chart format; known: {', '.join(SUFFIXES)}")
        return {songs[0]: files}
    if files or len(outputs) > 1:
        raise UsageError("several songs, or --format, go into one folder: -o FOLDER")
    if len(songs) == 1 and outputs and outputs[0].suffix and not outputs[0].is_dir():
        raise UsageError(f"{outputs[0]}: unknown chart format; known: {', '.join(SUFFIXES)}")
    wanted = suffixes or [".bsm"]
    stems = Counter(song.stem for song in songs)
    if clash := [stem for stem, times in stems.items() if times > 1]:
        raise UsageError(f"two songs are named {clash[0]!r}; their charts would overwrite each other")
    folder = outputs[0] if outputs else None
    return {song: [(folder or song.parent) / f"{song.stem}{suffix}" for suffix in wanted] for song in songs}


def _summary(
    song: Path, chart: Chart, changed: dict[str, dict[str, int]], recogniser: str
) -> dict[str, object]:
    """The answer for a song; ``changed`` is what each of its charts says otherwise than what was found."""
    labels = Counter(hit.component for hit in chart.hit_objects)
    timing = chart.timing
    return {
        "song": str(song),
        "charts": list(changed),
        "changed": {path: kinds for path, kinds in changed.items() if kinds},
        "hits": len(chart.hit_objects),
        "labels": dict(labels.most_common()),
        "bpm": timing.bpm if timing else None,
        "meter": timing.time_signature if timing else None,
        "difficulty": chart.metadata.difficulty,
        "recogniser": recogniser,
    }


def _prose(answer: dict[str, object]) -> str:
    labels = answer["labels"]
    assert isinstance(labels, dict)
    kinds = ", ".join(f"{label} {number}" for label, number in labels.items())
    hits = answer["hits"]
    assert isinstance(hits, int)
    changed = answer["changed"]
    assert isinstance(changed, dict)
    notes = "".join(
        f"\n  {path}: {count} {kind}" for path, found in changed.items() for kind, count in found.items()
    )
    return (
        f"{answer['song']}: {counted(hits, 'hit')}{f' ({kinds})' if kinds else ''}, {answer['bpm']} bpm, "
        f"{answer['meter']}, difficulty {answer['difficulty']}, by {answer['recogniser']}; "
        f"wrote {', '.join(answer['charts'])}{notes}"  # type: ignore[arg-type]
    )
