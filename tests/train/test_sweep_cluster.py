"""Runs on a real Ray cluster of this machine, and the process that an actor looks after."""

from __future__ import annotations

import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from sweep_setup import config_for, make_dataset, starts

from beatsight.errors import InputError, MissingDependencyError
from beatsight.train.sweep import Range, Search, sweep
from beatsight.train.sweep.cluster import Cluster
from beatsight.train.sweep.driver import _task_maker
from beatsight.train.sweep.process import Progress, RunProcess
from beatsight.train.sweep.task import Task


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_dataset(tmp_path)
    return tmp_path


def task_in(folder: Path, batch_size: int = 8) -> Task:
    config = config_for(folder, {"batch_size": (batch_size,)})
    return _task_maker(config, folder / "runs", 1)({"batch_size": batch_size})


def to_the_end(run: RunProcess) -> list[Progress]:
    """Everything a run has to tell."""
    told = [run.poll()]
    while told[-1].outcome is None:
        time.sleep(0.02)
        told.append(run.poll())
    return told


def test_a_task_travels_and_its_process_tells_each_epoch_once(folder: Path) -> None:
    task = msgspec.msgpack.decode(msgspec.msgpack.encode(task_in(folder)), type=Task)
    assert task == task_in(folder)
    told = to_the_end(RunProcess(task))
    assert [row["epoch"] for progress in told for row in progress.rows] == [1, 2]
    assert told[-1].outcome is not None and told[-1].outcome.status == "complete"
    (again,) = to_the_end(RunProcess(task))
    assert again.outcome is not None and again.outcome.skipped
    assert starts(folder) == ["bs8"]


def test_a_pruned_process_ends_soon_and_says_so(folder: Path) -> None:
    (folder / "slow").write_text("0.3")
    run = RunProcess(task_in(folder))
    while not run.poll().rows:
        time.sleep(0.02)
    run.prune()
    outcome = to_the_end(run)[-1].outcome
    assert outcome is not None and outcome.status == "pruned" and outcome.error == ""


def test_one_process_a_folder(folder: Path) -> None:
    (folder / "slow").write_text("0.1")
    first, second = RunProcess(task_in(folder)), RunProcess(task_in(folder))
    assert first.poll().outcome is None
    assert second.poll().waiting
    to_the_end(first)
    outcome = to_the_end(second)[-1].outcome
    assert outcome is not None and outcome.skipped
    assert starts(folder) == ["bs8"]


def test_a_machine_with_another_dataset_does_not_train(folder: Path) -> None:
    task = task_in(folder)
    (folder / "dataset" / "metadata.json").write_text("{}")
    outcome = to_the_end(RunProcess(task))[-1].outcome
    assert outcome is not None and outcome.exit_code == 3
    assert outcome.error.endswith("metadata.json: is not the dataset that this sweep began with")
    assert starts(folder) == []


def test_without_ray_there_is_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        MissingDependencyError, match=r"ray is not installed; run: pip install 'beatsight\[cluster\]'"
    ):
        Cluster("cpu")


@pytest.mark.slow
def test_a_grid_and_a_search_on_a_cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    config = config_for(folder, {"batch_size": (8, 13, 16), "lr": (0.001, 0.0001)})
    here = sweep(replace(config, output_root=folder / "here"))
    starts(folder)
    there = sweep(replace(config, cluster=True))
    assert len(starts(folder)) == 6
    untimed = [msgspec.structs.replace(run, seconds=None) for run in there.runs]
    assert untimed == [msgspec.structs.replace(run, seconds=None) for run in here.runs]
    assert {run.error for run in there.of("failed")} == {"training stopped: the loss is nan in epoch 1"}
    pytest.importorskip("optuna")
    (folder / "slow").write_text("0.3")
    space = {"epochs": (5,), "lr": Range(1e-5, 1e-1)}
    search = replace(config, space=space, cluster=True, search=Search(10, "random", seed=1), workers=2)
    report = sweep(replace(search, output_root=folder / "search"))
    assert report.of("pruned") and len(report.runs) == 10


@pytest.mark.slow
def test_a_cluster_without_the_gpu_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(InputError, match="the Ray cluster has no GPU for these runs"):
        Cluster("cuda")
    assert signal.getsignal(signal.SIGTERM) is before
    assert not ray.is_initialized()


def test_a_cluster_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(
        InputError, match=r"RAY_ADDRESS 127\.0\.0\.1:1: no Ray cluster answers: Connection refused"
    ):
        Cluster("cpu")
