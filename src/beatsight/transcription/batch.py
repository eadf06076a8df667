"""Many songs into charts: one after the other or on several processes, resumable, failures told at the
end."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from beatsight.charts import Chart, write_chart
from beatsight.errors import BeatSightError, InputError
from beatsight.transcription.choice import Choice, choose_transcriber
from beatsight.transcription.pipeline import transcribe
from beatsight.transcription.transcriber import Transcriber

# What sets the threads of NumPy's products: several processes with several threads each would wait for each
# other.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """A song, and the charts to write of it."""

    song: Path
    charts: tuple[Path, ...]

    def is_done(self) -> bool:
        """Whether every chart is there and not older than the song."""
        try:
            made = self.song.stat().st_mtime_ns
            return all(chart.stat().st_mtime_ns >= made for chart in self.charts)
        except OSError:
            return False


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: which.
        chart: what was found; its hits are left away where it comes from another process.
        labels: label -> hits.
        changed: chart file -> what it says otherwise than what was found, with counts.
        name: of what found the hits.
        fault: why the song could not be transcribed; None where it was.
    """

    job: Job
    chart: Chart | None = None
    labels: dict[str, int] = field(default_factory=dict)
    changed: dict[str, dict[str, int]] = field(default_factory=dict)
    name: str = ""
    fault: str | None = None


def transcribe_songs(
    jobs: Sequence[Job], choice: Choice | None = None, vocabulary: str = "classifier", workers: int = 1
) -> Iterator[Outcome]:
    """Transcribe songs and write their charts.

    Args:
        jobs: songs and charts; see :class:`Job`.
        choice: what finds the hits; decided, and its faults raised, before the first song.
        vocabulary: of the charts.
        workers: processes; 1 works right here.

    Yields:
        an outcome a job as it is done, in the order of ``jobs`` with one worker. A song that cannot be read
        does not stop the others.

    Raises:
        UsageError, InputError, MissingDependencyError: the transcriber cannot be had.
        BeatSightError: a process ended early.
    """
    transcriber = choose_transcriber(choice)
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield _one(job, transcriber, vocabulary)
        return
    with (
        _one_thread_each(),
        ProcessPoolExecutor(
            min(workers, len(jobs)),
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start,
            initargs=(choice, vocabulary),
        ) as pool,
    ):
        waiting: list[Future[Outcome]] = [pool.submit(_there, job) for job in jobs]
        try:
            for done in as_completed(waiting):
                yield done.result()
        except BrokenProcessPool as error:
            raise BeatSightError("a process that transcribed ended early; is memory short?") from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _one(job: Job, transcriber: Transcriber, vocabulary: str) -> Outcome:
    try:
        chart = transcribe(job.song, transcriber=transcriber, vocabulary=vocabulary)
        changed = {str(path): write_chart(chart, path) for path in job.charts}
    except InputError as error:
        return Outcome(job, fault=str(error))
    labels = Counter(hit.component for hit in chart.hit_objects)
    return Outcome(job, chart, dict(labels.most_common()), changed, transcriber.name)


# Of a worker: set once when it starts.
_here: list[tuple[Transcriber, str]] = []


def _start(choice: Choice | None, vocabulary: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word; the parent has one
    _here.append((choose_transcriber(choice), vocabulary))


def _there(job: Job) -> Outcome:
    outcome = _one(job, *_here[0])
    if outcome.chart is not None:  # the hits are in the files, and need not travel
        outcome.chart.hit_objects = []
    return outcome


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """An environment for processes that start within: one thread each, unless the user has said otherwise."""
    unsaid = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(unsaid, "1"))
    try:
        yield
    finally:
        for name in unsaid:
            os.environ.pop(name, None)
