"""The progress bar: on a terminal only, after a while, with the time that is left."""

from __future__ import annotations

import io

import pytest

from beatsight.cli import console


class Terminal(io.StringIO):
    """A stderr that somebody watches."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, after_s: float) -> str:
    """What stands on stderr after half of some work, five seconds long."""
    clock = iter(range(0, 1000, 5))
    monkeypatch.setattr("rich.progress.Progress.get_time", lambda self: float(next(clock)), raising=False)
    monkeypatch.setattr(console, "_BAR_AFTER_S", after_s)
    monkeypatch.setattr("sys.stderr", stream)
    with console.progress_bar("Working") as update:
        for done in (0, 25, 50):
            update(done, 100)
    return stream.getvalue()


def test_the_time_left_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, Terminal(), after_s=0.0)
    assert "Working" in text and "50%" in text and "0:00:" in text and "left" in text


def test_short_work_and_no_terminal_show_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Working" not in shown(monkeypatch, Terminal(), after_s=60.0)
    assert shown(monkeypatch, io.StringIO(), after_s=0.0) == ""
