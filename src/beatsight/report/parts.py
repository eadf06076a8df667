"""What a page is made of: text, tables, figures, facts, checks, commands, a timeline with sound, sections.

Plain records; the templates turn them into HTML and escape every text. A number that is None or NaN is shown
as ``–``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from markupsafe import Markup

from beatsight.errors import UsageError
from beatsight.report.clips import Clips, Player
from beatsight.report.listening import Listening
from beatsight.report.plots import meter
from beatsight.report.svg import tag
from beatsight.report.text import Value, is_numeric, known, number
from beatsight.report.timeline import Track

# A table with more rows scrolls in a box of its own, its head staying in sight (on paper it is whole).
_MOST_ROWS = 25


@dataclass(frozen=True)
class Status:
    """A cell that says good, bad or undecided by colour, sign and word.

    >>> print(Status(False, "failed").__html__())
    <span class="status bad"><span class="badge">✕</span> failed</span>
    """

    passed: bool | None
    text: str

    @property
    def css(self) -> str:
        """The colour class."""
        return "open" if self.passed is None else "good" if self.passed else "bad"

    @property
    def sign(self) -> str:
        """What tells it without colour."""
        return "•" if self.passed is None else "✓" if self.passed else "✕"

    def __html__(self) -> str:
        badge = tag("span", {"class": "badge"}, self.sign)
        return tag("span", {"class": f"status {self.css}"}, badge, " ", self.text)


@dataclass(frozen=True)
class Link:
    """A cell that leads to a section of the same page, by its anchor."""

    text: str
    anchor: str

    def __html__(self) -> str:
        return tag("a", {"href": f"#{self.anchor}"}, self.text)


Cell = Value | Status | Link


def _plain(cell: Cell) -> Value:
    return cell.text if isinstance(cell, Status | Link) else cell


def _shown(cell: Cell, digits: int) -> str:
    return Markup(cell.__html__()) if isinstance(cell, Status | Link) else number(cell, digits)


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
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    footer: Sequence[Cell] | None = None
    kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        for row in self._all_rows:
            if len(row) != len(self.columns):
                names = ", ".join(column.name for column in self.columns)
                raise UsageError(
                    f"a table row has {len(row)} cells for {len(self.columns)} columns ({names})"
                )

    @cached_property
    def _all_rows(self) -> list[Sequence[Cell]]:
        return [*self.rows, *([self.footer] if self.footer is not None else [])]

    @property
    def cells(self) -> list[list[str]]:
        """Every cell as shown, the footer last."""
        return [
            [_shown(cell, column.digits) for cell, column in zip(row, self.columns, strict=True)]
            for row in self._all_rows
        ]

    @cached_property
    def numeric(self) -> list[bool]:
        """For every column, whether it holds numbers and is set flush right."""
        return [
            is_numeric([_plain(row[index]) for row in self._all_rows]) for index in range(len(self.columns))
        ]

    @property
    def long(self) -> bool:
        """Whether it scrolls in a box of its own."""
        return len(self.rows) > _MOST_ROWS

    def share(self, row: int, column: int) -> float | None:
        """The length of a cell's bar in percent, where it has one."""
        value = _plain(self._all_rows[row][column])
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

    parts: Sequence[Part]
    kind: ClassVar[str] = "side"


@dataclass(frozen=True)
class Notes:
    """What the reader must know to trust the numbers, in a box that is seen."""

    lines: Sequence[str]
    kind: ClassVar[str] = "notes"


@dataclass(frozen=True)
class Check:
    """One value against one limit, in words, with a small drawing of both."""

    status: Status
    name: str
    value: str
    limit: str
    margin: str
    bar: Markup
    detail: str = ""


@dataclass(frozen=True)
class Checks:
    """Checks below each other; ``folded`` is the line to click on where they are folded away."""

    checks: Sequence[Check]
    folded: str = ""
    kind: ClassVar[str] = "checks"


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
    kind: ClassVar[str] = "verdict"

    @property
    def status(self) -> Status:
        """The ruling with its sign."""
        return Status(self.passed, self.ruling)

    @property
    def gauge(self) -> Markup | None:
        """The gauge, where there is a share to show."""
        return None if self.share is None else meter(self.share, self.target)


@dataclass(frozen=True)
class Section:
    """A heading, a sentence or two, and parts; a section among the parts gets a smaller heading.

    ``anchor`` is the name that a :class:`Link` leads to.
    """

    title: str
    parts: Sequence[Part]
    intro: str = ""
    anchor: str = ""
    kind: ClassVar[str] = "section"


Part = (
    Text | Table | Figure | Facts | Commands | Timeline | Clips | Listening | SideBySide | Notes | Checks
    | Verdict | Section
)  # fmt: skip
