"""Songs through a planted network: the same hits however the audio comes, in time, without torch."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beatsight.audio.io import SAMPLE_RATE
from beatsight.charts import read_chart, write_chart
from beatsight.errors import UsageError
from beatsight.transcription.hits import Hit
from beatsight.transcription.pipeline import find_hits, transcribe
from beatsight.transcription.song_transcriber import SongTranscriber
from beatsight.transcription.transcriber import SAME_STROKE_S, SingleStrokes
from song_models import SMALL, random_model
from tiny_dataset import write_song

RNG = np.random.default_rng(5)
AUDIO = (0.3 * RNG.standard_normal(2 * SAMPLE_RATE) * (RNG.random(2 * SAMPLE_RATE) > 0.99)).astype(np.float32)
TRANSCRIBER = SongTranscriber(random_model(seed=3), "planted")


def all_hits(batches: Iterator[list[Hit]]) -> list[Hit]:
    return [hit for batch in batches for hit in batch]


WHOLE = all_hits(TRANSCRIBER.find_hits([AUDIO]))


@given(cuts=st.lists(st.integers(0, len(AUDIO)), max_size=10))
@settings(max_examples=25)
def test_hits_are_the_same_bits_however_the_audio_is_cut(cuts: list[int]) -> None:
    assert len(WHOLE) > 10
    assert all_hits(TRANSCRIBER.find_hits(np.split(AUDIO, sorted(cuts)))) == WHOLE


@pytest.mark.parametrize("lookahead", [-1, 0, 3])
def test_live_hits_are_those_of_the_file_and_in_time(lookahead: int) -> None:
    network = SMALL.__class__(**{**SMALL.to_dict(), "lookahead": lookahead})
    transcriber = SongTranscriber(random_model(network, seed=4), "planted")
    fed, late = 0, []

    def pieces() -> Iterator[np.ndarray]:
        nonlocal fed
        for start in range(0, len(AUDIO), 441):
            fed = start + 441
            yield AUDIO[start : start + 441]

    live = []
    for batch in transcriber.listen(pieces()):
        live += batch
        late += [fed / SAMPLE_RATE - hit.time_s for hit in batch if fed < len(AUDIO)]
    # Hits a hair apart may change places: they are compared label by label.
    live.sort(key=lambda hit: (hit.label, hit.time_s))
    whole = sorted(all_hits(transcriber.find_hits([AUDIO])), key=lambda hit: (hit.label, hit.time_s))
    assert [hit.label for hit in live] == [hit.label for hit in whole] and len(live) > 10
    np.testing.assert_allclose([h.time_s for h in live], [h.time_s for h in whole], atol=1e-4)
    # A piece, the frame after the stroke, and the frames by which a centre of gravity may lie beside a peak.
    assert max(late) <= transcriber.delay_s + 0.01 + 0.01 + 0.02
    assert transcriber.delay_s == pytest.approx(1024 / 44_100 + (network.context()[1] + 2) * 0.01)


def test_memory_does_not_grow_with_the_length() -> None:
    peaks = []
    for seconds in (30, 120):
        tracemalloc.start()
        count = sum(
            len(batch) for batch in TRANSCRIBER.find_hits(AUDIO[:SAMPLE_RATE] for _ in range(seconds))
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count > seconds
    assert peaks[1] < 1.1 * peaks[0]


class Planted:
    """Finds the same hits in every song."""

    name, device, is_model = "planted", "cpu", True

    def __init__(self, *hits: Hit) -> None:
        self.hits = list(hits)

    def find_hits(self, pieces: Iterator[np.ndarray]) -> Iterator[list[Hit]]:
        for _ in pieces:
            pass
        half = len(self.hits) // 2
        yield self.hits[:half]
        yield self.hits[half:]


HITS = [
    Hit(0.10, "cross_stick", 0.9),
    Hit(0.20, "splash", 0.5),
    Hit(0.20, "crash", 0.7),
    Hit(0.30, "hihat_half", 0.8, openness=0.4567),
    Hit(0.40, "clap", 0.9),
    Hit(0.50, "snare", 0.9),
    Hit(0.528, "snare", 0.8),
    Hit(0.60, "cowbell", 0.9),
    Hit(0.70, "ride_bow", 0.9),
    Hit(0.70, "shaker", 0.9),
]


@pytest.fixture
def song(tmp_path: Path) -> Path:
    write_song(tmp_path / "s.wav", [(0.5, ("snare",))], 1.0)
    return tmp_path / "s.wav"


def test_the_vocabulary_of_a_chart(song: Path) -> None:
    found = find_hits(song, Planted(*HITS))
    assert [(hit.time_s, hit.label) for hit in found.hits] == [
        (0.1, "snare"), (0.2, "crash"), (0.3, "hihat_open"), (0.5, "snare"), (0.528, "snare"), (0.7, "ride"),
    ]  # fmt: skip
    assert found.left_out == {"clap": 1, "cowbell": 1, "shaker": 1}
    assert found.hits[1].confidence == 0.7
    wider = find_hits(song, Planted(*HITS), "production")
    assert [hit.label for hit in wider.hits] == [
        "cross_stick", "crash", "splash", "hihat_open", "aux_percussion", "snare", "snare", "aux_percussion",
        "aux_percussion", "ride_bow",
    ]  # fmt: skip
    assert wider.left_out == {}
    widest = find_hits(song, Planted(*HITS), "extended")
    assert sorted(hit.label for hit in widest.hits) == sorted(hit.label for hit in HITS)
    with pytest.raises(
        UsageError, match="unknown vocabulary 'five'; known: classifier, production, extended"
    ):
        find_hits(song, Planted(), "five")


def test_openness_and_what_was_left_out_are_in_the_chart(song: Path, tmp_path: Path) -> None:
    chart = transcribe(song, transcriber=Planted(*HITS))
    assert chart.skipped == {"clap": 1, "cowbell": 1, "shaker": 1}
    write_chart(chart, tmp_path / "s.bsm")
    read = read_chart(tmp_path / "s.bsm")
    assert {hit.time: hit.extra for hit in read.hit_objects if hit.extra} == {300: {"openness": 0.457}}


def test_strokes_are_single_across_batches() -> None:
    strokes = SingleStrokes()
    assert [hit.time_s for hit in strokes.of([Hit(1.0, "snare", 0.5), Hit(1.0, "kick", 0.5)])] == [1.0, 1.0]
    again = strokes.of([Hit(1.024, "snare", 0.9), Hit(1.024, "tom_mid", 0.9), Hit(1.028, "kick", 0.9)])
    assert [hit.label for hit in again] == ["tom_mid", "kick"]


@given(times=st.lists(st.floats(0, 2), max_size=40), cut=st.integers(0, 40))
def test_single_strokes_are_apart_and_none_is_lost(times: list[float], cut: int) -> None:
    times.sort()
    strokes = SingleStrokes()
    hits = [Hit(time, "snare", 0.5) for time in times]
    kept = [hit.time_s for part in (hits[:cut], hits[cut:]) for hit in strokes.of(part)]
    assert all(b - a >= SAME_STROKE_S for a, b in itertools.pairwise(kept))
    assert all(any(0 <= time - one < SAME_STROKE_S for one in kept) for time in times)


def python(program: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_whole_transcription_where_torch_cannot_be_imported(song: Path, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from beatsight.cli.main import run\n"
        "run(['transcribe', sys.argv[1], '-o', sys.argv[2]])"
    )
    assert "by beatsight transcriber" in python(program, str(song), str(tmp_path / "out.bsm"))
    assert read_chart(tmp_path / "out.bsm").audio is not None


def test_the_default_leaves_torch_alone(song: Path) -> None:
    program = (
        "import sys, beatsight.cli.transcribe\n"
        "from beatsight import transcribe\n"
        "transcribe(sys.argv[1])\n"
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'matplotlib'} & sys.modules.keys()))"
    )
    assert python(program, str(song)).strip() == "[]"
