"""Parts of the health page: distributions, and the sections that not every run has.

The split and who is isolated by it, durations of a built dataset, what listening told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from beatsight.gates.health.records import Durations, Sound, Split, Spread
from beatsight.report.page import Column, Figure, Section, SideBySide, Table, Text
from beatsight.report.plots import Bar, Group, Reference, bar_chart, histogram
from beatsight.report.text import duration, number, plural

# Rows of a list on the page; the JSON report holds more.
SHOWN = 20


def share(part: int, whole: int) -> str:
    """A part of a whole in percent.

    >>> share(1, 8), share(0, 0)
    ('12.5 %', '–')
    """
    return f"{100 * part / whole:.1f} %" if whole else "–"


def more(rows: list[Any], total: int, width: int) -> list[Any]:
    """Rows cut to :data:`SHOWN`, the last one then saying how many are left out."""
    if total <= SHOWN:
        return rows
    return [*rows[:SHOWN], (f"… and {total - SHOWN:,} more", *[None] * (width - 1))]


def bins(edges: Sequence[float], counts: Sequence[int], quantity: str, unit: str) -> Table:
    """The numbers behind a histogram."""
    rows = [
        (f"{low:g} to {high:g}", count)
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    return Table([Column(quantity), Column(unit)], rows)


def spread(title: str, found: Spread, x_label: str, noun: str) -> Figure | Text:
    """A distribution with its median."""
    if not found.count:
        return Text(f"{title}: not given in any of {plural(found.missing, noun.removesuffix('s'))}.")
    assert found.median is not None
    drawn = histogram(
        title, found.edges, [Group(noun, found.counts)], x_label, noun,
        references=[Reference(found.median, f"median {found.median:.1f}", "x")],
    )  # fmt: skip
    caption = (
        f"{title}: {number(found.lowest, 1)} to {number(found.highest, 1)}, given for {found.count:,} {noun} "
        f"({share(found.count, found.count + found.missing)})."
    )
    return Figure(drawn, caption, bins(found.edges, found.counts, x_label, noun))


def counted(title: str, counts: Mapping[str, int], unit: str) -> Figure:
    """Bars of the most frequent values of one key."""
    whole = sum(counts.values())
    shown = list(counts.items())[: SHOWN // 2]
    bars = [Bar(name, count, f"{count:,} ({share(count, whole)})") for name, count in shown]
    caption = f"{title}: {unit} of each." + (
        f" The most frequent {len(shown)} of {len(counts):,}." if len(counts) > len(shown) else ""
    )
    table = Table([Column(title.lower()), Column(unit)], more(list(counts.items()), len(counts), 2))
    return Figure(bar_chart(f"{title}: {unit} of each", bars, unit), caption, table)


def split(found: Split) -> Section:
    """Events on each side, and what stands on more than one."""
    whole = sum(found.events.values()) + found.left_out_events
    bars = [Bar(side, count, f"{count:,} ({share(count, whole)})") for side, count in found.events.items()]
    sides = Figure(
        bar_chart("Events on each side of the split", bars, "events"),
        f"Events on each side of the split; {plural(found.left_out_events, 'event')} left out.",
        Table([Column("side"), Column("events")], list(found.events.items())),
    )
    rows = [(group, one.names, one.shared, one.unnamed_events) for group, one in found.isolation.items()]
    columns = [Column("kind"), Column("names"), Column("on several sides"), Column("events without a name")]
    parts: list[Any] = [SideBySide([sides, Table(columns, rows, "What the sides share.")])]
    for group, one in found.isolation.items():
        if one.listed:
            shared = more([(name, ", ".join(on)) for name, on in one.listed.items()], one.shared, 2)
            parts.append(Table([Column(group), Column("sides")], shared, f"Each {group} on several sides."))
    return Section(
        "Split",
        parts,
        "Who stands on two sides of a split lets a model be tested on what it has learnt.",
    )


def durations(found: Durations) -> Section:
    """Seconds of the built dataset by split and by source."""
    return Section(
        "Durations of the built dataset",
        [
            SideBySide(
                [
                    _seconds("split", found.split_durations_seconds, found.run_split_durations_seconds),
                    _seconds(
                        "source", found.duration_seconds_by_source, found.run_duration_seconds_by_source
                    ),
                ]
            )
        ],
        "As the dataset's metadata states them.",
    )


def _seconds(kind: str, whole: Mapping[str, float], run: Mapping[str, float]) -> Figure | Text:
    if not whole and not run:
        return Text(f"No durations by {kind}.")
    names = [*whole, *(name for name in run if name not in whole)]
    bars = [Bar(name, whole.get(name), duration(whole.get(name))) for name in names[:SHOWN]]
    rows = [(name, whole.get(name), run.get(name)) for name in names]
    columns = [Column(kind), Column("seconds", 1), Column("of the last run", 1)]
    caption = f"Duration by {kind}" + (
        f"; {len(names) - SHOWN:,} more in the table." if len(names) > SHOWN else "."
    )
    return Figure(bar_chart(f"Duration by {kind}", bars, "seconds"), caption, Table(columns, rows))


def sound(found: Sound, *, has_split: bool) -> Section:
    """What listening told."""
    parts: list[Any] = [
        SideBySide(
            [
                spread("Measured loudness", found.lufs, "loudness in LUFS", "recordings"),
                spread("Measured peak", found.peak_dbfs, "peak in dBFS", "recordings"),
            ]
        )
    ]
    if found.unreadable:
        unreadable = more(list(found.unreadable.items()), found.recordings - found.heard, 2)
        parts.append(Table([Column("recording"), Column("why")], unreadable, "Could not be heard."))
    if found.worst_clipped:
        clipped = [(one.audio_path, one.clipped_runs, one.peak_dbfs) for one in found.worst_clipped]
        columns = [Column("recording"), Column("clipped runs"), Column("peak in dBFS")]
        parts.append(Table(columns, more(clipped, found.clipped, 3), "Clipped, the worst first."))
    if found.worst_dc:
        dc = [(one.audio_path, one.dc, one.lufs_i) for one in found.worst_dc]
        columns = [Column("recording"), Column("DC offset", 5), Column("loudness in LUFS", 1)]
        parts.append(
            Table(columns, more(dc, found.heard, 3), "DC offset, full scale being 1, the greatest first.")
        )
    if found.pairs:
        pairs = [
            (one.first, one.second, one.kind, one.similarity, ", ".join(one.sides)) for one in found.pairs
        ]
        columns = [Column("recording"), Column("is"), Column("kind"), Column("similarity"), Column("sides")]
        parts.append(Table(columns, more(pairs, len(pairs), 5), "One sound under two names."))
    across = f" {plural(found.on_several_sides, 'recording or pair')} on several sides." if has_split else ""
    return Section(
        "Sound",
        parts,
        f"{found.heard:,} of {plural(found.recordings, 'recording')} heard, {duration(found.seconds)}; "
        f"{found.clipped:,} clipped, {found.silent:,} silent, "
        f"{found.repeats:,} the same audio as another.{across}",
    )
