"""A report as one HTML file that needs nothing else: no network, no fonts, no scripts from elsewhere.

A :class:`Page` holds sections, a section holds parts (text, tables, figures, facts, commands, a timeline
with sound). :func:`render` turns it into HTML with styles and script inside; it reads well on a phone, on
paper, in the dark and with scripts switched off. Every text is escaped; drawings come from
:mod:`beatsight.report.plots` and :mod:`beatsight.report.timeline`, which escape theirs. A number that is
None or NaN is shown as ``–``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from beatsight.errors import UsageError
from beatsight.files import write_text
from beatsight.report.images import data_uri
from beatsight.report.plots import meter
from beatsight.report.text import Value, is_numeric, known, number
from beatsight.report.timeline import Track


@dataclass(frozen=True)
class Column:
    """A table column: its name with unit, decimals of its numbers, and whether cells (0..1) carry a bar."""

    name: str
    digits: int = 2
    bar: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells (text, numbers, None); ``footer`` is a last row set apart, for totals.

    Raises:
        UsageError: a row is longer or shorter than the columns.

    >>> Table((Column("label"), Column("F", 3)), (("kick", 0.9), ("snare", None))).cells
    [['kick', '0.900'], ['snare', '–']]
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    caption: str = ""
    footer: Sequence[Value] | None = None
    kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        for row in self._all_rows:
            if len(row) != len(self.columns):
                names = ", ".join(column.name for column in self.columns)
                raise UsageError(
                    f"a table row has {len(row)} cells for {len(self.columns)} columns ({names})"
                )

    @property
    def _all_rows(self) -> list[Sequence[Value]]:
        return [*self.rows, *([self.footer] if self.footer is not None else [])]

    @property
    def cells(self) -> list[list[str]]:
        """Every cell as shown, the footer last."""
        return [
            [number(cell, column.digits) for cell, column in zip(row, self.columns, strict=True)]
            for row in self._all_rows
        ]

    @property
    def numeric(self) -> list[bool]:
        """For every column, whether it holds numbers and is set flush right."""
        return [is_numeric([row[index] for row in self._all_rows]) for index in range(len(self.columns))]

    def share(self, row: int, column: int) -> float | None:
        """The length of a cell's bar in percent, where it has one."""
        value = self._all_rows[row][column]
        if not self.columns[column].bar or isinstance(value, str) or value is None or not known(value):
            return None
        return round(100 * min(1.0, max(0.0, value)), 1)


@dataclass(frozen=True)
class Figure:
    """A drawing, what it shows, and the numbers behind it (folded away until asked for)."""

    svg: Markup
    caption: str
    table: Table | None = None
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Fact:
    """One number worth a tile of its own."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Facts:
    """A row of tiles."""

    facts: Sequence[Fact]
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Commands:
    """Command lines to copy, each with what it does."""

    lines: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "commands"


@dataclass(frozen=True)
class Player:
    """A sound with the browser's own controls; ``wav`` is a whole WAV file."""

    title: str
    wav: bytes

    @cached_property
    def source(self) -> str:
        """The sound as a ``data:`` address."""
        return data_uri(self.wav, "audio/wav")


@dataclass(frozen=True)
class Timeline:
    """Tracks over one time axis of ``length_s`` seconds, with players whose position runs over them."""

    length_s: float
    tracks: Sequence[Track]
    players: Sequence[Player] = ()
    caption: str = ""
    kind: ClassVar[str] = "timeline"


@dataclass(frozen=True)
class SideBySide:
    """Parts beside each other where the screen is wide enough."""

    parts: Sequence[Figure | Table | Text | Commands]
    kind: ClassVar[str] = "side"


Part = Text | Table | Figure | Facts | Commands | Timeline | SideBySide


@dataclass(frozen=True)
class Section:
    """A heading, a sentence or two, and parts."""

    title: str
    parts: Sequence[Part]
    intro: str = ""


@dataclass(frozen=True)
class Verdict:
    """The answer, before anything else: a number, what it is, and whether it is good enough.

    ``passed`` is None where nothing was decided; ``share`` and ``target`` (0..1) draw a gauge.
    """

    value: str
    name: str
    passed: bool | None
    ruling: str
    detail: str = ""
    share: float | None = None
    target: float | None = None

    @property
    def gauge(self) -> Markup | None:
        """The gauge, where there is a share to show."""
        return None if self.share is None else meter(self.share, self.target)


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    sections: Sequence[Section]
    subtitle: str = ""
    verdict: Verdict | None = None
    facts: Facts | None = None


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("beatsight.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(page: Page) -> str:
    """The page as one HTML document.

    >>> "<h1>Health of &lt;my&gt; set</h1>" in render(Page("Health of <my> set", sections=()))
    True
    """
    environment = _environment()
    # Style and script are this package's own files: they go in as they are.
    loader = environment.loader
    assert loader is not None
    style, script = (Markup(loader.get_source(environment, name)[0]) for name in ("page.css", "page.js"))
    return environment.get_template("page.html").render(page=page, style=style, script=script)


def write_page(page: Page, path: str | os.PathLike[str]) -> None:
    """Render ``page`` and write it to ``path`` in one step.

    Raises:
        InputError: the file cannot be written.
    """
    write_text(path, render(page))
