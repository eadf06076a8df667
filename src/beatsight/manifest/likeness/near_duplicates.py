"""Near-duplicates: recordings that are one another, found from their sound.

``same audio`` is one recording under another name, gain, file format, sample rate or bit depth, or with its
start or end cut off. ``same performance`` is one take heard otherwise: a drum stem and its mix, another
processing, another kit playing the same MIDI file. Either in two splits lets a model be tested on what it has
learnt.

Equal samples are found by their hash. For the rest, the fingerprints of all recordings are indexed (exact
nearest neighbours of scikit-learn, which is the ``similarity`` extra), and each pair that comes near is
decoded again and laid over each other (``alignment.py``): a likeness of fingerprints alone reports nothing.

Memory holds fingerprints (a one-shot 0.5 kB, a song at most 32 kB) and a few decoded recordings,
however many files there are. Times in seconds, levels in dB.
"""

from __future__ import annotations

import os
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from beatsight.errors import InputError, UsageError, require
from beatsight.manifest.likeness.alignment import SAME_AUDIO, SAME_RHYTHM, Heard, Kind, compare
from beatsight.manifest.likeness.fingerprint import RATE, Fingerprint, fingerprint, hear

Progress = Callable[[int, int], None]

# Neighbours looked up per vector; a recording's own vectors are among them.
_NEIGHBOURS = 24
# Pairs verified per recording, the nearest first: its closest relatives, in a library of thousands of likes.
_CANDIDATES = 8
# Measured: 870 copies through codecs, trimming and resampling lie within 5.9 dB (95 % within 2.4 dB); drum
# stems within 0.82 of their mixes, 30 s grooves of one drummer on two kits within 0.55.
_SOUND_DB = 6.0
_RHYTHM_DISTANCE = 0.9
# Recordings kept decoded while pairs are verified: at most 26 MB each.
_KEPT = 8


@dataclass(frozen=True)
class AudioItem:
    """A recording to compare.

    Attributes:
        path: the file.
        name: what the pairs call it, unique.
        session: the recording session it belongs to.
        split: train, validation or test, if it is in one.
    """

    path: Path
    name: str
    session: str
    split: str | None = None


@dataclass(frozen=True)
class Pair:
    """Two recordings that are one.

    Attributes:
        first, second: names, in the order in which they were given.
        similarity: 0..1; mean coherence for same audio, correlation of onsets for same performance.
        offset_s: where in the first the second starts; positive when the second lacks the first's beginning.
        gain_db: level of the second over the first.
        kind: ``same audio`` or ``same performance``.
        across_splits: both have a split and the two differ.
        same_session: the sessions are equal.
    """

    first: str
    second: str
    similarity: float
    offset_s: float
    gain_db: float
    kind: Kind
    across_splits: bool
    same_session: bool


@dataclass(frozen=True)
class NearDuplicates:
    """The pairs found, the files left out with the reason, and how many files were compared.

    Of files with exactly equal samples each is paired with the first of them, and that one stands for all of
    them in other pairs: the pairs connect every group, without listing all its combinations.
    """

    pairs: tuple[Pair, ...]
    skipped: dict[str, str]
    compared: int


def _pair(
    first: AudioItem, second: AudioItem, kind: Kind, similarity: float, lag: int, gain_db: float
) -> Pair:
    splits = (first.split, second.split)
    return Pair(
        first=first.name,
        second=second.name,
        similarity=similarity,
        # No minus zero.
        offset_s=-lag / RATE if lag else 0.0,
        gain_db=gain_db,
        kind=kind,
        across_splits=None not in splits and splits[0] != splits[1],
        same_session=first.session == second.session,
    )


def _neighbours(
    vectors: list[np.ndarray], owners: Sequence[int], radius: float
) -> dict[tuple[int, int], float]:
    """Pairs of recordings with vectors within ``radius`` of one another, and their least distance."""
    lengths = [len(rows) for rows in vectors]
    if sum(lengths) < 2:
        return {}
    table = np.concatenate(vectors).astype(np.float32)
    owner = np.repeat(np.asarray(owners), lengths)
    neighbors = require("sklearn.neighbors", "similarity")
    index = neighbors.NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(table)), algorithm="brute").fit(table)
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(table), 4096):
        distances, rows = index.kneighbors(table[start : start + 4096])
        mine = np.broadcast_to(owner[start : start + len(rows), None], rows.shape)
        near = (distances <= radius) & (owner[rows] != mine)
        for one, two, distance in zip(mine[near], owner[rows[near]], distances[near], strict=True):
            key = (int(min(one, two)), int(max(one, two)))
            found[key] = min(float(distance), found.get(key, np.inf))
    return found


def _candidates(prints: dict[int, Fingerprint]) -> list[tuple[int, int]]:
    """Pairs worth laying over each other, sorted so that neighbours in the list share a recording."""
    chosen: set[tuple[int, int]] = set()
    owners = list(prints)
    for vectors, radius in (
        ([prints[i].sound for i in owners], _SOUND_DB),
        ([prints[i].rhythm for i in owners], _RHYTHM_DISTANCE),
    ):
        nearest: defaultdict[int, list[tuple[float, tuple[int, int]]]] = defaultdict(list)
        for key, distance in _neighbours(vectors, owners, radius).items():
            for one in key:
                nearest[one].append((distance, key))
        for ranked in nearest.values():
            chosen.update(key for _, key in sorted(ranked)[:_CANDIDATES])
    return sorted(chosen)


class _Hearing:
    """Decoded recordings, the last few kept."""

    def __init__(self, items: Sequence[AudioItem]) -> None:
        self._items = items
        self._kept: OrderedDict[int, Heard] = OrderedDict()

    def __getitem__(self, index: int) -> Heard:
        if index not in self._kept:
            self._kept[index] = Heard(hear(self._items[index].path))
        self._kept.move_to_end(index)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[index]


def _fingerprints(
    items: Sequence[AudioItem], progress: Progress | None
) -> tuple[dict[int, Fingerprint], list[Pair], dict[str, str]]:
    """Fingerprints of what sounds (equal samples once), the pairs of equal samples, and what was left out."""
    prints: dict[int, Fingerprint] = {}
    first_with: dict[str, int] = {}
    exact: list[Pair] = []
    skipped: dict[str, str] = {}
    for number, item in enumerate(items):
        try:
            found = fingerprint(hear(item.path))
        except InputError as error:
            skipped[item.name] = str(error)
        else:
            before = first_with.setdefault(found.digest, number)
            if before == number:
                prints[number] = found
            else:
                exact.append(_pair(items[before], item, "same audio", 1.0, 0, 0.0))
        if progress is not None:
            progress(number + 1, len(items))
    return prints, exact, skipped


def find_near_duplicates(
    items: Iterable[AudioItem],
    *,
    same_audio: float = SAME_AUDIO,
    same_performance: float = SAME_RHYTHM,
    progress: Progress | None = None,
) -> NearDuplicates:
    """Find recordings that are copies or other hearings of one another.

    Args:
        items: recordings with unique names. Only the first ten minutes of each are heard.
        same_audio: least band-wise coherence 0..1 of a copy. 0.96 finds nearly all copies, and 1 in 250 pairs
            of neighbouring takes of a dry, tonal drum; 0.99 finds only lossless copies.
        same_performance: least correlation 0..1 of the onsets of two hearings of one performance.
        progress: called with the files heard so far and their number, then with the pairs verified so far and
            theirs.

    Returns:
        Pairs sorted by their names' order in ``items``. Files that do not decode, are silent or shorter than
        0.05 s are in ``skipped``. A single hit through another microphone is not recognised: only recordings
        of 6 s and more can be the same performance.

    Raises:
        UsageError: two items share a name, or a threshold lies outside 0..1.
        MissingDependencyError: scikit-learn is not installed.

    >>> find_near_duplicates([]).pairs
    ()
    """
    items = list(items)
    for value in (same_audio, same_performance):
        if not 0.0 < value <= 1.0:
            raise UsageError(f"a threshold of likeness must lie between 0 and 1, not {value}")
    place = {item.name: number for number, item in enumerate(items)}
    if len(place) < len(items):
        twice = next(item.name for number, item in enumerate(items) if place[item.name] != number)
        raise UsageError(f"two recordings are called {os.fspath(twice)!r}; names must be unique")
    require("sklearn", "similarity")
    prints, pairs, skipped = _fingerprints(items, progress)
    hearing = _Hearing(items)
    candidates = _candidates(prints)
    for number, (one, two) in enumerate(candidates):
        try:
            likeness = compare(hearing[one], hearing[two], same_audio, same_performance)
        except InputError as error:  # a file that changed while it was being looked at
            skipped.setdefault(items[two].name, str(error))
        else:
            if likeness is not None:
                found = (likeness.kind, likeness.similarity, likeness.lag, likeness.gain_db)
                pairs.append(_pair(items[one], items[two], *found))
        if progress is not None:
            progress(number + 1, len(candidates))
    pairs.sort(key=lambda pair: (place[pair.first], place[pair.second]))
    return NearDuplicates(tuple(pairs), skipped, len(items) - len(skipped))
