"""Events to columns: the audio files, their moments, and what sounds at each, without an object per event.

A *moment* is every hit within ``MOMENT_S`` of its first one. The order of the events does not matter: files
are sorted by name, moments by time; of two velocities of one class, or two opennesses, the larger is kept.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from beatsight import taxonomy
from beatsight.dataset.store import MOMENT_S
from beatsight.errors import InputError
from beatsight.events import Event
from beatsight.files import inside

Fault = Callable[[str], None]
_NO_SOURCE = "unknown"
_NO_CLASS = -1


@dataclass(frozen=True)
class Labelled:
    """Events, and the folder that their audio paths start from.

    Attributes:
        events: read once, so a generator will do.
        audio_root: folder of the audio.
        name: for messages, such as the file of the events.
    """

    events: Iterable[Event]
    audio_root: Path
    name: str = "the events"


class AudioFile(NamedTuple):
    """One audio file: its name as the events give it, where it lies, its session and where it comes from."""

    name: str
    path: Path
    session: str
    source: str


@dataclass(frozen=True)
class Table:
    """All moments of all files; those of file ``i`` are ``first_moment[i]`` to ``first_moment[i + 1]``.

    Attributes:
        files: sorted by name.
        sessions: of the files, sorted.
        first_moment, first_hit: where each file begins in the columns below, int64 (files + 1,).
        moments_s: seconds within the file, rising within it, float64 (moments,).
        hits_s: the time of every event, likewise, float64 (events,).
        labels: 1 where a class sounds, uint8 (moments, classes).
        velocity: 0..1, NaN where unknown, float32 (moments, classes).
        openness: of the hi-hat, 0..1 or NaN, float32 (moments,).
        ties: one event of each session, drummer, kit and room that occur together.
        all_sessions: also those that a split leaves out.
        all_files: how many there are without a limit.
    """

    files: list[AudioFile]
    sessions: list[str]
    first_moment: np.ndarray
    first_hit: np.ndarray
    moments_s: np.ndarray
    hits_s: np.ndarray
    labels: np.ndarray
    velocity: np.ndarray
    openness: np.ndarray
    ties: list[Event]
    all_sessions: frozenset[str]
    all_files: int

    def times_of(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The moments and the hits of a file, in seconds."""
        return (
            self.moments_s[self.first_moment[number] : self.first_moment[number + 1]],
            self.hits_s[self.first_hit[number] : self.first_hit[number + 1]],
        )


def refuse(text: str) -> None:
    """What a build does with a fault."""
    raise InputError(text)


class Gatherer:
    """Collects events, then makes the :class:`Table` of them.

    Args:
        audio_roots: folder by ``source_set``, instead of that of :class:`Labelled`.
        left_out: sessions to pass over.
        fault: called with a sentence for every fault; :func:`refuse` raises it.
    """

    def __init__(
        self,
        audio_roots: Mapping[str, Path] | None = None,
        left_out: Iterable[str] = (),
        fault: Fault = refuse,
    ) -> None:
        self._roots, self._left_out, self._fault = dict(audio_roots or {}), frozenset(left_out), fault
        self._known: dict[tuple[int, str | None, str], int] = {}  # as written -> file
        self._numbers: dict[Path, int] = {}
        self._files: list[tuple[str, Path]] = []
        self._sessions: list[set[str]] = []
        self._source: list[tuple[float, str]] = []
        self._ties: dict[tuple[str | None, ...], Event] = {}
        self._all_sessions: set[str] = set()
        self._sets: set[str] = set()
        self._lists = 0
        self._file, self._onset = array("i"), array("d")
        self._part, self._column = array("q"), array("b")
        self._velocity, self._openness = array("f"), array("f")

    def add(self, labelled: Labelled) -> None:
        """Read the events of one list."""
        self._lists += 1
        empty = True
        for event in labelled.events:
            self._add(event, labelled)
            empty = False
        if empty:
            self._fault(f"{labelled.name}: no events to build a dataset from")

    def _add(self, event: Event, labelled: Labelled) -> None:
        self._all_sessions.add(event.session_id)
        if event.source_set is not None:
            self._sets.add(event.source_set)
        if event.session_id in self._left_out:
            return
        unknown = False
        for component in event.components:
            if (why := _target(component.label)[2]) is not None:
                self._fault(f"event {event.sample_id}: {why}")
                unknown = True
        number = self._number(event, labelled)
        if number is None or unknown:
            return
        self._sessions[number].add(event.session_id)
        # The set of the earliest event is the file's, whatever the order of the events.
        self._source[number] = min(self._source[number], (event.onset_time, event.source_set or _NO_SOURCE))
        self._ties.setdefault((event.session_id, event.drummer_id, event.kit_id, event.room_id), event)
        for component in event.components:
            column, hihat, _ = _target(component.label)
            if column == _NO_CLASS:
                continue
            self._part.append(len(self._onset))
            self._column.append(column)
            self._velocity.append(np.nan if component.velocity is None else component.velocity)
            heard = hihat and component.openness is not None
            self._openness.append(component.openness if heard else np.nan)  # type: ignore[arg-type]
        self._file.append(number)
        self._onset.append(event.onset_time)

    def _number(self, event: Event, labelled: Labelled) -> int | None:
        """The number of an event's file; None after a fault."""
        if not event.audio_path:
            self._fault(f"event {event.sample_id}: has no audio_path, so no clip can be cut")
            return None
        written = (self._lists, event.source_set, event.audio_path)
        if written not in self._known:
            root = self._roots.get(event.source_set or "", labelled.audio_root)
            try:
                path = inside(root, event.audio_path)
            except InputError as error:
                self._fault(str(error))
                return None
            # "a.wav" and "./a.wav" are one file: it must not fall into two sessions.
            name = (Path(event.audio_path).as_posix(), path)
            if path not in self._numbers:
                self._numbers[path] = len(self._files)
                self._files.append(name)
                self._sessions.append(set())
                self._source.append((np.inf, _NO_SOURCE))
            number = self._known[written] = self._numbers[path]
            self._files[number] = min(self._files[number], name)
        return self._known[written]

    def table(self, limit: int | None = None) -> Table:
        """Everything that was added; of the first ``limit`` files only, if that is given."""
        if unused := sorted(self._roots.keys() - self._sets):
            there = ", ".join(sorted(self._sets)) or "none"
            self._fault(
                f"an audio root is for {unused[0]!r}, a source_set that no event has; there are: {there}"
            )
        order = sorted(range(len(self._files)), key=lambda number: self._files[number])
        for number in order:
            if len(self._sessions[number]) > 1:
                names = ", ".join(sorted(self._sessions[number]))
                self._fault(f"{self._files[number][0]}: belongs to several sessions: {names}")
        order = [number for number in order if self._sessions[number]]
        chosen = order[:limit]
        files = [
            AudioFile(*self._files[number], min(self._sessions[number]), self._source[number][1])
            for number in chosen
        ]
        rank = np.full(len(self._files), len(chosen), np.int64)
        rank[chosen] = np.arange(len(chosen))
        return self._columns(files, rank, len(order))

    def _columns(self, files: list[AudioFile], rank: np.ndarray, all_files: int) -> Table:
        file, onset = rank[np.frombuffer(self._file, np.int32)], np.frombuffer(self._onset, np.float64)
        order = np.lexsort((onset, file))
        order = order[: np.searchsorted(file[order], len(files))]
        file, hits = file[order], onset[order]
        first_hit = np.searchsorted(file, np.arange(len(files) + 1))
        begins = _moments(hits, first_hit)
        moment_of_hit = np.cumsum(begins) - 1
        count = int(begins.sum())
        moment_of_event = np.full(len(onset), -1, np.int64)
        moment_of_event[order] = moment_of_hit
        part = moment_of_event[np.frombuffer(self._part, np.int64)]
        inside_limit = part >= 0
        moment, column = part[inside_limit], np.frombuffer(self._column, np.int8)[inside_limit]
        shape = (count, len(taxonomy.CLASSIFIER))
        labels = np.zeros(shape, np.uint8)
        labels[moment, column] = 1
        velocity, openness = np.full(shape, np.nan, np.float32), np.full(count, np.nan, np.float32)
        np.fmax.at(velocity, (moment, column), np.frombuffer(self._velocity, np.float32)[inside_limit])
        np.fmax.at(openness, moment, np.frombuffer(self._openness, np.float32)[inside_limit])
        return Table(
            files=files,
            sessions=sorted({name.session for name in files}),
            first_moment=np.searchsorted(file[begins], np.arange(len(files) + 1)),
            first_hit=first_hit,
            moments_s=hits[begins],
            hits_s=hits,
            labels=labels,
            velocity=velocity,
            openness=openness,
            ties=list(self._ties.values()),
            all_sessions=frozenset(self._all_sessions),
            all_files=all_files,
        )


@lru_cache(maxsize=4096)
def _target(label: str) -> tuple[int, bool, str | None]:
    """The column of a label (or that it has none), whether it is a hi-hat, and why it cannot be used."""
    try:
        folded = taxonomy.fold(label, "classifier")
    except taxonomy.UnknownLabelError as error:
        return _NO_CLASS, False, str(error)
    column = _NO_CLASS if folded is None else taxonomy.CLASSIFIER.index(folded)
    return column, taxonomy.is_hihat(label), None


def _moments(hits: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Whether each hit begins a moment; moments do not chain, so each is measured from its own first hit."""
    begins = np.zeros(len(hits), bool)
    for start, end in zip(first[:-1].tolist(), first[1:].tolist(), strict=True):
        begin = -np.inf
        for number, time in enumerate(hits[start:end].tolist(), start=start):
            if time - begin > MOMENT_S:
                begins[number] = True
                begin = time
    return begins
