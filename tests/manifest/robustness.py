"""What the robustness tests share: every operation that writes as a command line, its inputs, and faults.

The commands run as real processes, two at a time.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

PROGRAM = (sys.executable, "-m", "beatsight")
# Marks the processes of one run: workers inherit it.
TOKEN = "BEATSIGHT_TEST_RUN"
# No run takes so long; one that waits for something that never comes does.
LIMIT_S = 120.0


@dataclass(frozen=True)
class Operation:
    """A command that writes.

    Attributes:
        words: the command line; ``{events}`` is its manifest, ``{out}`` its output, ``{out2}`` a second one.
        rows: the output is a manifest; otherwise an answer, always JSON.
        onto_input: the output may take its manifest's place.
        temporary: it keeps columns in the temporary folder.
    """

    words: str
    rows: bool = True
    onto_input: bool = True
    temporary: bool = True


OPERATIONS: dict[str, Operation] = {
    "validate": Operation("manifest validate {events} -o {out} --rejects {out2}.jsonl"),
    "convert": Operation("manifest convert {events} {out}", temporary=False),
    "merge": Operation(
        "manifest merge -i {events} -i {other} -o {out} --on-conflict first --conflicts {out2}.jsonl"
    ),
    "diff": Operation("manifest diff {events} {other} --json-output {out}", rows=False, onto_input=False),
    "techniques": Operation("manifest techniques {events} -o {out}"),
    "openness": Operation("manifest openness --events {events} -o {out}", temporary=False),
    "weights": Operation("manifest weights {events} -o {out}", rows=False, onto_input=False),
    "split": Operation(
        "manifest split {events} -o {out} --manifests {out2}", rows=False, onto_input=False
    ),
    "near-duplicates": Operation(
        "manifest near-duplicates {events} --audio-root {audio} -o {out}", rows=False, onto_input=False
    ),
    "negatives": Operation(
        "manifest negatives --predictions {predictions} --ground-truth {events} -o {out} "
        "--max-per-label 100000"
    ),
    "boundary-pack": Operation("manifest boundary-pack --events {events} -o {out} --margin-ms 512"),
}  # fmt: skip
INGEST = "sources ingest csv {table} -o {out}"


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    command: str
    code: int
    out: str
    err: str

    def sentence(self, code: int) -> str:
        """The one sentence on stderr of a command that ended with this code."""
        assert self.code == code, self
        assert self.err.startswith("beatsight: ") and self.err.count("\n") == 1, self
        return self.err.removeprefix("beatsight: ").rstrip("\n")


def start(
    words: Sequence[str], environment: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """Start a command in a process group of its own."""
    return subprocess.Popen(
        [*PROGRAM, *words],
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
        env=os.environ | (environment or {}),
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> Done:
    """Wait for a command; no command may end with a traceback."""
    out, err = process.communicate(timeout=LIMIT_S)
    done = Done(" ".join(map(str, process.args[2:])), process.returncode, out or "", err or "")  # type: ignore[index]
    assert "Traceback" not in done.err and "Exception ignored" not in done.err, done
    return done


def run(words: Sequence[str], environment: Mapping[str, str] | None = None, **options: Any) -> Done:
    """Run a command to its end."""
    return finish(start(words, environment, **options))


def run_many(
    commands: Mapping[str, Sequence[str]], environment: Mapping[str, str] | None = None, **options: Any
) -> dict[str, Done]:
    """Run several commands, two at a time."""
    with ThreadPoolExecutor(2) as threads:
        done = threads.map(lambda words: run(words, environment, **options), commands.values())
        return dict(zip(commands, done, strict=True))


# -- inputs --------------------------------------------------------------------------------------------------


def line(number: int, name: str = "a") -> str:
    """One event that every operation has something to do with."""
    session, place = divmod(number, 100)
    label = ("kick", "snare", "hihat_open", "hihat_closed", "crash")[number % 5]
    return (
        f'{{"sample_id": "{name}{number}", "session_id": "s{session}", "drummer_id": "d{session % 7}", '
        f'"onset_time": {place * 0.07:.2f}, "components": [{{"label": "{label}", '
        f'"velocity": {number % 11 / 10}, "openness_raw": {number % 128}}}], '
        f'"audio_path": "a{number % 2}.wav", "device_vendor": "Roland", "device_model": "TD-50", '
        f'"notes": "{"x" * 150}"}}\n'
    )


def make_inputs(folder: Path, rows: int) -> dict[str, Path]:
    """Manifests ``events`` and ``other``, predictions, a table and audio; by the names in the commands."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: folder / f"{name}.jsonl" for name in ("events", "other", "predictions")}
    found["events"].write_text("".join(line(number) for number in range(rows)))
    # Every tenth row is a conflict: the sample_id is known, the rest differs.
    others = (line(number, "a" if number % 10 == 0 else "b") for number in range(1, rows // 4))
    found["other"].write_text("".join(others).replace('"notes": "x', '"notes": "y'))
    found["predictions"].write_text(
        "".join(
            json.dumps({"sample_id": f"a{number}", "session_id": f"s{number // 100}",
                        "onset_time": round(number % 100 * 0.07, 2), "scores": {"china": 0.9}}) + "\n"
            for number in range(rows // 4)
        )
    )  # fmt: skip
    found["table"] = folder / "table.csv"
    found["table"].write_text("audio,time,label\n" + "".join(f"a0.wav,{n / 100},kick\n" for n in range(40)))
    found["audio"] = folder
    random = np.random.default_rng(1)
    for name in ("a0.wav", "a1.wav"):
        soundfile.write(folder / name, random.normal(0, 0.1, 8000), 16_000)
    return found


def words_of(template: str, inputs: Mapping[str, Path], out: Path) -> list[str]:
    """A command's words; the second output lies beside the first."""
    names = {name: str(path) for name, path in inputs.items()}
    return template.format(**names, out=out, out2=out.with_name(f"second-{out.stem}")).split()


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# -- faults --------------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[Callable[..., bool]]:
    """Mount a small disk on a folder, where that is permitted; yields mount(8) with options for it."""
    folder.mkdir()

    def mount(*options: str) -> bool:
        return subprocess.run(["mount", *options, str(folder)], capture_output=True).returncode == 0

    made = shutil.which("mount") is not None and mount("-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs")
    try:
        yield lambda *options: made and mount(*options)
    finally:
        if made:
            subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Take all room that is left on a small disk."""
    with (folder / "filling").open("wb", buffering=0) as stream:
        try:
            while stream.write(b"x" * 4096):
                pass
        except OSError:
            return


def processes(token: str) -> list[int]:
    """Processes of one run, workers among them."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"{TOKEN}={token}".encode() in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], object], limit_s: float = 20.0) -> bool:
    """Whether something came to be in time."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def signal_when(
    process: subprocess.Popen[str], condition: Callable[[], object], number: signal.Signals, *, group: bool
) -> Done:
    """Send a signal to a running command, or to its group as a terminal does, once a condition holds."""
    assert wait_for(lambda: condition() or process.poll() is not None)
    assert process.poll() is None, finish(process)
    if group:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    return finish(process)
