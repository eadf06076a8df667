"""Valid but odd event rows, shared by the tests of every manifest operation.

:func:`odd_events` makes many of them quickly from a seed, :data:`event_dicts` is the hypothesis strategy of
one. Every row is one that :func:`beatsight.events.decode` accepts; what is odd about it is what files hold:
keys missing or null (also inside components), text of any script, unknown keys with anything in them, numbers
too large for 64 bits, ``1`` beside ``1.0``, sessions interleaved and out of order, labels by other names or
unknown, ids that occur twice, times that are equal, examples without components.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

LABELS = (
    "kick", "kick", "snare", "snare", "hihat_closed", "hihat_open", "hihat_pedal", "ride_bow", "crash",
    "crash2", "china", "splash", "tom_high", "tom_low", "rimshot", "cross_stick", "clap", "aux_percussion",
)  # fmt: skip
# The same drums by other names, and names that nobody knows.
ALIAS_LABELS = (
    "BD",
    "Kick Drum",
    "snare_center",
    "crash_1",
    "Crash-2",
    "ride",
    "HH",
    "floor tom",
    "side stick",
)
UNKNOWN_LABELS = ("vibraslap", "グロック", "kick?", "x\ty")
TECHNIQUES = (
    "flam",
    "drag",
    "hihat_bark",
    "Ghost Note",
    "press roll",
    "metric_modulation",
    "no such technique",
)
DEVICES = (
    ("Roland", "TD-50"),
    ("roland ", "td-50"),
    ("Yamaha", "DTX-PROX"),
    ("Unknown", "X1"),
    ("Alesis", None),
)
METERS = ("4/4", "4/4", "3/4", "7/8", "15/16")
TEXTS = (
    "",
    "plain",
    "Größe ≥ 3",
    "🥁🥁",
    "two\nlines",
    'a "quote"',
    "tab\there",
    "\u2028",
    "名前",
    "null",
    "a\\b",
)
HUGE = (2**63, 2**64 + 1, -(2**70), 10**30, 1.5e300, -0.0, 5e-324)
_NULLABLE = (
    "event_id", "track_id", "drummer_id", "kit_id", "room_id", "source_set", "is_synthetic", "audio_path",
    "offset_time", "tempo_bpm", "meter", "bar_index", "techniques", "tags", "context_ms", "qc",
    "device_vendor", "loudness", "notes", "negative_example", "metadata_ref",
)  # fmt: skip


def write_jsonl(path: Path, rows: Iterable[Any]) -> Path:
    """Rows as JSON lines, as Python's own writer puts them; the path is returned."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def _anything(r: random.Random, depth: int = 2) -> Any:
    kind = r.randrange(8 if depth else 6)
    if kind == 0:
        return None
    if kind == 1:
        return r.choice(HUGE)
    if kind == 2:
        return r.choice((1, 1.0, 0, 0.0, True, False))
    if kind < 6:
        return r.choice(TEXTS)
    if kind == 6:
        return [_anything(r, depth - 1) for _ in range(r.randrange(3))]
    return {
        r.choice(("a", "b.c", "", "ключ", "label")): _anything(r, depth - 1) for _ in range(r.randrange(3))
    }


def _unit(r: random.Random) -> float:
    return r.choice((0, 0.0, 1, 1.0, 0.15, 0.35, 0.65, r.random(), round(r.random(), 2)))


def _component(r: random.Random) -> dict[str, Any]:
    kind = r.random()
    source = LABELS if kind < 0.8 else ALIAS_LABELS if kind < 0.95 else UNKNOWN_LABELS
    part: dict[str, Any] = {"label": r.choice(source)}
    if r.random() < 0.8:
        part["velocity"] = _unit(r)
    if r.random() < 0.3:
        part["dynamic_bucket"] = r.choice(("ghost", "light", "medium", "accent", None))
    if r.random() < 0.4:
        part["openness_raw"] = r.choice((0, 127, 63, 12.5, r.randrange(128), None))
    if r.random() < 0.3:
        part["openness"] = r.choice((None, _unit(r)))
    if r.random() < 0.2:
        part["strike_position"] = r.choice(("center", "edge", "bell", "Größe", None))
    if r.random() < 0.2:
        part["instrument_variant"] = r.choice(("crash_1", "crash_2", "", None))
    if r.random() < 0.15:
        part["choke"] = r.choice((True, False, None))
    if r.random() < 0.15:
        part["pedal"] = _anything(r)
    if r.random() < 0.1:
        part[r.choice(("mic", "Ключ", "raw note", "extra"))] = _anything(r)
    return part


def _device(r: random.Random) -> dict[str, Any]:
    vendor, model = r.choice(DEVICES)
    return {"device_vendor": vendor, "device_model": model}


def _about_the_session(r: random.Random, number: int) -> dict[str, Any]:
    """Keys that all rows of a session share, more or less."""
    keys: dict[str, Any] = {"session_id": r.choice((f"s{number}", f"sess {number}", f"сессия/{number}"))}
    for name, values in (("drummer_id", 5), ("kit_id", 4), ("room_id", 3), ("track_id", 9)):
        if r.random() < 0.8:
            keys[name] = f"{name[0]}{r.randrange(values)}"
    if r.random() < 0.8:
        keys["audio_path"] = r.choice(
            (f"audio/{number}.wav", f"../wav/ü {number}.flac", f"/abs/{number}.wav")
        )
    if r.random() < 0.8:
        keys["source_set"] = r.choice(("own", "Groove", "Slakh2100"))
    if r.random() < 0.6:
        keys["is_synthetic"] = r.random() < 0.3
    if r.random() < 0.7:
        keys |= _device(r)
    return keys


def _often(r: random.Random, row: dict[str, Any]) -> None:
    """Optional keys that many rows have."""
    onset = row["onset_time"]
    if r.random() < 0.4:
        row["offset_time"] = onset + r.choice((0, 0.1, 1))
    if r.random() < 0.7:
        row["bar_index"], row["beat_index"] = r.randrange(100), r.choice((0, 1, 2.5, 3.0))
    if r.random() < 0.3:
        row["techniques"] = r.choices(TECHNIQUES, k=r.randrange(3))
    if r.random() < 0.3:
        row["bleed_level"] = r.choice(("low", "med", "high", None))
    if r.random() < 0.3:
        row["mix_context"] = r.choice(("full_mix", "close_mic", "overheads", None))
    if r.random() < 0.3:
        row["sample_rate"], row["channels"] = r.choice(((44100, 1), (48000, 2), (2**62, 1)))


def _seldom(r: random.Random, row: dict[str, Any]) -> None:
    """Keys that few rows have: nested ones, free text, unknown ones, explicit nulls."""
    if r.random() < 0.2:
        row["context_ms"] = r.choice(({"pre": 80, "post": 220.0}, {"pre": None}, {"post": 1e12, "why": "ü"}))
    if r.random() < 0.2:
        row["loudness"] = r.choice(
            ({"LUFS_i": -23, "peak_dbfs": -1.5}, {"LUFS_i": None, "true_peak": [1]}, {})
        )
    if r.random() < 0.2:
        row["tags"] = r.choices(TEXTS, k=r.randrange(3))
    for name in ("qc", "processing_chain", "metadata_ref", "bit_depth", "extra", "label method", "日本"):
        if r.random() < 0.04:
            row[name] = _anything(r)
    for name in ("notes", "event_id"):
        if r.random() < 0.15:
            row[name] = r.choice(TEXTS)
    if r.random() < 0.2:
        for name in r.sample(_NULLABLE, 3):
            row[name] = None


def odd_events(n: int, seed: int) -> list[dict[str, Any]]:
    """``n`` valid but odd events: the same for the same seed, some 40 a session, sessions interleaved."""
    r = random.Random(seed)
    sessions = [_about_the_session(r, number) for number in range(max(2, n // 40))]
    clocks = [r.choice((0.0, 0, 0.25, r.random())) for _ in sessions]
    tempi = [(r.choice((90, 120.0, 171.7)), r.choice(METERS)) for _ in sessions]
    # Sessions overlap by some, as files that several people append to do.
    rows: list[dict[str, Any]] = []
    for number in range(n):
        at = min(len(sessions) - 1, max(0, number * len(sessions) // n + r.randrange(-2, 3)))
        step = r.choice((0, 0, 0.005, 0.01, 0.02, 0.025, 0.05, 0.1, 0.125, 0.25, 0.5, r.random(), -0.3))
        clocks[at] = max(0, round(clocks[at] + step, r.choice((2, 4, 9))))
        if r.random() < 0.03:
            tempi[at] = (r.choice((60, 90, 120.0, 122, 160.0, 180)), r.choice(METERS))
        row = {"sample_id": f"smp {number:06d}", **sessions[at], "onset_time": clocks[at], "components": []}
        if r.random() < 0.002:
            row["onset_time"] = r.choice((86_400_000.0, 31_557_600, 1e-9))
        row["components"] = [_component(r) for _ in range(r.choices((0, 1, 2, 3, 5), (4, 50, 30, 12, 4))[0])]
        if r.random() < 0.7:
            row["tempo_bpm"], row["meter"] = tempi[at]
        _often(r, row)
        _seldom(r, row)
        if r.random() < 0.03:
            row["negative_example"] = r.choice((True, False))
        if not row["components"]:
            row["negative_example"] = True
        if rows and r.random() < 0.02:
            # The same id again: for another moment, or for exactly the same.
            twin = rows[-r.randrange(1, min(len(rows), 50) + 1)]
            row = dict(twin) if r.random() < 0.5 else row | {"sample_id": twin["sample_id"]}
        if r.random() < 0.05:
            keys = list(row)
            r.shuffle(keys)
            row = {key: row[key] for key in keys}
        rows.append(row)
    return rows


def _optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


_TEXT = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_UNIT = st.sampled_from((0, 1, 0.0, 1.0, 0.15, 0.35, 0.65)) | st.floats(0, 1)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=4,
)
_SECONDS = st.sampled_from((0, 0.0, 0.01, 0.02, 0.05, 0.5, 1, 1.5, 2.048, 10)) | st.floats(0, 30).map(
    lambda value: round(value, 4)
)
component_dicts: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"label": st.sampled_from((*LABELS, *ALIAS_LABELS, *UNKNOWN_LABELS))},
    optional={
        "velocity": _optional(_UNIT),
        "dynamic_bucket": st.sampled_from(("ghost", "light", "medium", "accent", None)),
        "openness": _optional(_UNIT),
        "openness_raw": _optional(st.integers(0, 127) | st.floats(0, 127)),
        "strike_position": st.sampled_from(("center", "edge", "bell", None)),
        "instrument_variant": st.sampled_from(("crash_1", "crash_2", None)),
        "choke": _optional(st.booleans()),
        "pedal": _ANYTHING,
        "mic": _ANYTHING,
    },
)


def _complete(row: dict[str, Any]) -> dict[str, Any]:
    return row if row["components"] else row | {"negative_example": True}


# Few ids, sessions and times, so that short lists hold equal ones.
event_dicts: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "sample_id": st.sampled_from(("a", "b", "c", "d", "ü", "e\nf")) | _TEXT.filter(bool),
        "session_id": st.sampled_from(("s1", "s2", "🥁")),
        "onset_time": _SECONDS,
        "components": st.lists(component_dicts, max_size=3),
    },
    optional={
        "event_id": _optional(_TEXT),
        "track_id": _optional(_TEXT),
        "drummer_id": st.sampled_from(("d1", "d2", None)),
        "kit_id": st.sampled_from(("k1", "k2", None)),
        "room_id": st.sampled_from(("r1", "r2", None)),
        "source_set": st.sampled_from(("own", "Groove", None)),
        "is_synthetic": _optional(st.booleans()),
        "audio_path": st.sampled_from(("a.wav", "b/ü.flac", None)),
        "sample_rate": st.sampled_from((44100, 48000, 2**62, None)),
        "channels": st.sampled_from((1, 2, None)),
        "offset_time": _optional(_SECONDS),
        "tempo_bpm": st.sampled_from((60, 90.0, 120, 122, 180, None)),
        "meter": st.sampled_from((*METERS, None)),
        "bar_index": _optional(st.integers(-(2**63), 2**63 - 1)),
        "beat_index": st.sampled_from((0, 1.0, 2.5, None)),
        "techniques": _optional(st.lists(st.sampled_from(TECHNIQUES), max_size=2)),
        "tags": _optional(st.lists(_TEXT, max_size=2)),
        "context_ms": st.sampled_from(
            (None, {}, {"pre": 80, "post": 220.0}, {"pre": None, "why": [None, {}]})
        ),
        "bleed_level": st.sampled_from(("low", "med", "high", None)),
        "mix_context": st.sampled_from(("full_mix", "close_mic", "overheads", None)),
        "processing_chain": _ANYTHING,
        "negative_example": _optional(st.booleans()),
        "loudness": st.sampled_from((None, {}, {"LUFS_i": -23, "true_peak": 2**70})),
        "qc": _ANYTHING,
        "device_vendor": st.sampled_from(("Roland", "Unknown", None)),
        "device_model": st.sampled_from(("TD-50", "X1", None)),
        "notes": _optional(_TEXT),
        "metadata_ref": _ANYTHING,
        "unknown key": _ANYTHING,
        "extra": _ANYTHING,
    },
).map(_complete)
