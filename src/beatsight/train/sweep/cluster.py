"""Runs on the machines of a Ray cluster: each training process is watched by an actor beside it.

Every machine needs this program, and the dataset and the output folder under the same paths (a shared
folder). With ``RAY_ADDRESS`` set the runs go to that cluster; without it Ray is started on this machine
alone. A run takes one processor, and one GPU where the device is ``cuda``.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from types import TracebackType
from typing import Any

from beatsight.errors import InputError, require
from beatsight.files import reason
from beatsight.train.sweep.process import Progress, RunProcess
from beatsight.train.sweep.task import Outcome, Task, finished

# Time for an actor to pass on a polite stop, before Ray ends it by force.
_STOP_S = 30.0
_ANSWER_S = 5.0


def _reachable(address: str) -> None:
    """Refuse an address where nothing listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not port.isdigit():
        return  # "auto", and whatever else Ray may understand
    try:
        socket.create_connection((host, int(port)), _ANSWER_S).close()
    except OSError as error:
        raise InputError(f"RAY_ADDRESS {address}: no Ray cluster answers: {reason(error)}") from error


class ClusterRun:
    """A :class:`~beatsight.train.sweep.process.RunProcess` on a machine of the cluster; the same methods."""

    def __init__(self, ray: Any, actor: Any, task: Task) -> None:
        self._ray, self._actor, self._task = ray, actor, task
        self._asked = actor.poll.remote()
        self._stopping: Any = None

    def poll(self) -> Progress:
        """Look after the run; returns at once, also while its machine is slow to answer."""
        ready, _ = self._ray.wait([self._asked], timeout=0)
        if not ready:
            return Progress()
        try:
            progress: Progress = self._ray.get(self._asked)
        except self._ray.exceptions.RayError as error:
            reason = str(error).strip().splitlines()[0]
            return Progress(outcome=Outcome(status="failed", error=f"lost on the cluster: {reason}"))
        if progress.outcome is None:
            self._asked = self._actor.poll.remote()
            return progress
        self._ray.kill(self._actor)
        if progress.outcome.status == "complete" and finished(self._task) is None:
            away = "its result is not to be seen here: is the output folder shared by all machines?"
            return Progress(outcome=Outcome(status="failed", error=away))
        return progress

    def prune(self) -> None:
        """Ask the run to stop, because it is not worth its time; its end is recorded as pruned."""
        self._actor.prune.remote()

    def stop(self) -> None:
        """Ask the run to stop."""
        self._actor.stop.remote()
        self._stopping = self._actor.wait.remote()

    def wait(self) -> None:
        """Wait until the run has stopped, or its machine does not answer."""
        try:
            self._ray.get(self._stopping, timeout=_STOP_S)
        except (self._ray.exceptions.RayError, self._ray.exceptions.GetTimeoutError):
            pass
        finally:
            self._ray.kill(self._actor)


class Cluster:
    """A connection to Ray, to be used in a ``with`` block.

    Attributes:
        slots: how many runs fit at once.

    Raises:
        MissingDependencyError: Ray is not installed.
        InputError: the cluster does not answer, or has no GPU for ``--device cuda``.
    """

    def __init__(self, device: str) -> None:
        self._ray: Any = require("ray", "cluster")
        self._gpus = 1 if device.startswith("cuda") else 0
        address = os.environ.get("RAY_ADDRESS", "")
        if address:
            _reachable(address)
        handler = signal.getsignal(signal.SIGTERM)
        try:
            self._ray.init(
                address="auto" if address else "local", include_dashboard=None if address else False,
                log_to_driver=False, logging_level="ERROR",
            )  # fmt: skip
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = address or "this machine"
            raise InputError(f"{where}: no Ray cluster answers: {error}") from error
        # Ray takes the polite kill for itself; the sweep stops its runs and says so.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        resources = self._ray.cluster_resources()
        self.slots = int(resources.get("GPU" if self._gpus else "CPU", 0))
        if self.slots < 1:
            self.close()
            raise InputError(f"the Ray cluster has no {'GPU' if self._gpus else 'processor'} for these runs")

    def start(self, task: Task) -> ClusterRun:
        """Begin a run where there is room; it waits on the cluster until there is."""
        actor_class = self._ray.remote(num_cpus=1, num_gpus=self._gpus, max_restarts=0)(RunProcess)
        return ClusterRun(self._ray, actor_class.remote(task), task)

    def close(self) -> None:
        """Leave the cluster."""
        self._ray.shutdown()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
