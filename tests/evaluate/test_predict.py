"""Predictions for rows: equal to the model on a clip cut by hand, windows heard with silence around them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from beatsight.audio.features import cut_clips
from beatsight.audio.io import load
from beatsight.cli.main import run
from beatsight.errors import InputError
from beatsight.evaluate import predict_rows
from beatsight.events import Prediction, read_records, write_records
from beatsight.manifest.boundary import boundary_pack
from beatsight.models.checkpoint import Model, save_model
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN
from tiny_dataset import TINY_FEATURES, tiny_songs

RATE = TINY_FEATURES.sample_rate


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(3)
    network = DrumClassifierCNN(ClassifierConfig(channels=(4, 4, 4, 4))).eval()
    return Model(network, features=TINY_FEATURES, thresholds=np.full(12, 0.5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two songs, their events in mixed order (``events.jsonl``)."""
    folder = tmp_path_factory.mktemp("predict")
    events = tiny_songs(folder, 2, ("kick", "snare"), beats=5)
    write_records(folder / "events.jsonl", events[::2] + events[1::2])
    return folder


def by_hand(model: Model, path: Path, onset_s: float, heard: tuple[float, float] | None = None) -> np.ndarray:
    """The model on one clip, everything outside ``heard`` (seconds) silenced in the whole file."""
    audio = load(path).copy()
    if heard:
        at = np.arange(len(audio)) / RATE
        audio[(at < heard[0] - 0.5 / RATE) | (at >= heard[1] - 0.5 / RATE)] = 0.0
    clip = cut_clips(audio, np.array([round(onset_s * RATE)]), TINY_FEATURES)
    return model.scores(torch.from_numpy(clip)).numpy()[0]


def test_ids_order_and_scores_are_those_of_the_rows(model: Model, folder: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    count = predict_rows(
        folder / "events.jsonl", model, tmp_path / "p.jsonl", progress=lambda *step: steps.append(step)
    )
    found = list(read_records(tmp_path / "p.jsonl", Prediction))
    rows = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert count == len(found) == len(rows) > 8
    assert steps == [(1, 2), (2, 2)]
    assert [p.sample_id for p in found] == [row["sample_id"] for row in rows]
    for prediction, row in list(zip(found, rows, strict=True))[:6]:
        expected = by_hand(model, folder / row["audio_path"], row["onset_time"])
        np.testing.assert_allclose([prediction.scores[name] for name in model.labels], expected, atol=2e-6)
        assert prediction.predicted_labels == [
            name for name, score in zip(model.labels, expected, strict=True) if score >= 0.5
        ]


def test_a_boundary_pack_is_heard_with_silence_outside_its_windows(
    model: Model, folder: Path, tmp_path: Path
) -> None:
    boundary_pack(folder / "events.jsonl", tmp_path / "pack.jsonl", window_ms=300, hop_ms=70, margin_ms=35)
    predict_rows(tmp_path / "pack.jsonl", model, tmp_path / "p.jsonl", audio_root=folder)
    rows = [json.loads(line) for line in (tmp_path / "pack.jsonl").read_text().splitlines()]
    found = list(read_records(tmp_path / "p.jsonl", Prediction))
    assert {row["edge"] for row in rows} == {"leading", "trailing"}
    changed = 0
    for prediction, row in zip(found, rows, strict=True):
        heard = (row["window_start_s"], row["window_start_s"] + row["window_size"] / 1000)
        path = folder / row["audio_path"]
        expected = by_hand(model, path, row["onset_time"], heard)
        np.testing.assert_allclose([prediction.scores[name] for name in model.labels], expected, atol=2e-6)
        changed += bool(np.abs(expected - by_hand(model, path, row["onset_time"])).max() > 1e-4)
    assert changed >= 3


def test_the_heads_speak_of_what_is_reported(folder: Path, tmp_path: Path) -> None:
    """Velocity of the loudest label over its threshold, openness where one of them is a hat."""
    torch.manual_seed(4)
    config = ClassifierConfig(channels=(4, 4, 4, 4), heads=("velocity", "openness"))
    model = Model(DrumClassifierCNN(config).eval(), features=TINY_FEATURES, thresholds=np.full(12, 0.5))
    told = []
    for thresholds in (np.full(12, 0.0), np.full(12, 1.1), np.where(np.arange(12) == 0, 0.0, 1.1)):
        model.thresholds = thresholds
        predict_rows(folder / "events.jsonl", model, tmp_path / "p.jsonl")
        told.append(list(read_records(tmp_path / "p.jsonl", Prediction)))
    row = json.loads((folder / "events.jsonl").read_text().splitlines()[0])
    clip = cut_clips(
        load(folder / row["audio_path"]), np.array([round(row["onset_time"] * RATE)]), TINY_FEATURES
    )
    heard = model.hear(torch.from_numpy(clip))
    assert heard.velocity is not None and heard.openness is not None
    everything, nothing, kick = (found[0] for found in told)
    assert everything.velocity_pred == pytest.approx(float(heard.velocity.max()), abs=2e-6)
    assert everything.openness_pred == pytest.approx(float(heard.openness[0]), abs=2e-6)
    assert (nothing.velocity_pred, nothing.openness_pred) == (None, None)
    assert kick.velocity_pred == pytest.approx(float(heard.velocity[0, 0]), abs=2e-6)
    assert kick.predicted_labels == ["kick"] and kick.openness_pred is None


def test_faults_are_one_sentence(model: Model, folder: Path, tmp_path: Path) -> None:
    def refused(text: str) -> str:
        (tmp_path / "rows.jsonl").write_text(text)
        with pytest.raises(InputError) as caught:
            predict_rows(tmp_path / "rows.jsonl", model, tmp_path / "out.jsonl", audio_root=folder)
        assert not (tmp_path / "out.jsonl").exists()
        return str(caught.value)

    name = json.loads((folder / "events.jsonl").read_text().splitlines()[0])["audio_path"]
    assert refused("\n") == f"{tmp_path / 'rows.jsonl'}: holds no rows"
    assert refused('{"sample_id": "a", "onset_time": 1}').endswith("rows.jsonl:1: audio_path: is missing")
    assert "rows.jsonl: sample 'a': onset_time 999.000 s lies after the end of" in refused(
        json.dumps({"sample_id": "a", "onset_time": 999, "audio_path": name})
    )
    row = {"sample_id": "a", "onset_time": 0, "audio_path": "../../etc/passwd"}
    assert refused(json.dumps(row)).startswith("../../etc/passwd: leaves its root folder")


def test_the_command(model: Model, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(model, tmp_path / "m.pth")
    words = ["predict", str(folder / "events.jsonl"), "--model", str(tmp_path / "m.pth")]
    with pytest.raises(SystemExit) as caught:
        run([*words, "-o", str(tmp_path / "p.parquet"), "--device", "cpu"])
    assert caught.value.code in (0, None)
    assert "p.parquet: 10 predictions." in capsys.readouterr().out
    assert len(list(read_records(tmp_path / "p.parquet", Prediction))) == 10
