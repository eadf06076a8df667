"""Gate alignment: delays, drifts and polarity put in on purpose are found, on noise and on real hits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from planted_sessions import RATE, Audio, bursts, delayed, placed, write_session

from beatsight.gates.alignment import AlignmentReport, AlignmentSettings, Pair, alignment_gate

DELAYS = (-87.3, -3.4, 0.0, 0.5, 20.0, 383.6)
DRIFTS = (0.6, 3.0)
WITHIN = 0.05


def pairs(report: AlignmentReport) -> dict[str, Pair]:
    return {pair.target: pair for pair in report.pairs}


def off(pair: Pair, delay: float, drift: float) -> float:
    """How far the used hits are from what was planted, at their median."""
    track = pair.track
    return float(
        np.median(
            [
                found - delay - drift * time / 60
                for time, found, used in zip(track.times_s, track.delays_samples, track.used, strict=True)
                if used
            ]
        )
    )


def kinds_of(shared: Path, kit: str) -> list[dict[str, Audio]]:
    """Recorded hits, each on several microphones that share one clock."""
    if kit == "multimic":
        folders = sorted((shared / "data/multimic").iterdir())
        files = [{f.stem: f for f in sorted(folder.glob("*.flac"))} for folder in folders]
    else:
        pieces = sorted((shared / "data/kits/muldjord").iterdir())
        files = [
            {mic: piece / f"{rank}-{mic}.flac" for mic in ("OHL", "OHR", "AmbL")}
            for piece in pieces
            for rank in ("06", "07")
        ]
        files = [mics for mics in files if all(path.is_file() for path in mics.values())]
    return [{mic: soundfile.read(path)[0] for mic, path in mics.items()} for mics in files]


def sound(kind: str, shared: Path) -> Audio:
    if kind == "noise":
        return bursts(60.0)
    mics = placed(kinds_of(shared, kind), 60.0, 130, seed=3)
    return mics["oh" if kind == "multimic" else "OHL"]


@pytest.mark.parametrize("kind", ["noise", "multimic", "muldjord"])
def test_planted_delays_drifts_and_polarity_are_found(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    audio = sound(kind, Path() if kind == "noise" else request.getfixturevalue("shared"))
    mics = {"anchor": audio}
    mics |= {f"late {delay}": delayed(audio, delay) for delay in DELAYS}
    mics |= {f"drifts {drift}": delayed(audio, 7.25, drift) for drift in DRIFTS}
    mics["inverted"] = -0.5 * delayed(audio, 11.7)
    report = alignment_gate(AlignmentSettings(manifest=write_session(tmp_path, mics), anchor="anchor"))
    found = pairs(report)
    assert all(pair.support > 0.7 * report.num_onsets for pair in report.pairs)
    for delay in DELAYS:
        pair = found[f"late {delay}"]
        assert pair.median_delay_samples == pytest.approx(delay, abs=WITHIN)
        assert pair.median_delay_ms == pytest.approx(1000 * delay / RATE, abs=WITHIN * 1000 / RATE)
        assert pair.drift_samples_per_min == pytest.approx(0, abs=WITHIN)
        assert pair.pass_delay == (abs(delay) <= 0.25 * RATE / 1000)
        assert pair.pass_drift and pair.polarity == "upright"
    for drift in DRIFTS:
        pair = found[f"drifts {drift}"]
        assert pair.drift_samples_per_min == pytest.approx(drift, abs=WITHIN)
        assert off(pair, 7.25, drift) == pytest.approx(0, abs=WITHIN)
        assert pair.pass_drift == (drift <= 1.0)
    upside_down = found["inverted"]
    assert upside_down.polarity == "inverted"
    assert upside_down.median_delay_samples == pytest.approx(11.7, abs=WITHIN)
    assert "inverted is inverted" in upside_down.alerts


@pytest.mark.parametrize(
    ("kit", "anchor", "target"),
    [("multimic", "oh", "snare"), ("muldjord", "OHL", "AmbL")],
)
def test_what_is_planted_on_another_real_microphone_is_what_changes(
    kit: str, anchor: str, target: str, shared: Path, tmp_path: Path
) -> None:
    mics = placed(kinds_of(shared, kit), 60.0, 130, seed=4)
    ours = {"anchor": mics[anchor], "target": mics[target]}
    ours |= {f"late {delay}": delayed(mics[target], delay) for delay in (-87.3, 383.6)}
    ours |= {f"drifts {drift}": delayed(mics[target], 0.0, drift) for drift in DRIFTS}
    report = alignment_gate(AlignmentSettings(manifest=write_session(tmp_path, ours), anchor="anchor"))
    found = pairs(report)
    before = found["target"]
    assert before.drift_samples_per_min == pytest.approx(0, abs=WITHIN)
    for name, pair in found.items():
        kind, _, amount = name.partition(" ")
        drift = float(amount) if kind == "drifts" else 0.0
        planted = float(amount) if kind == "late" else 0.0
        assert before.drift_samples_per_min is not None
        assert pair.drift_samples_per_min == pytest.approx(before.drift_samples_per_min + drift, abs=WITHIN)
        # Hit by hit: the median of a handful of drums' distances may hop from one drum to the next.
        old = dict(zip(before.track.times_s, before.track.delays_samples, strict=True))
        both = [
            delay - old[time] - drift * time / 60
            for time, delay in zip(pair.track.times_s, pair.track.delays_samples, strict=True)
            if time in old
        ]
        assert len(both) >= 0.95 * len(old)
        assert np.median(both) == pytest.approx(planted, abs=WITHIN)
        if not drift:
            assert before.median_delay_samples is not None
            assert pair.median_delay_samples == pytest.approx(
                before.median_delay_samples + planted, abs=WITHIN
            )


def test_the_old_faults_are_gone(tmp_path: Path) -> None:
    """Late is late, a fraction stays one, an inverted microphone has its delay, the anchor is obeyed."""
    audio = bursts(12.0, 40)
    mics = {"first": audio, "late": delayed(audio, 30.5), "early": -delayed(audio, -8.25)}
    manifest = write_session(tmp_path, mics)
    found = pairs(alignment_gate(AlignmentSettings(manifest=manifest, anchor="first")))
    assert found["late"].median_delay_samples == pytest.approx(30.5, abs=0.02)
    assert found["early"].median_delay_samples == pytest.approx(-8.25, abs=0.02)
    report = alignment_gate(AlignmentSettings(manifest=manifest, anchor="late"))
    assert (report.anchor_mic, report.anchor_chosen) == ("late", False)
    assert pairs(report)["first"].median_delay_samples == pytest.approx(-30.5, abs=0.02)


def test_delays_reach_to_fifty_milliseconds_and_not_beyond(tmp_path: Path) -> None:
    audio = bursts(12.0, 40)
    mics = {"a": audio, "b": delayed(audio, 2200.4), "c": delayed(audio, -2200.4), "d": delayed(audio, 4000)}
    report = alignment_gate(AlignmentSettings(manifest=write_session(tmp_path, mics), anchor="a"))
    found = pairs(report)
    assert found["b"].median_delay_samples == pytest.approx(2200.4, abs=WITHIN)
    assert found["c"].median_delay_samples == pytest.approx(-2200.4, abs=WITHIN)
    assert found["d"].median_delay_ms is None and not found["d"].pass_delay
    wider = AlignmentSettings(manifest=tmp_path / "session.json", anchor="a", search_ms=100)
    assert pairs(alignment_gate(wider))["d"].median_delay_samples == pytest.approx(4000, abs=WITHIN)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000, 96_000])
def test_other_rates(rate: int, tmp_path: Path) -> None:
    audio = bursts(10.0, 40, rate=rate)
    manifest = write_session(tmp_path, {"a": audio, "b": delayed(audio, 3.3, rate=rate)}, rate)
    report = alignment_gate(AlignmentSettings(manifest=manifest, anchor="a"))
    assert report.sample_rate == rate
    assert report.pairs[0].median_delay_samples == pytest.approx(3.3, abs=WITHIN)


def test_a_clock_of_fifty_ppm_over_minutes(tmp_path: Path) -> None:
    """The delays at both ends lie further apart than the paths of any kit."""
    rate, drift = 16_000, 48.0
    audio = bursts(200.0, 300, rate=rate)
    mics = {"a": audio, "b": delayed(audio, -150.0, drift, rate)}
    report = alignment_gate(AlignmentSettings(manifest=write_session(tmp_path, mics, rate), anchor="a"))
    pair = report.pairs[0]
    assert pair.drift_samples_per_min == pytest.approx(drift, abs=WITHIN)
    assert off(pair, -150.0, drift) == pytest.approx(0, abs=WITHIN)
    assert pair.coverage == 1.0 and not pair.pass_drift
