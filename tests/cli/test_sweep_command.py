"""``beatsight sweep`` with the flags of the older script, on a real training run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from beatsight.cli.main import run, spread
from beatsight.dataset.build import build_dataset
from beatsight.report.sweep_data import SweepReport
from beatsight.train import sweep as sweeps
from tiny_dataset import tiny_songs

pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def dataset() -> None:
    events = tiny_songs(Path("songs"), 2, ("kick", "snare"), beats=4)
    build_dataset(events, "songs", "dataset", val_fraction=0.5)


def code_of(line: str) -> int:
    try:
        run(line.split())
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def seen_by(line: str, monkeypatch: pytest.MonkeyPatch) -> sweeps.SweepConfig:
    """The sweep that a command line asks for, without doing it."""
    asked: list[sweeps.SweepConfig] = []

    def stand_in(config: sweeps.SweepConfig, **_: Any) -> SweepReport:
        asked.append(config)
        return SweepReport(
            program_version="", kind="grid", dataset="", dataset_sha256="", metric="val_loss",
            metric_text="validation loss", higher_is_better=False, fixed={}, axes=[], runs=[], importances={},
            importance_method="",
        )  # fmt: skip

    monkeypatch.setattr(sweeps, "sweep", stand_in)
    assert code_of(line) == 0
    return asked[0]


def test_the_line_of_the_old_script(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = seen_by(
        "sweep --dataset dev_dataset --batch-sizes 8 16 --epochs 3 5 --learning-rates 0.001 0.0005 "
        "--device cuda --output-root hparam_runs --report reports/hparam_sweep.json",
        monkeypatch,
    )
    assert asked.space == {"batch_size": (8, 16), "epochs": (3, 5), "lr": (0.001, 0.0005)}
    assert (asked.dataset, asked.output_root) == (Path("dev_dataset"), Path("hparam_runs"))
    assert asked.devices == ("cuda",) and asked.search is None and asked.rerun == ()
    assert Path("reports/hparam_sweep.json").is_file() and Path("reports/hparam_sweep.html").is_file()


def test_a_search_and_running_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = seen_by("sweep --learning-rates 1e-4..1e-2 --trials 20 --pruning hyperband --seed 7", monkeypatch)
    assert asked.space == {"lr": sweeps.Range(1e-4, 1e-2)} and asked.fixed == {"--seed": "7"}
    assert asked.search == sweeps.Search(20, "tpe", "hyperband", 7)
    assert seen_by("sweep --epochs 3 --rerun", monkeypatch).rerun == ("all",)
    assert seen_by("sweep --rerun ep3 ep5 --epochs 3 5", monkeypatch).rerun == ("ep3", "ep5")
    assert spread(["--epochs", "3", "5"], "train") == ["--epochs", "3", "5"]


@pytest.mark.parametrize(
    ("line", "code", "why"),
    [
        ("sweep", 2, "nothing to vary"),
        ("sweep --epochs 3 --search tpe", 2, "--search and --pruning need --trials N"),
        ("sweep --epochs 3 --report sweep.html", 2, "the report is JSON"),
        ("sweep --epochs 3 --dataset nowhere", 3, "nowhere: is not a dataset folder"),
        ("sweep --learning-rates 1e-4..1e-2", 2, "a range is for a search; add --trials N"),
    ],
)
def test_lines_that_make_no_sense(
    line: str, code: int, why: str, dataset: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(line) == code
    assert why in capsys.readouterr().err


def test_a_real_sweep_skips_what_is_complete_and_ends_with_3_when_a_run_fails(
    dataset: None, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "sweep --epochs 1 --batch-sizes 4 --device cpu --report sweep.json"
    assert code_of(line) == 0
    out, err = capsys.readouterr()
    assert (
        out.startswith("1 complete. Best: bs4_ep1 (validation macro F1 ") and "[1/1] bs4_ep1: complete" in err
    )
    assert Path("runs/bs4_ep1/best_drum_classifier.pth").is_file()
    report = msgspec.json.decode(Path("sweep.json").read_bytes(), type=SweepReport)
    metrics = json.loads(Path("runs/bs4_ep1/metrics.json").read_text())
    assert report.best is not None and report.best.score == metrics["best"]["val_macro_f1"]
    assert code_of(f"{line} --json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == json.loads(Path("sweep.json").read_text()) and err == ""
    # A device that this machine cannot have fails, and does not undo what is complete.
    assert code_of(line.replace("cpu", "nonsense").replace("4", "4 8")) == 3
    err = capsys.readouterr().err
    assert (
        "1 of 2 runs failed, for the reasons in sweep.json: bs8_ep1" in err
        and "bs8_ep1: failed (exit " in err
    )
