"""Songs of recorded kits: human performances on drawn drum sets, with or without a backing, and their labels.

Song k of a seed is the same whatever else is made: its generators are seeded by the seed, a number for what
they serve, and k. Drums and backing are drawn apart, so that training can mix any two.

Conventions: mono float32 at 44.1 kHz, times in seconds from the first sample. A stroke's time is that of its
sample's attack (see :mod:`beatsight.synth.studio.sounding`), moved where a tape moved it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from beatsight.audio.io import SAMPLE_RATE
from beatsight.events import Event
from beatsight.synth.feel import Hit
from beatsight.synth.song import components, moments
from beatsight.synth.studio.backing import BackingConfig, Recordings, make_backing
from beatsight.synth.studio.bank import Bank
from beatsight.synth.studio.damage import Damage, draw_damage
from beatsight.synth.studio.drumset import Drumset, DrumsetConfig
from beatsight.synth.studio.mixing import BusConfig, Placed, place_strokes, treat_bus
from beatsight.synth.studio.performances import Groove, Stroke
from beatsight.synth.studio.playing import Passage, PlayingConfig, draw_part, groove_weights

SOURCE_SET = "beatsight-studio"
# Every track is brought to this level over its loud part.
LEVEL_DB = -20.0
_LOUD_SHARE = 0.03
# What the generators serve; a number that is in use must not change, or every song does.
_DRUMS, _BACKING, _DAMAGE, _MIX = 0, 1, 2, 3
# The backing against the drums, each at its level; mixes of rock and pop lie within.
BACKING_DB = (-12.0, 6.0)
_PEAK = 0.9


@dataclass(frozen=True, eq=False)
class Stock:
    """What songs are made of.

    Attributes:
        bank: recorded strokes.
        grooves: performances.
        weights: how often each is played, :func:`groove_weights`.
        recordings: sounds without drums for the backings.
    """

    bank: Bank
    grooves: list[Groove]
    weights: np.ndarray
    recordings: Recordings

    @classmethod
    def of(cls, bank: Bank, grooves: list[Groove], recordings: Recordings) -> Stock:
        """With the weights of the performances."""
        return cls(bank, grooves, groove_weights(grooves), recordings)


@dataclass(frozen=True)
class SongConfig:
    """How songs vary.

    Attributes:
        seconds: length of a song.
        seed: of everything.
        playing, drumset, bus: of the performance, the drums and what is done to their track.
    """

    seconds: float = 30.0
    seed: int = 0
    playing: PlayingConfig = field(default_factory=PlayingConfig)
    drumset: DrumsetConfig = field(default_factory=DrumsetConfig)
    bus: BusConfig = field(default_factory=BusConfig)
    backing: BackingConfig = field(default_factory=BackingConfig)

    @property
    def samples(self) -> int:
        """Length of a song in samples."""
        return round(self.seconds * SAMPLE_RATE)


@dataclass(frozen=True, eq=False)
class DrumTrack:
    """The drums of a song.

    Attributes:
        audio: after the bus, at ``LEVEL_DB``, before tape and coding; shape (samples,).
        placed: the dry drums and their strokes.
        passages: whose strokes they are.
        damage: what is to befall the song; its bleed is in ``audio`` already.
    """

    audio: np.ndarray
    placed: Placed
    passages: tuple[Passage, ...]
    damage: Damage


@dataclass(frozen=True, eq=False)
class StudioSong:
    """A song and the truth about it.

    Attributes:
        name: file stem and session id.
        audio: the mix, peak at most 0.9, shape (samples,).
        drums, backing: its stems at their levels in the mix, without the tape's wear and the coding, which
            fall on the mix; likewise. Where neither befell the song, they add up to the mix.
        strokes: of the drums and of the percussion in the backing, in order of time.
        events: one labelled moment per group of strokes within ``MOMENT_S``.
    """

    name: str
    audio: np.ndarray
    drums: np.ndarray
    backing: np.ndarray
    strokes: list[Stroke]
    events: list[Event]


def levelled(audio: np.ndarray) -> np.ndarray:
    """The track with its loud half-seconds at ``LEVEL_DB`` (RMS); silence stays silence."""
    size = SAMPLE_RATE // 2
    blocks = audio[: len(audio) // size * size].reshape(-1, size)
    power = np.mean(np.square(blocks, dtype=np.float64), axis=1)
    loud = power[power > _LOUD_SHARE * power.max(initial=0.0)]
    if not len(loud):
        return audio
    return audio * np.float32(10 ** (LEVEL_DB / 20) / np.sqrt(loud.mean()))


def _generator(config: SongConfig, purpose: int, number: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, purpose, number])


def make_drums(stock: Stock, config: SongConfig, number: int) -> DrumTrack:
    """The drums of song ``number``."""
    rng = _generator(config, _DRUMS, number)
    part = draw_part(rng, stock.grooves, stock.weights, config.seconds, config.playing)
    drums = Drumset(rng, stock.bank, config.drumset)
    placed = place_strokes(rng, drums, part.strokes, config.samples)
    damage = draw_damage(_generator(config, _DAMAGE, number), config.seconds, config.bus)
    audio = levelled(treat_bus(rng, damage.bled(placed.track), placed.send, config.bus, placed.shells))
    return DrumTrack(audio, placed, part.passages, damage)


def make_band(stock: Stock, config: SongConfig, number: int) -> tuple[np.ndarray, list[Stroke]]:
    """The backing of song ``number`` at ``LEVEL_DB``, shape (samples,), and the percussion strokes in it."""
    rng = _generator(config, _BACKING, number)
    audio, strokes = make_backing(rng, stock.bank, stock.recordings, config.samples, config.backing)
    return levelled(audio), strokes


def moved(strokes: Sequence[Stroke], damage: Damage) -> list[Stroke]:
    """The strokes at the times at which they are heard."""
    if damage.tape is None or not strokes:
        return list(strokes)
    times = damage.heard_at(np.array([stroke.time_s for stroke in strokes]))
    return [replace(s, time_s=max(0.0, float(t))) for s, t in zip(strokes, times, strict=True)]


def song_name(config: SongConfig, number: int) -> str:
    """File stem and session id of a song.

    >>> song_name(SongConfig(seed=7), 12)
    'studio-7-00012'
    """
    return f"studio-{config.seed}-{number:05d}"


def make_song(stock: Stock, config: SongConfig, number: int, *, drums_only: bool = False) -> StudioSong:
    """Song ``number``, mixed.

    Args:
        stock: what it is made of.
        config: how songs vary.
        number: which one, 0 or more.
        drums_only: without a backing; the drums are the same.
    """
    track, mix_rng = make_drums(stock, config, number), _generator(config, _MIX, number)
    damage, strokes = track.damage, track.placed.strokes
    drums, backing = damage.warped(track.audio), np.zeros(config.samples, np.float32)
    if not drums_only:
        band, percussion = make_band(stock, config, number)
        backing = damage.warped(band) * np.float32(10 ** (mix_rng.uniform(*BACKING_DB) / 20))
        strokes = sorted([*strokes, *percussion], key=lambda s: (s.time_s, s.label))
    audio = damage.worn(drums + backing)
    # A hair under the peak, so that rounding to float32 cannot pass it.
    gain = np.float32(_PEAK * (1.0 - 1e-6) / max(float(np.max(np.abs(audio), initial=0.0)), 1e-9))
    strokes = moved(strokes, damage)
    name = song_name(config, number)
    return StudioSong(
        name=name,
        audio=audio * gain,
        drums=drums * gain,
        backing=backing * gain,
        strokes=strokes,
        events=make_events(name, strokes, track.passages, damage.names()),
    )


def _passage_at(passages: Sequence[Passage], time_s: float) -> Passage | None:
    return next((p for p in reversed(passages) if p.start_s <= time_s), None)


def make_events(
    name: str, strokes: Sequence[Stroke], passages: Sequence[Passage], effects: Sequence[str] = ()
) -> list[Event]:
    """The labelled moments of a song.

    Args:
        name: of the song; its audio is ``<name>.wav``.
        strokes: in order of time.
        passages: who plays when; empty where nobody does.
        effects: what befell the recording; kept as ``processing_chain``.

    Returns:
        events in order of time; a component's ``instrument_variant`` is the kit and piece it was recorded
        from, the event's ``kit_id`` all the kits in the song.
    """
    kits = "+".join(sorted({s.source.partition(":")[0] for s in strokes if s.source})) or None
    source = {(stroke.time_s, stroke.label): stroke.source for stroke in strokes}
    hits = tuple(Hit(s.time_s, s.label, s.velocity, s.openness) for s in strokes)
    events = []
    for index, group in enumerate(moments(hits)):
        onset = group[0].onset_s
        parts = components(group)
        for part in parts:
            loudest = max((h for h in group if h.label == part.label), key=lambda h: h.velocity)
            part.instrument_variant = source[loudest.onset_s, loudest.label] or None
        passage = _passage_at(passages, onset)
        events.append(
            Event(
                sample_id=f"{name}-{index:05d}",
                session_id=name,
                onset_time=onset,
                components=parts,
                drummer_id=(passage.drummer or None) if passage else None,
                kit_id=kits,
                source_set=SOURCE_SET,
                is_synthetic=True,
                audio_path=f"{name}.wav",
                sample_rate=SAMPLE_RATE,
                channels=1,
                tempo_bpm=round(passage.bpm, 3) if passage and passage.bpm else None,
                meter=passage.meter if passage else None,
                mix_context="full_mix",
                processing_chain=list(effects) or None,
            )
        )
    return events
