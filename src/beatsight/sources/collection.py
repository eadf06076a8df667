"""A collection: a folder of labelled drum hits that needs nothing outside itself.

    training_data/
      events.jsonl                     one labelled moment a line (docs/formats.md)
      audio/<16 hex digits>.<suffix>   every recording once, named by the SHA-256 of its content

``audio_path`` of an event is relative to the folder. Where a recording came from stands in ``metadata_ref``:
``original_path`` as it was given, ``chart`` for hits of a beatmap; ``kit``, ``licence`` and ``attribution``
for hits of a sample kit. ``source_set`` says how a hit came in: ``hits``, ``chart``, ``labels`` or ``kit``.

A recording belongs to one session, so that no split can separate its hits. Hits that are already there are
counted, not added again, and hits of one moment share an event (the rules stand in ``moments.py``).
``events.jsonl`` is written aside and renamed, under a lock, so a step of adding happens wholly or not at all.
Audio is copied in first: a killed run can leave a recording without events, which the next run uses.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from beatsight.audio import io as audio_io
from beatsight.charts import chart_to_events, read_chart
from beatsight.errors import InputError
from beatsight.events import Component, Event, dynamic_bucket, read_records, write_records
from beatsight.files import inside, write_text
from beatsight.sources.audacity import format_labels, read_labels
from beatsight.sources.hits import Hit, Origin, check_time, refuse
from beatsight.sources.hits_csv import read_hits
from beatsight.sources.kits import kit_event
from beatsight.sources.lock import locked
from beatsight.sources.moments import Moments, sample_id
from beatsight.sources.recordings import Recording, check_recording, keep, stored_name
from beatsight.sources.stats import Stats, count_events
from beatsight.synth.sample_kit import read_kit

EVENTS_FILE = "events.jsonl"

AnyPath = str | os.PathLike[str]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class AddResult:
    """What adding did: hits added, hits that were already there, and a sentence for each thing left out.

    ``skipped`` holds what was wanted and could not be added; ``left_out`` what is meant to be left out: files
    that a kit's layout excludes or has no drum for, other instruments in a MIDI file.
    """

    added: int = 0
    already_there: int = 0
    skipped: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def __add__(self, other: AddResult) -> AddResult:
        return AddResult(
            self.added + other.added,
            self.already_there + other.already_there,
            self.skipped + other.skipped,
            # Kits that share files leave out the same ones.
            tuple(dict.fromkeys(self.left_out + other.left_out)),
        )


@dataclass
class _Batch:
    """Checked events that wait to be added, their recordings, and the sessions that were asked for."""

    events: list[Event] = field(default_factory=list)
    recordings: dict[str, Recording] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)

    def ask_session(self, recording: Recording, session: str | None, place: str) -> None:
        if session is None:
            return
        asked = self.sessions.setdefault(recording.name, session)
        if asked != session:
            raise InputError(_session_fault(place, recording.path, asked, session))

    def put(self, event: Event, recording: Recording) -> None:
        for component in event.components:
            if component.velocity is not None:
                component.dynamic_bucket = dynamic_bucket(component.velocity)  # type: ignore[assignment]
        self.recordings[recording.name] = recording
        self.events.append(event)


def _session_fault(place: str, audio: Path, there: str, asked: str) -> str:
    return f"{place}: {audio.name} belongs to session {there!r} and cannot belong to {asked!r} as well"


class Collection:
    """Labelled drum hits in a folder.

    Args:
        root: the folder; it is made when the first hit is added.

    Every ``add`` method raises :class:`InputError`, with nothing added, for audio that does not decode, a
    time outside it, an unknown label, values outside 0..1, or a session other than the one there is.

    >>> Collection("/nowhere/yet").events()
    []
    """

    def __init__(self, root: AnyPath = "training_data") -> None:
        self.root = Path(root)
        self.events_path = self.root / EVENTS_FILE

    # -- reading ---------------------------------------------------------------------------------------------

    def events(self) -> list[Event]:
        """All events, in the order in which they were added; none when nothing has been added yet."""
        return list(read_records(self.events_path, Event)) if self.events_path.exists() else []

    def events_of(self, audio: AnyPath) -> list[Event]:
        """The events of a recording (found by its content, wherever the file lies), in order of time."""
        name = stored_name(self.root, Path(audio))
        return Moments(self.events()).on(name)

    def stats(self) -> Stats:
        """Counts per class against the recommended ones, sessions, kits and hours of audio."""
        events = self.events()
        names = {event.audio_path for event in events if event.audio_path is not None}
        seconds = sum(audio_io.probe(inside(self.root, name)).duration_s for name in sorted(names))
        return count_events(events, seconds / 3600)

    def write_labels(self, target: AnyPath, audio: AnyPath) -> int:
        """Write the events of a recording as an Audacity label track; the number of events is returned.

        Raises:
            InputError: the collection has no events of this recording, or the track cannot be written.
        """
        events = self.events_of(audio)
        if not events:
            raise InputError(f"{audio}: the collection {self.root} has no hits of this recording")
        write_text(target, format_labels(events))
        return len(events)

    # -- adding ----------------------------------------------------------------------------------------------

    def add(
        self,
        audio: AnyPath,
        time_s: float,
        label: str,
        *,
        velocity: float | None = None,
        openness: float | None = None,
        origin: Origin | None = None,
    ) -> AddResult:
        """Add one hit.

        Args:
            audio: any file libsndfile decodes.
            time_s: the onset in seconds from its start.
            label: a drum label or alias.
            velocity: 0..1, if known.
            openness: of a hi-hat, 0 closed to 1 open, if known.
            origin: session, kit, drummer and room, as far as known.
        """
        return self.add_many([Hit(Path(audio), time_s, label, velocity, openness, origin or Origin())])

    def add_many(self, hits: Iterable[Hit], *, skip_bad: bool = False) -> AddResult:
        """Add many hits in one step.

        Args:
            hits: of any number of recordings.
            skip_bad: add the good ones and name the others in ``skipped``, instead of adding nothing.

        Raises:
            InputError: naming every faulty hit (not with ``skip_bad``).
        """
        return self._add_checked(hits, [], "hits", skip_bad)

    def add_csv(self, table: AnyPath, *, skip_bad: bool = False) -> AddResult:
        """Add a table of hits (``hits_csv.py`` says how it looks); ``skip_bad`` as in :meth:`add_many`."""
        hits, faults = read_hits(table)
        return self._add_checked(hits, faults, "hits", skip_bad)

    def add_labels(self, labels: AnyPath, audio: AnyPath, *, origin: Origin | None = None) -> AddResult:
        """Add the hits of an Audacity label track; nothing when a line is faulty."""
        hits, faults = read_labels(labels, audio, origin)
        return self._add_checked(hits, faults, "labels", False)

    def add_chart(self, chart: AnyPath, audio: AnyPath, *, origin: Origin | None = None) -> AddResult:
        """Add the hits of a chart (.bsm, .mid, .csv); those after the end of the audio become ``skipped``."""
        origin = origin or Origin()
        recording = check_recording(self.root, Path(audio))
        batch = _Batch()
        batch.ask_session(recording, origin.session, str(chart))
        skipped = []
        session = origin.session or Path(audio).stem
        content = read_chart(chart)
        for event in chart_to_events(content, session_id=session, audio_path=recording.name):
            try:
                check_time(event.onset_time, recording.duration_s, f"{chart}: {', '.join(event.labels)}")
            except InputError as error:
                skipped.append(str(error))
                continue
            event.sample_id = sample_id(recording.name, event.onset_time)
            event.source_set = "chart"
            event.kit_id, event.drummer_id, event.room_id = origin.kit, origin.drummer, origin.room
            event.sample_rate, event.channels = recording.sample_rate, recording.channels
            event.metadata_ref = {"original_path": str(audio), "chart": str(chart)}
            batch.put(event, recording)
        if not batch.events and not skipped:
            raise InputError(f"{chart}: holds no hits")
        left_out = tuple(f"{chart}: {count} × {what}" for what, count in content.skipped.items())
        return replace(self._commit(batch), skipped=tuple(skipped), left_out=left_out)

    def add_kit(self, folder: AnyPath, *, progress: Progress | None = None) -> AddResult:
        """Add every hit of a sample kit as a recording of its own, the microphones of a hit mixed to mono.

        The kit is one session. Hits whose files are damaged become ``skipped``; files that the kit's layout
        excludes or has no drum for become ``left_out``.

        Args:
            folder: a kit that :func:`beatsight.synth.sample_kit.read_kit` knows, or any folder of one-shots.
            progress: called with the hits mixed so far and their number.
        """
        kit = read_kit(Path(folder))
        batch = _Batch()
        skipped = []
        with TemporaryDirectory(prefix="beatsight-") as scratch:
            for number, hit in enumerate(kit.hits, start=1):
                try:
                    recording, event = kit_event(self.root, hit, kit, Path(scratch))
                except InputError as error:
                    skipped.append(str(error))
                else:
                    # Now, not at the end: the scratch file is overwritten by the next hit.
                    keep(self.root, recording)
                    batch.put(event, recording)
                if progress is not None:
                    progress(number, len(kit.hits))
        left_out = tuple(f"{path}: {reason}" for path, reason in kit.skipped)
        return replace(self._commit(batch), skipped=tuple(skipped), left_out=left_out)

    # -- inside ----------------------------------------------------------------------------------------------

    def _add_checked(
        self, hits: Iterable[Hit], faults: list[str], source_set: str, skip_bad: bool
    ) -> AddResult:
        """Add what is good, or refuse all and name every fault: those of reading and those found here."""
        batch, more = self._check(hits, source_set)
        if not skip_bad:
            refuse(faults + more)
        return replace(self._commit(batch), skipped=(*faults, *more))

    def _check(self, hits: Iterable[Hit], source_set: str) -> tuple[_Batch, list[str]]:
        """Events for the good hits, a sentence for each of the others."""
        batch = _Batch()
        faults: list[str] = []
        seen: dict[Path, Recording | InputError] = {}
        for hit in hits:
            if hit.audio not in seen:
                try:
                    seen[hit.audio] = check_recording(self.root, hit.audio)
                except InputError as error:
                    seen[hit.audio] = error
            recording = seen[hit.audio]
            if isinstance(recording, InputError):
                faults.append(f"{hit.where}: {recording}" if hit.where else str(recording))
                continue
            try:
                component = hit.component(recording.duration_s)
                batch.ask_session(recording, hit.origin.session, hit.place)
            except InputError as error:
                faults.append(str(error))
            else:
                batch.put(_event(hit, component, recording, source_set), recording)
        return batch, faults

    def _commit(self, batch: _Batch) -> AddResult:
        """Add a checked batch: copy the audio, then write the events, or neither."""
        if not batch.events:
            return AddResult()
        added = already = 0
        with locked(self.root):
            moments = Moments(self.events())
            for name, session in batch.sessions.items():
                there = moments.session_of(name)
                if there is not None and there != session:
                    audio = batch.recordings[name].path
                    raise InputError(_session_fault(str(self.root), audio, there, session))
            for event in batch.events:
                name = event.audio_path or ""
                event.session_id = moments.session_of(name) or batch.sessions.get(name) or event.session_id
                new, old = moments.put(event)
                added, already = added + new, already + old
            if added:
                for recording in batch.recordings.values():
                    keep(self.root, recording)
                write_records(self.events_path, moments.events)
        return AddResult(added, already)


def _event(hit: Hit, component: Component, recording: Recording, source_set: str) -> Event:
    return Event(
        sample_id=sample_id(recording.name, hit.time_s),
        session_id=hit.origin.session or hit.audio.stem,
        onset_time=hit.time_s,
        components=[component],
        drummer_id=hit.origin.drummer,
        kit_id=hit.origin.kit,
        room_id=hit.origin.room,
        source_set=source_set,
        audio_path=recording.name,
        sample_rate=recording.sample_rate,
        channels=recording.channels,
        metadata_ref={"original_path": str(hit.audio)},
    )
