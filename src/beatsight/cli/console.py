"""What every command does the same way: progress, answers, label lists."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

# Work that takes longer shows a progress bar (docs/commands.md).
_BAR_AFTER_S = 2.0
# The time left is estimated from the speed of so many seconds: files differ in length, so a short while
# misleads.
_SPEED_OVER_S = 120.0


class Update(Protocol):
    """Moves a progress bar: ``(done, total)``, and another text when the work's next step begins."""

    def __call__(self, done: int, total: int, text: str | None = None) -> None: ...


@contextmanager
def progress_bar(text: str) -> Iterator[Update]:
    """A progress bar on stderr with the time left, for work over two seconds, if somebody watches."""
    if not sys.stderr.isatty():
        yield lambda done, total, text=None: None
        return
    start = time.monotonic()
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        TextColumn("left"),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, speed_estimate_period=_SPEED_OVER_S) as bar:
        task = bar.add_task(text, visible=False)

        def update(done: int, total: int, text: str | None = None) -> None:
            late = time.monotonic() - start > _BAR_AFTER_S
            bar.update(task, completed=done, total=total, visible=late, description=text)

        yield update


def say(as_json: bool, answer: Any, prose: str) -> None:
    """The answer on stdout: one JSON object for machines, or prose."""
    typer.echo(msgspec.json.encode(answer).decode() if as_json else prose)


# Prose is as wide as the terminal within these; in a file or a log always as wide.
_NARROWEST, _IN_A_LOG, _WIDEST = 60, 110, 140


def prose_console() -> Console:
    """Where tables of an answer are laid out, as wide as the terminal that they go to."""
    width = _IN_A_LOG
    if sys.stdout.isatty():
        width = min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size((_IN_A_LOG, 24)).columns))
    return Console(width=width, highlight=False)


def unpadded(text: str) -> str:
    """Without the blanks that fill a table's lines.

    >>> unpadded("gate   \\nrtf  ok \\n\\n")
    'gate\\nrtf  ok'
    """
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip()


def note(text: str) -> None:
    """A remark for the person at the terminal, on stderr."""
    typer.echo(text, err=True)


def number(value: float) -> str:
    """A count with its thousands set apart.

    >>> number(7391699)
    '7 391 699'
    """
    return f"{value:,}".replace(",", " ")


def counted(count: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "hit"), counted(2000, "hit")
    ('1 hit', '2 000 hits')
    """
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def printable(text: str) -> str:
    """A name from a file, safe to put into a rich table: no markup, no control characters.

    >>> printable("snare[bold]\\n")
    'snare\\\\[bold]?'
    """
    return escape("".join(letter if letter.isprintable() else "?" for letter in text))
