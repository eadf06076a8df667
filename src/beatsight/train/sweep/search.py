"""A search: Optuna proposes settings, learns from finished runs, and stops those that fall behind.

The study lies in ``search.sqlite3`` in the output folder, so that a search that was killed goes on where it
was: trials that were under way are taken up again with their settings. Runs that failed count as tried. Each
proposal draws from a generator of its own, seeded with the search's seed and the proposal's number.

Sources: TPE, Bergstra et al. 2011; median stopping, Golovin et al. 2017; Hyperband, Li et al. 2018; all as
Optuna implements them.
"""

from __future__ import annotations

import logging
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from beatsight.errors import InputError, UsageError, require
from beatsight.train.sweep.plans import Ended, Metric, score_of
from beatsight.train.sweep.space import SETTINGS, Range, Settings, Space, Value, drawn
from beatsight.train.sweep.task import Outcome, Task, finished, read_history

STORAGE_NAME = "search.sqlite3"
SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "hyperband", "none")
# Runs drawn at random before TPE has something to learn from, and finished before the median means something.
_STARTUP_RUNS = 5
# The first epoch is warm-up and says little about the last one: a run is judged from its second one on.
_FIRST_JUDGED_EPOCH = 2


@dataclass(frozen=True)
class Search:
    """How to search.

    Attributes:
        trials: runs in all, those of earlier calls in the same folder included.
        sampler: ``tpe`` or ``random``.
        pruner: ``median`` (worse than half of the runs at the same epoch), ``hyperband`` or ``none``.
        seed: of the proposals.
    """

    trials: int
    sampler: str = "tpe"
    pruner: str = "median"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise UsageError(f"--trials must be at least 1, not {self.trials}")
        for option, value, known in (
            ("--search", self.sampler, SAMPLERS),
            ("--pruning", self.pruner, PRUNERS),
        ):
            if value not in known:
                raise UsageError(f"{option} is one of {', '.join(known)}, not {value!r}")


class SearchPlan:
    """Runs proposed by Optuna, to be used by one process at a time.

    Args:
        folder: of the sweep.
        space: values and ranges; a list of one value is fixed.
        metric: what is optimised.
        make_task: the task of given settings.
        identity: what must not change between calls: dataset, fixed flags …

    Raises:
        MissingDependencyError: Optuna is not installed.
        InputError: the folder holds a search for something else, or its storage is damaged.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        search: Search,
        metric: Metric,
        make_task: Callable[[Settings], Task],
        identity: dict[str, Any],
    ) -> None:
        self._optuna: Any = require("optuna", "sweep")
        self._optuna.logging.set_verbosity(logging.ERROR)
        self._space, self._search, self._metric, self._make_task = space, search, metric, make_task
        self._path = folder / STORAGE_NAME
        self.study = self._open(identity)
        known = self.study.get_trials(deepcopy=False)
        self._interrupted = [trial for trial in known if not trial.state.is_finished()]
        self.total = max(search.trials, len(known))
        self._left = max(0, search.trials - len(known))
        self._running: dict[str, list[Any]] = {}
        self.results: list[Ended] = []
        for trial in known:
            if trial.state.is_finished():
                self._remember(trial)

    def next(self) -> Task | None:
        """See :class:`~beatsight.train.sweep.plans.Plan`."""
        with self._storage():
            trial = self._next_trial()
            if trial is None:
                return None
            task = self._make_task(self._settings(trial))
            trial.set_user_attr("run", task.name)
        self._running.setdefault(task.name, []).append(trial)
        return task

    def _next_trial(self) -> Any:
        if self._interrupted:
            frozen = self._interrupted.pop(0)
            self.study.sampler = self._sampler(frozen.number)
            return self._optuna.trial.Trial(self.study, frozen._trial_id)
        if not self._left:
            return None
        self._left -= 1
        self.study.sampler = self._sampler(len(self.study.get_trials(deepcopy=False)))
        return self.study.ask()

    def epoch(self, task: Task, row: dict[str, Any]) -> bool:
        """See :class:`~beatsight.train.sweep.plans.Plan`."""
        with self._storage():
            bad = self._report(self._running[task.name][0], row)
        # After the last epoch there is nothing left to save.
        return bad and row.get("epoch") != task.key.settings.get("epochs")

    def ended(self, task: Task, outcome: Outcome) -> None:
        """See :class:`~beatsight.train.sweep.plans.Plan`."""
        with self._storage():
            outcome = self._tell(task, outcome)
        self.results.append(Ended(task, outcome))

    def _tell(self, task: Task, outcome: Outcome) -> Outcome:
        trial = self._running[task.name].pop(0)
        score = None
        if outcome.status == "complete":
            metrics = finished(task)
            score = score_of(metrics.best, self._metric) if metrics else None
            if outcome.skipped:
                for row in read_history(task.path):
                    self._report(trial, row)
            if score is None:
                outcome = msgspec.structs.replace(
                    outcome, status="failed", error=f"its metrics hold no {self._metric.text}"
                )
        trial.set_user_attr("outcome", msgspec.to_builtins(outcome))
        states = self._optuna.trial.TrialState
        if score is not None:
            self.study.tell(trial, score)
        else:
            self.study.tell(trial, state=states.PRUNED if outcome.status == "pruned" else states.FAIL)
        return outcome

    def _report(self, trial: Any, row: dict[str, Any]) -> bool:
        score, epoch = score_of(row, self._metric), row.get("epoch")
        if score is None or not isinstance(epoch, int):
            return False
        # An epoch that was reported before the search was killed must not be reported twice.
        if epoch not in self.study.get_trials(deepcopy=False)[trial.number].intermediate_values:
            trial.report(score, epoch)
        return bool(trial.should_prune())

    def _remember(self, trial: Any) -> None:
        saved = trial.user_attrs.get("outcome")
        outcome = (
            msgspec.convert(saved, Outcome) if saved else Outcome(status="failed", error="never started")
        )
        task = self._make_task(self._settings(trial))
        self.results.append(Ended(task, msgspec.structs.replace(outcome, skipped=True)))

    def _settings(self, trial: Any) -> Settings:
        """The run's settings; a trial that has them already keeps them."""
        settings: Settings = {}
        for name, values in self._space.items():
            if isinstance(values, Range):
                suggest = trial.suggest_int if SETTINGS[name].whole else trial.suggest_float
                value: Value = suggest(name, values.low, values.high, log=SETTINGS[name].log)
                settings[name] = drawn(name, value)
            else:
                settings[name] = values[0] if len(values) == 1 else trial.suggest_categorical(name, values)
        return settings

    def _sampler(self, number: int) -> Any:
        samplers, seed = self._optuna.samplers, self._search.seed + 7919 * number
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant_liar is called experimental
            if self._search.sampler == "random":
                return samplers.RandomSampler(seed=seed % 2**32)
            return samplers.TPESampler(seed=seed % 2**32, n_startup_trials=_STARTUP_RUNS, constant_liar=True)

    def _pruner(self) -> Any:
        pruners = self._optuna.pruners
        if self._search.pruner == "none":
            return pruners.NopPruner()
        if self._search.pruner == "hyperband":
            return pruners.HyperbandPruner(min_resource=_FIRST_JUDGED_EPOCH)
        return pruners.MedianPruner(n_startup_trials=_STARTUP_RUNS, n_warmup_steps=_FIRST_JUDGED_EPOCH)

    def _open(self, identity: dict[str, Any]) -> Any:
        space = {name: repr(values) for name, values in self._space.items()}
        wanted = {**identity, "space": space, "metric": self._metric.field}
        # Optuna and SQLAlchemy read these in an address as marks of their own.
        if bad := sorted(set("{}?%#") & set(str(self._path))):
            raise InputError(f"{self._path}: a search cannot keep its storage in a path with {' '.join(bad)}")
        with self._storage():
            study = self._optuna.create_study(
                study_name="sweep",
                storage=self._optuna.storages.RDBStorage(f"sqlite:///{self._path}"),
                direction="maximize" if self._metric.higher_is_better else "minimize",
                pruner=self._pruner(),
                load_if_exists=True,
            )
            held = study.user_attrs.get("identity")
            if held is None:
                study.set_user_attr("identity", wanted)
        if held is not None and held != wanted:
            changed = sorted(name for name in wanted | held if held.get(name) != wanted.get(name))
            raise InputError(
                f"{self._path}: holds a search with another {', '.join(changed)}; take another --output-root"
            )
        return study

    @contextmanager
    def _storage(self) -> Iterator[None]:
        """Turn errors of the storage into one sentence."""
        from sqlalchemy.exc import SQLAlchemyError  # Optuna brings it

        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, self._optuna.exceptions.OptunaError) as error:
            raise InputError(
                f"{self._path}: is not the storage of a search, is damaged, or cannot be written"
            ) from error
