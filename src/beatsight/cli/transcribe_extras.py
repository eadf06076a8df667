"""What ``beatsight transcribe`` does beside charts: a page to hear the song by, the drums of a mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from beatsight.errors import InputError, UsageError
from beatsight.report.song_page import write_song_page
from beatsight.transcription.batch import Job, Outcome

_STEM_SUFFIXES = (".wav", ".flac")
_PAGE_SUFFIXES = (".html", ".htm")


def check_extras(
    jobs: Sequence[Job],
    page: Path | None,
    separate: bool,
    keep_stem: Path | None,
    *,
    resume: bool,
    workers: int,
) -> None:
    """Refuse what does not go together, before anything is done.

    Raises:
        UsageError: a page or a stem of many songs, whose name is no page's or no stem's, or which would
            replace the song itself; a stem without separation, or several processes for it.
    """
    for option, path in (("--page", page), ("--keep-stem", keep_stem)):
        if path is not None and len(jobs) != 1:
            raise UsageError(f"{option} is for one song, not for {len(jobs)}")
        if path is not None and _is_same(path, jobs[0].song):
            raise UsageError(f"{path}: is the song itself, which {option} would replace")
    if page is not None and resume:
        raise UsageError("--page and --resume exclude each other: a song that is skipped has no page")
    if page is not None and page.suffix.lower() not in _PAGE_SUFFIXES:
        raise UsageError(f"{page}: a page is written as {' or '.join(_PAGE_SUFFIXES)}")
    if keep_stem is not None and not separate:
        raise UsageError("--keep-stem keeps what --separate makes; add that")
    if keep_stem is not None and keep_stem.suffix.lower() not in _STEM_SUFFIXES:
        raise UsageError(f"{keep_stem}: a stem is written as {' or '.join(_STEM_SUFFIXES)}")
    if separate and workers > 1:
        raise UsageError("--separate takes all cores by itself; leave --workers away")


def _is_same(path: Path, song: Path) -> bool:
    return path.exists() and song.exists() and path.samefile(song)


def with_page(outcome: Outcome, page: Path) -> Outcome:
    """The same outcome after its page was written, which then stands among its files."""
    if outcome.chart is None:
        return outcome
    try:
        write_song_page(outcome.job.song, outcome.chart, page)
    except InputError as error:
        return replace(outcome, fault=str(error))
    return replace(outcome, changed={**outcome.changed, str(page): {}})
