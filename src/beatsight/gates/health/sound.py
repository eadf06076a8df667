"""What listening to the recordings tells: loudness, peaks, clipping, DC offset, the same sound twice.

A recording is *clipped* where three samples of a channel in a row stand at full scale on one side, the usual
sign of an overload: one sample there may be the true peak of a normalised recording. A limiter that stays
below full scale, or clipping that was turned down afterwards, does not show this way. The *DC offset* is the
mean of a channel; full scale is 1. Recordings that are the same audio are found as ``beatsight manifest
near-duplicates`` finds them (needs scikit-learn).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from beatsight.audio.io import probe, stream_channels
from beatsight.errors import InputError
from beatsight.files import inside
from beatsight.gates.health.loudness import LoudnessMeter
from beatsight.gates.health.measure import LUFS_BINS, PEAK_BINS, capped, spread_of
from beatsight.gates.health.records import LISTED, Recording, Sound, SoundPair
from beatsight.manifest.engine.table import Progress, Table
from beatsight.manifest.likeness.near_duplicates import AudioItem, Pair, find_near_duplicates

# The greatest positive sample of 16 bits: what an overloaded converter or a clipped float file reaches.
FULL_SCALE = 32767 / 32768
# Consecutive samples at full scale that make a clip, as digital "over" indicators count them.
CLIP_SAMPLES = 3


@dataclass(frozen=True)
class Named:
    """A recording as manifests name it.

    Attributes:
        audio_path: as they write it; where two folders have one of that name, the second manifest first.
        path: the file.
        session: the first that names it.
        sides: of the split that its sessions are on.
    """

    audio_path: str
    path: Path
    session: str
    sides: list[str] = field(default_factory=list)


def named_recordings(
    table: Table, manifests: Sequence[Path], root: Path | None, sides: Mapping[str, list[str]] | None
) -> list[Named]:
    """Every recording that the events name, in the order in which they do.

    Args:
        table: opened with ``audio_path`` and ``session_id``.
        manifests: the files of the table, for the folder where paths start when there is no ``root``.
        root: folder that audio paths start from.
        sides: of each session.

    Raises:
        InputError: no event names a recording, or one of the paths leaves its folder.
    """
    rows = table.all(
        "SELECT audio_path, session_id, file, min(row) AS first FROM rows "
        "WHERE audio_path IS NOT NULL AND audio_path <> '' GROUP BY ALL ORDER BY first"
    )
    if not rows:
        raise InputError(f"{', '.join(map(str, manifests))}: no event names an audio file")
    # Manifests in two folders may give two recordings one name.
    found: dict[tuple[Path, str], Named] = {}
    shown: set[str] = set()
    for name, session, file, _ in rows:
        start = root if root is not None else manifests[file].parent
        key = (start.resolve(), name)
        if key not in found:
            title = f"{manifests[file]}: {name}" if name in shown else name
            shown.add(title)
            try:
                found[key] = Named(title, inside(start, name), session)
            except InputError as error:
                raise InputError(f"{manifests[file]}: audio_path: {error}") from error
        for side in (sides or {}).get(session, []):
            if side not in found[key].sides:
                found[key].sides.append(side)
    return list(found.values())


def clipped_runs(block: npt.NDArray[np.floating], carried: npt.NDArray[np.int64]) -> int:
    """Stretches of :data:`CLIP_SAMPLES` and more samples at full scale that reach that length in a block.

    Args:
        block: samples, shape (frames, channels), full scale ±1.
        carried: of each channel how many samples stood at full scale at the end of the block before, negative
            for the negative side; replaced by those of this block.

    >>> clipped_runs(np.array([[0.5], [1.0], [1.0], [1.0], [-1.0]]), np.zeros(1, np.int64))
    1
    """
    at_limit = (block >= FULL_SCALE).astype(np.int8) - (block <= -FULL_SCALE).astype(np.int8)
    if not at_limit.any():
        carried[:] = 0
        return 0
    runs = 0
    for channel, before in enumerate(carried):
        # The end of the block before comes first, as far as it can matter.
        ahead = int(np.clip(before, -CLIP_SAMPLES, CLIP_SAMPLES))
        sides = np.concatenate([np.full(abs(ahead), np.sign(ahead), np.int8), at_limit[:, channel]])
        starts = np.flatnonzero(np.diff(sides, prepend=sides[0] + 1))
        lengths = np.diff(starts, append=len(sides))
        long = (sides[starts] != 0) & (lengths >= CLIP_SAMPLES)
        # A run that had its length before was counted there.
        runs += int(long.sum()) - int(abs(ahead) >= CLIP_SAMPLES)
        carried[channel] = int(sides[-1]) * int(lengths[-1])
    return runs


def measure_recording(audio_path: str, path: Path) -> Recording:
    """Listen to one recording, all channels, block by block.

    Raises:
        InputError: it is missing, no audio, damaged, or holds NaN.
    """
    info = probe(path)
    meter = LoudnessMeter(info.sample_rate, info.channels)
    carried = np.zeros(info.channels, np.int64)
    total = np.zeros(info.channels)
    frames, peak, clips = 0, 0.0, 0
    for block in stream_channels(path):
        meter.add(block)
        clips += clipped_runs(block, carried)
        total += block.sum(axis=0, dtype=np.float64)
        frames += len(block)
        peak = max(peak, float(np.abs(block).max()))
    means = total / frames
    return Recording(
        audio_path=audio_path,
        duration_s=frames / info.sample_rate,
        lufs_i=meter.lufs,
        peak_dbfs=20.0 * math.log10(peak) if peak > 0 else None,
        clipped_runs=clips,
        dc=float(means[np.abs(means).argmax()]),
    )


def measure_sound(recordings: Sequence[Named], progress: Progress | None = None) -> Sound:
    """Listen to every recording, and compare each with every other.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    heard: list[Recording] = []
    unreadable: dict[str, str] = {}
    for number, one in enumerate(recordings, start=1):
        try:
            heard.append(measure_recording(one.audio_path, one.path))
        except InputError as error:
            unreadable[one.audio_path] = str(error)
        if progress is not None:
            progress(number, len(recordings))
    pairs = find_near_duplicates(
        (
            AudioItem(one.path, one.audio_path, one.session)
            for one in recordings
            if one.audio_path not in unreadable
        ),
        progress=progress,
    ).pairs
    clipped = [one for one in heard if one.clipped_runs]
    # Of each pair the second repeats the first; one that repeats several others counts once.
    repeats = len({pair.second for pair in pairs if pair.kind == "same audio"})
    sides = {one.audio_path: one.sides for one in recordings}
    listed = _sound_pairs(pairs, sides)
    return Sound(
        recordings=len(recordings),
        heard=len(heard),
        seconds=math.fsum(one.duration_s for one in heard),
        unreadable=capped(unreadable),
        clipped=len(clipped),
        clipped_share=len(clipped) / len(heard) if heard else None,
        max_dc=max((abs(one.dc) for one in heard), default=None),
        silent=sum(one.peak_dbfs is None for one in heard),
        lufs=spread_of((one.lufs_i for one in heard), LUFS_BINS),
        peak_dbfs=spread_of((one.peak_dbfs for one in heard), PEAK_BINS),
        worst_clipped=sorted(clipped, key=lambda one: (-one.clipped_runs, one.audio_path))[:LISTED],
        worst_dc=sorted(heard, key=lambda one: (-abs(one.dc), one.audio_path))[:LISTED],
        repeats=repeats,
        repeat_rate=repeats / len(heard) if heard else None,
        pairs=listed[:LISTED],
        on_several_sides=sum(len(found) > 1 for found in sides.values())
        + sum(len(pair.sides) > 1 for pair in listed),
    )


def _sound_pairs(pairs: Iterable[Pair], sides: Mapping[str, list[str]]) -> list[SoundPair]:
    """Those that stand on several sides of a split first."""
    made = [
        SoundPair(
            first=pair.first,
            second=pair.second,
            kind=pair.kind,
            similarity=pair.similarity,
            sides=sorted({*sides[pair.first], *sides[pair.second]}),
        )
        for pair in pairs
    ]
    return sorted(made, key=lambda pair: len(pair.sides) < 2)
