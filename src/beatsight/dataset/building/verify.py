"""Every fault of what a dataset would be built from: events, split and audio; nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from beatsight.audio.io import SAMPLE_RATE
from beatsight.dataset.build import BuildSettings, Progress, default_workers
from beatsight.dataset.building.cut import CHECK, after_the_end
from beatsight.dataset.building.gather import Fault, Gatherer, Labelled, Table
from beatsight.dataset.splits import check_splits
from beatsight.errors import InputError
from beatsight.events import Event, line_faults, numbered_lines, read_records
from beatsight.events.files import PARQUET
from beatsight.events.lines import decode
from beatsight.manifest.engine.blocks import Block
from beatsight.manifest.engine.pool import run_blocks


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what is wrong.

    Attributes:
        files: audio files decoded.
        moments: labelled moments in them.
        duration_s: of the files that decode, in seconds.
        faults: one sentence each.
    """

    files: int
    moments: int
    duration_s: float
    faults: list[str]


def sound_events(path: Path, fault: Fault) -> Iterator[Event]:
    """The events of a file that can be read; ``fault`` is called for every other line."""
    try:
        if path.suffix.lower() == PARQUET:
            yield from read_records(path, Event)
            return
        for number, line in numbered_lines(path):
            if faults := line_faults(line, Event):
                for field, why in faults:
                    fault(f"{path}:{number}: {field}: {why}" if field else f"{path}:{number}: {why}")
            else:
                yield decode(line, Event, f"{path}:{number}")
    except InputError as error:
        fault(str(error))


def verify_inputs(
    labelled: Iterable[Labelled],
    settings: BuildSettings | None = None,
    progress: Progress | None = None,
    faults: list[str] | None = None,
) -> Verified:
    """Decode every audio file to its end and hold all events against it.

    Args:
        labelled: lists of events, each with the folder of its audio.
        settings: as for the build; ``resume`` has no meaning here.
        progress: called with (bytes of audio done, bytes in all).
        faults: those found so far, to which others are added; reading ``labelled`` may add to it too.
    """
    settings, faults = settings or BuildSettings(), [] if faults is None else faults
    gatherer = Gatherer(settings.audio_roots, settings.left_out, faults.append)
    for part in labelled:
        gatherer.add(part)
    table = gatherer.table(settings.limit)
    if settings.splits is not None:
        try:
            check_splits(settings.splits, table.all_sessions, settings.splits_name)
        except InputError as error:
            faults.append(str(error))
    seconds = _verify_audio(table, settings, faults, progress)
    return Verified(len(table.files), len(table.moments_s), seconds, faults)


def _verify_audio(
    table: Table, settings: BuildSettings, faults: list[str], progress: Progress | None
) -> float:
    sizes = [file.path.stat().st_size if file.path.is_file() else 0 for file in table.files]
    blocks = (
        Block(str(file.path), number, 0, size, size, data=b"")
        for number, (file, size) in enumerate(zip(table.files, sizes, strict=True))
    )
    done, seconds = 0, 0.0
    with closing(run_blocks(CHECK, blocks, {}, default_workers(settings, sum(sizes)))) as answers:  # type: ignore[type-var]
        for block, answer, _ in answers:
            if (why := answer.get("fault")) is not None:
                faults.append(why)
            else:
                length = answer["length"]
                seconds += length / SAMPLE_RATE
                hits = table.times_of(block.number)[1]
                late = hits[hits * SAMPLE_RATE >= length].tolist()
                faults += [after_the_end(block.path, time, length) for time in late]
            done += block.size
            if progress is not None:
                progress(done, sum(sizes))
    return seconds
