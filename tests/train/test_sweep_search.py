"""A search against planted scores: it finds them, stops what falls behind, and goes on after a kill."""

from __future__ import annotations

import math
import os
import random
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sweep_setup import config_for, make_dataset, starts

from beatsight.errors import InputError, MissingDependencyError, UsageError
from beatsight.report.sweep_data import SweepReport
from beatsight.train.sweep import Range, Search, SweepConfig, sweep
from beatsight.train.sweep.search import STORAGE_NAME

pytest.importorskip("optuna")

SPACE = {"batch_size": (8, 16), "epochs": (4,), "lr": Range(1e-5, 1e-1)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_dataset(tmp_path)
    return tmp_path


def searching(folder: Path, trials: int, **changes: Any) -> SweepConfig:
    search = Search(trials, **{"pruner": "none", "seed": 3, **changes})
    return replace(config_for(folder, SPACE), search=search)


def rates(report: SweepReport) -> list[float]:
    return sorted(run.settings["lr"] for run in report.runs)


def test_it_finds_the_planted_rate_and_says_that_the_rate_matters(folder: Path) -> None:
    report = sweep(replace(searching(folder, 14), workers=2))
    best = report.best
    assert best is not None and report.kind == "search"
    # Of 14 rates drawn blindly from four decades, about one lies this near to 0.001.
    assert abs(math.log10(best.settings["lr"] / 0.001)) < 0.3
    assert len(report.runs) == 14 and all(len(run.history) == 4 for run in report.runs)
    assert next(iter(report.importances)) == "lr" and report.importances["lr"] > 0.8
    assert sum(report.importances.values()) == pytest.approx(1.0)
    assert all(1e-5 <= rate <= 1e-1 for rate in rates(report))
    # By ratio: about half of the first draws lie below the middle of the exponents.
    assert 2 <= sum(rate < 1e-3 for rate in rates(report)) <= 12


def test_the_same_seed_draws_the_same_and_more_trials_go_on_from_there(folder: Path) -> None:
    whole = sweep(searching(folder, 6))
    starts(folder)
    other = replace(searching(folder, 4), output_root=folder / "again")
    four = sweep(other)
    assert len(starts(folder)) == 4
    six = sweep(replace(other, search=Search(6, pruner="none", seed=3)))
    assert len(starts(folder)) == 2
    assert rates(six) == rates(whole)
    assert set(rates(four)) < set(rates(six))
    assert [run.score for run in six.runs] == [run.score for run in whole.runs]
    sweep(replace(other, search=Search(6, pruner="none", seed=3)))
    assert starts(folder) == []
    elsewhere = replace(searching(folder, 4, seed=4), output_root=folder / "third")
    assert not set(rates(sweep(elsewhere))) & set(rates(whole))


def test_bad_runs_are_stopped_and_recorded(folder: Path) -> None:
    (folder / "slow").write_text("0.15")
    config = searching(folder, 12, pruner="median", sampler="random")
    report = sweep(config)
    pruned, complete = report.of("pruned"), report.of("complete")
    assert pruned and len(pruned) + len(complete) == 12
    # Never before the second epoch, and none that is better than what was finished.
    assert all(len(run.history) >= 2 for run in pruned)
    assert sum(len(run.history) for run in pruned) < 4 * len(pruned)
    assert report.best is not None and all((run.score or 0) < (report.best.score or 0) for run in pruned)
    starts(folder)
    again = sweep(config)
    assert starts(folder) == [] and again.runs == report.runs


def test_failed_runs_count_as_tried(folder: Path) -> None:
    config = replace(
        searching(folder, 8, sampler="random"), space={"batch_size": (8, 13), "lr": Range(1e-4, 1e-2)}
    )
    report = sweep(config)
    assert len(report.of("failed")) + len(report.of("complete")) == 8
    assert report.of("failed") and report.of("failed")[0].exit_code == 1
    again = sweep(config)
    assert again.runs == report.runs


def test_settings_proposed_twice_are_trained_once(folder: Path) -> None:
    config = replace(searching(folder, 8), space={"batch_size": (8, 16)}, workers=2)
    report = sweep(config)
    assert sorted(starts(folder)) == sorted(run.name for run in report.runs) == ["bs16", "bs8"]


DRIVER = """
import sys
from pathlib import Path
from test_sweep_search import searching
from beatsight.train.sweep import sweep
sweep(searching(Path(sys.argv[1]), 7))
"""


@pytest.mark.slow
def test_a_search_killed_again_and_again_ends_as_an_undisturbed_one(folder: Path) -> None:
    whole = sweep(replace(searching(folder, 7), output_root=folder / "undisturbed"))
    starts(folder)
    (folder / "slow").write_text("0.05")
    here = Path(__file__).resolve().parent
    paths = [str(here), str(here.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    dice = random.Random(5)
    for _ in range(3):
        driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(folder)], env=environment)
        deadline = time.monotonic() + 60
        while not (folder / "runs" / STORAGE_NAME).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(dice.uniform(0.0, 1.5))
        driver.kill()
        driver.wait()
    report = sweep(searching(folder, 7))
    assert len(report.of("complete")) == 7
    assert [(run.name, run.score) for run in report.runs] == [(run.name, run.score) for run in whole.runs]
    assert len(starts(folder)) == 7  # a run that outlived its sweep was not trained twice


def test_another_search_does_not_go_on_in_the_same_folder(folder: Path) -> None:
    sweep(searching(folder, 1))
    with pytest.raises(InputError, match=r"search\.sqlite3: holds a search with another space; take another"):
        sweep(replace(searching(folder, 2), space={"lr": Range(1e-4, 1e-1)}))
    with pytest.raises(InputError, match="holds a search with another fixed setting, metric;"):
        sweep(replace(searching(folder, 2), metric="loss", fixed={"--seed": "1"}))


def test_a_damaged_storage_is_refused(folder: Path) -> None:
    sweep(searching(folder, 1))
    (folder / "runs" / STORAGE_NAME).write_bytes(b"not a database" * 1000)
    with pytest.raises(InputError, match=r"search\.sqlite3: is not the storage of a search, is damaged"):
        sweep(searching(folder, 2))
    (folder / "runs" / STORAGE_NAME).unlink()
    with sqlite3.connect(folder / "runs" / STORAGE_NAME) as other:
        other.execute("create table studies (mine text)")
    with pytest.raises(InputError, match="is not the storage of a search, is damaged"):
        sweep(searching(folder, 2))
    with pytest.raises(InputError, match=r"a search cannot keep its storage in a path with % \?"):
        sweep(replace(searching(folder, 2), output_root=folder / "50%?"))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"trials": 0}, "--trials must be at least 1, not 0"),
        ({"trials": 3, "sampler": "grid"}, "--search is one of tpe, random, not 'grid'"),
        ({"trials": 3, "pruner": "axe"}, "--pruning is one of median, hyperband, none, not 'axe'"),
    ],
)
def test_settings_of_a_search(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Search(**settings)


def test_without_optuna_there_is_the_line_that_installs_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        MissingDependencyError, match=r"optuna is not installed; run: pip install 'beatsight\[sweep\]'"
    ):
        sweep(searching(folder, 1))
