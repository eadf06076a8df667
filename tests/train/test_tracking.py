"""What goes to Weights & Biases, seen by a stand-in for its package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from beatsight.errors import InputError, MissingDependencyError, UsageError
from beatsight.train.state import EpochResult
from beatsight.train.tracking import RUN_ID_NAME, TensorBoardRun, WandbRun

Calls = list[tuple[Any, ...]]

EPOCH = EpochResult(
    epoch=3, train_loss=0.5, val_loss=None, val_macro_f1=0.25, val_micro_f1=0.5, lr=0.001, seconds=2.0,
    clips_per_s=8.0,
)  # fmt: skip


class FakeError(Exception):
    """As ``wandb.errors.Error``."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """A ``wandb`` that writes down what is asked of it."""
    made: Calls = []

    class Artifact:
        def __init__(self, name: str, type: str) -> None:
            self.title, self.files = (name, type), []  # type: tuple[str, str], list[str]

        def add_file(self, path: str) -> None:
            self.files.append(path)

    run = SimpleNamespace(
        id="abc123",
        log=lambda row, step: made.append(("log", row, step)),
        log_artifact=lambda artifact: made.append(("artifact", artifact.title, artifact.files)),
        finish=lambda: made.append(("finish",)),
    )

    def init(**settings: Any) -> Any:
        made.append(("init", settings))
        if settings["project"] == "refused":
            raise FakeError("api_key not configured.\n  Call wandb.login()")
        return run

    module = ModuleType("wandb")
    module.init, module.Artifact, module.errors = init, Artifact, SimpleNamespace(Error=FakeError)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return made


def test_a_run_is_begun_logged_and_closed(calls: Calls, tmp_path: Path) -> None:
    run = WandbRun("drums", "team", ("prod", "retrain"), "offline", {"lr": 0.001}, output=tmp_path)
    run.log(EPOCH)
    run.finish([Path("m/best.pth"), Path("m/final.pth")])
    begun, logged, artifact, finished = calls
    assert begun == (
        "init",
        {
            "project": "drums", "entity": "team", "tags": ["prod", "retrain"], "mode": "offline",
            "config": {"lr": 0.001}, "job_type": "train", "id": None, "resume": None,
        },
    )  # fmt: skip
    assert logged[1]["val_macro_f1"] == 0.25 and logged[1]["train_loss"] == 0.5 and logged[2] == 3
    assert artifact == (
        "artifact",
        ("drum-classifier", "model"),
        [str(Path("m/best.pth")), str(Path("m/final.pth"))],
    )
    assert finished == ("finish",)


@pytest.mark.parametrize("mode", [None, "online", "offline", "disabled"])
def test_known_modes_are_passed_on(calls: Calls, tmp_path: Path, mode: str | None) -> None:
    WandbRun("drums", None, (), mode, {}, output=tmp_path)
    assert calls[0][1]["mode"] == mode


def test_an_unknown_mode_is_refused_before_anything_starts(calls: Calls, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--wandb-mode is one of online, offline, disabled, not 'ofline'"):
        WandbRun("drums", None, (), "ofline", {}, output=tmp_path)
    assert calls == []


def test_a_run_that_is_refused_is_one_sentence(calls: Calls, tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"^Weights & Biases did not start the run: api_key not configured\. Call wandb\.login\(\);",
    ):
        WandbRun("refused", None, (), None, {}, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if importlib.util.find_spec("wandb") is not None:
        monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(
        MissingDependencyError, match=r"^wandb is not installed; run: pip install 'beatsight\[wandb\]'$"
    ):
        WandbRun("drums", None, (), None, {}, output=tmp_path)


def test_a_resumed_run_keeps_its_id(calls: Calls, tmp_path: Path) -> None:
    WandbRun("drums", None, (), None, {}, output=tmp_path / "run", resume=True)
    assert (tmp_path / "run" / RUN_ID_NAME).read_text() == "abc123\n"
    WandbRun("drums", None, (), None, {}, output=tmp_path / "run", resume=True)
    WandbRun("drums", None, (), None, {}, output=tmp_path / "run")
    given = [(settings["id"], settings["resume"]) for _, settings in calls]
    assert given == [(None, None), ("abc123", "allow"), (None, None)]


def test_curves_for_tensorboard_are_read_back(tmp_path: Path) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = TensorBoardRun(tmp_path)
    run.log(EPOCH)
    run.finish([])
    found = reader.EventAccumulator(str(tmp_path)).Reload()
    assert "val_loss" not in found.Tags()["scalars"]  # nothing was held out
    (point,) = found.Scalars("val_macro_f1")
    assert (point.step, point.value) == (3, 0.25)


def test_a_missing_tensorboard_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'beatsight\[tensorboard\]'$"):
        TensorBoardRun(tmp_path)
