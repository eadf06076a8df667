"""Song in, chart out: what a recogniser of known answers finds must be what the chart says."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile

from beatsight.audio.io import SAMPLE_RATE, stream
from beatsight.audio.onsets import Onsets
from beatsight.charts import read_chart, write_chart
from beatsight.errors import InputError
from beatsight.models.checkpoint import Model, save_model
from beatsight.models.classifier import DrumClassifierCNN
from beatsight.transcription import onset_transcriber
from beatsight.transcription.hits import Hit
from beatsight.transcription.onset_transcriber import OnsetTranscriber, audio_blocks
from beatsight.transcription.pipeline import find_hits, make_chart, transcribe
from beatsight.transcription.recogniser import load_classifier
from beatsight.transcription.transcriber import SingleStrokes
from beatsight.version import VERSION
from tiny_dataset import drum, write_song


class Always:
    """Names the same drums at every onset, and remembers how much audio it was given."""

    name, device, is_model = "always the same", "cpu", True

    def __init__(self, *labels: str) -> None:
        self.labels, self.lengths = labels or ("kick",), []  # type: tuple[str, ...], list[int]

    def recognise(self, audio: np.ndarray, onsets: Onsets) -> list[dict[str, float]]:
        self.lengths.append(len(audio))
        return [dict.fromkeys(self.labels, 0.75) for _ in onsets.times_s]


def by(*labels: str) -> OnsetTranscriber:
    return OnsetTranscriber(Always(*labels))


def song(path: Path, times_s: list[float], seconds: float) -> Path:
    write_song(path, [(time, ("snare",)) for time in times_s], seconds)
    return path


def test_times_of_planted_strokes_from_the_first_to_the_last(tmp_path: Path) -> None:
    times = [0.0, 0.5, 0.75, 1.5, 1.9]
    found = find_hits(song(tmp_path / "s.wav", times, 2.0), by())
    hits = found.hits
    assert [hit.time_s for hit in hits] == pytest.approx(times, abs=0.005)
    assert hits[0].time_s >= 0.0
    assert (found.duration_s, found.left_out) == (2.0, {})
    assert {(hit.label, hit.confidence) for hit in hits} == {("kick", 0.75)}


@pytest.mark.parametrize(("block_s", "edge_s", "blocks"), [(3.0, 1.0, 5), (1.7, 0.6, 8), (20.0, 2.0, 1)])
def test_blocks_find_what_the_whole_file_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_s: float, edge_s: float, blocks: int
) -> None:
    # A stroke each 150 ms: some fall right on a border between blocks.
    times = [round(0.15 * i, 3) for i in range(1, 80)] + [12.0]
    path = song(tmp_path / "long.wav", times, 13.0)
    whole = find_hits(path, by())
    assert [hit.time_s for hit in whole.hits] == pytest.approx(times, abs=0.005)
    monkeypatch.setattr(onset_transcriber, "_BLOCK_S", block_s)
    monkeypatch.setattr(onset_transcriber, "_EDGE_S", edge_s)
    recogniser = Always()
    found = find_hits(path, OnsetTranscriber(recogniser))
    assert found.duration_s == whole.duration_s
    for attribute, slack in (("time_s", 1e-6), ("velocity", 0.01)):
        expected = [getattr(hit, attribute) for hit in whole.hits]
        assert [getattr(hit, attribute) for hit in found.hits] == pytest.approx(expected, abs=slack)
    assert len(recogniser.lengths) == blocks


def test_blocks_cover_the_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = (np.arange(7 * SAMPLE_RATE) % 1000 / 2000).astype(np.float32)
    soundfile.write(tmp_path / "ramp.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    monkeypatch.setattr(onset_transcriber, "_BLOCK_S", 2.0)
    monkeypatch.setattr(onset_transcriber, "_EDGE_S", 0.5)
    blocks = list(audio_blocks(stream(tmp_path / "ramp.wav")))
    ends = [end for _, _, _, end in blocks]
    assert [start for _, _, start, _ in blocks] == [0, *ends[:-1]]
    assert ends[-1] == len(samples) and len(blocks) == 4
    for audio, first, start, end in blocks:
        assert first <= start and first + len(audio) >= end
        assert np.array_equal(audio, samples[first : first + len(audio)])


def test_memory_does_not_grow_with_the_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onset_transcriber, "_BLOCK_S", 5.0)
    monkeypatch.setattr(onset_transcriber, "_EDGE_S", 1.0)
    recogniser, peaks = Always(), []
    for seconds in (20.0, 80.0):
        path = song(tmp_path / f"{seconds}.wav", [1.0, seconds - 1.0], seconds)
        tracemalloc.start()
        hits = find_hits(path, OnsetTranscriber(recogniser)).hits
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert [hit.time_s for hit in hits] == pytest.approx([1.0, seconds - 1.0], abs=0.005)
    assert peaks[1] < 1.2 * peaks[0]
    assert max(recogniser.lengths) <= 7.1 * SAMPLE_RATE


def test_the_same_drum_twice_within_25_ms_is_one_stroke() -> None:
    hits = [
        Hit(1.0, "snare", 0.6, -20.0),
        Hit(1.02, "snare", 0.9, -12.0),
        Hit(1.01, "kick", 0.5, -8.0),
        Hit(1.03, "snare", 0.7, -30.0),
        Hit(2.0, "snare", 0.8, -10.0),
    ]
    kept = SingleStrokes().of(hits)
    assert [(hit.time_s, hit.label, hit.confidence, hit.level_db) for hit in kept] == [
        (1.0, "snare", 0.9, -12.0),
        (1.01, "kick", 0.5, -8.0),
        (1.03, "snare", 0.7, -30.0),
        (2.0, "snare", 0.8, -10.0),
    ]


def test_several_drums_at_one_moment_are_all_in_the_chart(tmp_path: Path) -> None:
    path = song(tmp_path / "s.wav", [0.5, 1.0], 1.5)
    chart = transcribe(path, transcriber=by("kick", "crash", "hihat_closed"))
    assert [(hit.component, hit.lane) for hit in chart.hit_objects[:3]] == [
        ("kick", 0), ("hihat_closed", 3), ("crash", 6),
    ]  # fmt: skip
    assert len({hit.time for hit in chart.hit_objects[:3]}) == 1 and len(chart.hit_objects) == 6
    assert chart.drum_kit.components == ["kick", "hihat_closed", "crash"]


def test_a_louder_stroke_has_a_higher_velocity(tmp_path: Path) -> None:
    stroke, gains = drum("snare", np.random.default_rng(0)), [0.1, 1.0, 0.4, 0.2]
    audio = np.zeros(3 * SAMPLE_RATE)
    for number, gain in enumerate(gains):
        first = (number + 1) * SAMPLE_RATE // 2
        audio[first : first + len(stroke)] += gain * stroke
    soundfile.write(tmp_path / "s.flac", audio, SAMPLE_RATE)
    velocities = [hit.velocity for hit in transcribe(tmp_path / "s.flac", transcriber=by()).hit_objects]
    assert np.argsort(velocities).tolist() == np.argsort(gains).tolist()


def _nothing(kind: str) -> np.ndarray:
    n, rng = 4 * SAMPLE_RATE, np.random.default_rng(0)
    return {
        "silence": np.zeros(n),
        "noise floor": 3e-5 * rng.standard_normal(n),
        "sine": 0.3 * np.sin(2 * np.pi * 440.0 * np.arange(n) / SAMPLE_RATE),
    }[kind]


@pytest.mark.parametrize("kind", ["silence", "noise floor", "sine"])
def test_no_drums_give_an_empty_chart_that_is_valid(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "nothing.wav"
    soundfile.write(path, _nothing(kind), SAMPLE_RATE, subtype="FLOAT")
    chart = transcribe(path, use_ml=False)
    assert chart.hit_objects == [] and chart.metadata.difficulty == 0.0
    assert chart.timing is not None and (chart.timing.bpm, chart.timing.time_signature) == (120.0, "4/4")
    for suffix in (".bsm", ".mid", ".csv"):
        write_chart(chart, tmp_path / f"out{suffix}")
        assert read_chart(tmp_path / f"out{suffix}").hit_objects == []


@pytest.mark.parametrize(("samples", "rate"), [(1, 44_100), (1, 192_000), (300, 8_000), (5000, 44_100)])
def test_very_short_files(tmp_path: Path, samples: int, rate: int) -> None:
    soundfile.write(tmp_path / "s.wav", np.full(samples, 0.5), rate)
    chart = transcribe(tmp_path / "s.wav", use_ml=False)
    assert chart.audio is not None and chart.audio.sample_rate == rate
    assert chart.audio.duration == round(1000 * samples / rate)


def test_the_chart_says_what_made_it_and_from_what(tmp_path: Path) -> None:
    path = song(tmp_path / "ma chanson é.wav", [0.5, 1.0], 2.0)
    chart = transcribe(path, transcriber=by())
    assert chart.metadata.title == "ma chanson é"
    assert chart.audio is not None and (chart.audio.filename, chart.audio.duration) == (path.name, 2000)
    assert chart.audio.hash == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    made = chart.editor.generation if chart.editor else None
    assert made is not None and made.model_version == f"beatsight {VERSION}, always the same"
    assert (made.confidence, made.manual_edits) == (0.75, False)
    by_rule = transcribe(path, use_ml=False).editor
    assert by_rule is not None and by_rule.generation is not None
    assert by_rule.generation.model_version == f"beatsight {VERSION}, heuristic"


def test_the_chart_names_the_model_file_and_its_hash(tmp_path: Path) -> None:
    save_model(Model(DrumClassifierCNN()), tmp_path / "mine.pth")
    digest = hashlib.sha256((tmp_path / "mine.pth").read_bytes()).hexdigest()[:12]
    path = song(tmp_path / "s.wav", [0.5], 1.0)
    editor = transcribe(path, model=tmp_path / "mine.pth", device="cpu").editor
    assert editor is not None and editor.generation is not None
    assert str(editor.generation.model_version).endswith(f" mine.pth sha256:{digest}")


def test_a_model_is_asked_in_batches_and_its_thresholds_hold(tmp_path: Path) -> None:
    model = Model(DrumClassifierCNN())
    model.thresholds = np.array([0.0, *[1.1] * 11])
    save_model(model, tmp_path / "m.pth")
    recogniser = load_classifier(tmp_path / "m.pth", "cpu")
    times = np.linspace(0.0, 1.0, 70)  # more than one batch, the last beyond the end of the audio
    rows = recogniser.recognise(np.zeros(SAMPLE_RATE, np.float32), Onsets(times, times, np.zeros((1, 40))))
    assert len(rows) == 70 and {tuple(row) for row in rows} == {("kick",)}
    nothing = Onsets(times[:0], times[:0], np.zeros((1, 40)))
    assert recogniser.recognise(np.zeros(10, np.float32), nothing) == []


def test_tempo_and_meter_are_in_the_chart(tmp_path: Path) -> None:
    hits = [Hit(0.3 + 0.6 * i, "snare" if i % 2 else "kick", 1.0, -10.0, 0.8) for i in range(32)]
    path = song(tmp_path / "s.wav", [0.5], 20.0)
    timing = make_chart(path, hits, 20.0, "me").timing
    assert timing is not None and timing.bpm == pytest.approx(100.0, abs=0.2)
    assert timing.time_signature == "4/4" and timing.offset == pytest.approx(300, abs=10)
    assert [point.time for point in timing.timing_points] == [timing.offset]


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"^absent\.wav: no such audio file$"):
        transcribe("absent.wav", use_ml=False)


def test_the_public_function_stays_a_function_when_modules_are_imported(tmp_path: Path) -> None:
    import beatsight.transcription.pipeline

    path = song(tmp_path / "s.wav", [0.5], 1.0)
    assert beatsight.transcribe(path, use_ml=False).metadata.title == "s"
    for first in ("beatsight.transcription.pipeline", "beatsight.cli.transcribe", "beatsight.evaluate"):
        code = (
            f"import {first}, beatsight; print(beatsight.transcribe(r'{path}', use_ml=False).metadata.title)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("s\n", "")
