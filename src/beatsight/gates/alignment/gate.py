"""The alignment gate itself: from a session manifest to a report."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from beatsight.audio.io import probe
from beatsight.errors import InputError, UsageError
from beatsight.gates.alignment.correlation import common_delay, correlate, templates
from beatsight.gates.alignment.hits import Ints, find_hits, likeness
from beatsight.gates.alignment.judging import judge, signal
from beatsight.gates.alignment.listening import Floats, Layout, Sound, layout, listen
from beatsight.gates.alignment.matching import Matches, match
from beatsight.gates.alignment.records import AlignmentReport, AlignmentSettings, Microphone, Pair
from beatsight.gates.alignment.session import Session, Source, read_session
from beatsight.gates.result import GateResult, verdict
from beatsight.manifest.engine.table import Progress

# Decoding and transforms leave Python's lock; each microphone at work holds its correlations in memory.
# From telephony to the fastest converters.
RATES = (8_000, 384_000)
_MOST_WORKERS = 4
# Lengths that differ by more are worth a word: no recorder stops that much later.
_LENGTHS_S = 1.0

_Result = TypeVar("_Result")


def alignment_gate(settings: AlignmentSettings, *, progress: Progress | None = None) -> AlignmentReport:
    """Measure the delay, its drift and the polarity of every microphone of a session against one of them.

    Raises:
        InputError: the manifest or an audio file cannot be used; the sentence names both.
        UsageError: the anchor is not among the microphones.
    """
    step = progress or (lambda done, total: None)
    session = read_session(settings.manifest, settings.audio_root)
    names = [source.name for source in session.sources]
    if settings.anchor is not None and settings.anchor not in names:
        raise UsageError(
            f"anchor {settings.anchor!r} is not a microphone of {settings.manifest} ({', '.join(names)})"
        )
    rate = _common_rate(session, settings)
    lengths = layout(rate, settings.search_ms)
    sounds: list[Sound] = []
    for sound in _each(session, settings, lambda source: listen(source.path, lengths)):
        sounds.append(sound)
        step(len(sounds), 2 * len(names))
    anchor, why = _anchor(settings, names, sounds, lengths)
    results = [signal(name, sound) for name, sound in zip(names, sounds, strict=True)]
    microphones = _described(session, sounds, results, rate)
    starts, found = find_hits(sounds[anchor].energy, lengths)
    if sounds[anchor].silent:
        starts, found = starts[:0], 0
    matched = _matched(session, settings, sounds, anchor, starts, lengths)
    pairs: list[Pair] = []
    for index, matches in enumerate(matched):
        step(len(names) + index + 1, 2 * len(names))
        if index != anchor:
            pair, judged = judge(names[anchor], names[index], starts, matches, rate, settings)
            pairs.append(pair)
            results += judged
    alerts = _alerts(microphones, pairs)
    return AlignmentReport(
        passed=verdict(results),
        gating_results=results,
        inputs={"manifest": str(settings.manifest)},
        notes=_notes(f"{why}; {_counted(found, len(starts))}", results, pairs, alerts),
        session_id=session.session_id,
        sample_rate=rate,
        anchor_mic=names[anchor],
        anchor_chosen=settings.anchor is None,
        num_onsets=len(starts),
        max_delay_ms=settings.max_delay_ms,
        max_drift=settings.max_drift,
        search_ms=settings.search_ms,
        alerts=alerts,
        microphones=microphones,
        pairs=pairs,
    )


def _each(
    session: Session, settings: AlignmentSettings, work: Callable[[Source], _Result]
) -> Iterator[_Result]:
    """Work on every microphone, several at a time, answers in their order; faults name the microphone."""

    def named(source: Source) -> _Result:
        try:
            return work(source)
        except InputError as error:
            raise InputError(f"{settings.manifest}: microphone {source.name!r}: {error}") from error

    workers = min(_MOST_WORKERS, len(session.sources), os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(named, session.sources)


def _rate(source: Source) -> int:
    """The sample rate of a microphone's file; a header that is wrong must not make terabytes of it."""
    rate = probe(source.path).sample_rate
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"{source.path}: its sample rate is {rate} Hz, outside {RATES[0]} to {RATES[1]} Hz")
    return rate


def _common_rate(session: Session, settings: AlignmentSettings) -> int:
    rates = Counter(_each(session, settings, _rate))
    most = max(rates.values())
    return max(rate for rate, count in rates.items() if count == most)


def _anchor(
    settings: AlignmentSettings, names: Sequence[str], sounds: Sequence[Sound], lengths: Layout
) -> tuple[int, str]:
    """Index of the anchor, and a sentence on how it came to be it."""
    if settings.anchor is not None:
        return names.index(settings.anchor), f"Anchor: {settings.anchor}, as asked for"
    agree = likeness([sound.energy for sound in sounds], lengths)
    agree[[sound.silent for sound in sounds]] = -1.0
    best = int(agree.argmax())
    return best, (
        f"Anchor: {names[best]}, chosen because the rises of its loudness agree best with those of the "
        f"others (mean correlation {max(agree[best], 0.0):.2f})"
    )


def _matched(
    session: Session, settings: AlignmentSettings, sounds: Sequence[Sound], anchor: int, starts: Ints,
    lengths: Layout,
) -> Iterator[Matches | None]:  # fmt: skip
    """Matches of every microphone in turn; None for the anchor and where there is nothing to compare."""
    source = session.sources[anchor]
    try:
        hits = templates(source.path, lengths, starts)
    except InputError as error:
        raise InputError(f"{settings.manifest}: microphone {source.name!r}: {error}") from error
    loudness: Floats = sounds[anchor].energy[starts // lengths.hop]
    indices = {one.name: index for index, one in enumerate(session.sources)}

    def work(target: Source) -> Matches | None:
        sound = sounds[indices[target.name]]
        if target is source or sound.silent or not len(starts):
            return None
        curves = correlate(hits, starts, sounds[anchor], sound, target.path, lengths)
        common = common_delay(curves, starts, lengths)
        return None if common is None else match(curves, common, loudness, lengths)

    yield from _each(session, settings, work)


def _counted(found: int, used: int) -> str:
    some = f"; the loudest {used:,}, spread over the session, are used" if used < found else ""
    return f"hits found in it: {found:,}{some}"


def _notes(
    first: str, results: Sequence[GateResult], pairs: Sequence[Pair], alerts: Sequence[str]
) -> list[str]:
    """What no failed result says already."""
    failed = {result.detail for result in results if not result.passed}
    notes = [first, *(alert for alert in alerts if alert not in failed)]
    if unclear := [pair.target for pair in pairs if pair.polarity == "unclear"]:
        notes.append(f"polarity not judged, as the correlation has no clear main peak: {', '.join(unclear)}")
    return notes


def _alerts(microphones: Sequence[Microphone], pairs: Sequence[Pair]) -> list[str]:
    """Those of each microphone and of its pair, in the order of the manifest."""
    of_pairs = {pair.target: pair.alerts for pair in pairs}
    return [text for one in microphones for text in [*one.alerts, *of_pairs.get(one.name, [])]]


def _described(
    session: Session, sounds: Sequence[Sound], signals: Sequence[GateResult], rate: int
) -> list[Microphone]:
    longest_s = max(sound.seconds for sound in sounds)
    return [
        Microphone(
            name=source.name, path=source.written, sample_rate=sound.sample_rate, channels=sound.channels,
            seconds=sound.seconds, peak=sound.peak, clipped=sound.clipped, silent=sound.silent,
            alerts=[*([] if judged.passed else [judged.detail]), *_oddities(source, sound, rate, longest_s)],
        )
        for source, sound, judged in zip(session.sources, sounds, signals, strict=True)
    ]  # fmt: skip


def _oddities(source: Source, sound: Sound, rate: int, longest_s: float) -> Iterator[str]:
    """What does not fail but should be known."""
    name = source.name
    if sound.sample_rate != rate:
        yield f"{name} is at {sound.sample_rate} Hz; it was measured after resampling to {rate} Hz"
    if sound.channels > 1:
        yield f"{name} has {sound.channels} channels; their mean was measured"
    if longest_s - sound.seconds > _LENGTHS_S:
        yield f"{name} is {longest_s - sound.seconds:.1f} s shorter than the longest microphone"
