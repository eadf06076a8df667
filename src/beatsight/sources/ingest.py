"""Ingest: a folder in a known layout becomes a file of events, and a provenance file that says how.

The events are streamed, so that a large set needs the memory of its ids only. Nothing is lost in silence:
names that no label fits and items that could not be read are counted, listed in the result and written beside
the events in ``<output>.provenance.json``. The same input gives the same bytes, so neither file holds a date
or a path of the machine.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from beatsight.errors import InputError, UsageError
from beatsight.events import Event, from_builtins, to_builtins, write_records
from beatsight.files import atomic_path, inside, sha256_file, write_bytes
from beatsight.sources.catalogue import find_source
from beatsight.sources.contract import Report, Source, Unmapped
from beatsight.taxonomy import digest
from beatsight.version import VERSION

_FORMAT = 1

# ``(done, total, what)``
Progress = Callable[[int, int, str], None]


@dataclass
class IngestResult:
    """What an ingest wrote and what it could not.

    Attributes:
        output: the events.
        provenance: the file beside them.
        items: how many items the source's layout held, of which those in ``skipped`` gave nothing.
        events: how many events were written.
        components: their hits.
        without_audio: events whose audio file is not there (``audio_path`` absent).
        labels: hits by label, in order of the label.
        unmapped: names that no label fits.
        skipped: items and files left out, and why.
    """

    output: Path
    provenance: Path
    items: int = 0
    events: int = 0
    components: int = 0
    without_audio: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    unmapped: list[Unmapped] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def check_settings(source: Source, settings: Mapping[str, str]) -> dict[str, str]:
    """The settings with every default filled in.

    Raises:
        UsageError: a setting that the source does not have, or a value that is none of its choices.
    """
    options = {option.name: option for option in source.options}
    name = source.card.name
    if unknown := [key for key in settings if key not in options]:
        known = f"its settings are {', '.join(options)}" if options else "it has none"
        raise UsageError(f"{name} has no setting {unknown[0]!r}; {known}")
    filled = {key: settings.get(key, option.default) for key, option in options.items()}
    for key, value in filled.items():
        choices = options[key].choices
        if choices and value not in choices:
            raise UsageError(f"{name}: {key}={value} is none of {', '.join(choices)}")
    return filled


class _ProbeDoneError(Exception):
    """Ends the probe of an output before anything is put in its place."""


def _probe(output: Path) -> None:
    """Refuse an output that cannot be written before thousands of files are read."""
    with contextlib.suppress(_ProbeDoneError), atomic_path(output):
        raise _ProbeDoneError


def _item_path(item: Any) -> Path:
    return item if isinstance(item, Path) else item.path


class _Stream:
    """Events of all items in order, counted on the way, with ids that no two of them share."""

    def __init__(
        self, source: Source, items: list[Any], report: Report, settings: Mapping[str, str], prefix: str
    ) -> None:
        self._source = source
        self._prefix = prefix
        self._items = items
        self._settings = settings
        self._seen: set[str] = set()
        self.report = report
        self.labels: Counter[str] = Counter()
        self.audio: set[str] = set()
        self.events = self.components = self.without_audio = 0

    def run(self, progress: Progress) -> Iterator[Event]:
        for index, item in enumerate(self._items):
            progress(index, len(self._items), "reading")
            # What a faulty item counted before its fault is dropped with it: it is listed as a whole.
            report = Report(self.report.root)
            path = _item_path(item)
            try:
                events = self._checked(list(self._source.read(item, report, self._settings)), path)
            except InputError as error:
                self.report.skip(path, str(error).removeprefix(f"{path}: "))
                continue
            self.report.add(report)
            for event in events:
                self._count(event)
                yield event

    @staticmethod
    def _checked(events: list[Event], path: Path) -> list[Event]:
        for event in events:
            from_builtins(to_builtins(event), Event, str(path))
        return events

    def _count(self, event: Event) -> None:
        base, number = event.sample_id, 1
        while event.sample_id in self._seen:
            number += 1
            event.sample_id = f"{base}-{number}"
        self._seen.add(event.sample_id)
        self.events += 1
        self.components += len(event.components)
        self.labels.update(event.labels)
        if event.audio_path is None:
            self.without_audio += 1
        else:
            event.audio_path = self._prefix + event.audio_path
            self.audio.add(event.audio_path)


def _fault(source: Source, root: Path, stream: _Stream) -> str:
    """Why there is not a single event."""
    reasons = [f"{path}: {why}" for path, why in stream.report.skipped.items()]
    reasons += [f"{name!r} ({found.why})" for name, found in stream.report.unmapped_names.items()]
    because = f"; first: {reasons[0]}" if reasons else ""
    return f"{root}: holds no drum hit of {source.card.title} that could be read{because}"


def _write_events(stream: _Stream, source: Source, root: Path, output: Path, progress: Progress) -> None:
    def records() -> Iterator[Event]:
        yield from stream.run(progress)
        if not stream.events:
            raise InputError(_fault(source, root, stream))
        final = output.resolve()
        if any(path.resolve() == final for path in stream.report.files.values()):
            raise InputError(f"{output}: is a file of the source itself; name another output")

    write_records(output, records())


def _hashes(files: Mapping[str, Path], report: Report, progress: Progress, what: str) -> dict[str, str]:
    found = {}
    for index, (name, path) in enumerate(sorted(files.items())):
        progress(index, len(files), what)
        try:
            found[name] = sha256_file(path)
        except InputError as error:
            report.skip(path, str(error).removeprefix(f"{path}: "))
    return found


def _provenance(
    result: IngestResult, source: Source, settings: Mapping[str, str], base: Path
) -> dict[str, Any]:
    card = source.card
    files = {option.name: settings[option.name] for option in source.options if option.is_file}
    return {
        "format": _FORMAT,
        "program": f"beatsight {VERSION}",
        "taxonomy": digest(),
        "source": {
            "name": card.name,
            "title": card.title,
            "version": card.version,
            "licence": card.licence,
            "commercial": card.commercial,
            "citation": card.citation,
            "url": card.url,
        },
        "settings": dict(settings),
        "settings_files": {name: sha256_file(path) for name, path in files.items() if path},
        "root": base.name,
        "events": result.output.name,
        "counts": {
            "items": result.items,
            "events": result.events,
            "components": result.components,
            "events_without_audio": result.without_audio,
            "unmapped": sum(found.count for found in result.unmapped),
            "labels": result.labels,
        },
        "unmapped": result.unmapped,
        "skipped": result.skipped,
    }


def provenance_path(output: str | os.PathLike[str]) -> Path:
    """The provenance file that belongs to a file of events.

    >>> provenance_path("events.jsonl.gz").name
    'events.jsonl.gz.provenance.json'
    """
    output = Path(output)
    return output.with_name(f"{output.name}.provenance.json")


def _prefix(base: Path, top: Path) -> str:
    """What stands before an audio path of ``base`` when it starts from ``top``."""
    try:
        relative = base.resolve().relative_to(top.resolve()).as_posix()
    except ValueError:
        raise UsageError(f"{top}: does not hold {base}, so audio paths cannot start there") from None
    return "" if relative == "." else f"{relative}/"


def ingest(
    name: str,
    root: str | os.PathLike[str],
    output: str | os.PathLike[str],
    settings: Mapping[str, str] | None = None,
    *,
    progress: Progress | None = None,
    audio_hashes: bool = True,
    audio_root: str | os.PathLike[str] | None = None,
) -> IngestResult:
    """Read a source and write its events and their provenance.

    Args:
        name: of the source, see :func:`beatsight.sources.catalogue.all_sources`.
        root: the folder (or, where the source is a plain file format, the file) to read.
        output: the file of events; its suffix chooses the format. It may lie in ``root``.
        settings: of the source; those that are not given have their default.
        progress: is called with what was done, the total, and what it is of.
        audio_hashes: also note the SHA-256 of every audio file that an event names; large sets take long.
        audio_root: folder that the events' audio paths start from, one that holds ``root``; default:
            ``root``. Manifests that are to be merged need one folder in common.

    Raises:
        UsageError: an unknown source, setting or choice, or an ``audio_root`` that does not hold ``root``.
        InputError: the root is not laid out as the source is or gives no event, or the output is unwritable.
    """
    source = find_source(name)
    filled = check_settings(source, settings or {})
    root, output = Path(root), Path(output)
    if not root.exists():
        raise InputError(f"{root}: no such file or folder")
    result = IngestResult(output, provenance_path(output))
    for path in (output, result.provenance):
        _probe(path)
    tell = progress or (lambda done, total, what: None)
    items = source.find(root, filled)
    report = Report(root)
    base = root if root.is_dir() else root.parent
    top = base if audio_root is None else Path(audio_root)
    stream = _Stream(source, items, report, filled, _prefix(base, top))
    _write_events(stream, source, root, output, tell)
    audio = {path: inside(top, path) for path in stream.audio} if audio_hashes else {}
    hashes = {
        "files": _hashes(report.files, report, tell, "hashing"),
        "audio": _hashes(audio, report, tell, "hashing audio"),
    }
    result.items, result.events, result.components = len(items), stream.events, stream.components
    result.without_audio, result.labels = stream.without_audio, dict(sorted(stream.labels.items()))
    result.unmapped, result.skipped = list(report.unmapped_names.values()), report.skipped
    provenance = _provenance(result, source, filled, base.resolve()) | hashes
    write_bytes(result.provenance, msgspec.json.format(msgspec.json.encode(provenance), indent=2) + b"\n")
    return result
