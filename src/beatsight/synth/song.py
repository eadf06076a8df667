"""Whole songs with exact labels: a synthetic kit plays a groove in a room, with a band, and every stroke is
known.

Conventions: mono float32 at 44.1 kHz, peak at most 0.9; times in seconds from the first sample. A stroke
begins on a whole sample and its event states that sample's time exactly (``sample / 44100``). ``song.drums``
is the drum bus as it lies in the mix, so ``song.audio - song.drums`` is the rest of the band. The same
arguments give the same bytes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from beatsight.audio.io import SAMPLE_RATE, save
from beatsight.errors import UsageError
from beatsight.events import Component, Event, dynamic_bucket, write_records
from beatsight.files import write_text
from beatsight.synth.accompaniment import make_accompaniment
from beatsight.synth.grooves import Hit, Performance, make_groove
from beatsight.synth.kit import Kit, make_kit
from beatsight.synth.room import compress, convolve, make_room, soft_clip
from beatsight.synth.tones import Audio
from beatsight.taxonomy import is_hihat

# Strokes this close are heard as one moment: they become one event, at the earliest stroke's time.
MOMENT_S = 0.012
SOURCE_SET = "beatsight-synth"
_PEAK = 0.9
# Noise of microphones and room, RMS against full scale: a recording is never digital silence, and a ghost
# note on a snare (-28 dB and softer) still stands clear of it.
_NOISE_DB = (-85.0, -68.0)
_ACCOMPANIMENT_DB = (-14.0, -6.0)
# How fast a hat that is closed stops ringing.
_CHOKE_S = 0.012


@dataclass(frozen=True, eq=False)
class Song:
    """A synthetic song and the truth about it.

    Attributes:
        name: file stem and session id.
        audio: the mix, shape (samples,).
        drums: the drums in the mix, shape (samples,).
        hits: every stroke by itself, sorted; onsets are whole samples.
        events: one labelled moment per group of strokes within ``MOMENT_S``.
        beats_s, downbeats_s: shape (beats,) and (bars,).
        tempo_map: (time in s, beats per minute) from each downbeat on.
        meter: e.g. ``"7/8"``; a beat is the dotted quarter in 6/8, the eighth in 7/8, else the quarter.
        beats_per_bar: beats from downbeat to downbeat.
    """

    name: str
    seed: int
    style: str
    audio: Audio
    drums: Audio
    sample_rate: int
    hits: tuple[Hit, ...]
    events: list[Event]
    beats_s: np.ndarray
    downbeats_s: np.ndarray
    tempo_map: tuple[tuple[float, float], ...]
    meter: str
    beats_per_bar: int
    tempo_bpm: float
    kit_id: str


def _on_samples(hits: tuple[Hit, ...]) -> tuple[Hit, ...]:
    """The same strokes, each on a whole sample."""
    return tuple(
        Hit(round(hit.onset_s * SAMPLE_RATE) / SAMPLE_RATE, hit.label, hit.velocity, hit.openness)
        for hit in hits
    )


def render_drums(kit: Kit, hits: tuple[Hit, ...], n: int) -> Audio:
    """Strokes mixed dry; shape ``(n,)``. A hat stroke ends the ringing of the hat stroke before it.

    Args:
        kit: the drums.
        hits: strokes sorted by time.
        n: length in samples.
    """
    out = np.zeros(n, dtype=np.float32)
    hat_onsets = [round(hit.onset_s * SAMPLE_RATE) for hit in hits if is_hihat(hit.label)]
    fade = np.linspace(1.0, 0.0, round(_CHOKE_S * SAMPLE_RATE), dtype=np.float32)
    takes: dict[str, int] = {}
    hats = 0
    for hit in hits:
        take = takes[hit.label] = takes.get(hit.label, -1) + 1
        start = round(hit.onset_s * SAMPLE_RATE)
        sound = kit.render(hit.label, hit.velocity, hit.openness, take)
        if is_hihat(hit.label):
            hats += 1
            gap = hat_onsets[hats] - start if hats < len(hat_onsets) else len(sound)
            if gap < len(sound):
                length = min(len(fade), len(sound) - gap)
                sound[gap : gap + length] *= fade[:length]
                sound = sound[: gap + length]
        sound = sound[: n - start]
        out[start : start + len(sound)] += sound
    return out


def moments(hits: tuple[Hit, ...]) -> list[list[Hit]]:
    """Strokes grouped into moments no longer than ``MOMENT_S``."""
    groups: list[list[Hit]] = []
    for hit in hits:
        if groups and hit.onset_s - groups[-1][0].onset_s <= MOMENT_S:
            groups[-1].append(hit)
        else:
            groups.append([hit])
    return groups


def components(group: list[Hit]) -> list[Component]:
    """One moment's drums; of two strokes on one drum the louder counts."""
    loudest: dict[str, Hit] = {}
    for hit in group:
        if hit.label not in loudest or loudest[hit.label].velocity < hit.velocity:
            loudest[hit.label] = hit
    return [_component(hit) for hit in loudest.values()]


def _component(hit: Hit) -> Component:
    velocity = round(hit.velocity, 4)
    openness = None if hit.openness is None else round(hit.openness, 4)
    return Component(
        label=hit.label,
        velocity=velocity,
        dynamic_bucket=dynamic_bucket(velocity),  # type: ignore[arg-type]
        openness=openness,
    )


def make_events(name: str, kit_id: str, performance: Performance, hits: tuple[Hit, ...]) -> list[Event]:
    """The labelled moments of a song; of two strokes on one drum in one moment the louder counts."""
    beats, downbeats, per_bar = performance.beats_s, performance.downbeats_s, performance.meter.beats
    # One more beat on either side, so that strokes just before the first and after the last have a place.
    grid = np.concatenate([[2 * beats[0] - beats[1]], beats, [2 * beats[-1] - beats[-2]]])
    events = []
    for index, group in enumerate(moments(hits)):
        onset = group[0].onset_s
        position = float(np.interp(onset, grid, np.arange(-1, len(grid) - 1)))
        # A tenth of a beat ahead of the bar line still belongs to the new bar: drummers are early.
        bar = int(np.floor((position + 0.1) / per_bar))
        tempo = performance.tempo_map[min(max(bar, 0), len(performance.tempo_map) - 1, len(downbeats) - 1)][1]
        events.append(
            Event(
                sample_id=f"{name}-{index:05d}",
                session_id=name,
                onset_time=onset,
                components=components(group),
                kit_id=kit_id,
                source_set=SOURCE_SET,
                is_synthetic=True,
                audio_path=f"{name}.wav",
                sample_rate=SAMPLE_RATE,
                channels=1,
                tempo_bpm=round(tempo, 3),
                meter=performance.meter.name,
                bar_index=bar,
                beat_index=round(max(0.0, position - bar * per_bar), 3),
                mix_context="full_mix",
            )
        )
    return events


def _drum_bus(rng: np.random.Generator, dry: Audio) -> Audio:
    """Room, noise, compression and soft clipping; peaks below 1."""
    wet = convolve(dry, make_room(rng))
    peak = float(np.max(np.abs(wet)))
    if peak > 0.0:
        wet *= np.float32(rng.uniform(0.9, 1.3) / peak)
    level = 10.0 ** (rng.uniform(*_NOISE_DB) / 20.0)
    wet += rng.standard_normal(len(wet), dtype=np.float32) * np.float32(level)
    squeezed = compress(wet, rng.uniform(0.12, 0.3), rng.uniform(1.3, 3.0), rng.uniform(0.06, 0.25))
    return soft_clip(squeezed)


def make_song(
    seed: int,
    *,
    duration_s: float = 30.0,
    style: str | None = None,
    meter: str | None = None,
    tempo_bpm: float | None = None,
    kit_seed: int | None = None,
    accompaniment_db: float | Literal["random"] | None = "random",
) -> Song:
    """Invent a song; the same arguments always give the same samples and labels.

    Args:
        seed: 0 or more; sets the kit, the groove, the room and the band.
        duration_s: length in seconds, at least 3.
        style, meter, tempo_bpm: as in :func:`beatsight.synth.grooves.make_groove`; drawn when None.
        kit_seed: which kit plays, as in :func:`beatsight.synth.kit.make_kit`; by default the song's own.
        accompaniment_db: RMS of the band against that of the drums; ``"random"`` draws -14..-6, None
            leaves it out.

    Raises:
        UsageError: a negative seed, or a style, meter, tempo or length that cannot be played.

    >>> song = make_song(5, duration_s=4.0, style="rock", meter="4/4", tempo_bpm=120.0)
    >>> song.name, len(song.audio), bool(np.abs(song.audio).max() <= 0.9)
    ('synth-rock-00000005', 176400, True)
    """
    if seed < 0:
        raise UsageError(f"the seed of a song must not be negative, but is {seed}")
    groove_rng, bus_rng, band_rng, kit_rng = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)
    )
    performance = make_groove(groove_rng, style, meter, tempo_bpm, duration_s)
    kit = make_kit(int(kit_rng.integers(1 << 32)) if kit_seed is None else kit_seed)
    n = round(duration_s * SAMPLE_RATE)
    hits = _on_samples(performance.hits)
    drums = _drum_bus(bus_rng, render_drums(kit, hits, n))
    audio = drums
    if accompaniment_db is not None:
        level_db = band_rng.uniform(*_ACCOMPANIMENT_DB) if accompaniment_db == "random" else accompaniment_db
        drums_rms = np.sqrt(np.mean(np.square(drums, dtype=np.float64)))
        band = make_accompaniment(band_rng, performance, n)
        audio = drums + band * np.float32(drums_rms * 10.0 ** (level_db / 20.0))
    # A hair under the peak, so that rounding to float32 cannot pass it.
    gain = np.float32(_PEAK * (1.0 - 1e-6) / max(float(np.max(np.abs(audio))), 1e-9))
    name = f"synth-{performance.style}-{seed:08d}"
    return Song(
        name=name,
        seed=seed,
        style=performance.style,
        audio=audio * gain,
        drums=drums * gain,
        sample_rate=SAMPLE_RATE,
        hits=hits,
        events=make_events(name, kit.kit_id, performance, hits),
        beats_s=performance.beats_s,
        downbeats_s=performance.downbeats_s,
        tempo_map=performance.tempo_map,
        meter=performance.meter.name,
        beats_per_bar=performance.meter.beats,
        tempo_bpm=performance.tempo_bpm,
        kit_id=kit.kit_id,
    )


@dataclass(frozen=True)
class SongFiles:
    """Where :func:`write_song` put a song."""

    audio: Path
    events: Path
    beats: Path


def write_song(song: Song, folder: str | os.PathLike[str]) -> SongFiles:
    """Write ``<name>.wav`` (16 bit), ``<name>.events.jsonl`` and ``<name>.beats`` (time, tab, beat in bar).

    Args:
        song: what to write.
        folder: made when missing.

    Raises:
        InputError: the folder cannot be written.
    """
    root = Path(folder)
    files = SongFiles(
        root / f"{song.name}.wav", root / f"{song.name}.events.jsonl", root / f"{song.name}.beats"
    )
    save(files.audio, song.audio, song.sample_rate)
    write_records(files.events, song.events)
    lines = [f"{time:.6f}\t{index % song.beats_per_bar + 1}\n" for index, time in enumerate(song.beats_s)]
    write_text(files.beats, "".join(lines))
    return files
