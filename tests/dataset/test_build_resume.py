"""A build that is killed, at whatever moment, goes on with --resume and ends in the very same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beatsight.dataset.build import BuildSettings, Labelled, build
from beatsight.dataset.building import cut, partial
from beatsight.dataset.building.partial import partial_folder
from beatsight.dataset.store import open_dataset
from beatsight.errors import InputError
from beatsight.events import Event, write_records
from beatsight.sources.lock import locked
from tiny_dataset import pattern, tiny_songs, write_song

RESUME = BuildSettings(val_fraction=0.3, workers=1, resume=True)
FRESH = BuildSettings(val_fraction=0.3, workers=1)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def run(root: Path, events: list[Event], output: Path, settings: BuildSettings = FRESH) -> None:
    build([Labelled(events, root)], output, settings)


@pytest.fixture
def songs(tmp_path: Path) -> tuple[Path, list[Event]]:
    """Four songs long enough for negatives, so that the seed matters."""
    return tmp_path / "audio", tiny_songs(tmp_path / "audio", 4, ("kick", "snare"), beats=9)


def killed(work: Callable[[], None]) -> bool:
    """Run ``work`` in a copy of this process; whether SIGKILL ended it."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)  # whatever happened: nothing of the test run may go on in the copy
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def dying_at(target: int, names: dict[object, list[str]], patch: pytest.MonkeyPatch) -> None:
    """Let the ``target``-th call of any of these functions be cut in half by SIGKILL."""
    count = 0

    def wrapped(original: Callable[..., object], halves: bool) -> Callable[..., object]:
        def call(*args: object, **named: object) -> object:
            nonlocal count
            count += 1
            if count == target:
                if halves:
                    stream, data = args
                    stream.write(data[: len(data) // 2])  # type: ignore[attr-defined, index]
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **named)

        return call

    for owner, functions in names.items():
        for name in functions:
            patch.setattr(owner, name, wrapped(getattr(owner, name), name == "_write"))


def test_killed_before_any_step_and_in_the_middle_of_any_write(
    tmp_path: Path, songs: tuple[Path, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step is a kill of its own; an old dataset stands there and is whole until the new one is."""
    root, events = songs
    run(root, events, tmp_path / "undisturbed")
    expected, out, deaths = contents(tmp_path / "undisturbed"), tmp_path / "d", 0
    steps = {partial: ["_write"], Path: ["rename", "unlink", "write_bytes", "chmod"], np: ["savez"]}
    while True:
        run(root, events[:30], out)
        old = contents(out)

        def work(at: int = deaths + 1) -> None:
            dying_at(at, steps, monkeypatch)  # type: ignore[arg-type]
            run(root, events, out, RESUME)

        if not killed(work):
            break
        deaths += 1
        # Between two renames neither stands in its place; the next run brings one back.
        assert not out.exists() or contents(out) in (old, expected)
        run(root, events, out, RESUME)
        assert contents(out) == expected, f"killed at step {deaths}"
        assert not partial_folder(out).exists()
    assert deaths >= 13  # two writes a song, and those of the end


def test_killed_again_and_again(
    tmp_path: Path, songs: tuple[Path, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, events = songs
    run(root, events, tmp_path / "undisturbed")
    kills = 0

    def work() -> None:
        dying_at(4, {partial: ["_write"]}, monkeypatch)
        run(root, events, tmp_path / "d", RESUME)

    while killed(work):
        kills += 1
        assert kills < 9
    assert kills == 3  # four songs, of which each run finishes one, and half of another
    assert contents(tmp_path / "d") == contents(tmp_path / "undisturbed")


def stopped(root: Path, events: list[Event], output: Path, after: int = 2) -> None:
    """A build that ends after so many files."""

    class Stop(Exception):
        pass

    calls = 0

    def progress(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == after:
            raise Stop

    with pytest.raises(Stop):
        build([Labelled(events, root)], output, FRESH, progress)


def decoded(
    monkeypatch: pytest.MonkeyPatch, root: Path, events: list[Event], output: Path, settings: BuildSettings
) -> list[str]:
    """Names of the files that a build decodes."""
    names: list[str] = []
    load = cut.load

    def counting(path: str) -> np.ndarray:
        names.append(Path(path).name)
        return load(path)

    monkeypatch.setattr(cut, "load", counting)
    run(root, events, output, settings)
    monkeypatch.setattr(cut, "load", load)
    return names


def test_finished_files_are_not_decoded_again(
    tmp_path: Path, songs: tuple[Path, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, events = songs
    stopped(root, events, tmp_path / "d")
    assert decoded(monkeypatch, root, events, tmp_path / "d", RESUME) == ["song2.wav", "song3.wav"]
    stopped(root, events, tmp_path / "e")
    assert len(decoded(monkeypatch, root, events, tmp_path / "e", FRESH)) == 4
    assert contents(tmp_path / "d") == contents(tmp_path / "e")


def _louder(root: Path, events: list[Event]) -> list[Event]:
    write_song(root / "song1.wav", pattern(9, ("china",)), 2.65)
    return events


def _same_size_and_time(root: Path, events: list[Event]) -> list[Event]:
    path = root / "song1.wav"
    status = path.stat()
    data = path.read_bytes()
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 255, data[-1]]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return events


def _moved_hit(root: Path, events: list[Event]) -> list[Event]:
    events[10].onset_time += 0.001
    return events


def _file_gone_from_the_events(root: Path, events: list[Event]) -> list[Event]:
    return [event for event in events if event.audio_path != "song0.wav"]


def _other_label(root: Path, events: list[Event]) -> list[Event]:
    events[0].components[0].label = "china"
    return events


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (_louder, 3),
        (_same_size_and_time, 3),
        (_moved_hit, 3),
        (_file_gone_from_the_events, 3),
        (_other_label, 2),  # what is decoded does not depend on labels
    ],
)
def test_what_changed_meanwhile_is_done_again(
    tmp_path: Path,
    songs: tuple[Path, list[Event]],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path, list[Event]], list[Event]],
    again: int,
) -> None:
    root, events = songs
    stopped(root, events, tmp_path / "d")
    changed = change(root, events)
    assert len(decoded(monkeypatch, root, changed, tmp_path / "d", RESUME)) == again
    run(root, changed, tmp_path / "fresh")
    assert contents(tmp_path / "d") == contents(tmp_path / "fresh")


@pytest.mark.parametrize("name", ["journal", "dataset/audio-000.i16"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "removed"])
def test_damaged_leftovers_are_done_again(
    tmp_path: Path, songs: tuple[Path, list[Event]], name: str, damage: str
) -> None:
    root, events = songs
    run(root, events, tmp_path / "undisturbed")
    stopped(root, events, tmp_path / "d", after=3)
    path = partial_folder(tmp_path / "d") / name
    data = path.read_bytes()
    if damage == "removed":
        path.unlink()
    else:
        flipped = data[: len(data) // 2] + b"\0" + data[len(data) // 2 + 1 :]
        path.write_bytes({"cut": data[:-3], "flipped": flipped, "emptied": b""}[damage])
    run(root, events, tmp_path / "d", RESUME)
    assert contents(tmp_path / "d") == contents(tmp_path / "undisturbed")


def test_a_failed_build_keeps_what_it_has_done(tmp_path: Path, songs: tuple[Path, list[Event]]) -> None:
    root, events = songs
    run(root, events, tmp_path / "undisturbed")
    good = (root / "song2.wav").read_bytes()
    (root / "song2.wav").write_bytes(good[:2000])
    with pytest.raises(InputError, match=r"song2\.wav: is cut short"):
        run(root, events, tmp_path / "d")
    assert len((partial_folder(tmp_path / "d") / "journal").read_bytes().splitlines()) == 2
    (root / "song2.wav").write_bytes(good)
    run(root, events, tmp_path / "d", RESUME)
    assert contents(tmp_path / "d") == contents(tmp_path / "undisturbed")


def test_a_build_that_fails_at_once_leaves_nothing(tmp_path: Path, songs: tuple[Path, list[Event]]) -> None:
    root, events = songs
    (root / "song0.wav").write_bytes((root / "song0.wav").read_bytes()[:2000])
    with pytest.raises(InputError, match=r"song0\.wav: is cut short"):
        run(root, events, tmp_path / "d")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio"]


def test_a_folder_of_that_name_that_is_not_ours_is_left_alone(
    tmp_path: Path, songs: tuple[Path, list[Event]]
) -> None:
    root, events = songs
    (tmp_path / "d.partial").mkdir()
    (tmp_path / "d.partial" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"d\.partial: is in the way of an unfinished dataset"):
        run(root, events, tmp_path / "d")
    assert (tmp_path / "d.partial" / "thesis.txt").read_text() == "mine"


def test_two_builds_of_one_dataset_do_not_mix(
    tmp_path: Path, songs: tuple[Path, list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, events = songs
    monkeypatch.setattr("beatsight.sources.lock.LOCK_WAIT_S", 0.1)
    with (
        locked(partial_folder(tmp_path / "d")),
        pytest.raises(InputError, match=r"d\.partial: another process is building this dataset"),
    ):
        run(root, events, tmp_path / "d")


def kill_and_resume(folder: Path, kills: int, seed: int) -> None:
    """Kill the program itself, with its workers, at random moments; compare what it ends with."""
    events = tiny_songs(folder / "audio", 12, ("kick", "snare", "crash"), beats=24)
    write_records(folder / "audio" / "events.jsonl", events)
    words = [sys.executable, "-m", "beatsight", "dataset", "build", str(folder / "audio" / "events.jsonl")]
    words += ["--workers", "2", "--val-fraction", "0.3"]
    start = time.monotonic()
    subprocess.run([*words, "-o", str(folder / "undisturbed")], check=True, capture_output=True)
    whole = time.monotonic() - start
    moments, done = random.Random(seed), 0
    while done < kills:
        process = subprocess.Popen(
            [*words, "-o", str(folder / "d"), "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            process.wait(moments.uniform(0.3, 1.0) * whole)
            # It was quicker than the kill: the next run builds it anew, over the one that is there.
            assert process.returncode == 0, process.communicate()[1]
            assert contents(folder / "d") == contents(folder / "undisturbed")
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            done += 1
    subprocess.run([*words, "-o", str(folder / "d"), "--resume"], check=True, capture_output=True)
    assert contents(folder / "d") == contents(folder / "undisturbed")
    open_dataset(folder / "d", verify=True)
    assert sorted(path.name for path in folder.iterdir()) == ["audio", "d", "undisturbed"]


def test_the_program_killed_once(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, kills=1, seed=1)


@pytest.mark.slow
def test_the_program_killed_ten_times(tmp_path: Path) -> None:
    kill_and_resume(tmp_path, kills=10, seed=2)
