"""Batches for the transcriber: pieces of drum tracks and backings, mixed at random as they are drawn.

Everything happens on mel power. Two sounds that are mixed add in power, but for an interference term that
depends on their phases; it is drawn at random, weaker where a band averages more bins. Equaliser, band limit,
level and compression of the whole mix are drawn for every piece.

Batch k of a run depends on the seed, the process and k alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from beatsight.audio.frames import FLOOR_DB, FrameConfig
from beatsight.dataset.frames.shards import STEP_DB, read_shard, shard_names
from beatsight.errors import InputError
from beatsight.train.songs.targets import COARSE, TargetConfig, Targets, audibility, make_targets

# Notes are cut out of as much of a backing, at the frames where it rises most.
_NOTES_FROM, _NOTES, _NOTE_GAP = 1500, 6, 10
_BETWEEN_SHARE = 0.4
_DB_TO_NEPER = np.float32(np.log(10.0) / 10.0)


@dataclass(frozen=True)
class MixConfig:
    """How pieces are mixed; shares are probabilities, ranges uniform.

    Attributes:
        frames: of a piece.
        batch: pieces a step and process.
        backing_share: of pieces with a backing.
        second_backing_share: of those, how many have two.
        backing_db: its level against the drums.
        tone_db: spread of each backing's own equaliser, six points and a tilt: bright strings are no cymbals.
        together_share: of pieces in which a band plays with the drums: notes that begin when strokes do.
        voice_share: of those, the band plays with one or two kinds of drums instead of any.
        drumless_share: a backing alone, no drums at all.
        gain_db: of the whole, against -20 dBFS.
        tilt_db: of the highest band against the lowest.
        eq_db: spread of the equaliser's six points.
        eq_share, limit_share, noise_share, squeeze_share: of the equaliser, a band limit, hiss and
            compression of the whole.
        crackle_share: of the crackle of a record.
    """

    frames: int = 600
    batch: int = 8
    backing_share: float = 0.72
    second_backing_share: float = 0.2
    backing_db: tuple[float, float] = (-14.0, 8.0)
    tone_db: float = 0.0
    together_share: float = 0.0
    voice_share: float = 0.0
    drumless_share: float = 0.05
    gain_db: tuple[float, float] = (-24.0, 10.0)
    tilt_db: tuple[float, float] = (-14.0, 5.0)
    eq_db: float = 4.0
    eq_share: float = 0.7
    limit_share: float = 0.25
    noise_share: float = 0.3
    squeeze_share: float = 0.25
    crackle_share: float = 0.0


@dataclass(frozen=True, eq=False)
class Piece:
    """A mixed piece: levels in dB (frames, bands); the strokes in it (times from its first frame); and how
    well each is heard, 0..1."""

    levels: np.ndarray
    strokes: np.ndarray
    heard: np.ndarray


@dataclass(frozen=True, eq=False)
class Batch:
    """Levels in dB, shape (batch, frames, bands), and what the network should say of them."""

    levels: np.ndarray
    targets: Targets


class Source:
    """The shards of one kind in some folders."""

    def __init__(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            if not shard_names(folder):
                raise InputError(f"{folder}: holds no rendered songs; render some first")
        self._shards = [read_shard(folder, name) for folder in folders for name in shard_names(folder)]

    def draw(
        self, rng: np.random.Generator, frames: int, hop_s: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Power (frames, bands) of a piece, the strokes in it, and their attacks in dB (strokes, bands)."""
        shard = self._shards[int(rng.integers(len(self._shards)))]
        song = int(rng.integers(len(shard.levels)))
        first = int(rng.integers(max(1, shard.levels.shape[1] - frames + 1)))
        steps = shard.levels[song, first : first + frames]
        db = steps.astype(np.float32) * np.float32(STEP_DB) + np.float32(FLOOR_DB)
        mine = shard.strokes_of(song)
        times, start = shard.strokes["time_s"][mine], first * hop_s
        low, high = mine.start + np.searchsorted(times, (start, start + len(steps) * hop_s))
        strokes = shard.strokes[low:high].copy()
        strokes["time_s"] -= np.float32(start)
        attacks = shard.attacks[low:high] * np.float32(STEP_DB) + np.float32(FLOOR_DB)
        return np.exp(db * _DB_TO_NEPER), strokes, attacks


def _filters(config: FrameConfig) -> np.ndarray:
    from beatsight.audio.features import mel_filters

    return mel_filters(config.sample_rate, config.n_fft, config.n_mels, config.f_min, config.f_max)


def interference(config: FrameConfig) -> np.ndarray:
    """How much of the interference term survives the averaging in each band, shape (n_mels,).

    A band that sums m bins of random phase keeps about 1 / sqrt(m) of it.
    """
    filters = _filters(config)
    effective = filters.sum(axis=1) ** 2 / np.square(filters).sum(axis=1)
    return (1.0 / np.sqrt(np.maximum(effective, 1.0))).astype(np.float32)


def _note_starts(rng: np.random.Generator, power: np.ndarray, strokes: np.ndarray) -> np.ndarray:
    """Frames at which a backing rises most, some of them; none where labelled percussion plays.

    Args:
        rng: source of the choice.
        power: of the backing, shape (frames, bands).
        strokes: positions of its percussion, in frames.
    """
    db = np.log10(np.maximum(power, np.float32(1e-7)))
    rise = np.maximum(db[2:] - db[:-2], 0.0).mean(axis=1)
    starts: list[int] = []
    for frame in np.argsort(rise)[::-1][:200]:
        if rise[frame] <= 0.0:
            break
        if any(abs(frame - other) < _NOTE_GAP for other in starts):
            continue
        if len(strokes) and np.abs(strokes - frame).min() < 4 * _NOTE_GAP:
            continue
        starts.append(int(frame))
        if len(starts) == 3 * _NOTES:
            break
    count = min(len(starts), int(rng.integers(1, _NOTES + 1)))
    return rng.choice(starts, size=count, replace=False) if count else np.zeros(0, int)


class Mixer:
    """Draws pieces from drum tracks and backings."""

    def __init__(
        self, drums: Source, backings: Source | None, config: MixConfig, frames: FrameConfig
    ) -> None:
        self._drums, self._backings, self.config, self.frames = drums, backings, config, frames
        self._interference = interference(frames)
        white = _filters(frames).sum(axis=1)
        self._white = (white / white.max()).astype(np.float32)

    def piece(self, rng: np.random.Generator) -> Piece:
        """One mixed piece."""
        config, hop_s = self.config, self.frames.hop_s
        alone = self._backings is not None and rng.random() < config.drumless_share
        source = self._backings if alone and self._backings is not None else self._drums
        power, strokes, attacks = source.draw(rng, config.frames, hop_s)
        if self._backings is not None and not alone and rng.random() < config.backing_share:
            for _ in range(1 + (rng.random() < config.second_backing_share)):
                gain = 10 ** (rng.uniform(*config.backing_db) / 10)
                other, more, more_attacks = self._backings.draw(rng, config.frames, hop_s)
                power = self._add(rng, power, self._toned(rng, other) * np.float32(gain))
                strokes = np.concatenate([strokes, more])
                attacks = np.concatenate([attacks, more_attacks])
        together = self._backings is not None and not alone and config.together_share > 0.0
        if together and rng.random() < config.together_share:
            gain = 10 ** (rng.uniform(*config.backing_db) / 10)
            band = self._band(rng, self._followed(rng, strokes) / hop_s, len(power))
            power = self._add(rng, power, self._toned(rng, band) * np.float32(gain))
        heard = audibility(10.0 * np.log10(np.maximum(power, 1e-9)), strokes["time_s"] / hop_s, attacks)
        return Piece(self._master(rng, power), strokes, heard)

    def _toned(self, rng: np.random.Generator, power: np.ndarray) -> np.ndarray:
        spread = self.config.tone_db
        if not spread:
            return power
        db = np.interp(np.linspace(0, 5, power.shape[1]), np.arange(6), rng.normal(0.0, spread, 6))
        db += np.linspace(0.0, rng.normal(0.0, spread), power.shape[1])
        return power * np.exp(db * _DB_TO_NEPER).astype(np.float32)

    def _followed(self, rng: np.random.Generator, strokes: np.ndarray) -> np.ndarray:
        """Times of the strokes that a band plays with: a bass follows the kick, a strum the snare."""
        if not len(strokes) or rng.random() >= self.config.voice_share:
            return strokes["time_s"]
        kinds = COARSE[strokes["label"]]
        known = np.unique(kinds)
        chosen = rng.choice(known, size=min(len(known), int(rng.integers(1, 3))), replace=False)
        return strokes["time_s"][np.isin(kinds, chosen)]

    def _band(self, rng: np.random.Generator, positions: np.ndarray, frames: int) -> np.ndarray:
        """Notes cut out of a backing, played where strokes fall: power, shape (frames, bands).

        Backings that keep their own time teach that whatever begins with a kick is a cymbal. In songs it
        mostly is a guitar.

        Args:
            rng: source of every choice.
            positions: of the strokes, in frames.
            frames: of the piece.
        """
        assert self._backings is not None
        source, percussion, _ = self._backings.draw(rng, _NOTES_FROM, self.frames.hop_s)
        starts = _note_starts(rng, source, percussion["time_s"] / self.frames.hop_s)
        band = np.zeros((frames, source.shape[1]), np.float32)
        if not len(starts) or not len(positions):
            return band
        times = np.unique(np.round(positions[rng.random(len(positions)) < rng.uniform(0.2, 1.0)]).astype(int))
        if rng.random() < _BETWEEN_SHARE and len(times) > 1:
            times = np.unique(np.concatenate([times, (times[:-1] + times[1:]) // 2]))
        # A new note ends the one before it, or rings along.
        ring = int(rng.integers(8, 80))
        for index, time in enumerate(times):
            at = int(time + rng.integers(-1, 2))
            until = times[index + 1] if index + 1 < len(times) and rng.random() < 0.7 else frames
            start = int(starts[int(rng.integers(len(starts)))])
            length = min(ring, until - at, len(source) - start, frames - at)
            if at < 0 or length < 2:
                continue
            note = source[start : start + length] * np.float32(rng.uniform(0.3, 1.0))
            note[-min(4, length) :] *= np.linspace(1.0, 0.1, min(4, length), dtype=np.float32)[:, None]
            band[at : at + length] += note
        return band

    def _add(self, rng: np.random.Generator, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        phase = rng.random(one.shape, dtype=np.float32)
        cross = np.float32(2.0) * np.sqrt(one * other) * (np.float32(2.8) * phase - np.float32(1.4))
        return np.maximum(one + other + cross * self._interference, np.float32(0.05) * (one + other))

    def _master(self, rng: np.random.Generator, power: np.ndarray) -> np.ndarray:
        """The whole's compression, hiss, tone and level; dB."""
        config, bands = self.config, power.shape[1]
        if rng.random() < config.squeeze_share:
            power = power * self._squeeze(rng, power)[:, None]
        if rng.random() < config.noise_share:
            tilt = np.linspace(0.0, rng.uniform(-2.5, 1.0), bands)
            level = 10 ** (rng.uniform(-6.5, -2.5) + tilt).astype(np.float32)
            power = power + level * rng.exponential(1.0, power.shape).astype(np.float32)
        if config.crackle_share and rng.random() < config.crackle_share:
            power = power + self._crackle(rng, len(power))
        db = np.log(np.maximum(power, np.float32(1e-9))) / _DB_TO_NEPER
        gain = rng.uniform(*config.gain_db) + np.linspace(0.0, rng.uniform(*config.tilt_db), bands)
        if rng.random() < config.eq_share:
            points = rng.normal(0.0, config.eq_db, 6)
            gain += np.interp(np.linspace(0, 5, bands), np.arange(6), points)
        if rng.random() < config.limit_share:
            edge = rng.uniform(0.6, 1.0) * bands
            gain -= np.clip((np.arange(bands) - edge) * rng.uniform(2.0, 20.0), 0.0, 70.0)
        return np.maximum(db + gain.astype(np.float32), np.float32(FLOOR_DB))

    def _crackle(self, rng: np.random.Generator, frames: int) -> np.ndarray:
        """Clicks of dust: a flat spectrum, as long as the window; power, shape (frames, bands)."""
        count = int(rng.poisson(np.exp(rng.uniform(np.log(0.3), np.log(20.0))) * frames * self.frames.hop_s))
        at = np.zeros(frames, np.float32)
        np.maximum.at(at, rng.integers(0, frames, count), rng.exponential(1.0, count).astype(np.float32))
        hops = self.frames.n_fft // (2 * self.frames.hop_length)
        offsets = np.arange(-hops, hops + 1) * self.frames.hop_length / self.frames.n_fft
        heard = np.convolve(at, np.cos(np.pi * offsets) ** 4, mode="same").astype(np.float32)
        spectrum = self._toned(rng, self._white[None])
        return heard[:, None] * spectrum * np.float32(10 ** rng.uniform(-5.0, -1.0))

    def _squeeze(self, rng: np.random.Generator, power: np.ndarray) -> np.ndarray:
        level = power.mean(axis=1)
        keep = np.exp(-1.0 / rng.uniform(3.0, 30.0))
        smooth = np.empty_like(level)
        held = float(level[:50].mean())
        for index, value in enumerate(level):
            held = max(float(value), keep * held + (1.0 - keep) * float(value))
            smooth[index] = held
        over = np.maximum(smooth / np.float32(smooth.max() * rng.uniform(0.02, 0.3) + 1e-12), 1.0)
        return over ** np.float32(1.0 / rng.uniform(1.5, 5.0) - 1.0)

    def batch(self, seed: int, process: int, number: int, targets: TargetConfig) -> Batch:
        """Batch ``number`` of a process of a run."""
        pieces = [
            self.piece(np.random.default_rng([seed, process, number, row]))
            for row in range(self.config.batch)
        ]
        levels = np.stack([piece.levels for piece in pieces])
        made = [
            make_targets(piece.levels, piece.strokes, piece.heard, targets, self.frames) for piece in pieces
        ]
        return Batch(levels, Targets.stack(made))
