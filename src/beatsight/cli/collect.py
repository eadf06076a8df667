"""``beatsight collect``: label drum hits and keep them, with their audio, in one folder.

The answer goes to stdout, as prose or with ``--json`` as one JSON object; what was wanted and could not be
added is listed and makes the exit code 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from beatsight.cli.console import counted, progress_bar, say
from beatsight.errors import InputError, UsageError
from beatsight.sources.collection import AddResult, Collection
from beatsight.sources.hits import Origin
from beatsight.sources.moments import SAME_HIT_S
from beatsight.sources.pairs import find_pairs
from beatsight.sources.stats import Stats
from beatsight.synth.sample_kit import find_kits

app = typer.Typer(
    help="Label drum hits and keep them, with their audio, in one folder.",
    no_args_is_help=True,
)

Root = Annotated[
    Path,
    typer.Option("--root", envvar="BEATSIGHT_TRAINING_DATA", help="Folder of the collection."),
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")]
Session = Annotated[
    str | None, typer.Option("--session", help="Session of the recording; default: its file name.")
]
Kit = Annotated[str | None, typer.Option("--kit", help="Name of the drum kit.")]
Drummer = Annotated[str | None, typer.Option("--drummer", help="Name of the drummer.")]
Room = Annotated[str | None, typer.Option("--room", help="Name of the room.")]

_DEFAULT_ROOT = Path("training_data")


@app.command(context_settings={"ignore_unknown_options": True})
def add(
    items: Annotated[
        list[str] | None,
        typer.Argument(metavar="AUDIO TIME LABEL | FOLDER...", help="One hit, or folders of drum samples."),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="A table of hits: audio,time,label[,velocity,openness,session,…]."),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="With --csv: add the good rows, list the others, exit with 3.")
    ] = False,
    velocity: Annotated[float | None, typer.Option("--velocity", help="How hard, 0..1.")] = None,
    openness: Annotated[float | None, typer.Option("--openness", help="Of a hi-hat, 0..1.")] = None,
    session: Session = None,
    kit: Kit = None,
    drummer: Drummer = None,
    room: Room = None,
    root: Root = _DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Add one hit, a table of hits, or whole drum kits.

    TIME is the onset in seconds from the start of AUDIO; a folder is a
    kit of samples, or holds such kits.

    Example: beatsight collect add song.wav 1.234 kick

    Example: beatsight collect add --csv hits.csv

    Example: beatsight collect add kits/*
    """
    collection = Collection(root)
    items = items or []
    # Unknown options are let through so that a negative time reaches its own, clearer error.
    if options := [item for item in items if item.startswith("-") and _number(item) is None]:
        raise UsageError(f"no such option: {options[0]}; see beatsight collect add --help")
    if skip_bad and csv is None:
        raise UsageError("--skip-bad goes with --csv: one hit is added or refused")
    named = (velocity, openness, session, kit, drummer, room)
    if csv or any(Path(item).is_dir() for item in items):
        if csv and items:
            raise UsageError("give either --csv or a hit or folders, not both")
        if any(value is not None for value in named):
            raise UsageError("--velocity, --openness, --session, --kit, --drummer and --room are for one hit")
        result = collection.add_csv(csv, skip_bad=skip_bad) if csv else _add_kits(collection, items)
    elif len(items) == 3:
        audio, when, label = items
        if (time_s := _number(when)) is None:
            raise UsageError(f"TIME {when!r} is not a number of seconds; give AUDIO TIME LABEL")
        origin = Origin(session, kit, drummer, room)
        result = collection.add(audio, time_s, label, velocity=velocity, openness=openness, origin=origin)
    elif len(items) == 1:
        raise InputError(f"{items[0]}: no such folder; one hit is AUDIO TIME LABEL")
    else:
        raise UsageError("give AUDIO TIME LABEL, or folders of drum samples, or --csv FILE")
    _answer(collection, result, as_json)


@app.command()
def beatmap(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="BEATMAP AUDIO... | FOLDER...", help="Pairs of files, or folders of pairs."),
    ],
    session: Session = None,
    kit: Kit = None,
    drummer: Drummer = None,
    room: Room = None,
    root: Root = _DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Add the hits of beatmaps (.bsm, .mid or .csv) and their audio.

    In a folder, every .bsm is taken with the audio file of the same name.
    A hit after the end of its audio is not added but listed.

    Example: beatsight collect beatmap song.bsm song.mp3
    """
    pairs, faults = _pairs(files, ".bsm")
    collection = Collection(root)
    add_one = partial(collection.add_chart, origin=Origin(session, kit, drummer, room))
    _answer(collection, _add_pairs(add_one, pairs, faults), as_json)


@app.command()
def labels(
    files: Annotated[
        list[Path], typer.Argument(metavar="LABELS AUDIO...", help="Label tracks, each with its recording.")
    ],
    write: Annotated[
        Path | None,
        typer.Option("--write", help="Write the hits of one AUDIO to this label track instead of reading."),
    ] = None,
    session: Session = None,
    kit: Kit = None,
    drummer: Drummer = None,
    room: Room = None,
    root: Root = _DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Add hits labelled in Audacity (File > Export > Labels), or write them back for editing.

    A label names a drum, or several that sound together, each with a
    velocity if you like: kick+snare:0.6

    Example: beatsight collect labels labels.txt song.wav

    Example: beatsight collect labels --write labels.txt song.wav
    """
    collection = Collection(root)
    if write is not None:
        if len(files) != 1:
            raise UsageError("--write takes one AUDIO: beatsight collect labels --write OUT.txt AUDIO")
        count = collection.write_labels(write, files[0])
        say(
            as_json,
            {"written": str(write), "moments": count},
            f"Wrote {counted(count, 'moment')} to {write}.",
        )
        return
    pairs, faults = _pairs(files, ".txt")
    add_one = partial(collection.add_labels, origin=Origin(session, kit, drummer, room))
    _answer(collection, _add_pairs(add_one, pairs, faults), as_json)


@app.command()
def stats(root: Root = _DEFAULT_ROOT, as_json: Json = False) -> None:
    """Count the hits of every class against what training needs.

    Example: beatsight collect stats --json
    """
    counts = Collection(root).stats()
    if as_json:
        typer.echo(msgspec.json.encode(_stats_object(counts)).decode())
        return
    console = Console()
    console.print(_stats_table(counts))
    console.print(
        f"{counts.hits} hits in {counts.moments} moments; {counts.audio_files} recordings, "
        f"{counts.hours:.2f} h; sessions {counts.sessions}, kits {counts.kits}, drummers {counts.drummers}, "
        f"rooms {counts.rooms}.",
        highlight=False,
        soft_wrap=True,
    )
    if counts.other:
        others = ", ".join(f"{label} {count}" for label, count in counts.other.items())
        console.print(f"Outside the 12 classes: {others}.", highlight=False, soft_wrap=True)
    if not counts.moments:
        typer.echo(f"{root} holds no hits yet; add one: beatsight collect add song.wav 1.234 kick")


@app.command()
def export(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Folder of the dataset to write.")],
    val_fraction: Annotated[
        float, typer.Option("--val-fraction", min=0.0, max=0.9, help="Share of the sessions for validation.")
    ] = 0.15,
    seed: Annotated[int, typer.Option("--seed", help="Of the split.")] = 0,
    root: Root = _DEFAULT_ROOT,
    as_json: Json = False,
) -> None:
    """Write the collection as a dataset that beatsight train reads.

    Example: beatsight collect export dataset --val-fraction 0.2
    """
    # Here, not above: only this command needs the dataset room, and the others start faster.
    from beatsight.dataset.build import build_dataset

    collection = Collection(root)
    events = collection.events()
    if not events:
        raise InputError(f"{root}: holds no hits to export; add some with beatsight collect add")
    with progress_bar("Writing the dataset") as progress:
        made = build_dataset(
            events, collection.root, dataset, val_fraction=val_fraction, seed=seed, progress=progress
        )
    moments = made.metadata.moments
    splits = ", ".join(f"{name} {count}" for name, count in moments.items())
    lines = [
        f"Wrote {counted(sum(moments.values()), 'moment')} to {dataset}: {splits}.",
        *made.metadata.notes,
    ]
    answer = {"dataset": str(dataset), "moments": moments, "notes": made.metadata.notes}
    say(as_json, answer, "\n".join(lines))


# -- inside --------------------------------------------------------------------------------------------------


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _add_kits(collection: Collection, items: Sequence[str]) -> AddResult:
    if files := [item for item in items if not Path(item).is_dir()]:
        raise InputError(f"{files[0]}: is not a folder; one hit is AUDIO TIME LABEL, the rest are folders")
    folders = list(dict.fromkeys(kit for item in items for kit in find_kits(Path(item))))
    result = AddResult()
    for folder in folders:
        with progress_bar(f"Mixing {folder.name}") as progress:
            result += collection.add_kit(folder, progress=progress)
    return result


def _pairs(files: Sequence[Path], suffix: str) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Pairs named one after the other, or found in folders; and what has no partner."""
    pairs: list[tuple[Path, Path]] = []
    faults: list[str] = []
    if any(path.is_dir() for path in files):
        for path in files:
            if not path.is_dir():
                raise UsageError(f"{path}: is not a folder; give pairs of files, or folders")
            found, unpaired = find_pairs(path, suffix)
            pairs += found
            faults += unpaired
    elif len(files) % 2:
        raise UsageError(f"{files[-1]}: has no partner; give pairs: LABELS AUDIO LABELS AUDIO …")
    else:
        pairs = list(zip(files[::2], files[1::2], strict=True))
    return pairs, faults


def _add_pairs(
    add_one: Callable[[Path, Path], AddResult], pairs: Sequence[tuple[Path, Path]], faults: Sequence[str]
) -> AddResult:
    """Add every pair; the fault of one does not keep the others out, but is kept with those found before."""
    result = AddResult(skipped=tuple(faults))
    with progress_bar("Adding recordings") as progress:
        for number, (labelled, audio) in enumerate(pairs, start=1):
            try:
                result += add_one(labelled, audio)
            except InputError as error:
                result += AddResult(skipped=(str(error),))
            progress(number, len(pairs))
    return result


def _answer(collection: Collection, result: AddResult, as_json: bool) -> None:
    """Say what was added; raise when something that was wanted is missing."""
    lines = [f"Added {counted(result.added, 'hit')} to {collection.root}."]
    if result.already_there:
        lines.append(
            f"{counted(result.already_there, 'hit')} already there (same audio and label, within "
            f"{SAME_HIT_S * 1000:.0f} ms), not added again."
        )
    if result.left_out:
        lines.append("Left out, each for its reason:")
        lines += [f"  {text}" for text in result.left_out]
    say(as_json, {"root": str(collection.root), **msgspec.to_builtins(result)}, "\n".join(lines))
    if len(result.skipped) == 1:
        raise InputError(result.skipped[0])
    if result.skipped:
        raise InputError("\n  ".join([f"{len(result.skipped)} were not added:", *result.skipped]))


def _stats_object(counts: Stats) -> dict[str, Any]:
    return msgspec.to_builtins(counts) | {
        "components": [
            msgspec.to_builtins(part)
            | {"short": part.short, "short_of_recommended": part.short_of_recommended}
            for part in counts.components
        ],
        "short": counts.short,
    }


def _stats_table(counts: Stats) -> Table:
    table = Table("component", title="Hits per component")
    for column in ("count", "minimum", "recommended", "short by"):
        table.add_column(column, justify="right")
    for part in counts.components:
        recommended = "–" if part.recommended is None else f"{part.recommended}+"
        short = str(part.short) if part.short else "enough"
        table.add_row(part.label, str(part.count), str(part.minimum), recommended, short)
    return table
