"""The page of gate ``alignment``: every microphone's delay at a glance, how it changes, each over time."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from beatsight.gates.alignment import AlignmentReport, Microphone, Pair
from beatsight.gates.result import GateResult
from beatsight.report.gates.common import Story
from beatsight.report.page import Column, Fact, Facts, Figure, Section, Status, Table, Text
from beatsight.report.parts import Cell
from beatsight.report.plots import Band, Interval, Series, interval_chart, xy_chart
from beatsight.report.text import duration, number, plural

# A page's table of hits; the JSON report holds every one.
_TRACK_ROWS = 100
# Lines that can be told apart in one picture.
_MOST_LINES = 8
# The middle of the hits that the overview's bars reach over.
_LOW, _HIGH = 0.1, 0.9


def story(report: AlignmentReport) -> Story:
    """What the page tells below the verdict."""
    pairs = sorted(report.pairs, key=lambda pair: _failures(report, pair.target) == 0)
    return Story(
        title=f"Alignment of {report.session_id}",
        question="Do the microphones of this session share one clock?",
        facts=_facts(report),
        sections=[
            Section("Microphones", [_table(report), *_alerts(report)], _anchor_text(report)),
            Section("Delay of each microphone", [_overview(report)]),
            Section("How the delays change", _changes(report)),
            Section(
                "Delay over time",
                [_track(report, pair) for pair in pairs],
                "One picture a microphone, those that failed first. Hits of different drums lie in different "
                "rows where the microphone is nearer to one of them than the anchor is.",
            ),
            Section("How it was measured", [Text(text) for text in _method(report)]),
        ],
    )


def _results(report: AlignmentReport, name: str) -> list[GateResult]:
    return [result for result in report.gating_results if result.gate.partition(".")[2] == name]


def _failures(report: AlignmentReport, name: str) -> int:
    return sum(not result.passed for result in _results(report, name))


def _facts(report: AlignmentReport) -> Facts:
    delays = [abs(pair.median_delay_ms) for pair in report.pairs if pair.median_delay_ms is not None]
    drifts = [
        abs(pair.drift_samples_per_min) for pair in report.pairs if pair.drift_samples_per_min is not None
    ]
    longest = max(one.seconds for one in report.microphones)
    return Facts(
        (
            Fact("microphones", number(len(report.microphones)), f"{report.sample_rate:,} Hz"),
            Fact("length", duration(longest), f"{plural(report.num_onsets, 'hit')} looked for"),
            Fact("anchor", report.anchor_mic, "chosen" if report.anchor_chosen else "as asked for"),
            Fact("largest delay", _with_unit(max(delays, default=None), 3, "ms"), "median of a microphone"),
            Fact("largest drift", number(max(drifts, default=None), 3), "samples a minute"),
        )
    )


def _with_unit(value: float | None, digits: int, unit: str) -> str:
    return number(value, digits) + (f" {unit}" if value is not None else "")


def _anchor_text(report: AlignmentReport) -> str:
    return (
        f"Delays are those against {report.anchor_mic}; a late microphone has a positive delay. "
        f"Samples are of {report.sample_rate:,} Hz."
    )


def _table(report: AlignmentReport) -> Table:
    pairs = {pair.target: pair for pair in report.pairs}
    columns = [
        Column("microphone"), Column("verdict"), Column("delay in ms", 3), Column("in samples", 2),
        Column("spread in ms", 3), Column("drift in samples/min", 3), Column("±", 3), Column("hits"),
        Column("polarity"), Column("peak", 2), Column("length in s", 2),
    ]  # fmt: skip
    return Table(columns, [_row(report, one, pairs.get(one.name)) for one in report.microphones])


def _alerts(report: AlignmentReport) -> list[Table]:
    of_pairs = {pair.target: pair.alerts for pair in report.pairs}
    rows = [
        (one.name, alert)
        for one in report.microphones
        for alert in [*one.alerts, *of_pairs.get(one.name, [])]
    ]
    return [Table([Column("microphone"), Column("what is wrong")], rows)] if rows else []


def _row(report: AlignmentReport, one: Microphone, pair: Pair | None) -> tuple[Cell, ...]:
    failures = _failures(report, one.name)
    numbers: tuple[Cell, ...] = (None, None, None, None, None, None, "anchor")
    if pair is not None:
        numbers = (
            pair.median_delay_ms, pair.median_delay_samples, pair.std_delay_ms, pair.drift_samples_per_min,
            pair.drift_error_samples_per_min, pair.support, pair.polarity or "–",
        )  # fmt: skip
    verdict = Status(failures == 0, f"{failures} failed" if failures else "passed")
    return (one.name, verdict, *numbers, one.peak, one.seconds)


def _overview(report: AlignmentReport) -> Figure:
    intervals: list[Interval] = []
    rows: list[tuple[Cell, ...]] = []
    for pair in report.pairs:
        delays = sorted(_in_ms(report, pair))
        if not delays or pair.median_delay_ms is None:
            rows.append((pair.target, None, None, None))
            continue
        low, high = (delays[round(share * (len(delays) - 1))] for share in (_LOW, _HIGH))
        rows.append((pair.target, low, pair.median_delay_ms, high))
        intervals.append(Interval(pair.target, low, pair.median_delay_ms, high, good=pair.pass_delay))
    drawn = interval_chart("Delay of each microphone", intervals, "delay in ms (positive: late)")
    caption = (
        f"The mark is the median, which may be {report.max_delay_ms:g} ms at most; the bar holds the middle "
        f"{_HIGH - _LOW:.0%} of the hits. A long bar means that the drums lie at different distances."
    )
    columns = [
        Column("microphone"),
        Column("10 % of hits below", 3),
        Column("median", 3),
        Column("90 % below", 3),
    ]
    return Figure(drawn, caption, Table(columns, rows, "Milliseconds."))


def _in_ms(report: AlignmentReport, pair: Pair) -> list[float]:
    track = pair.track
    return [
        1000.0 * delay / report.sample_rate
        for delay, used in zip(track.delays_samples, track.used, strict=True)
        if used
    ]


def _levelled(pair: Pair) -> tuple[list[float], list[float]]:
    """Times of the used hits, and their delays less the median of their group."""
    track = pair.track
    kept = [index for index, used in enumerate(track.used) if used]
    of_group: dict[int, list[float]] = {}
    for index in kept:
        of_group.setdefault(track.groups[index], []).append(track.delays_samples[index])
    middle = {group: median(delays) for group, delays in of_group.items()}
    return (
        [track.times_s[index] for index in kept],
        [track.delays_samples[index] - middle[track.groups[index]] for index in kept],
    )


def _changes(report: AlignmentReport) -> Sequence[Figure | Text]:
    drawn_pairs = [pair for pair in report.pairs if pair.median_delay_samples is not None]
    drawn_pairs.sort(key=lambda pair: -abs(pair.drift_samples_per_min or 0.0))
    if not drawn_pairs:
        return [Text("No microphone could be compared at enough hits.")]
    series = [Series(pair.target, *_levelled(pair), dots=True) for pair in drawn_pairs[:_MOST_LINES]]
    minutes = max(one.seconds for one in report.microphones) / 60.0
    half = max(report.max_drift * minutes / 2.0, 1e-3)
    drawn = xy_chart(
        "Change of the delay of each microphone over the session",
        series,
        "time in s",
        "change in samples",
        bands=[Band(-half, half, f"{report.max_drift:g} samples/min over the session")],
        size="wide",
    )
    left_out = len(drawn_pairs) - len(series)
    caption = (
        "Each hit against the middle of its kind of hit, so that only what changes with time is left."
        + (f" The {plural(left_out, 'microphone')} of least drift are left out." if left_out else "")
    )
    columns = [
        Column("microphone"), Column("drift in samples/min", 3), Column("standard error", 3),
        Column("largest jump in ms", 4), Column("at s", 1),
    ]  # fmt: skip
    rows = [
        (
            pair.target, pair.drift_samples_per_min, pair.drift_error_samples_per_min, pair.jump_ms,
            pair.jump_at_s,
        )
        for pair in drawn_pairs
    ]  # fmt: skip
    return [Figure(drawn, caption, Table(columns, rows))]


def _track(report: AlignmentReport, pair: Pair) -> Figure:
    track = pair.track
    half = report.max_delay_ms * report.sample_rate / 1000.0
    series = _hits(pair, "hit", used=True)
    if line := _line(pair):
        series.append(Series("fit", *line, dashed=True))
    series += _hits(pair, "hit not used", used=False)
    drawn = xy_chart(
        f"Delay of {pair.target} over time",
        series,
        "time in s",
        f"delay of {pair.target} in samples",
        bands=[Band(-half, half, f"allowed: ±{report.max_delay_ms:g} ms")],
        size="wide",
    )
    columns = [Column("time in s", 3), Column("delay in samples", 2), Column("kind of hit"), Column("used")]
    step = max(1, -(-len(track.used) // _TRACK_ROWS))
    rows = [
        (time, delay, group, "yes" if used else "no")
        for time, delay, group, used in list(
            zip(track.times_s, track.delays_samples, track.groups, track.used, strict=True)
        )[::step]
    ]
    which = "" if step == 1 else f"Every {step}th hit; the JSON report holds them all."
    alerts = "; ".join(pair.alerts) or "nothing wrong"
    return Figure(drawn, f"{pair.target} against {pair.anchor}: {alerts}.", Table(columns, rows, which))


def _hits(pair: Pair, name: str, *, used: bool) -> list[Series]:
    """The hits that were used, or those that were not, as one series; none where there are no such hits."""
    track = pair.track
    kept = [index for index, one in enumerate(track.used) if one is used]
    times, delays = ([values[index] for index in kept] for values in (track.times_s, track.delays_samples))
    return [Series(name, times, delays, dots=True)] if kept else []


def _line(pair: Pair) -> tuple[list[float], list[float]] | None:
    """Both ends of the fitted drift, through the median of the hits."""
    drift, times = pair.drift_samples_per_min, pair.track.times_s
    if drift is None or pair.median_delay_samples is None:
        return None
    ends = [times[0], times[-1]]
    kept = [time for time, used in zip(times, pair.track.used, strict=True) if used]
    return ends, [pair.median_delay_samples + drift * (time - median(kept)) / 60.0 for time in ends]


def _method(report: AlignmentReport) -> list[str]:
    return [
        "Hits are rises of loudness in the anchor. The first 46 ms of each are looked for in every other "
        f"microphone, up to {report.search_ms:g} ms to both sides, by a whitened cross-correlation with "
        "band-limited interpolation between the samples. Hits whose correlations look alike (one drum, one "
        "path) form a kind; hits that look like fewer than two others are not measured.",
        "The delay is the median over the hits used. It holds the way of the sound as well as the clock: "
        "microphones at different distances differ by about 3 ms a metre. The drift is the weighted median "
        "of the slopes between all pairs of hits of one kind: when which drum is played does not matter.",
    ]
