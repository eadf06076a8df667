"""The contract of a source: what every reader of labelled material states, and how it reports.

A source is one module in ``beatsight.sources.readers`` that holds one or more :class:`Source` values. Its
``find`` looks at a folder (or file) and lists the items of the source's layout; its ``read`` turns one item
into events. Nothing is dropped in silence: a name that no label fits is counted in :meth:`Report.unmapped`,
an item that cannot be read in :meth:`Report.skip`, and both end up in the result, on the terminal and in the
provenance file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from beatsight.events import Event


@dataclass(frozen=True)
class Card:
    """What a user must know of a source before using it.

    Attributes:
        name: what the command line calls it, e.g. ``mdb_drums``.
        title: its own name, e.g. ``MDB Drums``; ``source_set`` of the events.
        version: the release whose layout is read, or ``"1"`` for a plain file format.
        licence: SPDX name or the licence's own words; ``"of the files"`` where the user's own files are read.
        commercial: whether a model trained on it may be sold; None where that is for the user to know.
        citation: the paper or person to name; empty for a plain file format.
        url: where it is published; empty for a plain file format.
        layout: the expected tree, one path a line, with what each file is.
        has_audio: whether the source's files include the sound.
    """

    name: str
    title: str
    version: str
    licence: str
    commercial: bool | None
    citation: str
    url: str
    layout: str
    has_audio: bool


@dataclass(frozen=True)
class Option:
    """A setting of a source, given as ``--set name=value`` and written to the provenance.

    ``choices`` empty means free text; ``default`` empty means not set. ``is_file``: the value names a file
    that the events depend on, whose SHA-256 goes to the provenance.
    """

    name: str
    default: str
    help: str
    choices: tuple[str, ...] = ()
    is_file: bool = False


@dataclass
class Unmapped:
    """A name that no label fits: how often, and where it was first seen (``file`` or ``file:line``)."""

    name: str
    why: str
    count: int
    first: str


@dataclass
class Report:
    """What a reader tells besides its events: files it used, names it could not map, items it left out."""

    root: Path
    files: dict[str, Path] = field(default_factory=dict)
    unmapped_names: dict[str, Unmapped] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def relative(self, path: Path) -> str:
        """A path as the manifest names it: relative to the root, with forward slashes."""
        base = self.root if self.root.is_dir() else self.root.parent
        if not path.is_relative_to(base):
            base, path = base.resolve(), path.resolve()
        return path.relative_to(base).as_posix() if path.is_relative_to(base) else path.as_posix()

    def used(self, path: Path) -> str:
        """Note a file that events were read from (its SHA-256 goes to the provenance); its relative name."""
        name = self.relative(path)
        self.files[name] = path
        return name

    def unmapped(self, name: str, where: str, why: str = "no label has this name", count: int = 1) -> None:
        """Count a name that could not become a label."""
        if name in self.unmapped_names:
            self.unmapped_names[name].count += count
        else:
            self.unmapped_names[name] = Unmapped(name, why, count, where)

    def skip(self, path: Path, why: str) -> None:
        """Note an item, or a file of it, that gave no events."""
        self.skipped[self.relative(path)] = why

    def add(self, other: Report) -> None:
        """Take over what another report of the same root tells."""
        self.files |= other.files
        self.skipped |= other.skipped
        for name, found in other.unmapped_names.items():
            self.unmapped(name, found.first, found.why, found.count)

    def audio(self, *places: Path) -> str | None:
        """The name of the first of these recordings that exists, for ``audio_path``; None when none does."""
        return next((self.relative(path) for path in places if path.is_file()), None)


Settings = Mapping[str, str]


@dataclass(frozen=True)
class Source:
    """One source: its card, its options and its two functions.

    Attributes:
        card: what it is.
        find: ``find(root, settings) -> items`` in a fixed order; an item is a path, or any value with a
            ``path``, the file that names it. Raises :class:`~beatsight.errors.InputError` that says what was
            expected where the layout is not the source's.
        read: ``read(item, report, settings) -> events`` of one item, in time order for each audio file. A
            fault of this item alone is an InputError: :func:`beatsight.sources.ingest.ingest` lists the item
            as skipped and goes on.
        options: settings it understands; ``find`` and ``read`` get a value for each.
    """

    card: Card
    find: Callable[[Path, Settings], list[Any]]
    read: Callable[[Any, Report, Settings], Iterable[Event]]
    options: tuple[Option, ...] = ()
