"""What manifests hold, as the numbers of the health report.

The counts of :mod:`beatsight.manifest.stats`, with labels and techniques under canonical names, and beyond
them: repeated moments, the distribution of tempo and loudness, variants of the crash cymbals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from beatsight import taxonomy
from beatsight.errors import InputError
from beatsight.gates.health.records import LISTED, Duplicates, LabelHits, Moment, Spread
from beatsight.gates.health.requirements import Vocabulary
from beatsight.gates.inputs import canonical
from beatsight.manifest.engine.columns import column, quoted
from beatsight.manifest.engine.table import Table
from beatsight.manifest.stats import ABSENT, STATS_COMPONENTS, STATS_FIELDS, HitCounts, ManifestStats

FIELDS = STATS_FIELDS
COMPONENTS = (*STATS_COMPONENTS, "instrument_variant")
INNER = ("loudness.LUFS_i", "loudness.peak_dbfs")
# The labels whose variants are told apart: two crashes of one kit are easily taken for one another.
CRASHES = ("crash", "crash2")

# Width of the bins and the range of each quantity; what lies beyond is counted in the bin at that end.
LUFS_BINS = (2, -80, 10)
PEAK_BINS = (2, -80, 10)
TEMPO_BINS = (10, 0, 400)

_Value = TypeVar("_Value")


def capped(values: Mapping[str, _Value]) -> dict[str, _Value]:
    """The first entries, as many as a report lists."""
    return dict(islice(values.items(), LISTED))


def label_hits(
    by_hit: HitCounts, vocabulary: Vocabulary
) -> tuple[dict[str, LabelHits], dict[str, dict[str, int]], dict[str, int]]:
    """Hits of each label, by spelling where one differs, and of unknown labels; most frequent first."""
    real: Counter[str] = Counter()
    synthetic: Counter[str] = Counter()
    spelled: dict[str, dict[str, int]] = {}
    unknown: dict[str, int] = {}
    for spelling, count in by_hit.labels.items():
        name = canonical(spelling)
        real[name] += count.real
        synthetic[name] += count.synthetic
        spelled.setdefault(name, {})[spelling] = count.hits
        if not vocabulary.knows(spelling):
            unknown[name] = unknown.get(name, 0) + count.hits
    order = sorted(spelled, key=lambda name: (-real[name] - synthetic[name], name))
    return (
        {name: LabelHits(real=real[name], synthetic=synthetic[name]) for name in order},
        {name: spelled[name] for name in order if set(spelled[name]) != {name}},
        {name: unknown[name] for name in order if name in unknown},
    )


def technique_events(table: Table, stats: ManifestStats) -> tuple[dict[str, int], dict[str, int]]:
    """Events of each technique of the catalogue, and of each name that it does not know.

    An event that names one technique twice, by an alias, has it once.
    """
    known: dict[str, str] = {}
    for name in stats.techniques:
        try:
            known[name] = taxonomy.resolve_technique(name)
        except InputError:
            continue
    unknown = {name: number for name, number in stats.techniques.items() if name not in known}
    if len(set(known.values())) == len(known):
        counts = {known[name]: number for name, number in stats.techniques.items() if name in known}
    else:
        pairs = ", ".join(f"({_text(name)}, {_text(technique)})" for name, technique in known.items())
        rows = table.all(
            "SELECT technique, count(DISTINCT row) FROM (SELECT row, unnest(techniques) AS name FROM rows) "
            f"JOIN (VALUES {pairs}) names(name, technique) USING (name) GROUP BY technique"
        )
        counts = dict(rows)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))), unknown


def _text(value: str) -> str:
    return f"'{quoted(value)}'"


def spread_of(values: Iterable[float | None], bins: tuple[int, int, int]) -> Spread:
    """As :func:`spreads`, of values in memory.

    >>> spread_of([1.0, 3.0, None, 3.5], (2, -80, 10)).counts
    [1, 2]
    """
    there: list[float] = []
    missing = 0
    for value in values:
        if value is None:
            missing += 1
        else:
            there.append(value)
    width, low, high = bins
    cells = Counter(
        (int(min(max(value // width, low // width), high // width - 1)), round(value * 10)) for value in there
    )
    return _spread(cells, min(there, default=None), max(there, default=None), missing, width)


def spreads(table: Table, wanted: Sequence[tuple[str, tuple[int, int, int]]]) -> list[Spread]:
    """How some columns of numbers are distributed.

    Args:
        wanted: for each its name, and width, low end and high end of its bins.
    """
    ends = ", ".join(f"min({column(name)}), max({column(name)}), count({column(name)})" for name, _ in wanted)
    (found,) = table.all(f"SELECT {ends} FROM rows")
    made = []
    for index, (name, (width, low, high)) in enumerate(wanted):
        lowest, highest, count = found[3 * index : 3 * index + 3]
        value = column(name)
        cells: Counter[tuple[int, int]] = Counter()
        if count:
            rows = table.all(
                f"SELECT floor(greatest({low}, least({value}, {high - width / 2})) / {width})::BIGINT"
                " AS cell, "
                f"round(greatest(-1e9, least({value}, 1e9)) * 10)::BIGINT AS tenth, count(*) FROM rows "
                f"WHERE {value} IS NOT NULL GROUP BY cell, tenth"
            )
            cells.update({(cell, tenth): number for cell, tenth, number in rows})
        made.append(_spread(cells, lowest, highest, table.count - count, width))
    return made


def _spread(
    cells: Mapping[tuple[int, int], int],
    lowest: float | None,
    highest: float | None,
    missing: int,
    width: int,
) -> Spread:
    """From counts by (bin, tenths)."""
    coarse: Counter[int] = Counter()
    tenths: Counter[int] = Counter()
    for (cell, tenth), number in cells.items():
        coarse[cell] += number
        tenths[tenth] += number
    count = coarse.total()
    median, seen = None, 0
    for tenth, number in sorted(tenths.items()):
        seen += number
        if 2 * seen >= count:
            # Not outside the values themselves, which the rounding to a tenth may lie.
            assert lowest is not None and highest is not None
            median = min(max(tenth / 10, lowest), highest)
            break
    cover = range(min(coarse), max(coarse) + 1) if coarse else range(0)
    return Spread(
        count=count, missing=missing, lowest=lowest, median=median, highest=highest,
        edges=[float(cell * width) for cell in (*cover, cover.stop)] if coarse else [],
        counts=[coarse[cell] for cell in cover],
    )  # fmt: skip


def negative_hits(table: Table) -> int:
    """Components of negative examples, which are counted as hits and not to be found."""
    sql = "SELECT coalesce(sum(len(components)), 0)::BIGINT FROM rows WHERE negative_example"
    ((hits,),) = table.all(sql)
    return int(hits)


def crash_variants(table: Table, stats: ManifestStats) -> dict[str, dict[str, int]]:
    """Hits of each variant of the crash cymbals, most frequent first."""
    spellings = [label for label in stats.by_hit.labels if canonical(label) in CRASHES]
    if not spellings:
        return {}
    names = ", ".join(map(_text, spellings))
    rows = table.all(
        f"SELECT c.label, coalesce(c.instrument_variant, '{ABSENT}') AS variant, count(*) FROM "
        f"(SELECT unnest(components) AS c FROM rows) WHERE c.label IN ({names}) GROUP BY ALL"
    )
    found: dict[str, Counter[str]] = {}
    for label, variant, number in rows:
        found.setdefault(canonical(label), Counter())[variant] += number
    return {
        name: capped(dict(sorted(found[name].items(), key=lambda item: (-item[1], item[0]))))
        for name in CRASHES
        if name in found
    }


def duplicates(table: Table, stats: ManifestStats) -> Duplicates:
    """Events that repeat an earlier one, by their id or by their moment.

    A moment is repeated where session, recording, onset and labels (canonical, in any order) are the same:
    one hit that came in twice under two ids. Labels are compared only where the rest agrees.
    """
    _create_moments(table, stats)
    ((moments, beyond),) = table.all(
        "SELECT count(*), coalesce(sum(n - 1), 0)::BIGINT FROM "
        "(SELECT count(*) AS n FROM moments GROUP BY session_id, audio_path, onset_time, labels HAVING n > 1)"
    )
    events = beyond
    if stats.duplicates.ids:
        ((events,),) = table.all(
            "SELECT count(*) FROM ("
            "SELECT row FROM (SELECT row, sample_id FROM rows SEMI JOIN repeated_ids USING (sample_id)) "
            "QUALIFY row_number() OVER (PARTITION BY sample_id ORDER BY row) > 1 UNION "
            "SELECT row FROM moments QUALIFY "
            "row_number() OVER (PARTITION BY session_id, audio_path, onset_time, labels ORDER BY row) > 1)"
        )
    listed = table.all(
        "SELECT session_id, onset_time, audio_path, labels, count(*) AS n FROM moments "
        "GROUP BY session_id, audio_path, onset_time, labels HAVING n > 1 "
        f"ORDER BY n DESC, session_id, onset_time, audio_path, labels LIMIT {LISTED}"
    )
    ids = table.all(f"SELECT sample_id, n FROM repeated_ids ORDER BY n DESC, sample_id LIMIT {LISTED}")
    return Duplicates(
        events=events,
        rate=events / table.count,
        ids=stats.duplicates.ids,
        id_events=stats.duplicates.events,
        moments=moments,
        moment_events=beyond,
        listed_ids=dict(ids),
        listed_moments=[
            Moment(session_id=session, onset_time=onset, audio_path=audio, labels=labels, events=number)
            for session, onset, audio, labels, number in listed
        ],
    )


def _create_moments(table: Table, stats: ManifestStats) -> None:
    """The table ``moments``: rows whose session, recording and onset another row has too."""
    label = "c.label"
    if stats.by_hit.aliases:
        cases = " ".join(
            f"WHEN {_text(label)} THEN {_text(name)}" for label, name in stats.by_hit.aliases.items()
        )
        label = f"CASE c.label {cases} ELSE c.label END"
    key = "hash(session_id, audio_path, onset_time)"
    table.query(
        "CREATE OR REPLACE TABLE shared_moments AS "
        f"SELECT {key} AS h FROM rows GROUP BY h HAVING count(*) > 1"
    )
    table.query(
        "CREATE OR REPLACE TABLE moments AS SELECT row, session_id, audio_path, onset_time, "
        f"list_sort(list_transform(components, lambda c: {label})) AS labels "
        f"FROM (SELECT *, {key} AS h FROM rows) SEMI JOIN shared_moments USING (h)"
    )
