"""Hard negatives: what a model heard with confidence where the truth has no such drum, hardest first.

A *candidate* is a label that a prediction scores at or above a threshold (a label is compared by its
canonical name; of two names for one drum the higher score counts). It is right when the truth has a hit of
that label at the event of the same ``sample_id``, or in the same session within a window around the
prediction's time, both ends included; otherwise it is a false positive. A prediction can be judged when the
truth has its ``sample_id``, or holds events of its session and the prediction has a time; others are counted
and listed, not guessed at.

The truth may be short: JSON lines of ``sample_id`` and ``components`` alone are matched by id. The output is
a manifest of negative examples, so it can be merged with the events that a model trains on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pyarrow as pa

from beatsight.errors import InputError, UsageError
from beatsight.manifest.engine.rewrite import Progress, check_format, line_output
from beatsight.manifest.engine.table import Table, open_table
from beatsight.manifest.truth import open_truth
from beatsight.taxonomy import is_known, resolve

# The tolerance usual for drum onsets (mir_eval's default).
WINDOW_MS = 50.0
# Around the onset, as much as the format's own context_ms commonly holds.
CLIP_BEFORE_MS, CLIP_AFTER_MS = 80.0, 220.0
# A difference of two times is off by far less, so that a hit at exactly the window's edge is inside.
_SLACK_S = 1e-9
# Hits are looked up in stretches of time, at least this long and at least two windows.
_STRETCH_S = 1.0
# So many sessions that could not be judged are named.
LISTED = 100


@dataclass
class LabelCount:
    """False positives of one label: found, written, and the highest and lowest score that was written."""

    found: int
    written: int
    hardest: float
    easiest: float


@dataclass
class NegativesReport:
    """What :func:`hard_negatives` found.

    Attributes:
        predictions, events: rows of the two inputs.
        candidates: confident labels, of all predictions.
        false_positives: those that the truth contradicts.
        written: rows of the output.
        labels: by label, in the order of the output.
        unjudged: predictions with a confident label that the truth says nothing about.
        unjudged_sessions: their sessions and counts, the most frequent first, at most :data:`LISTED`; those
            without a session stand under the empty name.
        unplaced: false positives that cannot be cut, because neither file has their session or their time.
        without_score: predicted labels that have no score and so no confidence; they are no candidates.
    """

    predictions: int = 0
    events: int = 0
    candidates: int = 0
    false_positives: int = 0
    written: int = 0
    labels: dict[str, LabelCount] = field(default_factory=dict)
    unjudged: int = 0
    unjudged_sessions: dict[str, int] = field(default_factory=dict)
    unplaced: int = 0
    without_score: int = 0


def _name_labels(table: Table) -> None:
    """Table ``names``: every label of both files beside its canonical name, itself where it is unknown."""
    found = table.all(
        """SELECT DISTINCT label FROM (
            SELECT unnest(labels) AS label FROM truth
            UNION ALL SELECT unnest(map_keys(scores)) FROM rows
            UNION ALL SELECT unnest(predicted_labels) FROM rows)"""
    )
    labels = [label for (label,) in found]
    known = [resolve(label) if is_known(label) else label for label in labels]
    names = pa.table({"label": pa.array(labels, pa.string()), "name": pa.array(known, pa.string())})
    table.db.register("names", names)


def _find_candidates(table: Table, min_confidence: float) -> None:
    """Tables ``hits`` (the truth, one row a label), ``sessions`` (with timed hits) and ``candidates``."""
    table.query(
        """CREATE TABLE hits AS
        SELECT sample_id, session_id, onset_time, name
        FROM (SELECT sample_id, session_id, onset_time, unnest(labels) AS label FROM truth)
        JOIN names USING (label)"""
    )
    table.query(
        """CREATE TABLE sessions AS SELECT DISTINCT session_id FROM truth
        WHERE session_id IS NOT NULL AND onset_time IS NOT NULL"""
    )
    table.query(
        f"""CREATE TABLE confident AS
        WITH scored AS (SELECT row, unnest(map_entries(scores)) AS entry FROM rows),
        best AS (
            SELECT row, name, max(entry.value) AS score FROM scored JOIN names ON entry.key = label
            WHERE entry.value >= {min_confidence!r} GROUP BY row, name)
        SELECT row, name, score, sample_id, session_id, onset_time, audio_path,
            onset_time IS NOT NULL
                AND coalesce(session_id IN (SELECT session_id FROM sessions), false) AS timed
        FROM best JOIN rows USING (row)"""
    )
    # What cannot be matched by time is looked up by id: the place of the event stands in for one that is
    # missing.
    table.query(
        """CREATE TABLE by_id AS
        SELECT sample_id, arg_min(session_id, pos) AS session_id, arg_min(onset_time, pos) AS onset_time
        FROM truth WHERE sample_id IN (SELECT sample_id FROM confident WHERE NOT timed) GROUP BY sample_id"""
    )
    table.query(
        """CREATE TABLE candidates AS
        SELECT row, name, score, c.sample_id, audio_path, coalesce(c.session_id, b.session_id) AS session_id,
            coalesce(c.onset_time, b.onset_time) AS onset_time, timed OR b.sample_id IS NOT NULL AS judged
        FROM confident c LEFT JOIN by_id b ON NOT timed AND c.sample_id = b.sample_id"""
    )


def _find_false(table: Table, window_s: float) -> None:
    """Tables ``there`` (hits by the stretches of time that they reach) and ``false_positives``."""
    stretch = max(2 * window_s, _STRETCH_S)
    table.query(
        f"""CREATE TABLE there AS
        SELECT session_id, name, onset_time, unnest(list_distinct([
            floor((onset_time - {window_s!r}) / {stretch!r}), floor((onset_time + {window_s!r}) / {stretch!r})
        ])) AS stretch FROM hits WHERE session_id IS NOT NULL AND onset_time IS NOT NULL"""
    )
    table.query(
        f"""CREATE TABLE false_positives AS
        WITH suspects AS (
            SELECT c.* EXCLUDE (judged), floor(onset_time / {stretch!r}) AS stretch FROM candidates c
            ANTI JOIN hits ON c.sample_id = hits.sample_id AND c.name = hits.name WHERE judged)
        SELECT s.* FROM suspects s ANTI JOIN there t
        ON s.session_id = t.session_id AND s.name = t.name AND s.stretch = t.stretch
            AND abs(s.onset_time - t.onset_time) <= {window_s!r}"""
    )


def _choose(table: Table, per_label: int, window_s: float) -> None:
    """Table ``chosen``: the hardest of each label, ranked, with all labels that the truth has there."""
    table.query(
        f"""CREATE TABLE ranked AS
        SELECT *, row_number() OVER (
            PARTITION BY name ORDER BY score DESC, session_id, onset_time, sample_id, row) AS rank
        FROM false_positives WHERE session_id IS NOT NULL AND onset_time IS NOT NULL
        QUALIFY rank <= {per_label}"""
    )
    table.query(
        f"""CREATE TABLE chosen AS
        WITH heard AS (
            SELECT r.row, r.name AS false_name, h.name FROM ranked r JOIN hits h ON r.sample_id = h.sample_id
            UNION
            SELECT r.row, r.name, t.name FROM ranked r JOIN there t
            ON r.session_id = t.session_id AND r.stretch = t.stretch
                AND abs(r.onset_time - t.onset_time) <= {window_s!r}),
        truth_labels AS (
            SELECT row, false_name, list(name ORDER BY name) AS labels FROM heard GROUP BY row, false_name)
        SELECT r.*, coalesce(labels, []) AS labels,
            row_number() OVER (PARTITION BY sample_id, r.name ORDER BY rank) AS nth
        FROM ranked r LEFT JOIN truth_labels t ON r.row = t.row AND r.name = t.false_name"""
    )


def _lines(table: Table, before_s: float, after_s: float) -> Iterator[list[bytes]]:
    """The output in batches of lines."""
    encode = msgspec.json.Encoder().encode
    batches = table.batches(
        """SELECT sample_id, session_id, audio_path, onset_time, name, score, rank, labels, nth
        FROM chosen ORDER BY name, rank"""
    )
    for batch in batches:
        lines = []
        for row in zip(*(column.to_pylist() for column in batch), strict=True):
            sample, session, audio, onset, label, score, rank, truth, nth = row
            fields = {
                "sample_id": f"{sample}:neg{nth if nth > 1 else ''}:{label}",
                "session_id": session,
                "audio_path": audio,
                "onset_time": onset,
                "label": label,
                "score": score,
                "rank": rank,
                "clip_start": max(0.0, round(onset - before_s, 6)),
                "clip_end": round(onset + after_s, 6),
                "truth_labels": truth,
                "negative_example": True,
                "components": [],
            }
            if audio is None:
                del fields["audio_path"]
            lines.append(encode(fields))
        yield lines


def _report(table: Table, events: int) -> NegativesReport:
    one = table.all(
        """WITH missing AS (
            SELECT row, map_keys(scores) AS scored, unnest(list_filter(
                predicted_labels, lambda l: NOT list_contains(map_keys(scores), l))) AS label FROM rows)
        SELECT (SELECT count(*) FROM candidates), (SELECT count(*) FROM false_positives),
            (SELECT count(*) FROM chosen), (SELECT count(DISTINCT row) FROM candidates WHERE NOT judged),
            (SELECT count(*) FROM false_positives WHERE session_id IS NULL OR onset_time IS NULL),
            (SELECT count(*) FROM (
                SELECT row, name FROM missing JOIN names USING (label) EXCEPT
                SELECT row, name FROM (SELECT row, unnest(scored) AS label FROM missing)
                JOIN names USING (label)))"""
    )[0]
    candidates, false_positives, written, unjudged, unplaced, without_score = map(int, one)
    labels = table.all(
        """WITH written AS (
            SELECT name, count(*) AS n, max(score) AS high, min(score) AS low FROM chosen GROUP BY name)
        SELECT name, found, n, high, low FROM written
        JOIN (SELECT name, count(*) AS found FROM false_positives GROUP BY name) USING (name) ORDER BY name"""
    )
    sessions = table.all(
        f"""SELECT coalesce(session_id, ''), count(DISTINCT row) AS n FROM candidates WHERE NOT judged
        GROUP BY ALL ORDER BY n DESC, 1 LIMIT {LISTED}"""
    )
    return NegativesReport(
        predictions=table.count,
        events=events,
        candidates=candidates,
        false_positives=false_positives,
        written=written,
        labels={name: LabelCount(*rest) for name, *rest in labels},
        unjudged=unjudged,
        unjudged_sessions=dict(sessions),
        unplaced=unplaced,
        without_score=without_score,
    )


def hard_negatives(
    predictions: str | os.PathLike[str],
    ground_truth: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    min_confidence: float = 0.7,
    max_per_label: int = 150,
    window_ms: float = WINDOW_MS,
    clip_before_ms: float = CLIP_BEFORE_MS,
    clip_after_ms: float = CLIP_AFTER_MS,
    progress: Progress | None = None,
) -> NegativesReport:
    """Write the hardest false positives of every label as negative examples, by label, hardest first.

    Equal scores stand in the order of session, time and id. A row holds ``sample_id``
    (``<prediction>:neg:<label>``, and ``neg2`` … where one id occurs again), ``session_id``, ``audio_path``,
    ``onset_time`` (s), ``label``, ``score``, ``rank`` (from 1, within the label), ``clip_start`` and
    ``clip_end`` (s), ``truth_labels`` (what the truth has there), ``negative_example`` and empty
    ``components``.

    Args:
        predictions: predictions of any format.
        ground_truth: events of any format; JSON lines may hold just ``sample_id`` and ``components``.
        output: a manifest of any format; may be one of the inputs.
        min_confidence: the lowest score of a candidate, 0..1.
        max_per_label: rows of one label at most, the hardest.
        window_ms: a hit of the truth so near counts as the one that was heard.
        clip_before_ms, clip_after_ms: what to cut around the onset; a clip does not begin before the file
            does.
        progress: called with (bytes read, bytes in all) of the predictions, then of the truth.

    Raises:
        InputError: an input is faulty or holds no rows, or the output cannot be written.
        UsageError: a setting is out of range, or the output's suffix is unknown.
    """
    if not 0 <= min_confidence <= 1:
        raise UsageError(f"min_confidence must be between 0 and 1, got {min_confidence}")
    if max_per_label < 1:
        raise UsageError(f"max_per_label must be at least 1, got {max_per_label}")
    for name, value in (
        ("window", window_ms),
        ("clip_before", clip_before_ms),
        ("clip_after", clip_after_ms),
    ):
        # An hour is longer than any window or clip; infinity and NaN fail here too.
        if not 0 <= value <= 3_600_000:
            raise UsageError(f"{name}_ms must be between 0 and 3600000, got {value}")
    check_format(output)
    window_s = window_ms / 1000 + _SLACK_S
    fields = ("sample_id", "session_id", "audio_path", "onset_time", "predicted_labels", "scores")
    with open_table([predictions], fields, kind="predictions", progress=progress) as table:
        if not table.count:
            raise InputError(f"{Path(predictions)}: holds no predictions")
        events = open_truth(table, Path(ground_truth), progress)
        if not events:
            raise InputError(f"{Path(ground_truth)}: holds no events")
        _name_labels(table)
        _find_candidates(table, float(min_confidence))
        _find_false(table, window_s)
        _choose(table, max_per_label, window_s)
        report = _report(table, events)
        with line_output(output) as write:
            for lines in _lines(table, clip_before_ms / 1000, clip_after_ms / 1000):
                write(lines)
    return report
