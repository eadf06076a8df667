"""Training runs in processes of their own, which may be killed: to test resuming and several of them.

Run as a program, it loads torch once and then answers one JSON line with another: each line is a job, carried
out by forked children, so that a run costs no start of an interpreter. :class:`Children` is the other end.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

TIMEOUT_S = 40.0


class Children:
    """A program that forks training runs; ``with Children() as children: children.run(...)``."""

    def __enter__(self) -> Children:
        root = Path(__file__).resolve().parents[2]
        paths = [str(root / "src"), str(root / "tests"), os.environ.get("PYTHONPATH", "")]
        # Rank 0's end is a warning of torch's in every other process that torchrun did not start.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "TORCH_CPP_LOG_LEVEL": "ERROR"}
        self.program = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        return self

    def __exit__(self, *_: Any) -> None:
        assert self.program.stdin
        self.program.stdin.close()
        self.program.wait(timeout=10)

    def run(self, dataset: Path, output: Path, config: dict[str, Any], **more: Any) -> dict[str, Any]:
        """One run of :func:`train_classifier` with tiny features.

        Args:
            more: ``resume``; ``processes``; ``kill_at``: number of the event (a step, or a moment while or
                after a file is written) at which it kills itself; ``kill_after_s``; ``patch``: a statement
                run first; ``command``: words for the command line instead.

        Returns:
            ``codes`` (negative: a signal), ``errors`` (stderr) and ``seconds`` of each process, and
            ``events`` counted in the first.
        """
        job = {"dataset": str(dataset), "output": str(output), "config": config, **more}
        assert self.program.stdin and self.program.stdout
        self.program.stdin.write(json.dumps(job) + "\n")
        self.program.stdin.flush()
        answer: dict[str, Any] = json.loads(self.program.stdout.readline())
        return answer


def _count_events(kill_at: int) -> Callable[[], int]:
    """Counts steps and the moments of writing; ends the process by SIGKILL at event number ``kill_at``."""
    import torch

    from beatsight.train import loop

    seen = 0

    def event(*_: Any) -> int:
        nonlocal seen
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return seen

    save, replace = torch.save, Path.replace

    def slow_save(content: Any, stream: IO[bytes]) -> None:
        whole = io.BytesIO()
        save(content, whole)
        data = whole.getvalue()
        stream.write(data[: len(data) // 2])
        stream.flush()
        event()
        stream.write(data[len(data) // 2 :])
        stream.flush()
        event()

    def slow_replace(path: Path, target: Path) -> Path:
        replace(path, target)
        event()
        return target

    torch.save, Path.replace = slow_save, slow_replace  # type: ignore[assignment]
    loop._SAVE_EVERY_S = -1.0  # the state after every step
    step = loop._Run._step
    loop._Run._step = lambda self, batch: (step(self, batch), event())[0]  # type: ignore[method-assign]
    return lambda: seen


def _train(job: dict[str, Any], count_file: Path) -> None:
    """What a child does."""
    from beatsight.cli.main import run
    from beatsight.dataset.store import open_dataset
    from beatsight.errors import BeatSightError
    from beatsight.train.config import TrainConfig
    from beatsight.train.loop import train_classifier
    from tiny_dataset import TINY_FEATURES

    if "patch" in job:
        exec(job["patch"], {})
    if "command" in job:
        run(job["command"])
        return
    count = _count_events(job.get("kill_at", 0)) if job.get("processes", 1) == 1 else lambda: 0
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in job["config"].items()}
    try:
        train_classifier(
            open_dataset(job["dataset"]), job["output"], TrainConfig(**settings), features=TINY_FEATURES,
            resume=job.get("resume", False), on_note=lambda text: print(text, file=sys.stderr),
        )  # fmt: skip
    except BeatSightError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    count_file.write_text(str(count()))


def _fork(job: dict[str, Any], rank: int, port: int, folder: Path) -> int:
    if child := os.fork():
        return child
    code = 1
    try:
        with (folder / f"{rank}.err").open("w") as errors:
            os.dup2(errors.fileno(), 2)
            os.dup2(errors.fileno(), 1)
            if job.get("processes", 1) > 1:
                os.environ.update(
                    RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(job["processes"]),
                    MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port),
                )  # fmt: skip
            _train(job, folder / f"{rank}.events")
            code = 0
    except SystemExit as done:
        code = int(done.code or 0)
    finally:
        import traceback

        if code == 1:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    count = job.get("processes", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as name:
        folder, began = Path(name), time.monotonic()
        children = {rank: _fork(job, rank, port, folder) for rank in range(count)}
        limit = job.get("kill_after_s", TIMEOUT_S)
        codes: dict[int, int] = {}
        while len(codes) < count:
            for rank, child in children.items():
                if rank not in codes and (ended := os.waitpid(child, os.WNOHANG))[0]:
                    codes[rank] = os.waitstatus_to_exitcode(ended[1])
                elif rank not in codes and time.monotonic() - began > limit:
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.002)
        events = folder / "0.events"
        return {
            "codes": [codes[rank] for rank in range(count)],
            "errors": [(folder / f"{rank}.err").read_text() for rank in range(count)],
            "events": int(events.read_text()) if events.is_file() else None,
            "seconds": time.monotonic() - began,
        }


def main() -> None:
    """Answer jobs until standard input ends."""
    import beatsight.cli.train
    import beatsight.train.loop  # noqa: F401

    random.seed()
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
