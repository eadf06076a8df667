"""The sweep itself: tasks from a plan, a few runs at once, everything that became of them as one report.

    OUTPUT_ROOT/
      bs8_ep3_lr0.001/    one folder a run (:mod:`beatsight.train.sweep.task`)
      search.sqlite3      a search's memory (:mod:`beatsight.train.sweep.search`)

A sweep may be killed at any moment: the same call goes on where it was.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from beatsight.dataset.store import open_dataset
from beatsight.errors import InputError, UsageError
from beatsight.files import sha256_file
from beatsight.report.sweep_data import SweepReport
from beatsight.train.sweep.cluster import Cluster
from beatsight.train.sweep.locks import only_sweep
from beatsight.train.sweep.plans import METRICS, GridPlan, Plan, fresh_names
from beatsight.train.sweep.process import Progress, RunProcess
from beatsight.train.sweep.search import Search, SearchPlan
from beatsight.train.sweep.space import Settings, Space, check_space, grid, run_name
from beatsight.train.sweep.summary import summarise
from beatsight.train.sweep.task import Outcome, RunKey, Task

# How often runs are looked after: short beside the seconds that a training process needs to start.
_LOOK_S = 0.05
PROGRAM = (sys.executable, "-m", "beatsight", "train")


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """What a sweep is asked to do.

    Attributes:
        dataset: dataset folder.
        output_root: folder of the runs' folders.
        space: what is varied, setting -> values or range.
        fixed: flags of ``beatsight train`` that are equal in all runs, with their values.
        config: TOML run file for all runs, or None.
        devices: for ``--device`` of the runs; several are given out in turn to the runs that go on at once.
        metric: what runs are compared by, a key of :data:`~beatsight.train.sweep.plans.METRICS`.
        workers: runs at once; 0: one, or on a cluster as many as it has room for.
        cluster: whether the runs go to a Ray cluster.
        search: how to search, or None for every combination.
        rerun: names of runs of a grid to train again, or ``all``.
        program: the command that trains, before its flags.
    """

    dataset: Path
    output_root: Path
    space: Space
    fixed: dict[str, str] = field(default_factory=dict)
    config: Path | None = None
    devices: tuple[str, ...] = ("auto",)
    metric: str = "macro_f1"
    workers: int = 0
    cluster: bool = False
    search: Search | None = None
    rerun: tuple[str, ...] = ()
    program: tuple[str, ...] = PROGRAM

    def __post_init__(self) -> None:
        check_space(self.space)
        if self.metric not in METRICS:
            raise UsageError(f"--metric is one of {', '.join(METRICS)}, not {self.metric!r}")
        if self.workers < 0:
            raise UsageError(f"--workers must be at least 1, not {self.workers}")
        if self.search and self.rerun:
            raise UsageError("--rerun is for a grid; a search is begun anew in another --output-root")
        if self.cluster and (len(self.devices) > 1 or ":" in self.devices[0]):
            raise UsageError("--cluster chooses the GPUs itself: --device is auto, cpu or cuda")


class Run(Protocol):
    """A run under way, here or on a cluster."""

    def poll(self) -> Progress: ...

    def prune(self) -> None: ...

    def stop(self) -> None: ...

    def wait(self) -> None: ...


OnNote = Callable[[str], None]
OnProgress = Callable[[int, int], None]


def sweep(
    config: SweepConfig, *, on_note: OnNote | None = None, on_progress: OnProgress | None = None
) -> SweepReport:
    """Train every combination, or search; runs that fail are recorded and the rest goes on.

    Args:
        config: what to do.
        on_note: called with a line about each run that ends.
        on_progress: called with (runs done, runs in all).

    Returns:
        all runs, the best first; those without a score last.

    Raises:
        UsageError: a setting of the sweep that makes no sense, or an unknown name to run again.
        InputError: a dataset that cannot be used, or an output folder in use or made for something else.
        MissingDependencyError: Optuna or Ray is needed and not installed.
    """
    note = on_note or (lambda text: None)
    dataset = open_dataset(config.dataset)
    if not dataset.metadata.moments.get("val"):
        if config.search:
            raise InputError(
                f"{config.dataset}: nothing is held out for validation, so runs cannot be compared"
            )
        note("nothing is held out for validation (one session?): the runs will have no score")
    with ExitStack() as stack:
        root = config.output_root.resolve()
        stack.enter_context(only_sweep(root))
        cluster = stack.enter_context(Cluster(config.devices[0])) if config.cluster else None
        workers = config.workers or (cluster.slots if cluster else 1)
        make_task = _task_maker(config, root, workers)
        plan = _plan(config, root, make_task)

        def start(task: Task, slot: int) -> Run:
            if cluster:
                return cluster.start(task)
            return RunProcess(replace(task, device=config.devices[slot % len(config.devices)]))

        _carry_out(plan, start, workers, note, on_progress or (lambda done, total: None))
        fixed = config.fixed | ({"--config": str(config.config)} if config.config else {})
        return summarise(config.dataset, config.space, config.metric, fixed, plan)


def _task_maker(config: SweepConfig, root: Path, workers: int) -> Callable[[Settings], Task]:
    dataset = config.dataset.resolve()
    checksum = sha256_file(dataset / "metadata.json")
    fixed, config_sha256 = dict(config.fixed), ""
    if config.config is not None:
        # The file counts by its content: the same settings under another name are the same run.
        config_sha256 = sha256_file(config.config)
    program = config.program + (("--config", str(config.config.resolve())) if config.config else ())
    # Runs side by side share the processors; on a cluster Ray says how many threads a run may use.
    threads = max(1, (os.cpu_count() or 1) // workers) if workers > 1 and not config.cluster else 0

    def make(settings: Settings) -> Task:
        name = run_name(settings)
        key = RunKey(settings=settings, fixed=fixed, config_sha256=config_sha256, dataset_sha256=checksum)
        return Task(
            name=name, folder=str(root / name), dataset=str(dataset), key=key, device=config.devices[0],
            program=program, threads=threads,
        )  # fmt: skip

    return make


def _plan(config: SweepConfig, root: Path, make_task: Callable[[Settings], Task]) -> Plan:
    if config.search is not None:
        probe = make_task({}).key
        identity = {
            "dataset": probe.dataset_sha256, "config file": probe.config_sha256, "fixed setting": probe.fixed,
        }  # fmt: skip
        metric = METRICS[config.metric]
        return SearchPlan(root, config.space, config.search, metric, make_task, identity)
    tasks = [make_task(settings) for settings in grid(config.space)]
    fresh = fresh_names(config.rerun, tasks)
    return GridPlan([replace(task, fresh=task.name in fresh) for task in tasks])


def _carry_out(
    plan: Plan, start: Callable[[Task, int], Run], workers: int, note: OnNote, progress: OnProgress
) -> None:
    running: dict[int, tuple[Task, Run]] = {}
    doomed: set[int] = set()  # runs that were asked to stop
    waiting: set[str] = set()
    try:
        while True:
            while len(running) < workers and (task := plan.next()) is not None:
                slot = min(set(range(workers)) - set(running))
                running[slot] = (task, start(task, slot))
            progress(len(plan.results), plan.total)
            if not running:
                return
            for slot, (task, run) in list(running.items()):
                state = run.poll()
                if state.waiting and task.name not in waiting:
                    waiting.add(task.name)
                    note(f"{task.name}: is being trained by an earlier sweep; waiting for it")
                for row in state.rows:
                    if plan.epoch(task, row) and slot not in doomed:
                        doomed.add(slot)
                        run.prune()
                if state.outcome is not None:
                    plan.ended(task, state.outcome)
                    del running[slot]
                    doomed.discard(slot)
                    note(f"[{len(plan.results)}/{plan.total}] {task.name}: {describe(state.outcome)}")
            time.sleep(_LOOK_S)
    finally:
        # All are asked before any is waited for.
        for _, run in running.values():
            run.stop()
        for _, run in running.values():
            run.wait()


def describe(outcome: Outcome) -> str:
    """How a run ended, in a few words.

    >>> describe(Outcome(status="failed", exit_code=3, error="the loss is nan"))
    'failed (exit 3): the loss is nan'
    """
    if outcome.skipped and outcome.status == "complete":
        return "complete, trained before"
    time_taken = "" if outcome.seconds is None else f" in {outcome.seconds:.0f} s"
    if outcome.status != "failed":
        return outcome.status + time_taken
    code = "" if outcome.exit_code is None else f" (exit {outcome.exit_code})"
    return f"failed{code}: {outcome.error}"
