"""Finds the rows of a manifest that show a technique, by the rules of ``technique_rules``, in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa

from beatsight.manifest import technique_rules as rules
from beatsight.manifest.engine.table import Table
from beatsight.manifest.technique_rules import BIT
from beatsight.taxonomy import CANONICAL

FIELDS = ("session_id", "audio_path", "onset_time", "tempo_bpm", "meter", "negative_example")
COMPONENTS = (
    "label", "velocity", "dynamic_bucket", "openness", "strike_position", "choke", "instrument_variant",
)  # fmt: skip

_MOMENT = rules.MOMENT_S + rules.ROUNDING_S
_BARK = rules.BARK_S + rules.ROUNDING_S
_BARK_LEAST = rules.BARK_LEAST_S - rules.ROUNDING_S
_STROKE = rules.STROKE_S - rules.ROUNDING_S
_GRACE = rules.GRACE_S + rules.ROUNDING_S

# A take's number follows session and path, so that (take, time) orders a session.
_TAKES = """
CREATE TABLE takes AS
SELECT session_id, audio_path,
    CAST(row_number() OVER (ORDER BY session_id, audio_path NULLS FIRST) AS INTEGER) AS take,
    CAST(dense_rank() OVER (ORDER BY session_id) AS INTEGER) AS session
FROM (SELECT DISTINCT session_id, audio_path FROM rows WHERE negative_example IS NOT TRUE)
"""
_EVENTS = """
rows r JOIN takes t ON r.session_id = t.session_id AND r.audio_path IS NOT DISTINCT FROM t.audio_path
WHERE r.negative_example IS NOT TRUE
"""
_HITS = f"""
CREATE TABLE hits AS
SELECT e.row, e.take, e.time, n.canonical, n.piece, n.hat, n.drum, n.cymbal, n.hand, e.c.velocity,
    m.mark, m.said,
    CASE n.hat WHEN 1 THEN coalesce(e.c.openness >= {rules.CLOSED_BELOW}, false)
        WHEN 2 THEN coalesce(e.c.openness >= {rules.CLOSED_BELOW}, true) ELSE false END AS opens,
    CASE n.hat WHEN 1 THEN coalesce(e.c.openness < {rules.CLOSED_BELOW}, true)
        WHEN 2 THEN coalesce(e.c.openness < {rules.CLOSED_BELOW}, false) ELSE n.hat = 3 END AS closes,
    n.bits | coalesce(p.bits, 0)
    | CASE WHEN n.canonical IN ('snare', 'snare_off') AND
        coalesce(e.c.velocity < {rules.GHOST_BELOW}, e.c.dynamic_bucket = 'ghost', false)
        THEN {BIT["ghost_note"]} ELSE 0 END
    | CASE WHEN n.hat IN (1, 2) AND coalesce(
        e.c.openness >= {rules.CLOSED_BELOW} AND e.c.openness < {rules.OPEN_FROM}, n.canonical = 'hihat_half')
        THEN {BIT["hihat_half_open"]} ELSE 0 END
    | CASE WHEN n.cymbal > 0 AND coalesce(e.c.choke, false) THEN {BIT["cymbal_choke"]} ELSE 0 END
    | CASE WHEN coalesce(e.c.choke, false) AND opens THEN {BIT["hihat_bark"]} ELSE 0 END AS bits
FROM (
    SELECT r.row, t.take, r.onset_time AS time, unnest(r.components) AS c FROM {_EVENTS}
) e
JOIN names n ON n.label = e.c.label
LEFT JOIN positions p ON p.canonical = n.canonical AND p.position = e.c.strike_position
LEFT JOIN marks m ON m.label = e.c.label AND m.variant IS NOT DISTINCT FROM e.c.instrument_variant
"""
_LAYERS = f"""
SELECT row, CAST(CASE WHEN bit_count(bit_or(piece)) >= {rules.LAYERS} THEN {BIT["layered_hits"]} ELSE 0 END
    | CASE WHEN bool_or(hand) AND bit_or(piece) > 0 THEN {BIT["layered_percussion"]} ELSE 0 END AS UINTEGER)
    AS bits
FROM hits GROUP BY row HAVING count(*) >= 2
"""
_BARKS = f"""
SELECT h.row FROM hits h SEMI JOIN (
    SELECT take, time FROM (
        SELECT take, time, opens AND NOT closes AS struck_open,
            lead(closes AND NOT opens) OVER w AS shut, lead(time) OVER w - time AS gap
        FROM (
            SELECT take, time, bool_or(opens) AS opens, bool_or(closes) AS closes
            FROM hits WHERE hat > 0 GROUP BY take, time
        ) WINDOW w AS (PARTITION BY take ORDER BY time)
    ) WHERE struck_open AND shut AND gap >= {_BARK_LEAST} AND gap <= {_BARK}
) b ON h.take = b.take AND h.time = b.time WHERE h.opens
"""
# Strokes with another one near; those that are one; then each with the strokes around it.
_GRACES = f"""
CREATE TABLE mains AS
WITH near AS (
    SELECT * FROM (
        SELECT *, time - lag(time) OVER w AS gap, lead(time) OVER w - time AS next_gap
        FROM (
            SELECT take, drum, time, max(velocity) AS velocity
            FROM hits WHERE drum > 0 GROUP BY take, drum, time
        )
        WINDOW w AS (PARTITION BY take, drum ORDER BY time)
    ) WHERE gap <= {_GRACE} OR next_gap <= {_GRACE}
), numbered AS (
    SELECT *, count(*) FILTER (WHERE gap IS NULL OR gap >= {_STROKE}) OVER (
        PARTITION BY take, drum ORDER BY time ROWS UNBOUNDED PRECEDING) AS stroke FROM near
), strokes AS (
    SELECT take, drum, min(time) AS time, max(time) AS until, max(velocity) AS velocity
    FROM numbered GROUP BY take, drum, stroke
), around AS (
    SELECT *, time - lag(time) OVER w AS gap1, lag(time) OVER w - lag(time, 2) OVER w AS gap2,
        lag(time, 2) OVER w - lag(time, 3) OVER w AS gap3, lead(time) OVER w - time AS next_gap,
        lag(velocity) OVER w AS velocity1, lag(velocity, 2) OVER w AS velocity2,
        lead(velocity) OVER w AS next_velocity
    FROM strokes WINDOW w AS (PARTITION BY take, drum ORDER BY time)
)
SELECT take, drum, time, until,
    CAST(CASE WHEN gap2 <= {_GRACE} THEN {BIT["drag"]} ELSE {BIT["flam"]} END AS UINTEGER) AS bits
FROM around
WHERE gap1 <= {_GRACE} AND velocity1 <= {rules.GRACE_LEVEL} * velocity
    AND NOT coalesce(next_gap <= {_GRACE} AND velocity <= {rules.GRACE_LEVEL} * next_velocity, false)
    AND (NOT coalesce(gap2 <= {_GRACE}, false)
        OR (velocity2 <= {rules.GRACE_LEVEL} * velocity AND NOT coalesce(gap3 <= {_GRACE}, false)))
"""
_MAINS = """
SELECT h.row, m.bits FROM hits h
JOIN mains m ON h.take = m.take AND h.drum = m.drum AND h.time >= m.time AND h.time <= m.until
"""
_CYMBAL_MOMENTS = f"""
WITH near AS (
    SELECT * FROM (
        SELECT *, time - lag(time) OVER w AS gap, lead(time) OVER w - time AS next_gap
        FROM hits WHERE cymbal > 0 WINDOW w AS (PARTITION BY take, cymbal ORDER BY time)
    ) WHERE gap <= {_MOMENT} OR next_gap <= {_MOMENT}
), compared AS (
    SELECT row,
        cymbal = {rules.CYMBALS["crash"]} AND min(canonical) OVER w <> max(canonical) OVER w AS dual,
        coalesce(min(mark) FILTER (mark > 0) OVER w <> max(mark) FILTER (mark > 0) OVER w, false) OR
        coalesce(min(mark) FILTER (mark < 0) OVER w <> max(mark) FILTER (mark < 0) OVER w, false) AS several
    FROM near WINDOW w AS (
        PARTITION BY take, cymbal ORDER BY time RANGE BETWEEN {_MOMENT} PRECEDING AND {_MOMENT} FOLLOWING)
)
SELECT row, CAST(CASE WHEN dual THEN {BIT["crash_dual_label"]} ELSE 0 END
    | {BIT["multi_cymbal_same_class"]} AS UINTEGER) AS bits
FROM compared WHERE dual OR several
"""
_LISTED_TWICE = """
SELECT row FROM hits WHERE cymbal > 0 GROUP BY row, canonical
HAVING count(*) >= 2 AND (NOT bool_and(said) OR min(mark) <> max(mark))
"""
_FURTHER_CYMBALS = """
SELECT h.row FROM hits h SEMI JOIN (
    SELECT * FROM (
        SELECT take, time, cymbal, mark,
            (take, time) > min((take, time)) OVER (PARTITION BY session, cymbal, mark > 0) AS further
        FROM (
            SELECT t.session, cymbal, mark, min(take) AS take, arg_min(first, take) AS time
            FROM (SELECT take, cymbal, mark, min(time) AS first FROM hits WHERE cymbal > 0 GROUP BY ALL)
            JOIN takes t USING (take) GROUP BY ALL
        )
    ) WHERE further
) f ON h.take = f.take AND h.time = f.time AND h.cymbal = f.cymbal AND h.mark = f.mark
"""
_VARIED = f"""
CREATE TABLE varied AS
SELECT row, take, time, tempo, meter FROM (
    SELECT r.row, t.take, r.onset_time AS time, r.tempo_bpm AS tempo, r.meter FROM {_EVENTS}
) SEMI JOIN (
    SELECT t.take FROM {_EVENTS} GROUP BY t.take
    HAVING min(r.tempo_bpm) <> max(r.tempo_bpm) OR min(r.meter) <> max(r.meter)
) v USING (take)
"""
_METER_CHANGES = """
SELECT v.row FROM varied v SEMI JOIN (
    SELECT take, time FROM (
        SELECT take, time, meter, lag(meter) OVER (PARTITION BY take ORDER BY time) AS before
        FROM (
            SELECT take, time, min(meter) AS meter
            FROM varied GROUP BY take, time HAVING min(meter) = max(meter)
        )
    ) WHERE before <> meter
) c ON v.take = c.take AND v.time = c.time
"""
# Where the tempo changes, and the last moment of the take.
_TEMPO_CHANGES = """
SELECT take, time, tempo FROM (
    SELECT take, time, tempo, lag(tempo) OVER w AS before, lead(tempo) OVER w AS after
    FROM (
        SELECT take, time, min(tempo) AS tempo
        FROM varied GROUP BY take, time HAVING min(tempo) = max(tempo)
    )
    WINDOW w AS (PARTITION BY take ORDER BY time)
) WHERE before IS NULL OR before <> tempo OR after IS NULL ORDER BY take, time
"""
_MODULATED = "SELECT v.row FROM varied v SEMI JOIN steps s ON v.take = s.take AND v.time = s.time"


class Found:
    """The techniques of every row, as a mask of :data:`technique_rules.BIT`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.masks = np.zeros(table.count, np.uint32)

    def add(self, sql: str, technique: str | None = None) -> None:
        """Mark the rows of an answer: with one technique, or with the answer's own ``bits``."""
        for batch in self._table.batches(sql):
            bits = np.uint32(BIT[technique]) if technique else batch.column(1).to_numpy().astype(np.uint32)
            np.bitwise_or.at(self.masks, batch.column(0).to_numpy(), bits)


def search(table: Table) -> tuple[np.ndarray, dict[str, int]]:
    """Look for every technique.

    Args:
        table: opened with :data:`FIELDS` and :data:`COMPONENTS`.

    Returns:
        A mask a row (uint32, :data:`technique_rules.BIT`), and how often each unknown label occurs.
    """
    unknown = _name_labels(table)
    table.query(_TAKES)
    table.query(_HITS)
    found = Found(table)
    found.add("SELECT row, CAST(bits AS UINTEGER) AS bits FROM hits WHERE bits <> 0")
    found.add(_LAYERS)
    found.add(_BARKS, "hihat_bark")
    table.query(_GRACES)
    found.add(_MAINS)
    found.add(_CYMBAL_MOMENTS)
    found.add(_LISTED_TWICE, "multi_cymbal_same_class")
    found.add(_FURTHER_CYMBALS, "multi_cymbal_same_class")
    table.query("DROP TABLE hits")
    table.query(_VARIED)
    found.add(_METER_CHANGES, "variable_meter")
    steps = [(take, time) for take, points in _tempo_points(table) for time in rules.modulations(*points)]
    takes, times = zip(*steps, strict=True) if steps else ((), ())
    table.db.register(
        "steps", pa.table({"take": pa.array(takes, pa.int32()), "time": pa.array(times, pa.float64())})
    )
    found.add(_MODULATED, "metric_modulation")
    return found.masks, unknown


def _tempo_points(table: Table) -> Iterator[tuple[int, tuple[list[float], list[float]]]]:
    """Each take whose tempo changes: its number, and the times and tempi for ``modulations``."""
    changes = (
        row
        for batch in table.batches(_TEMPO_CHANGES)
        for row in zip(*(c.to_pylist() for c in batch), strict=True)
    )
    for take, rows in groupby(changes, key=itemgetter(0)):
        points = list(rows)
        yield take, ([time for _, time, _ in points], [tempo for *_, tempo in points])


def _name_labels(table: Table) -> dict[str, int]:
    """Lay down what every label, cymbal and strike position of the manifest means; the unknown labels."""
    parts = "(SELECT unnest(components) AS c FROM rows WHERE negative_example IS NOT TRUE)"
    counts = table.all(f"SELECT c.label, count(*) FROM {parts} GROUP BY ALL ORDER BY ALL")
    meanings = {label: rules.meaning(label) for label, _ in counts}
    codes = ", ".join(f"{name} UTINYINT" for name in ("hat", "drum", "cymbal"))
    labels = ", ".join(f"'{name}'" for name in CANONICAL)
    table.query(
        f"CREATE TABLE names (label VARCHAR, canonical ENUM ({labels}), piece USMALLINT, {codes}, "
        "hand BOOLEAN, bits UINTEGER)"
    )
    table.query("CREATE TABLE marks (label VARCHAR, variant VARCHAR, mark INTEGER, said BOOLEAN)")
    table.query("CREATE TABLE positions (canonical VARCHAR, position VARCHAR, bits UINTEGER)")
    _fill(table, "names", [name for name in meanings.values() if name is not None])
    variants = table.all(
        f"SELECT DISTINCT c.label, c.instrument_variant FROM {parts} "
        "WHERE c.label IN (SELECT label FROM names WHERE cymbal > 0)"
    )
    _fill(table, "marks", _marks(variants))
    # Positions may be as many as hits; those that say something are few.
    positions = {
        (canonical, position, bits)
        for batch in table.batches(
            f"SELECT DISTINCT n.canonical::VARCHAR, c.strike_position FROM {parts} "
            "JOIN names n ON n.label = c.label WHERE c.strike_position IS NOT NULL"
        )
        for canonical, position in zip(*(column.to_pylist() for column in batch), strict=True)
        if (bits := rules.position_bits(canonical, position))
    }
    _fill(table, "positions", list(positions))
    return {label: count for label, count in counts if meanings[label] is None}


def _marks(variants: list[tuple[str, str | None]]) -> list[tuple[str, str | None, int, bool]]:
    """Cymbals as whole numbers: above 0 those known by number, below 0 those known by name."""
    marks = [rules.cymbal_mark(label, variant) for label, variant in variants]
    numbers = {
        number: index for index, number in enumerate(dict.fromkeys(m.number for m in marks if m.number), 1)
    }
    names = {name: -index for index, name in enumerate(dict.fromkeys(m.name for m in marks if m.name), 1)}
    return [
        (label, variant, numbers[mark.number] if mark.number else names[mark.name or ""], mark.said)
        for (label, variant), mark in zip(variants, marks, strict=True)
    ]


def _fill(table: Table, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Put some rows into a table that is there."""
    columns = [column for column, *_ in table.all(f"DESCRIBE {name}")]
    arrays = {column: [row[index] for row in rows] for index, column in enumerate(columns)}
    if rows:
        table.db.register("filling", pa.table(arrays))
        table.query(f"INSERT INTO {name} SELECT * FROM filling")
        table.db.unregister("filling")
