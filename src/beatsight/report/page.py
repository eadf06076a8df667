"""A report as one HTML file that needs nothing else: no network, no fonts, no scripts from elsewhere.

A :class:`Page` holds sections, a section holds parts (:mod:`beatsight.report.parts`: text, tables, figures,
facts, checks, commands, a timeline with sound). :func:`render` turns it into HTML with styles and script
inside; it reads well on a phone, on paper, in the dark and with scripts switched off. Every text is escaped;
drawings come from :mod:`beatsight.report.plots` and :mod:`beatsight.report.timeline`, which escape theirs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from beatsight.files import write_text
from beatsight.report.clips import Clip, Clips, Player
from beatsight.report.listening import Listening
from beatsight.report.parts import (
    Cell,
    Check,
    Checks,
    Column,
    Commands,
    Fact,
    Facts,
    Figure,
    Link,
    Notes,
    Part,
    Section,
    SideBySide,
    Status,
    Table,
    Text,
    Timeline,
    Verdict,
)

__all__ = [
    "Cell",
    "Check",
    "Checks",
    "Clip",
    "Clips",
    "Column",
    "Commands",
    "Fact",
    "Facts",
    "Figure",
    "Link",
    "Listening",
    "Notes",
    "Page",
    "Part",
    "Player",
    "Section",
    "SideBySide",
    "Status",
    "Table",
    "Text",
    "Timeline",
    "Verdict",
    "render",
    "write_page",
]


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    sections: Sequence[Section]
    subtitle: str = ""
    verdict: Verdict | None = None
    facts: Facts | None = None
    notes: Notes | None = None


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
    # What only a player needs is not carried by pages without one.
    names = ("page", "listening") if _has_player(page.sections) else ("page",)
    style, script = (
        Markup("\n".join(loader.get_source(environment, f"{name}.{kind}")[0] for name in names))
        for kind in ("css", "js")
    )
    return environment.get_template("page.html").render(page=page, style=style, script=script)


def _has_player(parts: Sequence[Part]) -> bool:
    return any(
        isinstance(part, Listening) or (isinstance(part, Section | SideBySide) and _has_player(part.parts))
        for part in parts
    )


def write_page(page: Page, path: str | os.PathLike[str]) -> None:
    """Render ``page`` and write it to ``path`` in one step.

    Raises:
        InputError: the file cannot be written.
    """
    write_text(path, render(page))
