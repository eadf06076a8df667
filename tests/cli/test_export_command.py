"""``beatsight export``: files and cards, and one sentence for what makes no sense."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from beatsight.cli.main import run  # noqa: E402
from beatsight.models.checkpoint import Model, load_model, save_model  # noqa: E402
from beatsight.models.classifier import ClassifierConfig, DrumClassifierCNN  # noqa: E402
from tiny_dataset import TINY_FEATURES, tiny_songs  # noqa: E402


def code_of(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        run(["export", *words])
    return int(caught.value.code or 0)


@pytest.fixture(autouse=True)
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    small = ClassifierConfig(channels=(2, 3, 4, 5), heads=("velocity",))
    made = Model(
        DrumClassifierCNN(small).eval(), features=TINY_FEATURES, thresholds=np.linspace(0.2, 0.8, 12),
        training={"best_epoch": 3},
    )  # fmt: skip
    save_model(made, "m.pth")
    return load_model("m.pth")


def test_onnx_with_its_card(model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    assert code_of("m.pth", "-o", "out/m.onnx", "--card", "CARD.md", "--json") == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert answer["files"] == ["out/m.onnx", "CARD.md"] and answer["largest_difference"] <= 1e-4
    assert err == ""
    session = pytest.importorskip("onnxruntime").InferenceSession("out/m.onnx")
    held = session.get_modelmeta().custom_metadata_map
    assert held["model_card"] == Path("CARD.md").read_text(encoding="utf-8")
    assert "# Model card: DrumClassifierCNN" in held["model_card"]
    clips = torch.rand(4, TINY_FEATURES.clip_samples) - 0.5
    scores, velocity = session.run(None, {"clips": clips.numpy()})
    heard = model.hear(clips)
    np.testing.assert_allclose(scores, heard.scores.numpy(), atol=1e-4)
    assert heard.velocity is not None
    np.testing.assert_allclose(velocity, heard.velocity.numpy(), atol=1e-4)


def test_onnx_of_features(capsys: pytest.CaptureFixture[str]) -> None:
    runtime = pytest.importorskip("onnxruntime")
    assert code_of("m.pth", "-o", "m.onnx", "--input", "features") == 0
    assert "Wrote m.onnx (onnxruntime agrees within " in capsys.readouterr().out
    assert runtime.InferenceSession("m.onnx").get_inputs()[0].shape[1:] == [1, 16, 16]


def test_safetensors_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("safetensors")
    assert code_of("m.pth", "-o", "m.safetensors") == 0
    assert capsys.readouterr().out == "Wrote m.safetensors.\n"
    assert code_of("m.safetensors", "-o", "back.pth") == 0
    assert Path("back.pth").read_bytes() == Path("m.pth").read_bytes()
    # Onto the input itself: complete before it is replaced.
    assert code_of("back.pth", "-o", "back.pth") == 0
    assert Path("back.pth").read_bytes() == Path("m.pth").read_bytes()


def test_a_card_with_the_evaluation_that_the_program_wrote(model: Model, tmp_path: Path) -> None:
    from beatsight.dataset.build import build_dataset
    from beatsight.evaluate import evaluate_model, write_evaluation

    events = tiny_songs(tmp_path / "songs", 2, ("kick", "snare"))
    data = build_dataset(events, tmp_path / "songs", tmp_path / "dataset", val_fraction=0.5)
    write_evaluation(evaluate_model(model, data, "val"), data, tmp_path / "report")
    assert code_of("m.pth", "--card", "CARD.md", "--evaluation", "report/evaluation.json") == 0
    card = Path("CARD.md").read_text(encoding="utf-8")
    figures = json.loads(Path("report/evaluation.json").read_text(encoding="utf-8"))
    kick = figures["per_class"]["kick"]
    assert f"| kick | {kick['precision']:.3f} | {kick['recall']:.3f} | {kick['f1']:.3f} |" in card
    assert "Intervals: not stated." in card


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["m.pth"], 2, "nothing to write: give -o FILE.onnx"),
        (["m.pth", "-o", "m.tflite"], 2, "m.tflite: unknown model format; known: .onnx, .safetensors, .pth"),
        (["m.pth", "-o", "n.pth", "--evaluation", "e.json"], 2, "are for a model card: give --card FILE"),
        (["m.pth", "-o", "m.onnx", "--input", "video"], 2, "--input is audio or features, not 'video'"),
        (["m.pth", "-o", "n.pth", "--input", "features"], 2, "--input is for an ONNX file"),
        (["none.pth", "-o", "m.onnx"], 3, "none.pth: no such model file"),
        (["m.pth", "--card", "c.md", "--evaluation", "none.json"], 3, "none.json: cannot be read"),
        (["m.pth", "-o", "m.pth/x.pth"], 3, "m.pth/x.pth: cannot be written"),
    ],
)
def test_what_makes_no_sense(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, why: str
) -> None:
    assert code_of(*words) == code
    out, err = capsys.readouterr()
    assert out == "" and why in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.pth"]


# Runs a command that stops at the moment in which its file is complete and not yet in its place.
STOPPING = """
import sys, time
from pathlib import Path
from beatsight.cli.main import run
def stop(self, target):
    print("complete", flush=True)
    time.sleep(60)
Path.replace = stop
run(sys.argv[1:])
"""


# Tracing takes ten seconds of two processes on a busy machine.
@pytest.mark.parametrize("name", [pytest.param("m.onnx", marks=pytest.mark.slow), "m.safetensors", "new.pth"])
def test_an_export_killed_at_its_end_leaves_the_old_file(tmp_path: Path, name: str) -> None:
    pytest.importorskip("safetensors" if name.endswith("s") else "onnxruntime")
    Path(name).write_bytes(b"old")
    command = [sys.executable, "-c", STOPPING, "export", "m.pth", "-o", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "complete\n"
        os.kill(process.pid, signal.SIGKILL)
    assert Path(name).read_bytes() == b"old"
    assert code_of("m.pth", "-o", name) == 0
    assert len(Path(name).read_bytes()) > 1_000
