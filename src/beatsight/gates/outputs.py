"""Where a gate writes: its page beside its report, and neither over a file that is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from beatsight.errors import UsageError


def page_beside(report: Path) -> Path:
    """The page of a JSON report.

    Raises:
        UsageError: the report is no name of a file.

    >>> page_beside(Path("reports/health.json")).as_posix()
    'reports/health.html'
    """
    if report.name in ("", ".."):
        raise UsageError(f"{report}: is a folder, not a file that can be written")
    return report.with_suffix(".html")


def files_read(settings: Any) -> Iterator[tuple[str, Path]]:
    """The files that the settings of a gate name, each with its key.

    Raises:
        UsageError: a name is no text, so that no report could hold it.
    """
    for key, value in msgspec.structs.asdict(settings).items():
        for path in value if isinstance(value, list | tuple) else [value]:
            if isinstance(path, Path):
                if not _is_text(path):
                    raise UsageError(
                        f"{path}: its name is not UTF-8 text, so no report can hold it; rename it"
                    )
                yield key, path


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def check_targets(settings: Any, report: Path | None, page: Path | None) -> None:
    """Refuse a report and a page that would take the place of each other or of a file that is read.

    Args:
        settings: of the gate.
        report: the JSON to write.
        page: the HTML to write; None: beside the report, where that is given.

    Raises:
        UsageError: an output is an input or the other output, or no name of a file.
    """
    if page is None and report is not None:
        page = page_beside(report)
    written = {os.path.realpath(path): path for path in (report, page) if path is not None}
    if report is not None and page is not None and len(written) < 2:
        raise UsageError(f"{page}: report and page would both be written to this file")
    for key, path in files_read(settings):
        if os.path.realpath(path) in written:
            raise UsageError(f"{path}: is read by this gate ({key}), so no report may replace it")
