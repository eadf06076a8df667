"""A seeded manifest of any size to measure with: ``python benchmarks/make_events.py 1000000 events.jsonl``.

Sessions of drum hits as a readiness run meets them: 18 labels at the frequencies of played drums, chords of
one to four drums, five sources (one of them synthetic), 400 drummers, 120 kits, 60 rooms, techniques on a
quarter of the events, and two events in a thousand that repeat the sample_id of the one before. About 1.24 KB
a line. With ``--preds``, what a model might say of each event: nine in ten of its labels, and some others.

The same arguments give the same bytes, however many processors work on it: numbers are drawn for a block of
sessions at a time, from a generator seeded by the block. Times are seconds, rounded to 0.1 ms.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from beatsight.events import dynamic_bucket
from beatsight.files import atomic_path

# Label and how often it is hit, in percent (they need not add up to 100).
FREQUENCIES = {
    "kick": 24, "snare": 18, "rimshot": 2, "cross_stick": 2, "hihat_closed": 22, "hihat_open": 8,
    "hihat_pedal": 4, "hihat_foot_splash": 1, "ride_bow": 8, "ride_bell": 2, "crash": 5, "crash2": 2,
    "splash": 1, "china": 1, "tom_high": 3, "tom_mid": 3, "tom_low": 4, "aux_percussion": 1,
}  # fmt: skip
LABELS = tuple(FREQUENCIES)
TECHNIQUES = (
    "hihat_bark", "metric_modulation", "variable_meter", "multi_cymbal_same_class", "crash_dual_label",
    "flam", "drag", "ghost_note", "buzz_roll",
)  # fmt: skip
SOURCES = ("BeatSight", "Groove", "Slakh2100", "ENST", "IDMT")
SYNTHETIC_SOURCE = "Slakh2100"
DEVICES = (("Roland", "TD-50"), ("Yamaha", "DTX-PROX"), ("Alesis", "StrikePro"), None, ("Unknown", "X1"))
FIRST_METERS = ("4/4", "4/4", "4/4", "3/4", "7/8")
LATER_METERS = ("4/4", "3/4", "5/4", "7/8")
DRUMMERS, KITS, ROOMS = 400, 120, 60
CHORD_SIZES = (0.45, 0.38, 0.13, 0.04)  # probability of one, two, three and four drums at a time
SECOND_CRASH = 0.3  # probability that a crash may stand beside a crash
STEPS = (1, 1, 2, 2, 4)  # sixteenth notes to the next event
TIMING_S = 0.004
CHANGE = 0.002  # probability per event: of another tempo, of another meter, of a repeated sample_id
TEMPO_RATIOS = (1.5, 0.6667, 1.25, 1.07)
NEGATIVE, WITH_TECHNIQUE, FOUND = 0.02, 0.25, 0.9

BLOCK_EVENTS = 10_000  # large enough for numpy to pay, small enough to keep every processor busy


@dataclass(frozen=True)
class Block:
    """A run of whole sessions: what a process needs to write them."""

    seed: int
    first_session: int
    sessions: int
    per_session: int
    events: int
    same_as: np.ndarray  # per event, the number in its sample_id
    with_predictions: bool


@dataclass(frozen=True)
class Sessions:
    """Columns of a block: one row a session, and for times, tempos and meters one column an event."""

    onset_s: np.ndarray
    tempo: np.ndarray
    meter: np.ndarray
    source: np.ndarray
    device: np.ndarray


def draw_sessions(rng: np.random.Generator, count: int, length: int) -> Sessions:
    """``count`` sessions of ``length`` events; every event follows from the one before."""
    onset, tempo = np.empty((count, length)), np.empty((count, length))
    meter = np.empty((count, length), dtype=object)
    onset[:, 0] = np.round(rng.uniform(0.05, 1.0, count), 4)
    tempo[:, 0] = np.round(rng.uniform(70, 190, count), 1)
    meter[:, 0] = rng.choice(FIRST_METERS, count)
    steps = rng.choice(STEPS, (count, length))
    jitter = rng.normal(0.0, TIMING_S, (count, length))
    ratio = np.where(rng.random((count, length)) < CHANGE, rng.choice(TEMPO_RATIOS, (count, length)), 1.0)
    other = rng.random((count, length)) < CHANGE
    meters = rng.choice(LATER_METERS, (count, length))
    for k in range(1, length):
        step_s = 60 / tempo[:, k - 1] / 4 * steps[:, k]
        onset[:, k] = np.round(onset[:, k - 1] + step_s + jitter[:, k], 4)
        tempo[:, k] = np.round(tempo[:, k - 1] * ratio[:, k], 1)
        meter[:, k] = np.where(other[:, k], meters[:, k], meter[:, k - 1])
    device = rng.integers(len(DEVICES), size=count)
    return Sessions(onset, tempo, meter, rng.choice(SOURCES, count), device)


def draw_labels(rng: np.random.Generator, n: int) -> np.ndarray:
    """Label numbers per event, -1 where there is no further drum, int, shape (n, 4).

    A drum does not sound twice at one moment, except that a second crash may stand beside a crash.
    """
    frequency = np.array(list(FREQUENCIES.values()), float)
    frequency /= frequency.sum()
    size = 1 + rng.choice(len(CHORD_SIZES), n, p=CHORD_SIZES)
    chosen = np.full((n, len(CHORD_SIZES)), -1)
    crash = LABELS.index("crash")
    for place in range(chosen.shape[1]):
        waiting = np.flatnonzero(size > place)
        while len(waiting):
            label = rng.choice(len(LABELS), len(waiting), p=frequency)
            twice = (chosen[waiting] == label[:, None]).any(axis=1)
            good = ~twice | ((label == crash) & (rng.random(len(waiting)) < SECOND_CRASH))
            chosen[waiting[good], place] = label[good]
            waiting = waiting[~good]
    return chosen


def draw_components(rng: np.random.Generator, chosen: np.ndarray) -> list[str]:
    """The JSON list of components of each event."""
    at, place = np.nonzero(chosen >= 0)
    label = chosen[at, place].tolist()
    count = len(label)
    velocity = np.round(np.clip(rng.beta(3, 2, count), 0.01, 1.0), 3).tolist()
    spot = rng.integers(3, size=count).tolist()
    raw = rng.integers(128, size=count)
    openness = np.round(raw / 127, 3).tolist()
    variant = rng.integers(1, 3, size=count).tolist()
    parts: list[list[str]] = [[] for _ in range(len(chosen))]
    for i, (row, number, raw_value) in enumerate(zip(at.tolist(), label, raw.tolist(), strict=True)):
        name = LABELS[number]
        hat = name.startswith("hihat")
        spots = ("bow", "bell", "edge") if name.startswith("ride") else ("center", "edge", "rim")
        more = f', "openness_raw": {raw_value}' if hat else ""
        if name in ("crash", "china"):
            more += f', "instrument_variant": "{name}_{variant[i]}"'
        parts[row].append(
            f'{{"label": "{name}", "velocity": {velocity[i]}, '
            f'"dynamic_bucket": "{dynamic_bucket(velocity[i])}", "strike_position": "{spots[spot[i]]}", '
            f'"openness": {openness[i] if hat else "null"}, "choke": false, "pedal": null{more}}}'
        )
    return [", ".join(items) for items in parts]


def draw_techniques(rng: np.random.Generator, n: int) -> list[str]:
    """The JSON of the techniques of each event, empty for three in four."""
    has = rng.random(n) < WITH_TECHNIQUE
    two = rng.random(n) < 1 / 3
    first, second = rng.integers(len(TECHNIQUES), size=(2, n))
    out = []
    for here, both, one, other in zip(
        has.tolist(), two.tolist(), first.tolist(), second.tolist(), strict=True
    ):
        names = sorted({TECHNIQUES[one], TECHNIQUES[other if both else one]})
        out.append(f', "techniques": {json.dumps(names)}' if here else "")
    return out


def draw_scores(rng: np.random.Generator, chosen: np.ndarray) -> list[dict[str, float]]:
    """What a model says of each event: most of its labels with high scores, and some others with low ones."""
    n = len(chosen)
    found = rng.random(chosen.shape) < FOUND
    high = np.round(rng.beta(6, 2, chosen.shape), 4).tolist()
    wrong = rng.choice((0, 1, 1, 2), n).tolist()
    others = rng.integers(len(LABELS), size=(n, 2)).tolist()
    low = np.round(rng.beta(2, 3, (n, 2)), 4).tolist()
    out = []
    for i, row in enumerate(chosen.tolist()):
        scores = {LABELS[label]: high[i][k] for k, label in enumerate(row) if label >= 0 and found[i, k]}
        scores.update((LABELS[others[i][k]], low[i][k]) for k in range(wrong[i]))
        out.append(scores)
    return out


def write_block(block: Block) -> tuple[bytes, bytes]:
    """The lines of a block: events, and predictions (empty if none are wanted)."""
    rng = np.random.default_rng([block.seed, block.first_session])
    n = block.events
    sessions = draw_sessions(rng, block.sessions, block.per_session)
    onset, tempo = sessions.onset_s.ravel()[:n], sessions.tempo.ravel()[:n].tolist()
    meter = sessions.meter.ravel()[:n].tolist()
    chosen = draw_labels(rng, n)
    components = draw_components(rng, chosen)
    techniques = draw_techniques(rng, n)
    bleed = rng.choice(("low", "med", "high"), n).tolist()
    mix = rng.choice(("full_mix", "close_mic", "overheads"), n).tolist()
    negative = np.where(rng.random(n) < NEGATIVE, "true", "false").tolist()
    loudness = np.round(rng.uniform(-30, -12, n), 2).tolist()
    peak = np.round(rng.uniform(-8, -0.1, n), 2).tolist()
    offset, onset_list = np.round(onset + 0.165, 4).tolist(), onset.tolist()
    first_event = block.first_session * block.per_session
    same_as = block.same_as.tolist()
    heads, tails = zip(*(_session_text(block, sessions, s) for s in range(block.sessions)), strict=True)
    lines = []
    for i in range(n):
        s, k = divmod(i, block.per_session)
        lines.append(
            f'{{"sample_id": "smp_{same_as[i]:09d}", "event_id": "evt_{first_event + i:09d}", {heads[s]}, '
            f'"onset_time": {onset_list[i]}, "offset_time": {offset[i]}, "tempo_bpm": {tempo[i]}, '
            f'"meter": "{meter[i]}", "bar_index": {k // 8}, "beat_index": {k % 4}, '
            f'"components": [{components[i]}], "context_ms": {{"pre": 80, "post": 220}}, '
            f'"label_method": "human", "bleed_level": "{bleed[i]}", "mix_context": "{mix[i]}", '
            '"processing_chain": {"bus_comp": true, "limiter": true, "saturation": false}, '
            f'"negative_example": {negative[i]}, "notes": "", "tags": ["accent"], '
            f'"metadata_ref": "provenance:sess_{block.first_session + s:06d}", '
            f'"loudness": {{"LUFS_i": {loudness[i]}, "peak_dbfs": {peak[i]}}}, '
            '"qc": {"labeler_ids": ["u1", "u9"], "status": "accepted", "agreement": {"kappa": 0.82}}'
            f"{tails[s]}{techniques[i]}}}\n"
        )
    events = "".join(lines).encode()
    return events, _predictions(rng, block, chosen, onset_list) if block.with_predictions else b""


def _session_text(block: Block, sessions: Sessions, row: int) -> tuple[str, str]:
    """What all events of a session share, before their times and at their end."""
    number = block.first_session + row
    name, source = f"sess_{number:06d}", str(sessions.source[row])
    head = (
        f'"session_id": "{name}", "track_id": "trk_{number:06d}", '
        f'"drummer_id": "drummer_{number % DRUMMERS:04d}", "kit_id": "kit_{number % KITS:03d}", '
        f'"room_id": "room_{number % ROOMS:03d}", "source_set": "{source}", '
        f'"is_synthetic": {"true" if source == SYNTHETIC_SOURCE else "false"}, '
        f'"audio_path": "audio/train/wav/{name}/{name}.wav", '
        '"sample_rate": 48000, "bit_depth": 24, "channels": 1'
    )
    device = DEVICES[sessions.device[row]]
    return head, f', "device_vendor": "{device[0]}", "device_model": "{device[1]}"' if device else ""


def _predictions(rng: np.random.Generator, block: Block, chosen: np.ndarray, onset: list[float]) -> bytes:
    lines = []
    same_as = block.same_as.tolist()
    for i, scores in enumerate(draw_scores(rng, chosen)):
        name = f"sess_{block.first_session + i // block.per_session:06d}"
        predicted = ", ".join(f'"{label}"' for label, score in scores.items() if score >= 0.5)
        pairs = ", ".join(f'"{label}": {score}' for label, score in scores.items())
        lines.append(
            f'{{"sample_id": "smp_{same_as[i]:09d}", "session_id": "{name}", '
            f'"audio_path": "audio/train/wav/{name}/{name}.wav", "onset_time": {onset[i]}, '
            f'"predicted_labels": [{predicted}], "scores": {{{pairs}}}}}\n'
        )
    return "".join(lines).encode()


def blocks(n: int, seed: int, per_session: int, with_predictions: bool) -> Iterator[Block]:
    """The work, in pieces of whole sessions."""
    repeats = np.random.default_rng([seed, n]).random(n) < CHANGE
    repeats[:1] = False
    same_as = np.maximum.accumulate(np.where(repeats, 0, np.arange(n)))
    sessions_each = max(1, BLOCK_EVENTS // per_session)
    for first in range(0, n, sessions_each * per_session):
        events = min(n - first, sessions_each * per_session)
        yield Block(
            seed=seed,
            first_session=first // per_session,
            sessions=-(-events // per_session),
            per_session=per_session,
            events=events,
            same_as=same_as[first : first + events],
            with_predictions=with_predictions,
        )


def make_events(n: int, out: Path, *, seed: int, preds: Path | None, per_session: int) -> None:
    """Write ``n`` events, and predictions if a file is named for them."""
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: deque[Future[tuple[bytes, bytes]]] = deque()
    with ExitStack() as stack:
        pool = stack.enter_context(ProcessPoolExecutor(workers))
        streams = [
            stack.enter_context(stack.enter_context(atomic_path(path)).open("wb")) if path else None
            for path in (out, preds)
        ]

        def write_oldest() -> None:
            for stream, data in zip(streams, waiting.popleft().result(), strict=True):
                if stream is not None:
                    stream.write(data)

        for block in blocks(n, seed, per_session, preds is not None):
            waiting.append(pool.submit(write_block, block))
            # No more than two finished blocks a process wait in memory, however slow the disk is.
            if len(waiting) > 2 * workers:
                write_oldest()
        while waiting:
            write_oldest()


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a seeded manifest of drum events to measure with.")
    parser.add_argument("n", type=int, metavar="N", help="how many events")
    parser.add_argument("out", type=Path, metavar="OUT", help="the manifest to write (.jsonl)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--preds", type=Path, help="write predictions for the events to this file")
    parser.add_argument("--per-session", type=int, default=200, help="events a session (default: 200)")
    given = parser.parse_args()
    if given.n < 1 or given.per_session < 1 or given.seed < 0:
        parser.error("N and --per-session must be at least 1, and --seed not negative")
    make_events(given.n, given.out, seed=given.seed, preds=given.preds, per_session=given.per_session)


if __name__ == "__main__":
    main()
