"""Gate health with sound: BS.1770 against its own figures, planted clips, offsets and copies."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from beatsight.errors import InputError, MissingDependencyError
from beatsight.gates.health import HealthReport, HealthSettings, health_gate
from beatsight.gates.health.loudness import LoudnessMeter, k_weighting
from beatsight.gates.health.sound import CLIP_SAMPLES, FULL_SCALE, clipped_runs, measure_recording

RATE = 48_000
# ITU-R BS.1770-4, tables 1 and 2: the filters at 48 kHz.
SHELF = ([1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585])
HIGH_PASS = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])


def sine(level_dbfs: float, seconds: float, hz: float = 1000.0, rate: int = RATE) -> np.ndarray:
    return 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def lufs(audio: np.ndarray, rate: int = RATE, block: int | None = None) -> float | None:
    """Loudness of (frames, channels), given in blocks."""
    meter = LoudnessMeter(rate, audio.shape[1])
    for start in range(0, len(audio), block or len(audio)):
        meter.add(audio[start : start + (block or len(audio))])
    return meter.lufs


def plain_lufs(audio: np.ndarray) -> float:
    """The Recommendation written out, at 48 kHz: its own filters, every block cut on its own."""
    weighted = lfilter(*HIGH_PASS, lfilter(*SHELF, audio, axis=0), axis=0)
    powers = []
    for start in range(0, len(audio) - round(0.4 * RATE) + 1, round(0.1 * RATE)):
        powers.append(float(np.square(weighted[start : start + round(0.4 * RATE)]).mean(axis=0).sum()))
    loud = [power for power in powers if -0.691 + 10 * math.log10(power) > -70]
    gate = -0.691 + 10 * math.log10(sum(loud) / len(loud)) - 10
    loud = [power for power in loud if -0.691 + 10 * math.log10(power) > gate]
    return -0.691 + 10 * math.log10(sum(loud) / len(loud))


def test_filters_are_those_of_the_recommendation() -> None:
    for section, (numerator, denominator) in zip(k_weighting(RATE), (SHELF, HIGH_PASS), strict=True):
        assert section == pytest.approx([*numerator, *denominator], abs=1e-8)


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_a_full_scale_sine_reads_three_below_zero(rate: int) -> None:
    assert lufs(sine(0, 2, 997, rate)[:, None], rate) == pytest.approx(-3.01, abs=0.05)


# EBU Tech 3341, cases 1 to 4: stereo sines of 1 kHz, stretches of (dBFS, seconds), the loudness read.
@pytest.mark.parametrize(
    ("stretches", "reads"),
    [
        ([(-23, 20)], -23.0),
        ([(-33, 20)], -33.0),
        ([(-36, 10), (-23, 60), (-36, 10)], -23.0),
        ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
    ],
)
def test_compliance_cases_of_the_ebu(stretches: list[tuple[float, float]], reads: float) -> None:
    mono = np.concatenate([sine(level, seconds) for level, seconds in stretches])
    assert lufs(np.stack([mono, mono], axis=1)) == pytest.approx(reads, abs=0.1)


def test_equals_the_recommendation_written_out_whatever_the_blocks() -> None:
    random = np.random.default_rng(1)
    audio = random.normal(size=(RATE * 3 + 77, 2)) * np.linspace(0.001, 0.3, RATE * 3 + 77)[:, None]
    expected = plain_lufs(audio)
    for block in (None, RATE, 4801, 999):
        assert lufs(audio, block=block) == pytest.approx(expected, abs=1e-5)


def test_silence_and_a_blip_have_no_loudness() -> None:
    assert lufs(np.zeros((RATE, 1))) is None
    assert lufs(sine(-3, 0.39)[:, None]) is None
    assert lufs(sine(-90, 2)[:, None]) is None


def plain_runs(audio: list[float]) -> int:
    runs, length, before = 0, 0, 0
    for sample in audio:
        side = 1 if sample >= FULL_SCALE else -1 if sample <= -FULL_SCALE else 0
        length = length + 1 if side and side == before else 1 if side else 0
        runs += length == CLIP_SAMPLES
        before = side
    return runs


@settings(max_examples=80)
@given(
    samples=st.lists(st.sampled_from([0.0, 1.0, 1.0, -1.0, 0.99, FULL_SCALE]), min_size=1, max_size=40),
    block=st.integers(1, 9),
)
def test_clipped_runs_across_blocks(samples: list[float], block: int) -> None:
    audio = np.stack([samples, np.zeros(len(samples)), [-x for x in samples]], axis=1)
    carried = np.zeros(3, np.int64)
    found = sum(clipped_runs(audio[i : i + block], carried) for i in range(0, len(audio), block))
    assert found == 2 * plain_runs(samples)


def save(path: Path, audio: np.ndarray, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, RATE, **more)
    return path


def hits(seed: int, seconds: float = 2.0) -> np.ndarray:
    """A few decaying noise bursts, peak about 0.5."""
    random = np.random.default_rng(seed)
    at = np.arange(round(0.3 * RATE))
    audio = np.zeros(round(seconds * RATE))
    for start in random.uniform(0, seconds - 0.4, 4):
        first = round(start * RATE)
        audio[first : first + len(at)] += random.normal(size=len(at)) * np.exp(-at / 2000) * 0.1
    return 0.5 * audio / np.abs(audio).max()


def test_a_recording_is_measured_channel_by_channel(tmp_path: Path) -> None:
    left, right = sine(-6, 1), sine(-20, 1) - 0.05
    left[1000:1004] = 1.0
    found = measure_recording("x", save(tmp_path / "x.wav", np.stack([left, right], axis=1), subtype="FLOAT"))
    assert (found.clipped_runs, found.duration_s, found.peak_dbfs) == (1, 1.0, 0.0)
    assert found.dc == pytest.approx(-0.05, abs=1e-6)
    assert found.lufs_i == pytest.approx(lufs(np.stack([left, right], axis=1)), abs=1e-4)


def manifest(folder: Path, *paths: str | None, session: str = "s") -> Path:
    rows = [
        {
            "sample_id": f"n{number}", "session_id": f"{session}{number}", "onset_time": 0.1,
            "components": [{"label": "kick"}], "drummer_id": f"d{number}", "kit_id": f"k{number}",
            "room_id": f"r{number}",
        }
        | ({} if path is None else {"audio_path": path})
        for number, path in enumerate(paths)
    ]  # fmt: skip
    source = folder / "events.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return source


def listen(source: Path, **more: Any) -> HealthReport:
    return health_gate(HealthSettings(events=[source], **({"check_audio": True} | more)))


def passed(report: HealthReport) -> dict[str, bool]:
    return {result.gate: result.passed for result in report.gating_results}


def test_clipping_and_offset_fail_and_pass(tmp_path: Path) -> None:
    clipped = hits(1) * 40
    save(tmp_path / "a b.wav", hits(0))
    save(tmp_path / "clipped.wav", np.clip(clipped, -1, 1))
    save(tmp_path / "dc.flac", hits(2) + 0.02)
    source = manifest(tmp_path, "a b.wav", "clipped.wav", "dc.flac", None)
    report = listen(source, max_clipped_share=0.3, max_dc=0.01)
    assert passed(report) == {"unreadable_audio": True, "clipped_share": False, "dc": False}
    assert report.audio and report.audio.worst_clipped[0].audio_path == "clipped.wav"
    assert report.audio.worst_dc[0].dc == pytest.approx(0.02, abs=2e-3)
    assert report.notes == ["events that name no recording, and of which none was heard: 1"]
    assert listen(source, max_clipped_share=0.34, max_dc=0.1).passed


def test_copies_of_a_recording(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", hits(0))
    save(tmp_path / "copy.flac", hits(0) * 0.4)
    save(tmp_path / "other.wav", hits(5))
    source = manifest(tmp_path, "a.wav", "copy.flac", "other.wav")
    report = listen(source, max_duplication_rate=0.3)
    assert passed(report) == {
        "duplication_rate": True, "unreadable_audio": True, "duplication_rate.sound": False
    }  # fmt: skip
    assert report.audio and [(p.first, p.second) for p in report.audio.pairs] == [("a.wav", "copy.flac")]
    assert listen(source, max_duplication_rate=0.34).passed


@pytest.mark.parametrize(
    ("sides", "isolated"), [(("train", "val", "val"), False), (("train", "train", "val"), True)]
)
def test_copies_across_a_split(sides: tuple[str, ...], isolated: bool, tmp_path: Path) -> None:
    save(tmp_path / "a.wav", hits(0))
    save(tmp_path / "copy.wav", hits(0))
    save(tmp_path / "other.wav", hits(5))
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"sessions": {f"s{number}": side for number, side in enumerate(sides)}}))
    source = manifest(tmp_path, "a.wav", "copy.wav", "other.wav")
    assert passed(listen(source, split=split))["isolation.sound"] is isolated


def test_one_recording_on_two_sides(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", hits(0))
    split = tmp_path / "split.json"
    split.write_text('{"sessions": {"s0": "train", "s1": "val"}}')
    assert not passed(listen(manifest(tmp_path, "a.wav", "a.wav"), split=split))["isolation.sound"]


def test_what_cannot_be_heard_fails(tmp_path: Path) -> None:
    save(tmp_path / "a.wav", hits(0))
    (tmp_path / "text.wav").write_text("no sound")
    source = manifest(tmp_path, "a.wav", "missing.wav", "text.wav")
    report = listen(source, max_clipped_share=0)
    assert passed(report) == {"unreadable_audio": False, "clipped_share": True}
    assert report.audio and report.audio.unreadable["missing.wav"].endswith("missing.wav: no such audio file")
    assert (report.audio.recordings, report.audio.heard) == (3, 1)
    alone = listen(manifest(tmp_path, "missing.wav"), max_clipped_share=1, max_dc=1, max_duplication_rate=1)
    assert passed(alone) == {
        "duplication_rate": True, "unreadable_audio": False, "duplication_rate.sound": False,
        "clipped_share": False, "dc": False,
    }  # fmt: skip


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd"])
def test_paths_that_leave_their_folder_are_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"events\.jsonl: audio_path: {path}: "):
        listen(manifest(tmp_path, path))


def test_a_root_elsewhere(tmp_path: Path) -> None:
    save(tmp_path / "the audio" / "a.wav", hits(0))
    (tmp_path / "m").mkdir()
    source = manifest(tmp_path / "m", "a.wav")
    assert listen(source, check_audio=False, audio_root=tmp_path / "the audio").passed
    assert not listen(source).passed


def test_two_folders_may_use_one_name(tmp_path: Path) -> None:
    sources = []
    for folder, audio in (("a", hits(0)), ("b", np.clip(hits(1) * 40, -1, 1))):
        save(tmp_path / folder / "x.wav", audio)
        sources.append(manifest(tmp_path / folder, "x.wav", session=folder))
    settings = HealthSettings(events=sources, check_audio=True, max_clipped_share=0)
    report = health_gate(settings)
    assert passed(report) == {"unreadable_audio": True, "clipped_share": False}
    assert report.audio and report.audio.heard == 2
    assert report.audio.worst_clipped[0].audio_path == f"{sources[1]}: x.wav"
    (tmp_path / "b" / "x.wav").unlink()
    assert passed(health_gate(settings)) == {"unreadable_audio": False, "clipped_share": True}


def test_two_manifests_of_one_folder_name_one_recording(tmp_path: Path) -> None:
    save(tmp_path / "x.wav", hits(0))
    first = manifest(tmp_path, "x.wav", session="a").rename(tmp_path / "first.jsonl")
    settings = HealthSettings(events=[first, manifest(tmp_path, "x.wav", session="b")], check_audio=True)
    report = health_gate(settings)
    assert report.audio and (report.audio.recordings, report.audio.repeats) == (1, 0)


def test_nothing_to_listen_to(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"events\.jsonl: no event names an audio file$"):
        listen(manifest(tmp_path, None))


def test_without_scikit_learn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.wav", hits(0))
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'beatsight\[similarity\]'"):
        listen(manifest(tmp_path, "a.wav"))
