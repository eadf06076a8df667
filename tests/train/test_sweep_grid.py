"""A grid of runs against planted scores: skipped when complete, done again when damaged, never lost."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sweep_setup import config_for, make_dataset, starts

from beatsight.errors import InputError, UsageError
from beatsight.train.sweep import Range, Search, sweep
from beatsight.train.sweep.importance import variance_shares
from beatsight.train.sweep.locks import only_sweep

GRID = {"batch_size": (8, 16), "lr": (0.001, 0.0001)}
ALL = ["bs8_lr0.001", "bs8_lr0.0001", "bs16_lr0.001", "bs16_lr0.0001"]


@pytest.fixture
def folder(tmp_path: Path, template: Path) -> Path:
    shutil.copytree(template / "dataset", tmp_path / "dataset")
    return tmp_path


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sweep")
    make_dataset(made)
    return made


def test_every_combination_is_trained_once_and_sorted_by_score(folder: Path) -> None:
    said: list[str] = []
    report = sweep(config_for(folder, GRID), on_note=said.append)
    assert starts(folder) == ALL
    assert [run.name for run in report.runs] == [
        "bs16_lr0.001",
        "bs8_lr0.001",
        "bs16_lr0.0001",
        "bs8_lr0.0001",
    ]
    best = report.best
    assert best is not None
    assert best.score == pytest.approx(0.9 * 0.75) and best.best_epoch == 2 and len(best.history) == 2
    assert [re.sub(r"in \d+ s", "", line) for line in said] == [
        f"[{n}/4] {name}: complete " for n, name in enumerate(ALL, start=1)
    ]
    # Planted: lr costs 0.1 and batch size 0.016, each of 0.75, without interaction.
    shares = {"lr": 0.1**2, "batch_size": 0.016**2}
    assert report.importances == pytest.approx({k: v / sum(shares.values()) for k, v in shares.items()})
    assert not list(folder.glob("runs/*/.*.json"))


def test_complete_runs_are_skipped_and_named_ones_done_again(folder: Path) -> None:
    first = sweep(config_for(folder, GRID))
    starts(folder)
    second = sweep(config_for(folder, GRID))
    assert starts(folder) == []
    assert second == first
    sweep(replace(config_for(folder, GRID), rerun=("bs16_lr0.001",)))
    assert starts(folder) == ["bs16_lr0.001"]
    sweep(replace(config_for(folder, GRID), rerun=("all",)))
    assert starts(folder) == ALL
    with pytest.raises(UsageError, match=r"--rerun: the grid has no run 'bs9'; its runs: bs8_lr0\.001, bs8"):
        sweep(replace(config_for(folder, GRID), rerun=("bs9",)))
    # A wider grid trains only what is new.
    sweep(config_for(folder, {**GRID, "batch_size": (8, 16, 32)}))
    assert starts(folder) == ["bs32_lr0.001", "bs32_lr0.0001"]


def damage(folder: Path, how: str) -> None:
    run = folder / "runs" / "bs8_lr0.001"
    metrics = json.loads((run / "metrics.json").read_text())
    if how == "cut":
        (run / "metrics.json").write_text(json.dumps(metrics)[:-20])
    elif how == "gone":
        (run / "metrics.json").unlink()
    elif how == "other settings":
        metrics["config"]["lr"] = 0.5
        (run / "metrics.json").write_text(json.dumps(metrics))
    elif how == "no epochs":
        (run / "metrics.json").write_text(json.dumps({**metrics, "history": []}))
    elif how == "no record":
        (run / "run.json").write_text("{}")
    elif how == "other dataset":
        record = json.loads((run / "run.json").read_text())
        record["key"]["dataset_sha256"] = "0" * 64
        (run / "run.json").write_text(json.dumps(record))


@pytest.mark.parametrize("how", ["cut", "gone", "other settings", "no epochs", "no record", "other dataset"])
def test_a_run_whose_result_is_not_whole_or_of_something_else_is_done_again(folder: Path, how: str) -> None:
    grid = {"batch_size": (8,), "lr": (0.001, 0.0001)}
    sweep(config_for(folder, grid))
    starts(folder)
    damage(folder, how)
    report = sweep(config_for(folder, grid))
    assert starts(folder) == ["bs8_lr0.001"]
    assert len(report.of("complete")) == 2


def test_other_fixed_flags_or_another_run_file_are_another_run(folder: Path) -> None:
    grid = {"batch_size": (8,)}
    sweep(replace(config_for(folder, grid), fixed={"--seed": "0"}))
    sweep(replace(config_for(folder, grid), fixed={"--seed": "1"}))
    assert len(starts(folder)) == 2
    recipe, copy = folder / "run.toml", folder / "copy.toml"
    recipe.write_text("weight_decay = 0.1\n")
    copy.write_text(recipe.read_text())
    with_file = replace(config_for(folder, grid), fixed={"--seed": "1"}, config=recipe)
    sweep(with_file)
    sweep(replace(with_file, config=copy))
    assert len(starts(folder)) == 1
    recipe.write_text("weight_decay = 0.2\n")
    sweep(with_file)
    assert len(starts(folder)) == 1


def test_failed_runs_are_recorded_and_the_rest_goes_on(folder: Path) -> None:
    config = config_for(folder, {"batch_size": (13, 17, 19, 8)})
    report = sweep(config)
    assert starts(folder) == ["bs13", "bs17", "bs19", "bs8"]
    assert [run.name for run in report.of("complete")] == ["bs8"]
    failed = {run.name: (run.exit_code, run.error) for run in report.of("failed")}
    assert failed["bs13"] == (1, "training stopped: the loss is nan in epoch 1")
    assert failed["bs17"] == (-signal.SIGKILL, "ended by SIGKILL (out of memory?)")
    assert failed["bs19"][1].startswith("the run ended well but its metrics file is missing or")
    assert json.loads((folder / "runs/bs13/run.json").read_text())["status"] == "failed"
    sweep(config)
    assert starts(folder) == ["bs13", "bs17", "bs19"]


def test_a_program_that_is_not_there_and_a_folder_of_somebody_else(folder: Path) -> None:
    other = folder / "runs" / "bs8"
    other.mkdir(parents=True)
    (other / "thesis.txt").write_text("mine")
    config = config_for(folder, {"batch_size": (8, 16)})
    report = sweep(config)
    (failed,) = report.of("failed")
    assert failed.error == f"{other}: holds files that no sweep wrote; take another --output-root"
    assert (other / "thesis.txt").read_text() == "mine" and len(report.of("complete")) == 1
    report = sweep(replace(config, program=("/nowhere/python",), rerun=("bs16",)))
    assert "training cannot be started: No such file or directory" in report.of("failed")[0].error


def test_runs_side_by_side_share_devices_and_processors(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    (folder / "slow").write_text("0.2")
    config = replace(config_for(folder, GRID), workers=2, devices=("cuda:0", "cuda:1"))
    begun = time.monotonic()
    assert len(sweep(config).of("complete")) == 4
    assert time.monotonic() - begun < 10
    lines = [line.split() for line in (folder / "starts.txt").read_text().splitlines()]
    assert {line[1] for line in lines} == {"cuda:0", "cuda:1"}
    assert {line[2] for line in lines} == {"4"}


def test_two_sweeps_do_not_share_a_folder(folder: Path) -> None:
    with (
        only_sweep((folder / "runs").resolve()),
        pytest.raises(InputError, match="another sweep is at work here; wait for it or take another"),
    ):
        sweep(config_for(folder, GRID))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"metric": "accuracy"}, "--metric is one of macro_f1, micro_f1, loss, not 'accuracy'"),
        ({"workers": -1}, "--workers must be at least 1"),
        ({"space": {}}, "nothing to vary"),
        ({"cluster": True, "devices": ("cuda:1",)}, "--cluster chooses the GPUs itself"),
        ({"search": Search(3), "rerun": ("all",)}, "--rerun is for a grid"),
    ],
)
def test_settings_that_make_no_sense(folder: Path, change: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        replace(config_for(folder, {"lr": Range(0.1, 0.2)}), **change)  # type: ignore[arg-type]


def test_the_loss_may_decide_and_ties_go_to_the_lower_loss(folder: Path) -> None:
    report = sweep(replace(config_for(folder, GRID), metric="loss"))
    assert report.best is not None and report.best.score == pytest.approx(1.1 - 0.675)
    assert [run.score for run in report.runs] == sorted(run.score or 0.0 for run in report.runs)
    assert sweep(replace(config_for(folder, GRID), metric="micro_f1")).best is None


def test_without_validation_runs_are_trained_but_not_ranked(tmp_path: Path) -> None:
    make_dataset(tmp_path, val_fraction=0.0)
    config = config_for(tmp_path, {"batch_size": (8,)})
    said: list[str] = []
    sweep(config, on_note=said.append)
    assert said[0].startswith("nothing is held out for validation")
    with pytest.raises(
        InputError, match="dataset: nothing is held out for validation, so runs cannot be compared"
    ):
        sweep(replace(config, search=Search(2)))


DRIVER = """
import sys
from pathlib import Path
from sweep_setup import config_for
from beatsight.train.sweep import sweep
sweep(config_for(Path(sys.argv[1]), {"batch_size": (8, 16), "lr": (0.001, 0.0001)}))
"""


def begin(folder: Path) -> subprocess.Popen[bytes]:
    here = Path(__file__).resolve().parent
    paths = [str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.Popen([sys.executable, "-c", DRIVER, str(folder)], env=environment)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.exists():
        assert process.poll() is None, "the sweep ended too early"
        time.sleep(0.01)


def test_a_sweep_that_is_killed_goes_on_and_takes_over_the_run_under_way(folder: Path) -> None:
    (folder / "slow").write_text("0.4")
    driver = begin(folder)
    wait_for(folder / "runs/bs8_lr0.0001/history.jsonl", driver)
    driver.kill()
    driver.wait()
    said: list[str] = []
    report = sweep(config_for(folder, GRID), on_note=said.append)
    # The second run outlived its sweep: nothing was trained twice.
    assert starts(folder) == ALL
    assert said[0] == "bs8_lr0.0001: is being trained by an earlier sweep; waiting for it"
    assert len(report.of("complete")) == 4


def test_a_sweep_that_is_stopped_stops_its_run(folder: Path) -> None:
    (folder / "slow").write_text("30")
    driver = begin(folder)
    wait_for(folder / "starts.txt", driver)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=10) != 0
    (folder / "slow").unlink()
    starts(folder)
    begun = time.monotonic()
    assert len(sweep(config_for(folder, GRID)).of("complete")) == 4
    assert time.monotonic() - begun < 20 and starts(folder) == ALL


def test_variance_shares_agree_with_sums_of_squares() -> None:
    assert variance_shares([{"a": 1.0}] * 3, [1.0, 2.0, 3.0]) == {}
    assert variance_shares([{"a": float(n)} for n in range(5)], [0.5] * 5) == {}
    runs = [{"a": float(a), "b": float(b)} for a in (0, 1) for b in (0, 1, 2)]
    # Pure interaction: neither setting explains anything alone.
    shares = variance_shares(runs, [1.0, 0.0, -1.0, -1.0, 0.0, 1.0])
    assert shares == pytest.approx({"a": 0.0, "b": 0.0})
