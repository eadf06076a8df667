"""Two manifests compared: sessions that came, went or changed; labels, techniques, sources; limits for CI.

A session has changed when its number of events, or of hits of a label, or of events with a technique differs.
Labels and techniques are compared as the files spell them. Percentages are of the base, None where that is 0.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from beatsight.errors import InputError, UsageError
from beatsight.files import write_bytes
from beatsight.manifest.engine.table import Progress, Table, open_table, refuse_input_as_output
from beatsight.manifest.stats import ABSENT


@dataclass
class Delta:
    """A count in the base and in the candidate."""

    base: int
    candidate: int
    delta: int = field(init=False)
    percent: float | None = field(init=False)

    def __post_init__(self) -> None:
        self.delta = self.candidate - self.base
        self.percent = 100.0 * self.delta / self.base if self.base else None

    @property
    def drop_percent(self) -> float:
        """How far the count fell, in percent of the base; 0 where it did not.

        >>> Delta(200, 150).drop_percent, Delta(0, 5).drop_percent
        (25.0, 0.0)
        """
        return max(0.0, -(self.percent or 0.0))


@dataclass
class SessionChange:
    """A session of both manifests: its events, and the labels and techniques whose count differs."""

    events: Delta
    labels: dict[str, Delta] = field(default_factory=dict)
    techniques: dict[str, Delta] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How much changed: events, hits and techniques more or less, added up."""
        parts = [self.events, *self.labels.values(), *self.techniques.values()]
        return sum(abs(part.delta) for part in parts)


@dataclass
class SourceChange:
    """Events and hits of one source set."""

    events: Delta
    hits: Delta


@dataclass
class SessionDiff:
    """Sessions: how many, and by name those added and removed (with their events) and changed."""

    count: Delta
    added: dict[str, int]
    removed: dict[str, int]
    changed: dict[str, SessionChange]


@dataclass
class LimitResult:
    """A limit of ``--fail-on``: what was found, and whether it is more than allowed."""

    name: str
    limit: float
    value: float
    exceeded: bool


@dataclass
class ManifestDiff:
    """The answer of :func:`diff_manifests`; everything sorted by name.

    Attributes:
        base, candidate: the files.
        events, hits: totals.
        sessions: see :class:`SessionDiff`.
        labels: hits of each label.
        techniques: events with each technique.
        sources: per source set.
        limits: those asked for.
        passed: no limit is exceeded.
    """

    base: str
    candidate: str
    events: Delta
    hits: Delta
    sessions: SessionDiff
    labels: dict[str, Delta]
    techniques: dict[str, Delta]
    sources: dict[str, SourceChange]
    limits: list[LimitResult] = field(default_factory=list)
    passed: bool = True


def _largest_drop(deltas: Mapping[str, Delta]) -> float:
    return max((delta.drop_percent for delta in deltas.values()), default=0.0)


def _gone(deltas: Mapping[str, Delta]) -> int:
    return sum(delta.base > 0 and delta.candidate == 0 for delta in deltas.values())


# What can be limited: what it means, and how it is found.
LIMITS: dict[str, tuple[str, Callable[[ManifestDiff], float]]] = {
    "events-drop": ("fall in events, %", lambda diff: diff.events.drop_percent),
    "hits-drop": ("fall in hits, %", lambda diff: diff.hits.drop_percent),
    "sessions-added": ("sessions added", lambda diff: len(diff.sessions.added)),
    "sessions-removed": ("sessions removed", lambda diff: len(diff.sessions.removed)),
    "sessions-changed": ("sessions changed", lambda diff: len(diff.sessions.changed)),
    "label-drop": ("largest fall of any label, %", lambda diff: _largest_drop(diff.labels)),
    "label-gone": ("labels that are gone", lambda diff: _gone(diff.labels)),
    "technique-drop": ("largest fall of any technique, %", lambda diff: _largest_drop(diff.techniques)),
    "technique-gone": ("techniques that are gone", lambda diff: _gone(diff.techniques)),
    "source-drop": (
        "largest fall in events of any source, %",
        lambda diff: _largest_drop({name: source.events for name, source in diff.sources.items()}),
    ),
}


def check_limits(limits: Mapping[str, float]) -> None:
    """Refuse limits that are unknown or no number.

    Raises:
        UsageError: names the limit, and those that are known.
    """
    for name, limit in limits.items():
        if name not in LIMITS:
            raise UsageError(f"unknown limit {name!r}; known limits: {', '.join(LIMITS)}")
        if not (math.isfinite(limit) and limit >= 0):
            raise UsageError(f"limit {name}: {limit:g} is not a number of 0 or more")


def diff_manifests(
    base: str | os.PathLike[str],
    candidate: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    limits: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> ManifestDiff:
    """Compare two manifests.

    Args:
        base: the manifest that is trusted.
        candidate: the one to come.
        output: where to write the complete diff as JSON; None writes nothing.
        limits: largest allowed value per name of :data:`LIMITS`.
        progress: called with (bytes read, bytes in all).

    Raises:
        InputError: a manifest is faulty or holds no events, or the output cannot be written.
        UsageError: a limit is unknown, or the output is one of the manifests.
    """
    check_limits(limits or {})
    refuse_input_as_output([base, candidate], output)
    with open_table(
        [base, candidate], ["session_id", "source_set", "techniques"], ["label"], progress=progress
    ) as table:
        for path, count in zip((base, candidate), table.file_counts, strict=True):
            if not count:
                raise InputError(f"{path}: holds no events")
        found = _compare(table, str(base), str(candidate))
    for name, limit in (limits or {}).items():
        value = float(LIMITS[name][1](found))
        found.limits.append(LimitResult(name, limit, value, value > limit))
    found.passed = not any(limit.exceeded for limit in found.limits)
    if output is not None:
        write_bytes(output, msgspec.json.format(msgspec.json.encode(found), indent=1) + b"\n")
    return found


# Rows of the two files, counted side by side.
_BOTH = "count(*) FILTER (WHERE file = 0) AS b, count(*) FILTER (WHERE file = 1) AS c"


def _sum(value: str, file: int) -> str:
    return f"coalesce(sum({value}) FILTER (WHERE file = {file}), 0)::BIGINT"


def _compare(table: Table, base: str, candidate: str) -> ManifestDiff:
    table.query(
        "CREATE TABLE hits AS SELECT session_id, label, file, count(*) AS n FROM "
        "(SELECT session_id, file, unnest(list_transform(components, lambda c: c.label)) AS label FROM rows) "
        "GROUP BY ALL"
    )
    table.query(f"CREATE TABLE sessions AS SELECT session_id, {_BOTH} FROM rows GROUP BY session_id")
    sums = f"{_sum('n', 0)} AS b, {_sum('n', 1)} AS c"
    table.query(
        f"CREATE TABLE session_labels AS SELECT session_id, label AS name, {sums} FROM hits GROUP BY ALL"
    )
    table.query(
        f"CREATE TABLE session_techniques AS SELECT session_id, name, {_BOTH} FROM (SELECT session_id, file, "
        "unnest(list_distinct(techniques)) AS name FROM rows) GROUP BY ALL"
    )
    labels = _totals(table, "session_labels")
    return ManifestDiff(
        base=base,
        candidate=candidate,
        events=Delta(*table.file_counts),
        hits=Delta(sum(one.base for one in labels.values()), sum(one.candidate for one in labels.values())),
        sessions=_sessions(table),
        labels=labels,
        techniques=_totals(table, "session_techniques"),
        sources=_sources(table),
    )


def _totals(table: Table, name: str) -> dict[str, Delta]:
    rows = table.all(f"SELECT name, sum(b)::BIGINT, sum(c)::BIGINT FROM {name} GROUP BY name ORDER BY name")
    return {name: Delta(base, candidate) for name, base, candidate in rows}


def _sessions(table: Table) -> SessionDiff:
    ((base, candidate),) = table.all("SELECT count(*) FILTER (b > 0), count(*) FILTER (c > 0) FROM sessions")
    added = dict(table.all("SELECT session_id, c FROM sessions WHERE b = 0 ORDER BY session_id"))
    removed = dict(table.all("SELECT session_id, b FROM sessions WHERE c = 0 ORDER BY session_id"))
    table.query(
        "CREATE TABLE changed AS SELECT session_id, b, c FROM sessions WHERE b > 0 AND c > 0 AND "
        "(b <> c OR session_id IN (SELECT session_id FROM session_labels WHERE b <> c UNION ALL "
        "SELECT session_id FROM session_techniques WHERE b <> c))"
    )
    changed = {
        session: SessionChange(Delta(b, c))
        for session, b, c in table.all("SELECT * FROM changed ORDER BY session_id")
    }
    for name, attribute in (("session_labels", "labels"), ("session_techniques", "techniques")):
        rows: list[tuple[Any, ...]] = table.all(
            f"SELECT session_id, name, b, c FROM {name} SEMI JOIN changed USING (session_id) WHERE b <> c "
            "ORDER BY session_id, name"
        )
        for session, one, b, c in rows:
            getattr(changed[session], attribute)[one] = Delta(b, c)
    return SessionDiff(Delta(base, candidate), added, removed, changed)


def _sources(table: Table) -> dict[str, SourceChange]:
    rows = table.all(
        f"SELECT coalesce(source_set, '{ABSENT}') AS source, {_BOTH}, "
        f"{_sum('len(components)', 0)}, {_sum('len(components)', 1)} "
        "FROM rows GROUP BY source ORDER BY source"
    )
    return {
        source: SourceChange(Delta(b, c), Delta(base_hits, candidate_hits))
        for source, b, c, base_hits, candidate_hits in rows
    }
