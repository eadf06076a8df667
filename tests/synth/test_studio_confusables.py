"""What is made to fool a drum transcriber: strummed guitars, tambourines, washing cymbals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.signal import find_peaks

from beatsight.audio.io import SAMPLE_RATE
from beatsight.synth.studio.backing import BackingConfig, Recordings, make_backing
from beatsight.synth.studio.bank import Bank, Piece, Take, load_bank
from beatsight.synth.studio.drumset import Drumset, DrumsetConfig
from beatsight.synth.studio.guitars import guitars_of, play_guitar
from beatsight.synth.studio.instruments import Instrument
from beatsight.synth.studio.jingles import tambourine
from beatsight.synth.studio.synthetic import synthetic_piece
from planted_kits import NEUTRAL, plant_kit


def sine_guitar(name: str = "Steel Guitar") -> Instrument:
    """Notes that are what they are called: sines that decay."""
    notes = {}
    for pitch in range(36, 85, 4):
        seconds = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
        tone = np.sin(2 * np.pi * 440.0 * 2 ** ((pitch - 69) / 12) * seconds) * np.exp(-seconds)
        notes[pitch] = (np.round(32767 * tone).astype(np.int16), 1.0 / 32767.0)
    return Instrument(name, notes)


def test_a_guitar_strums_chords_in_time() -> None:
    n = 8 * SAMPLE_RATE
    assert [g.name for g in guitars_of([sine_guitar(), sine_guitar("Piano")])] == ["Steel Guitar"]
    spread, chords = [], 0
    for seed in range(12):
        track = play_guitar(np.random.default_rng(seed), [sine_guitar()], n)
        assert track.shape == (n,) and track.dtype == np.float32 and np.isfinite(track).all()
        power = np.square(track[: n // 441 * 441].reshape(-1, 441)).mean(axis=1)
        rise = np.diff(10 * np.log10(power + 1e-8))
        starts = find_peaks(rise, height=6.0, distance=8)[0]
        spread.append(len(starts))
        spectrum = np.abs(np.fft.rfft(track * np.hanning(n)))
        lines = find_peaks(spectrum, height=0.1 * spectrum.max(), distance=40)[0]
        chords += len(lines) >= 3
    assert max(spread) >= 6 and chords >= 10


def test_backings_have_a_guitar_where_they_are_asked_to() -> None:
    rng = np.random.default_rng
    recordings = Recordings((), (), (sine_guitar(),))
    n = 4 * SAMPLE_RATE
    plain = [make_backing(rng(k), Bank({}, ()), recordings, n, BackingConfig())[0] for k in range(8)]
    strummed = [
        make_backing(rng(k), Bank({}, ()), recordings, n, BackingConfig(guitar_share=1.0))[0]
        for k in range(8)
    ]
    assert sum(not np.array_equal(a, b) for a, b in zip(plain, strummed, strict=True)) == 8


def test_tambourines_ring_in_lines_high_up() -> None:
    for seed in range(6):
        strokes = tambourine(np.random.default_rng(seed))
        assert [velocity for velocity, _ in strokes] == [0.25, 0.55, 0.85]
        peaks = [float(np.abs(audio).max()) for _, audio in strokes]
        assert np.allclose(peaks, [0.25, 0.55, 0.85], atol=1e-3)
        hard = strokes[-1][1]
        late = hard[round(0.05 * SAMPLE_RATE) : round(0.25 * SAMPLE_RATE)]
        spectrum = np.square(np.abs(np.fft.rfft(late * np.hanning(len(late)))))
        freqs = np.fft.rfftfreq(len(late), 1 / SAMPLE_RATE)
        high = spectrum[freqs > 1500.0]
        # A twentieth of the bins holds most of what rings: partials, no noise.
        assert np.sort(high)[::-1][: len(high) // 20].sum() > 0.6 * high.sum()


def test_invented_tambourines_differ() -> None:
    pieces = [synthetic_piece(seed, "tambourine") for seed in range(8)]
    assert all(piece is not None and len(piece.takes) == 3 for piece in pieces)
    assert {piece.kit.split("-")[0] for piece in pieces if piece} >= {"jingles"}
    first = [piece.takes[0].mics["main"][:2000].tobytes() for piece in pieces if piece]
    assert len(set(first)) == 8


def test_a_washing_cymbal_rings_longer_and_a_drum_does_not(tmp_path: Path) -> None:
    bank = load_bank([plant_kit(tmp_path / "kit")])

    def heard(label: str, config: DrumsetConfig) -> np.ndarray:
        sound = Drumset(np.random.default_rng(1), bank, config).sound(label, 1.0, None)
        assert sound is not None
        return sound.audio[sound.onset :]

    washing = replace(NEUTRAL, wash_share=1.0)
    dry, wet = heard("crash", NEUTRAL), heard("crash", washing)
    at = slice(round(0.2 * SAMPLE_RATE), round(0.3 * SAMPLE_RATE))
    gain_db = 10 * np.log10(np.square(wet[at]).mean() / np.square(dry[at]).mean())
    # 60 dB in 6 to 15 s.
    assert 60 * 0.2 / 15 < gain_db < 60 * 0.3 / 6
    # However long it rings, it gets no louder than it began.
    parts = [float(np.square(wet[k : k + 4410]).mean()) for k in range(0, len(wet) - 4410, 4410)]
    assert parts[0] == max(parts)
    assert np.array_equal(heard("tom_low", washing), heard("tom_low", NEUTRAL))


def test_what_a_bank_lacks_is_invented_or_silent() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        drums = Drumset(rng, Bank({}, ()), DrumsetConfig(synthetic_percussion_share=0.5))
        assert drums.sound("tambourine", 0.6, None) is not None
        assert drums.sound("kick", 0.6, None) is None


def test_a_long_recorded_ring_does_not_swell() -> None:
    """A cymbal of nine seconds that hardly decays: 60 dB in six seconds would drown the song."""
    ring = np.exp(-np.arange(9 * SAMPLE_RATE) / (3.0 * SAMPLE_RATE)) * np.random.default_rng(0).uniform(
        -0.5, 0.5, 9 * SAMPLE_RATE
    )
    stored = np.round(32767 * ring).astype(np.int16)
    take = Take("ride_bow", 0.9, None, False, {"main": stored}, {"main": 1 / 32767})
    piece = Piece("long", "ride", "ride", (take,), {"main": "overhead"})
    bank = Bank({"ride": (piece,)}, ())
    sound = Drumset(np.random.default_rng(1), bank, replace(NEUTRAL, wash_share=1.0)).sound(
        "ride_bow", 0.9, None
    )
    assert sound is not None
    parts = [
        float(np.square(sound.audio[k : k + 8820]).mean()) for k in range(0, len(sound.audio) - 8820, 8820)
    ]
    assert max(parts) <= 1.05 * parts[0]
