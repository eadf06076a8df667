"""Readiness as the Markdown that GitHub shows on the page of a workflow run.

Verdict, one row a part, then the failed gates. Names come from files, so every character that could mean
something to Markdown or HTML is written as a character reference.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from beatsight.errors import InputError
from beatsight.files import reason
from beatsight.gates.readiness import ReadinessReport
from beatsight.report.outcome import NOT_CONFIGURED, failures, headline, limit, part_outcome, value
from beatsight.report.text import plural

_SPECIAL = re.compile(r"[&<>|*_`\[\]()#@~\\!$:]|www\.|[^\S ]|[\x00-\x1f\x7f-\x9f]")
# GitHub refuses summaries of more than 1 MiB; long before that nobody reads on.
_SHOWN = 50
_MARKS = {
    "passed": "✅ passed", "failed": "❌ failed", "not_judged": "❌ not judged", "error": "❌ error",
    "not_run": "⏭️ not run",
}  # fmt: skip


def step_summary(report: ReadinessReport) -> str:
    """The summary, ending in a line break."""
    lines = [f"## {'✅' if report.passed else '❌'} {headline(report)}", ""]
    rows = [(_plain(part.name), _MARKS[part.status], _plain(part_outcome(part))) for part in report.parts]
    rows += [(_plain(name), "– " + NOT_CONFIGURED, "") for name in report.not_configured]
    lines += _table(("gate", "verdict", ""), rows)
    failed = [(part.name, result) for part in report.parts for result in failures(part)]
    if failed:
        cells = [
            (
                _plain(f"{name}/{result.gate}"),
                _plain(value(result)),
                _plain(limit(result)),
                _plain(result.detail),
            )
            for name, result in failed[:_SHOWN]
        ]
        lines += ["### What failed", "", *_table(("gate", "value", "must be", "why"), cells)]
        if len(failed) > _SHOWN:
            lines += [
                f"… and {plural(len(failed) - _SHOWN, 'more failed gate')}; the report has them all.",
                "",
            ]
    return "\n".join(lines).rstrip() + "\n"


def append_step_summary(report: ReadinessReport, path: str | os.PathLike[str]) -> None:
    """Add the summary to the end of a file, as the steps of a workflow do.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(step_summary(report) + "\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {reason(error)}") from error


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line.

    >>> _plain("a|b <i>"), _plain("two\\nlines")
    ('a&#124;b &#60;i&#62;', 'two lines')
    """

    def reference(match: re.Match[str]) -> str:
        found = match.group()
        if found.isspace() or not found.isprintable():
            return " "
        return "".join(f"&#{ord(letter)};" for letter in found) if len(found) == 1 else "www&#46;"

    return _SPECIAL.sub(reference, text)


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]
