"""``readiness.toml``, and flags over it: which gates to run, with which settings.

A section is named after its gate and holds the gate's settings, and ``report``, the path of its own JSON
report; ``[[alignment]]`` may stand several times, once a session. Paths in the file start at the file's
folder, those in flags at the current folder. A flag replaces its key of the section and leaves the section's
others as they are; alignment flags name sessions, and each takes the other keys of the one ``[alignment]``
section.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from beatsight.errors import InputError, UsageError
from beatsight.files import read_text
from beatsight.gates.outputs import files_read, page_beside
from beatsight.gates.readiness import GATES, Job

REPORT = "report"
# The gate that may be configured several times, and what tells its sessions apart.
_MANY, _SESSION = "alignment", "manifest"
_UNKNOWN = re.compile(r"^Object contains unknown field `(.*?)`")
_MISSING = re.compile(r"^Object missing required field `(.*?)`")
_WRONG_TYPE = re.compile(r"^Expected (\w+)(?: \| null)?, got (\w+)")
_NO_CHOICE = "Invalid enum value "
# Types as a person who writes TOML calls them.
_KINDS = {
    "array": 'a list, ["…"]', "bool": "true or false", "date": "a date", "datetime": "a date",
    "float": "a number", "int": "a whole number", "object": "a table", "str": "a text",
}  # fmt: skip
_PLACE = re.compile(r" - at `\$\.?(.*?)`$")


class _Own(msgspec.Struct):
    """What a section holds beside the gate's settings."""

    report: Path | None = None


Sections = Mapping[str, Sequence[Mapping[str, Any]]]


def read_sections(path: str | os.PathLike[str]) -> dict[str, list[dict[str, Any]]]:
    """The sections of a ``readiness.toml``, each gate's as a list, values as TOML has them.

    Raises:
        InputError: the file cannot be read, is not TOML, or holds something that is no section of a gate.
    """
    try:
        raw = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: is not valid TOML: {error}") from error
    except RecursionError:
        raise InputError(f"{path}: is not usable TOML: it is nested too deeply") from None
    sections = {}
    for name, value in raw.items():
        tables = value if isinstance(value, list) else [value]
        if not all(isinstance(table, dict) for table in tables):
            raise InputError(f"{path}: {name}: stands outside of any section")
        if name not in GATES:
            raise InputError(f"{path}: unknown section [{name}]; known: {', '.join(GATES)}")
        if isinstance(value, list) and name != _MANY:
            raise InputError(f"{path}: [[{name}]]: only {_MANY} may be given several times; write [{name}]")
        sections[name] = tables
    return sections


def read_jobs(config: str | os.PathLike[str] | None, flags: Sections | None = None) -> list[Job]:
    """The jobs of a file and of flags.

    Args:
        config: a ``readiness.toml``, or None.
        flags: gate → settings given on the command line, paths as :class:`~pathlib.Path`; one mapping, or
            for ``alignment`` one a session.

    Raises:
        InputError: a fault of the file, with section and key.
        UsageError: flags that make no sense, or nothing at all is configured.
    """
    sections: dict[str, list[dict[str, Any]]] = {} if config is None else read_sections(config)
    for gate, given in (flags or {}).items():
        if given:
            sections[gate] = _overlaid(gate, sections.get(gate, []), given)
    if not any(sections.values()):
        where = f"{config}: holds no section" if config is not None else "no gate is configured"
        raise UsageError(f"{where}, so nothing can be ready; known gates: {', '.join(GATES)}")
    return [
        job
        for gate in GATES
        for job in _jobs(gate, sections.get(gate, []), None if config is None else Path(config))
    ]


def _overlaid(
    gate: str, tables: list[dict[str, Any]], given: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    if len(tables) > 1:
        raise UsageError(f"the file has {len(tables)} [[{gate}]] sections, so no {gate} flag can be given")
    table = tables[0] if tables else {}
    if gate == _MANY:
        # A report belongs to one session; that of the file would be written by each.
        table = {key: value for key, value in table.items() if key != REPORT}
    return [{**table, **one} for one in given]


def _jobs(gate: str, tables: Sequence[Mapping[str, Any]], config: Path | None) -> list[Job]:
    found = [_job(gate, table, config) for table in tables]
    if len(found) == 1:
        return found
    manifests = [getattr(job.settings, _SESSION) for job in found]
    stems = [path.stem for path in manifests]
    whole = len(set(stems)) < len(stems)
    return [
        Job(gate, job.settings, f"{gate}: {path if whole else path.stem}", job.report)
        for job, path in zip(found, manifests, strict=True)
    ]


def _job(gate: str, table: Mapping[str, Any], config: Path | None) -> Job:
    where = f"{config}: [{gate}]" if config is not None else gate
    fault = InputError if config is not None else UsageError
    base = config.parent if config is not None else Path()

    def path_of(kind: type, value: Any) -> Any:
        if kind is not Path:
            raise NotImplementedError(f"readiness.toml cannot hold a {kind.__name__}")
        if isinstance(value, Path):
            return value
        if not isinstance(value, str):
            raise ValueError("must be a path, in quotes")
        if not value.strip() or "\0" in value:
            raise ValueError("is no path")
        return base / value

    keys = dict(table)
    for key, value in keys.items():
        _refuse_infinite(value, f"{where}: {key}", fault)
    try:
        own = {REPORT: keys.pop(REPORT)} if REPORT in keys else {}
        report = msgspec.convert(own, _Own, dec_hook=path_of).report
        settings = msgspec.convert(keys, GATES[gate].settings, dec_hook=path_of)
    except msgspec.ValidationError as error:
        raise fault(f"{where}: {_explain(error, gate)}") from None
    except UsageError as error:
        raise fault(f"{where}: {error}") from error
    if report is not None and report.suffix.lower() == ".html":
        raise fault(f"{where}: {REPORT}: {report} is the JSON report, whose page goes beside it as .html")
    return Job(gate, settings, gate, report)


def _refuse_infinite(value: Any, where: str, fault: type[InputError] | type[UsageError]) -> None:
    for one in value if isinstance(value, list) else value.values() if isinstance(value, dict) else [value]:
        if isinstance(one, float) and not math.isfinite(one):
            raise fault(f"{where}: {one} is not a finite number")


def _explain(error: msgspec.ValidationError, gate: str) -> str:
    """``key: why`` from msgspec's text."""
    text = str(error)
    if unknown := _UNKNOWN.match(text):
        known = [*(field.name for field in msgspec.structs.fields(GATES[gate].settings)), REPORT]
        return f"unknown key {unknown[1]!r}; known: {', '.join(known)}"
    if missing := _MISSING.match(text):
        return f"{missing[1]}: is missing"
    place = _PLACE.search(text)
    key = place[1] if place else ""
    why = _PLACE.sub("", text).replace("`", "")
    if why.startswith(_NO_CHOICE):
        why = f"{why.removeprefix(_NO_CHOICE)} is none of {', '.join(_choices(gate, key))}"
    elif wrong := _WRONG_TYPE.match(why):
        why = f"must be {_KINDS.get(wrong[1], wrong[1])}, not {_KINDS.get(wrong[2], wrong[2])}"
    return f"{key}: {why}" if key else why


def _choices(gate: str, key: str) -> list[str]:
    """The words that a key may hold, or every item of its list."""
    hint = get_type_hints(GATES[gate].settings)[key.partition("[")[0]]
    while get_origin(hint) is not Literal:
        hint = get_args(hint)[0]
    return list(get_args(hint))


def check_outputs(jobs: Sequence[Job], others: Sequence[Path], config: Path | None = None) -> None:
    """Refuse reports that would take the place of each other or of something that is read.

    Args:
        jobs: their reports, each with its page beside it, and the files named in their settings.
        others: more files that the run writes.
        config: the ``readiness.toml``.

    Raises:
        UsageError: two outputs are one file, or an output is an input. What ``regression`` compares may be
            the health report of the same run.
    """
    reports = [job.report for job in jobs if job.report is not None]
    outputs: set[str] = set()
    for path in [*reports, *map(page_beside, reports), *others]:
        if os.path.realpath(path) in outputs:
            raise UsageError(f"{path}: two reports would be written to this file")
        outputs.add(os.path.realpath(path))
    if config is not None and os.path.realpath(config) in outputs:
        raise UsageError(f"{config}: is the configuration, so no report may replace it")
    made = {os.path.realpath(job.report) for job in jobs if job.report is not None and job.gate == "health"}
    for job in jobs:
        for key, path in files_read(job.settings):
            compared = made if (job.gate, key) == ("regression", "candidate") else set()
            if os.path.realpath(path) in outputs - compared:
                raise UsageError(f"{path}: is read by {job.name} ({key}), so no report may replace it")
