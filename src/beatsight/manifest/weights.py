"""Sampling weights: how often training shall draw from each session, or each audio file.

    weight = clamp((count + smoothing) ** -exponent * product of boosts, min_weight, max_weight)

``count`` is the number of a group's events that count, and a technique's boost applies once when one of these
events has it. Which events count is decided in this order:

1. An event without a group (its key is absent, null or empty) never counts.
2. Of events that agree in all ``dedupe_fields``, the first in the file counts, whatever its group. Values are
   compared, not their spelling: the order of keys is of no account, null is absent, 1 equals 1.0. An event
   that has none of the fields is nobody's duplicate.
3. With a ``technique_filter``, a group that has events with any (``filter_match_all``: all) of the techniques
   counts these alone, so that a group where they are rare is drawn more often. A group without any is counted
   in full, or left out when ``include_unmatched`` is false.
4. Counting stops at ``max_events_per_group``, in the order of the file.
5. A group whose count is under ``min_count`` gets no weight, and is listed.

Source: the sampling profiles of docs/formats.md. A "boost" below 1 lowers the weight; it is applied as given,
and a note says so.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from beatsight.errors import InputError, UsageError
from beatsight.files import write_bytes
from beatsight.manifest.engine.table import (
    ALL_COMPONENT_KEYS,
    Progress,
    Table,
    open_table,
    refuse_input_as_output,
)
from beatsight.manifest.repeats import create_repeats
from beatsight.manifest.sampling_profiles import WeightSettings, check_settings


@dataclass
class WeightSummary:
    """Where every event went: ``events`` is the sum of the counts below it, down to ``counted``.

    Attributes:
        events: events in the manifest.
        without_group: events that do not name a group.
        duplicates: events left out because an earlier one has the same dedupe fields.
        unmatched: events left out by the technique filter.
        over_cap: events beyond ``max_events_per_group``.
        under_min_count: events of the groups that are too small.
        counted: events that made the weights.
        groups: groups with a weight.
        unmatched_groups: groups left out because no event of theirs passes the technique filter.
        dropped_groups: count of each group that is too small.
        notes: remarks a person should read.
    """

    events: int = 0
    without_group: int = 0
    duplicates: int = 0
    unmatched: int = 0
    over_cap: int = 0
    under_min_count: int = 0
    counted: int = 0
    groups: int = 0
    unmatched_groups: int = 0
    dropped_groups: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass
class GroupWeight:
    """One group: events counted, the weight of each, and how many of them have each technique."""

    count: int
    weight: float
    technique_counts: dict[str, int] = field(default_factory=dict)


@dataclass
class WeightReport:
    """The content of a file of sampling weights (docs/formats.md), groups and techniques in sorted order."""

    parameters: dict[str, Any]
    weights: dict[str, GroupWeight]
    technique_totals: dict[str, int]
    summary: WeightSummary


def weight_of(count: int, techniques: Mapping[str, int], settings: WeightSettings) -> float:
    """The weight of a group.

    Args:
        count: its events that count; 0 without smoothing is an infinite power, so ``max_weight`` is taken.
        techniques: how many of them have each technique.
        settings: exponent, smoothing, boosts, bounds.

    Raises:
        UsageError: the weight has no bound.

    >>> weight_of(99, {"flam": 3}, WeightSettings(smoothing=1.0, technique_boosts={"flam": 2.0, "drag": 9.0}))
    0.2
    """
    boost = math.prod(
        factor for name, factor in settings.technique_boosts.items() if techniques.get(name, 0) > 0
    )
    try:
        weight = (count + settings.smoothing) ** -settings.exponent * boost
    except (ZeroDivisionError, OverflowError):
        weight = math.inf
    weight = max(weight, settings.min_weight)
    if settings.max_weight is not None:
        weight = min(weight, settings.max_weight)
    if not math.isfinite(weight):
        raise UsageError(f"a group of {count} events has an infinite weight; give a max_weight")
    return weight


def sampling_weights(
    events: str | os.PathLike[str],
    settings: WeightSettings,
    output: str | os.PathLike[str] | None = None,
    *,
    profile: str | None = None,
    progress: Progress | None = None,
) -> WeightReport:
    """Weigh the groups of a manifest.

    Args:
        events: a manifest.
        settings: how.
        output: where to write the report as JSON, for ``beatsight train``; None writes nothing.
        profile: the name under which the settings were found, kept among the parameters.
        progress: called with (bytes read, bytes in all).

    Raises:
        InputError: the manifest is faulty or empty, no event has a key that is named, or no group is large
            enough.
        UsageError: the settings make no sense, or the output is the manifest itself.
    """
    check_settings(settings)
    refuse_input_as_output([events], output)
    dedupe = list(dict.fromkeys(settings.dedupe_fields or ()))
    fields = [settings.group_field, "techniques", *(name for name in dedupe if name != "components")]
    parts = ALL_COMPONENT_KEYS if "components" in dedupe else ()
    with open_table([events], fields, parts, progress=progress) as table:
        if not table.count:
            raise InputError(f"{events}: holds no events")
        summary = WeightSummary(events=table.count)
        _create_kept(table, settings, dedupe, str(events), summary)
        counts = _count(table, settings, summary)
        techniques = _count_techniques(table, counts)
    if not counts:
        raise InputError(
            f"{events}: no group has {settings.min_count} events that count, so none gets a weight"
        )
    weights = {
        name: GroupWeight(
            count, weight_of(count, techniques.get(name, {}), settings), techniques.get(name, {})
        )
        for name, count in counts.items()
    }
    totals: dict[str, int] = {}
    for found in techniques.values():
        for name, number in found.items():
            totals[name] = totals.get(name, 0) + number
    totals = dict(sorted(totals.items()))
    summary.counted, summary.groups = sum(counts.values()), len(counts)
    summary.notes = boost_notes(settings, totals)
    parameters = {"profile": profile, **msgspec.to_builtins(settings)}
    report = WeightReport(parameters, weights, totals, summary)
    if output is not None:
        write_bytes(output, msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
    return report


def boost_notes(settings: WeightSettings, technique_totals: Mapping[str, int]) -> list[str]:
    """What a person should know of the boosts: those that lower weights, and those that do nothing.

    >>> boost_notes(WeightSettings(technique_boosts={"hihat_bark": 0.75}), {"hihat_bark": 3})
    ['hihat_bark: a boost of 0.75 lowers the weight']
    """
    boosts = settings.technique_boosts.items()
    lowering = [f"{name}: a boost of {value:g} lowers the weight" for name, value in boosts if value < 1]
    idle = [f"{name}: no counted event has it, so its boost does nothing" for name, _ in boosts
            if not technique_totals.get(name)]  # fmt: skip
    return lowering + idle


def _create_kept(
    table: Table, settings: WeightSettings, dedupe: list[str], path: str, summary: WeightSummary
) -> None:
    """View ``kept`` (row, grp, techniques, matched): events that have a group and repeat no earlier one."""
    group = '"' + settings.group_field + '"'
    has_group = f"coalesce({group}, '') <> ''"
    table.query("CREATE TABLE repeats (row BIGINT)")
    ((with_group,),) = table.all(f"SELECT count(*) FILTER (WHERE {has_group}) FROM rows")
    if not with_group:
        raise InputError(
            f"{path}: no event has the group field {settings.group_field!r}; take another, such as session_id"
        )
    summary.without_group = table.count - with_group
    if dedupe:
        summary.duplicates = create_repeats(table, dedupe, has_group, path)
    matched = "false"
    if settings.technique_filter:
        test = "list_has_all" if settings.filter_match_all else "list_has_any"
        wanted = ", ".join("'" + name.replace("'", "''") + "'" for name in settings.technique_filter)
        matched = f"coalesce({test}(techniques, [{wanted}]), false)"
    table.query(
        f"CREATE VIEW kept AS SELECT row, {group} AS grp, techniques, {matched} AS matched "
        f"FROM rows ANTI JOIN repeats USING (row) WHERE {has_group}"
    )


def _count(table: Table, settings: WeightSettings, summary: WeightSummary) -> dict[str, int]:
    """Counts of the groups that get a weight, sorted; table ``chosen`` (grp, only_matched, number, stop)."""
    chosen = "true" if settings.include_unmatched or not settings.technique_filter else "m > 0"
    table.query(
        "CREATE TABLE groups AS SELECT grp, count(*) AS n, count(*) FILTER (WHERE matched) AS m "
        "FROM kept GROUP BY grp"
    )
    unmatched = f"CASE WHEN NOT ({chosen}) THEN n WHEN m > 0 THEN n - m ELSE 0 END"
    ((summary.unmatched, summary.unmatched_groups),) = table.all(
        f"SELECT coalesce(sum({unmatched}), 0)::BIGINT, count(*) FILTER (WHERE NOT ({chosen})) FROM groups"
    )
    cap = settings.max_events_per_group or table.count
    table.query(
        "CREATE TABLE chosen AS SELECT grp, m > 0 AS only_matched, available, "
        f"least(available, {cap}) AS number, {table.count}::BIGINT AS stop FROM "
        f"(SELECT *, CASE WHEN m > 0 THEN m ELSE n END AS available FROM groups WHERE {chosen})"
    )
    ((summary.over_cap,),) = table.all("SELECT coalesce(sum(available - number), 0)::BIGINT FROM chosen")
    if summary.over_cap:
        # The row of each large group at which counting stops; only these groups are put in order.
        table.query(
            "UPDATE chosen SET stop = ends.row FROM (SELECT grp, row FROM (SELECT k.grp, k.row, "
            "row_number() OVER (PARTITION BY k.grp ORDER BY k.row) AS n "
            "FROM kept k JOIN chosen c ON k.grp = c.grp "
            "WHERE c.available > c.number AND (k.matched OR NOT c.only_matched)) "
            f"WHERE n = {cap}) ends WHERE chosen.grp = ends.grp"
        )
    small = dict(
        table.all(f"SELECT grp, number FROM chosen WHERE number < {settings.min_count} ORDER BY grp")
    )
    summary.dropped_groups, summary.under_min_count = small, sum(small.values())
    table.query(f"DELETE FROM chosen WHERE number < {settings.min_count}")
    return dict(table.all("SELECT grp, number FROM chosen ORDER BY grp"))


def _count_techniques(table: Table, counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Events that count, per group and technique, both sorted."""
    found: dict[str, dict[str, int]] = {}
    for group, technique, number in table.all(
        "SELECT grp, technique, count(*) FROM "
        "(SELECT k.grp, unnest(list_distinct(k.techniques)) AS technique "
        "FROM kept k JOIN chosen c ON k.grp = c.grp "
        "WHERE k.row <= c.stop AND (k.matched OR NOT c.only_matched)) "
        "GROUP BY grp, technique ORDER BY grp, technique"
    ):
        found.setdefault(group, {})[technique] = number
    return found
