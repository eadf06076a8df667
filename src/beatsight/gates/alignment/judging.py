"""What was measured of one microphone, as a pair of the report, and the results that judge it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from beatsight.gates.alignment.fitting import FloatArray, coverage, fit
from beatsight.gates.alignment.hits import Ints
from beatsight.gates.alignment.listening import Sound
from beatsight.gates.alignment.matching import Matches
from beatsight.gates.alignment.records import (
    MAX_GAP,
    MIN_SUPPORT,
    AlignmentSettings,
    Pair,
    Polarity,
    Track,
)
from beatsight.gates.result import GateResult, at_least, at_most

# A score between this and its negative says nothing. Measured: within 0.12 of 0 for microphones at different
# places, whose curves have no main peak; above 0.45 for a microphone and its copy.
MIN_POLARITY = -0.25
# Standard errors within which a drift must be known: a value less certain than its limit is none.
_ERRORS = 2.0
# Decimals of samples in the track: finer than any lag is known.
_DECIMALS = 3
# A share of unused hits that is worth a word.
_MANY_UNUSED = 0.2


@dataclass(frozen=True)
class _Measures:
    """What one pair measured; None where it could not be."""

    median: float | None = None
    mean: float | None = None
    largest: float | None = None
    deviation: float | None = None
    drift: float | None = None
    drift_error: float | None = None
    jump: float | None = None
    jump_at_s: float | None = None
    polarity: float | None = None
    support: int = 0
    coverage: float = 0.0
    track: Track = field(default_factory=lambda: Track(times_s=[], delays_samples=[], groups=[], used=[]))


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _measure(times: FloatArray, matches: Matches, rate: int, max_drift: float) -> _Measures:
    there = np.flatnonzero(matches.groups >= 0)
    if not len(there):
        return _Measures()
    when, delays = times[there], matches.delays[there]
    line = fit(when, delays, matches.groups[there], rate)
    measured = np.zeros(len(times), bool)
    measured[there[line.used]] = True
    track = Track(
        times_s=[round(float(time), 4) for time in when],
        delays_samples=[round(float(delay), _DECIMALS) for delay in delays],
        groups=matches.groups[there].tolist(),
        used=line.used.tolist(),
    )
    support = int(line.used.sum())
    if support < MIN_SUPPORT:
        return _Measures(support=support, coverage=coverage(measured), track=track)
    kept = delays[line.used]
    certain = line.drift_error * _ERRORS <= max_drift
    return _Measures(
        median=float(np.median(kept)),
        mean=float(kept.mean()),
        largest=float(np.abs(kept).max()),
        deviation=float(kept.std()),
        drift=_known(line.drift) if certain else None,
        drift_error=_known(line.drift_error),
        jump=_known(line.jump),
        jump_at_s=_known(line.jump_at_s),
        polarity=float(matches.polarity[there[line.used]].mean()),
        support=support,
        coverage=coverage(measured),
        track=track,
    )


def judge(
    anchor: str, target: str, starts: Ints, matches: Matches | None, rate: int, settings: AlignmentSettings
) -> tuple[Pair, list[GateResult]]:
    """Judge one microphone against the anchor.

    Args:
        anchor, target: names.
        starts: of the hits, in samples.
        matches: of these hits; None where there is nothing to compare.
        rate: of the session, in Hz.
        settings: the limits.

    Returns:
        The pair, and results ``coverage``, ``delay``, ``drift``, ``jump`` and (unless it cannot be told)
        ``polarity``, each with the target's name behind a dot.
    """
    times = starts / rate
    found = _Measures() if matches is None else _measure(times, matches, rate, settings.max_drift)
    results = _results(found, target, len(starts), rate, settings)
    verdicts = {result.gate.partition(".")[0]: result.passed for result in results}
    ms = 1000.0 / rate

    def in_ms(samples: float | None) -> float | None:
        return None if samples is None else samples * ms

    pair = Pair(
        anchor=anchor,
        target=target,
        median_delay_ms=in_ms(found.median),
        mean_delay_ms=in_ms(found.mean),
        max_abs_delay_ms=in_ms(found.largest),
        std_delay_ms=in_ms(found.deviation),
        median_delay_samples=found.median,
        drift_samples_per_min=found.drift,
        drift_error_samples_per_min=found.drift_error,
        jump_ms=in_ms(found.jump),
        jump_at_s=found.jump_at_s,
        support=found.support,
        coverage=found.coverage,
        polarity=_named(found.polarity),
        polarity_score=found.polarity,
        pass_delay=verdicts["delay"],
        pass_drift=verdicts["drift"],
        alerts=[*dict.fromkeys(one.detail for one in results if not one.passed), *_remarks(found, target)],
        track=found.track,
    )
    return pair, results


def signal(name: str, sound: Sound) -> GateResult:
    """Whether a microphone heard something and was not overdriven: its runs of samples at full scale."""
    gate = f"signal.{name}"
    if sound.silent:
        return at_most(gate, None, 0, f"{name} is silent: its peak is {sound.peak:.2g} of full scale")
    if sound.clipped:
        detail = f"{name} is clipped: {sound.clipped} flat tops at full scale"
        return at_most(gate, sound.clipped, 0, detail)
    return at_most(gate, 0, 0, f"{name} peaks at {sound.peak:.2f} of full scale")


def _results(
    found: _Measures, name: str, hits: int, rate: int, settings: AlignmentSettings
) -> list[GateResult]:
    ms = 1000.0 / rate
    some = found.median is not None
    few = (
        f"{name} could be compared within ±{settings.search_ms:g} ms at {found.support} of {hits} hits; "
        f"{MIN_SUPPORT} are needed"
    )
    delay = None if found.median is None else abs(found.median) * ms
    drift = None if found.drift is None else abs(found.drift)
    jump = None if found.jump is None else found.jump * ms
    gap = round((1.0 - found.coverage) * hits)
    covered = f"{name} was compared at {found.support} of {hits} hits; the longest gap is {gap} of them"
    results = [
        at_least(f"coverage.{name}", found.coverage if hits else None, 1.0 - MAX_GAP, covered),
        at_most(
            f"delay.{name}", delay, settings.max_delay_ms, _delay_text(found, name, ms) if some else few, "ms"
        ),
        at_most(
            f"drift.{name}", drift, settings.max_drift,
            _drift_text(found, name, settings) if some else few, "samples/min",
        ),
        at_most(f"jump.{name}", jump, settings.max_delay_ms, _jump_text(found, name) if some else few, "ms"),
    ]  # fmt: skip
    named = _named(found.polarity)
    if named != "unclear":
        text = f"{name} is {named}" if named else few
        results.append(at_least(f"polarity.{name}", found.polarity, MIN_POLARITY, text))
    return results


def _delay_text(found: _Measures, name: str, ms: float) -> str:
    samples = found.median or 0.0
    way = "late" if samples > 0 else "early"
    return f"{name} is {abs(samples):.2f} samples ({abs(samples) * ms:.3f} ms) {way}, the median of its hits"


def _drift_text(found: _Measures, name: str, settings: AlignmentSettings) -> str:
    if found.drift is None:
        error = "unknown" if found.drift_error is None else f"{found.drift_error:.2g}"
        return (
            f"{name} has too few or too scattered hits for its drift: standard error {error}, where at most "
            f"{settings.max_drift / _ERRORS:g} samples/min would do"
        )
    return f"{name} drifts by {found.drift:+.3f} ± {found.drift_error:.2g} samples a minute"


def _jump_text(found: _Measures, name: str) -> str:
    if found.jump is None:
        return f"{name} has too few hits to see whether its delay jumps"
    return (
        f"the delay of {name} changes at most by {found.jump:.2f} samples at once, at {found.jump_at_s:.1f} s"
    )


def _named(score: float | None) -> Polarity | None:
    if score is None:
        return None
    return "inverted" if score < MIN_POLARITY else "upright" if score > -MIN_POLARITY else "unclear"


def _remarks(found: _Measures, name: str) -> list[str]:
    count, unused = len(found.track.used), found.track.used.count(False)
    if unused <= _MANY_UNUSED * count:
        return []
    return [f"{unused} of {count} delays of {name} lie far from the line and were not used"]
