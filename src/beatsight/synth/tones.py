"""Building blocks of synthetic drums: decaying modes, coloured noise and plates of metallic partials.

Conventions: mono float32 at :data:`SAMPLE_RATE`; times in seconds, frequencies in Hz, decay as T60 (the time
to fall by 60 dB). Everything starts at sample 0. Spectra are dB at anchor frequencies, joined by straight
lines over log frequency (:data:`Colour`).

Source: modal synthesis as in N. H. Fletcher and T. D. Rossing, "The Physics of Musical Instruments" (1998),
chapters 18 and 20. Deviation: the thousands of modes of a cymbal are not integrated one by one; lines of one
frequency band share their decay, which costs one inverse FFT a band.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from beatsight.audio.io import SAMPLE_RATE

Audio = NDArray[np.float32]
Colour = tuple[tuple[float, float], ...]  # (frequency in Hz, level in dB), rising frequency

LN_60_DB = math.log(1000.0)
# Above this a louder stroke gains more than below: the break point of the velocity tilt.
TILT_FROM_HZ = 400.0
# The linear rise of every sound. Shorter than 1 ms, so that the attack stays at sample 0; long enough not to
# click.
_RISE_SAMPLES = 13
# One period of a plate; also the longest sound (2.97 s).
PLATE_SAMPLES = 1 << 17
# Edges between the decay bands of a plate.
_PLATE_EDGES_HZ = (300.0, 600.0, 1200.0, 2400.0, 4800.0, 9600.0)
PLATE_BANDS = len(_PLATE_EDGES_HZ) + 1
PLATE_CENTRES_HZ = np.array([180.0, 420.0, 850.0, 1700.0, 3400.0, 6800.0, 12500.0])


def samples(duration_s: float) -> int:
    """A duration in whole samples, at least one.

    >>> samples(0.5)
    22050
    """
    return max(1, round(duration_s * SAMPLE_RATE))


def decay(n: int, t60_s: float) -> Audio:
    """An exponential that starts at 1 and has fallen by 60 dB after ``t60_s``; shape ``(n,)``.

    >>> bool(abs(decay(44101, 1.0)[-1] - 0.001) < 1e-5)
    True
    """
    time = np.arange(n, dtype=np.float32)
    return np.exp(time * np.float32(-LN_60_DB / (t60_s * SAMPLE_RATE)))


def soften_edges(audio: Audio, fade_s: float) -> Audio:
    """Rise over the first 0.3 ms and fade over the last ``fade_s``, in place; the array is returned."""
    rise = min(_RISE_SAMPLES, len(audio))
    audio[:rise] *= np.arange(1, rise + 1, dtype=np.float32) / rise
    fade = min(samples(fade_s), len(audio))
    audio[-fade:] *= np.linspace(1.0, 0.0, fade, dtype=np.float32) ** 2
    return audio


def add_mode(
    target: Audio,
    freq_hz: float,
    level: float,
    t60_s: float,
    *,
    glide: float = 0.0,
    glide_s: float = 0.03,
    phase: float = 0.2,
) -> None:
    """Add one decaying sine to ``target``, from its start.

    Args:
        target: the sound built so far, shape ``(n,)``; changed in place.
        freq_hz: where the pitch settles.
        level: linear peak.
        t60_s: decay.
        glide: how far above ``freq_hz`` the pitch starts, as a fraction of it.
        glide_s: time constant of the pitch fall.
        phase: starting phase in cycles; 0.2 starts high, so that the attack is at the first samples.
    """
    n = min(len(target), samples(t60_s * 1.2))
    time = np.arange(n) / SAMPLE_RATE
    cycles = freq_hz * time + phase
    if glide:
        cycles += freq_hz * glide * glide_s * (1.0 - np.exp(-time / glide_s))
    cycles -= np.floor(cycles)
    wave = np.sin(cycles.astype(np.float32) * np.float32(2.0 * math.pi))
    wave *= decay(n, t60_s)
    target[:n] += wave * np.float32(level)


def tilt(freqs_hz: NDArray[np.floating], db_per_octave: float) -> NDArray[np.floating]:
    """Linear gain of a slope above :data:`TILT_FROM_HZ`: how a harder stroke is brighter.

    >>> tilt(np.array([100.0, 400.0, 800.0]), -6.0).round(2).tolist()
    [1.0, 1.0, 0.5]
    """
    octaves = np.log2(np.maximum(freqs_hz, TILT_FROM_HZ) / TILT_FROM_HZ)
    return 10.0 ** (db_per_octave * octaves / 20.0)


def colour_gain(freqs_hz: NDArray[np.floating], colour: Colour) -> NDArray[np.floating]:
    """Linear amplitude of a colour at each frequency, flat beyond its ends."""
    anchors = np.log2([point[0] for point in colour])
    levels = np.array([point[1] for point in colour])
    db = np.interp(np.log2(np.maximum(freqs_hz, 1.0)), anchors, levels)
    return 10.0 ** (db / 20.0)


@lru_cache(maxsize=512)
def _noise_shape(n: int, colour: Colour, tilt_db: float) -> NDArray[np.float32]:
    freqs = np.fft.rfftfreq(n, 1.0 / SAMPLE_RATE)
    gain = colour_gain(freqs, colour) * tilt(freqs, tilt_db)
    gain[0] = 0.0
    return (gain / np.sqrt(np.sum(gain**2)) * n).astype(np.float32)


def noise(rng: np.random.Generator, n: int, colour: Colour, tilt_db: float = 0.0) -> Audio:
    """Steady coloured noise of RMS near 1; shape ``(n,)``.

    Args:
        rng: source of the phases.
        n: length in samples.
        colour: spectrum in dB per spectral bin.
        tilt_db: extra slope above :data:`TILT_FROM_HZ`, dB per octave (before the level is set).
    """
    size = scipy.fft.next_fast_len(max(n, 64), real=True)
    bins = size // 2 + 1
    draws = rng.standard_normal(2 * bins, dtype=np.float32).view(np.complex64)
    spectrum = draws * _noise_shape(size, colour, round(tilt_db, 2)) * np.float32(0.5)
    return scipy.fft.irfft(spectrum, size)[:n]


class Plate:
    """The vibration of one piece of metal: fixed inharmonic partials, each decay band kept apart.

    A stroke is a sum over bands of ``gain × envelope × partials``. Strokes differ by where in the long,
    periodic beating of the partials they start, so no two takes are alike and all sound like one cymbal.
    """

    def __init__(
        self, rng: np.random.Generator, colour: Colour, density_per_hz: float, noisiness: float
    ) -> None:
        """Draw the partials.

        Args:
            rng: source of the partials; the same state gives the same plate.
            colour: spectrum of the ringing metal, dB per octave band.
            density_per_hz: partials per Hz; metal plates have an almost constant one.
            noisiness: share 0..1 of the energy that is dense noise instead of partials, at the top of the
                spectrum.
        """
        nyquist = SAMPLE_RATE / 2
        bins = PLATE_SAMPLES // 2 + 1
        hz_per_bin = SAMPLE_RATE / PLATE_SAMPLES
        count = int(density_per_hz * nyquist)
        # Equal steps plus a random part: modes repel each other, which keeps bands evenly filled.
        freqs = (np.arange(count) + rng.uniform(0.0, 1.0, count)) * (nyquist / count)
        freqs = freqs[(freqs > 150.0) & (freqs < 20000.0)]
        # dB per octave band to amplitude per line: an octave around f holds about f × density lines.
        level = colour_gain(freqs, colour) / np.sqrt(freqs * density_per_hz)
        level *= np.exp(rng.normal(0.0, 0.7, len(freqs)))
        lines = level * np.exp(2j * math.pi * rng.uniform(0.0, 1.0, len(freqs)))
        fog_freqs = np.arange(bins) * hz_per_bin
        fog = rng.standard_normal(2 * bins).view(np.complex128) * colour_gain(fog_freqs, colour)
        fog *= (
            np.sqrt(hz_per_bin / np.maximum(fog_freqs, 100.0))
            * noisiness
            * np.clip(fog_freqs / 8000.0, 0.1, 1.0)
        )
        # A partial belongs to a decay band by its frequency, blurred so that no edge is heard.
        edges = np.log2(_PLATE_EDGES_HZ)
        line_band = np.searchsorted(edges, np.log2(freqs) + rng.normal(0.0, 0.25, len(freqs)))
        fog_band = np.searchsorted(edges, np.log2(np.maximum(fog_freqs, 1.0)))
        at = np.rint(freqs / hz_per_bin).astype(np.int64)
        self.bands: Audio = np.empty((PLATE_BANDS, PLATE_SAMPLES), dtype=np.float32)
        for band in range(PLATE_BANDS):
            spectrum = np.where(fog_band == band, fog, 0.0)
            mine = line_band == band
            np.add.at(spectrum, at[mine], lines[mine])
            self.bands[band] = scipy.fft.irfft(spectrum.astype(np.complex64), PLATE_SAMPLES)
        self.bands /= np.sqrt(np.sum(np.mean(np.square(self.bands), axis=1)))

    def strike(
        self, rng: np.random.Generator, gains: NDArray[np.floating], envelopes: Audio, roughness: float = 0.12
    ) -> Audio:
        """One stroke; shape ``(n,)`` where ``envelopes`` is ``(PLATE_BANDS, n)``.

        Args:
            rng: where the stroke starts and how its bands vary.
            gains: linear gain of each band, shape ``(PLATE_BANDS,)``.
            envelopes: level over time of each band.
            roughness: standard deviation of the gain of each band from stroke to stroke (natural log).
        """
        n = envelopes.shape[1]
        out = np.zeros(n, dtype=np.float32)
        starts = rng.integers(0, PLATE_SAMPLES, PLATE_BANDS)
        varied = gains * np.exp(rng.normal(0.0, roughness, PLATE_BANDS))
        for band, start in enumerate(starts):
            head = min(n, PLATE_SAMPLES - start)
            scaled = envelopes[band] * np.float32(varied[band])
            out[:head] += scaled[:head] * self.bands[band, start : start + head]
            if head < n:
                out[head:] += scaled[head:] * self.bands[band, : n - head]
        return out


def plate_envelopes(
    n: int,
    t60_low_s: float,
    t60_high_s: float,
    *,
    ping: float,
    ping_t60_s: float,
    bloom: float,
    bloom_s: float,
) -> Audio:
    """Envelopes of the bands of a plate; shape ``(PLATE_BANDS, n)``.

    Args:
        n: length in samples, at most :data:`PLATE_SAMPLES`.
        t60_low_s: decay of the lowest band; ``t60_high_s`` that of the highest, geometric steps between.
        ping: share 0..1 of the level that falls quickly, with ``ping_t60_s``: the stick's own sound on
            the metal.
        bloom: share 0..1 that comes up with time constant ``bloom_s``, as the energy spreads through the
            plate.
    """
    n = min(n, PLATE_SAMPLES)
    out = np.empty((PLATE_BANDS, n), dtype=np.float32)
    quick = decay(n, ping_t60_s) * np.float32(ping)
    rise = 1.0 - np.float32(bloom) * decay(n, bloom_s * LN_60_DB) if bloom > 0.0 else np.float32(1.0)
    for band, t60 in enumerate(np.geomspace(t60_low_s, t60_high_s, PLATE_BANDS)):
        out[band] = decay(n, float(t60)) * np.float32(1.0 - ping) * rise + quick
    return out
