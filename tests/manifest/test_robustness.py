"""Every operation that writes, under every fault: the old file stays, and one sentence says what happened.

The expensive half of the matrix of operations and faults is marked slow.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from pathlib import Path

import pytest
from robustness import (
    INGEST,
    LIMIT_S,
    OPERATIONS,
    PROGRAM,
    TOKEN,
    Done,
    contents,
    fill,
    finish,
    line,
    make_inputs,
    processes,
    run,
    run_many,
    signal_when,
    small_disk,
    start,
    wait_for,
    words_of,
)

import beatsight
from beatsight.errors import InputError
from beatsight.events import Event, read_records
from beatsight.manifest.convert import convert
from beatsight.manifest.engine import blocks as blocks_module
from beatsight.manifest.engine.rewrite import rewrite

OLD = b"the old file\n"
SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and disks of POSIX")
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Inputs of a few thousand rows, the manifest in every format."""
    found = make_inputs(tmp_path_factory.mktemp("inputs"), 3000)
    for suffix in (".jsonl.gz", ".jsonl.zst", ".parquet"):
        convert(found["events"], found["events"].with_name(f"events{suffix}"))
    return found


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Inputs large enough that several processes work on them for a second or more."""
    return make_inputs(tmp_path_factory.mktemp("large"), 120_000)


def outputs(folder: Path, *, suffix: str = ".jsonl") -> dict[str, Path]:
    """An output for every operation."""
    suffixes = {name: suffix if one.rows else ".json" for name, one in OPERATIONS.items()}
    suffixes["boundary-pack"] = ".jsonl"
    return {name: folder / f"{name}-out{suffix}" for name, suffix in suffixes.items()}


def commands(inputs: dict[str, Path], targets: dict[str, Path]) -> dict[str, list[str]]:
    """The operations' command lines, by name, and that of ``sources ingest``, which writes manifests too."""
    found = {name: words_of(one.words, inputs, targets[name]) for name, one in OPERATIONS.items()}
    return found | {"ingest": words_of(INGEST, inputs, targets["convert"].with_name("ingest-out.jsonl"))}


def test_every_command_that_writes_is_among_the_operations() -> None:
    from beatsight.cli.manifest import COMMANDS

    assert set(OPERATIONS) == set(COMMANDS) - {"stats", "verify"}


# -- output = input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        pytest.param(name, suffix, marks=() if (index + place) % 3 == 0 else pytest.mark.slow)
        for index, (name, one) in enumerate(OPERATIONS.items())
        if one.onto_input
        for place, suffix in enumerate(SUFFIXES)
        if name != "boundary-pack" or suffix != ".parquet"
    ],
)
def test_an_output_in_its_inputs_place(
    name: str, suffix: str, inputs: dict[str, Path], tmp_path: Path
) -> None:
    mine = tmp_path / f"events{suffix}"
    shutil.copy(inputs["events"].with_name(mine.name), mine)
    aside = tmp_path / f"aside{suffix}"
    words = {target.name: words_of(OPERATIONS[name].words, inputs | {"events": mine}, target)
             for target in (aside, mine)}  # fmt: skip
    assert run(words[aside.name]).code == 0
    assert run(words[mine.name]).code == 0
    assert mine.read_bytes() == aside.read_bytes()
    assert mine.read_bytes() != inputs["events"].with_name(mine.name).read_bytes() or name in (
        "validate",
        "convert",
    )
    assert not list(tmp_path.glob(".*"))


def test_answers_do_not_take_their_manifests_place(inputs: dict[str, Path], tmp_path: Path) -> None:
    mine = {name: tmp_path / f"{name}.jsonl" for name, one in OPERATIONS.items() if not one.onto_input}
    words = {}
    for name, path in mine.items():
        shutil.copy(inputs["events"], path)
        words[name] = words_of(OPERATIONS[name].words, inputs | {"events": path}, path)
    before = contents(tmp_path)
    for name, done in run_many(words).items():
        assert f"{mine[name]}: is the manifest itself" in done.sentence(2)
    assert contents(tmp_path) == before


def test_ingest_does_not_write_onto_its_source(inputs: dict[str, Path], tmp_path: Path) -> None:
    mine = shutil.copy(inputs["table"], tmp_path / "table.csv")
    done = run(words_of(INGEST, inputs | {"table": mine}, mine))
    assert done.sentence(3) == f"{mine}: is a file of the source itself; name another output"
    assert contents(tmp_path) == {"table.csv": inputs["table"].read_bytes()}


# -- killed --------------------------------------------------------------------------------------------------


def writing(folder: Path) -> bool:
    """Whether an output has begun to be written."""
    return any(path.stat().st_size for path in folder.rglob(".*") if path.exists())


def _moments(*fast: tuple[str, str]) -> list[object]:
    every = [(name, "working") for name in OPERATIONS if name != "near-duplicates"]
    every += [
        (name, "writing") for name in ("validate", "convert", "merge", "techniques", "openness", "split")
    ]
    assert set(fast) <= set(every)
    return [pytest.param(*one, marks=() if one in fast else pytest.mark.slow) for one in every]


def _killed(
    name: str, moment: str, number: signal.Signals, large: dict[str, Path], tmp_path: Path
) -> tuple[Done, str]:
    token = uuid.uuid4().hex
    (tmp_path / "out").mkdir()
    (tmp_path / "tmp").mkdir()
    target = outputs(tmp_path / "out")[name]
    target.write_bytes(OLD)
    words = words_of(OPERATIONS[name].words, large, target)
    process = start(words, {TOKEN: token, "TMPDIR": str(tmp_path / "tmp")})
    ready = {"working": lambda: len(processes(token)) > 1, "writing": lambda: writing(tmp_path / "out")}[
        moment
    ]
    done = signal_when(process, ready, number, group=number == signal.SIGINT)
    assert target.read_bytes() == OLD
    return done, token


@needs_proc
@pytest.mark.parametrize(
    ("name", "moment"), _moments(("merge", "working"), ("techniques", "writing"), ("validate", "writing"))
)
def test_a_killed_process(name: str, moment: str, large: dict[str, Path], tmp_path: Path) -> None:
    done, token = _killed(name, moment, signal.SIGKILL, large, tmp_path)
    assert done.code == -signal.SIGKILL
    assert wait_for(lambda: not processes(token), 5.0), "workers outlive the program"
    left = {path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    # Nothing but the old file and hidden ones, each named after the output it was to become.
    assert all(path.name.startswith((f".{name}-out.", ".second-", ".train.", ".val.", ".test."))
               for path in left - {outputs(tmp_path / "out")[name]})  # fmt: skip


@needs_proc
@pytest.mark.parametrize(
    ("name", "moment"), _moments(("convert", "writing"), ("techniques", "working"), ("weights", "working"))
)
def test_ctrl_c(name: str, moment: str, large: dict[str, Path], tmp_path: Path) -> None:
    done, token = _killed(name, moment, signal.SIGINT, large, tmp_path)
    assert done.sentence(130) == "stopped"
    assert not processes(token)
    assert list(contents(tmp_path)) == [f"out/{outputs(tmp_path)[name].name}"]


@needs_proc
def test_a_polite_kill(large: dict[str, Path], tmp_path: Path) -> None:
    done, _ = _killed("openness", "writing", signal.SIGTERM, large, tmp_path)
    assert done.sentence(130) == "stopped"
    assert list(contents(tmp_path)) == [f"out/{outputs(tmp_path)['openness'].name}"]


@needs_proc
def test_a_worker_that_is_killed(large: dict[str, Path], tmp_path: Path) -> None:
    (target := tmp_path / "out.jsonl").write_bytes(OLD)
    token = uuid.uuid4().hex
    process = start(words_of(OPERATIONS["openness"].words, large, target), {TOKEN: token})
    assert wait_for(lambda: len(processes(token)) > 1)
    os.kill(next(one for one in processes(token) if one != process.pid), signal.SIGKILL)
    expected = f"{large['events']}: a process that read it ended early (exit -9); is memory short?"
    assert finish(process).sentence(3) == expected
    assert contents(tmp_path) == {"out.jsonl": OLD}


# -- disks ---------------------------------------------------------------------------------------------------


def test_a_full_disk(inputs: dict[str, Path], tmp_path: Path) -> None:
    with small_disk(disk := tmp_path / "disk", 1024) as mount:
        if not mount("-o", "remount,rw"):
            pytest.skip("no disk can be mounted here")
        targets = outputs(disk)
        words = commands(inputs, targets)
        for target in [*targets.values(), disk / "ingest-out.jsonl"]:
            target.write_bytes(OLD)
        fill(disk)
        before = contents(disk)
        for name, done in run_many(words).items():
            named, _, why = done.sentence(3).partition(": cannot be written: ")
            assert Path(named).is_relative_to(disk) and name in named, done
            assert why == "No space left on device"
        assert contents(disk) == before


def test_what_is_left_out_is_safe_before_the_input_is_replaced(
    inputs: dict[str, Path], tmp_path: Path
) -> None:
    mine = shutil.copy(inputs["other"], tmp_path / "mine.jsonl")
    faulty = tmp_path / "faulty.jsonl"
    faulty.write_text(line(1) + '{"sample_id": "no session"}\n')
    with small_disk(disk := tmp_path / "disk", 64) as mount:
        if not mount("-o", "remount,rw"):
            pytest.skip("no disk can be mounted here")
        fill(disk)
        before = contents(tmp_path)
        # One line each, which stays in a buffer until the file is closed.
        (one := tmp_path / "one.jsonl").write_text(line(10).replace("xxx", "z"))
        before["one.jsonl"] = one.read_bytes()
        done = run_many(
            {
                "merge": ["manifest", "merge", "-i", str(mine), "-i", str(one), "-o", str(mine),
                          "--on-conflict", "first", "--conflicts", str(disk / "left-out.jsonl")],
                "validate": ["manifest", "validate", str(faulty), "-o", str(faulty),
                             "--rejects", str(disk / "rejects.jsonl")],
            }
        )  # fmt: skip
        no_room = "cannot be written: No space left on device"
        assert done["merge"].sentence(3) == f"{disk / 'left-out.jsonl'}: {no_room}"
        assert done["validate"].sentence(3) == f"{disk / 'rejects.jsonl'}: {no_room}"
        assert contents(tmp_path) == before


def test_no_room_for_temporary_files(inputs: dict[str, Path], tmp_path: Path) -> None:
    targets = outputs(tmp_path)
    # One page: the system's test of the folder passes, a column of 3000 rows does not fit.
    with small_disk(disk := tmp_path / "disk", 4) as mount:
        if not mount("-o", "remount,rw"):
            pytest.skip("no disk can be mounted here")
        for name, words in commands(inputs, targets).items():
            if name == "ingest" or not OPERATIONS[name].temporary:
                continue
            # One after the other: a disk that another run has filled would be passed over for the next.
            done = run(words, {"TMPDIR": str(disk)})
            assert done.sentence(3).startswith(f"{disk}/beatsight-")
            assert "No space left on device (TMPDIR chooses another disk)" in done.err
            assert contents(disk) == {}
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ("convert", "merge") else pytest.mark.slow)
        for name in ("validate", "convert", "merge", "techniques", "openness", "negatives")
    ],
)
def test_a_file_that_may_not_grow(name: str, inputs: dict[str, Path], tmp_path: Path) -> None:
    """As with a quota: the limit is reached in the middle of a file."""
    (target := tmp_path / f"{name}-out.jsonl").write_bytes(OLD)
    limit = 100_000
    done = run(
        words_of(OPERATIONS[name].words, inputs, target),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert "cannot be written: File too large" in done.sentence(3)
    assert contents(tmp_path) == {target.name: OLD}


def test_a_read_only_folder(inputs: dict[str, Path], tmp_path: Path) -> None:
    with small_disk(disk := tmp_path / "disk", 1024) as mount:
        targets = outputs(disk)
        for target in [*targets.values(), disk / "ingest-out.jsonl"]:
            target.write_bytes(OLD)
        mounted = mount("-o", "remount,ro")
        if not mounted:
            if os.geteuid() == 0:
                pytest.skip("no disk can be mounted here, and permissions do not bind root")
            disk.chmod(0o555)
        before = contents(disk)
        try:
            for name, done in run_many(commands(inputs, targets)).items():
                named, _, why = done.sentence(3).partition(": cannot be written: ")
                assert Path(named).is_relative_to(disk) and name in named, done
                assert why in ("Read-only file system", "Permission denied")
            assert contents(disk) == before
        finally:
            if not mounted:
                disk.chmod(0o755)


# -- inputs --------------------------------------------------------------------------------------------------


def damaged(folder: Path, inputs: dict[str, Path]) -> dict[str, tuple[Path, str]]:
    """Files that no operation can read, and what is said of each."""
    noise = bytes(range(128, 256)) * 500
    packed = {suffix: inputs["events"].with_name(f"events{suffix}").read_bytes()
              for suffix in (".jsonl.gz", ".jsonl.zst", ".parquet")}  # fmt: skip
    flipped = bytearray(packed[".parquet"])
    flipped[100:1000] = noise[:900]
    files = {
        "cut.jsonl.gz": (packed[".jsonl.gz"][:-2000], "the compressed file is damaged after line "),
        "cut.jsonl.zst": (packed[".jsonl.zst"][:-2000], "the compressed file is damaged after line "),
        "cut.parquet": (packed[".parquet"][:-2000], "is not a Parquet file, or is cut short: "),
        "cut.jsonl": (inputs["events"].read_bytes()[:-100], "is not valid JSON"),
        "noise.jsonl": (noise, "is not valid UTF-8 (byte 1 of the line)"),
        "noise.jsonl.gz": (noise, "the compressed file is damaged after line 0: "),
        "noise.jsonl.zst": (noise, "the compressed file is damaged after line 0: "),
        "noise.parquet": (noise, "is not a Parquet file, or is cut short: "),
        "flipped.parquet": (bytes(flipped), ""),
        "empty.jsonl": (b"", "holds no events"),
        "empty.jsonl.gz": (b"", "holds no events"),
        "empty.parquet": (b"", "is not a Parquet file, or is cut short: "),
    }
    found = {}
    for name, (data, why) in files.items():
        (folder / name).write_bytes(data)
        found[name] = (folder / name, why)
    (folder / "folder.jsonl").mkdir()
    (folder / "folder.parquet").mkdir()
    found |= {name: (folder / name, "is a folder, not ") for name in ("folder.jsonl", "folder.parquet")}
    missing = "cannot be read: No such file or directory"
    return found | {name: (folder / name, missing) for name in ("missing.jsonl", "missing.parquet")}


DAMAGES = (
    "cut.jsonl.gz", "cut.parquet", "noise.jsonl", "empty.jsonl", "missing.jsonl", "folder.jsonl", "cut.jsonl",
    "cut.jsonl.zst", "noise.jsonl.gz", "noise.parquet", "missing.parquet", "folder.parquet",
    "flipped.parquet", "empty.jsonl.gz", "noise.jsonl.zst", "empty.parquet",
)  # fmt: skip


def _refused(pairs: list[tuple[str, str]], inputs: dict[str, Path], tmp_path: Path) -> None:
    (bad := tmp_path / "bad").mkdir()
    (out := tmp_path / "out").mkdir()
    files = damaged(bad, inputs)
    assert set(files) == set(DAMAGES)
    targets = outputs(out)
    words = {}
    for name, damage in pairs:
        target = targets[name].with_stem(f"{name}-{damage}")
        target.write_bytes(OLD)
        words[f"{name} {damage}"] = words_of(
            OPERATIONS[name].words, inputs | {"events": files[damage][0]}, target
        )
    before = contents(out)
    for pair, done in run_many(words).items():
        name, damage = pair.split()
        path, why = files[damage]
        if name == "validate" and damage in ("noise.jsonl", "cut.jsonl"):
            # Faulty rows are what it looks for; they go to the rejects.
            assert done.sentence(3).startswith(f"{path}: "), done
            before = contents(out)
            continue
        said = done.sentence(3)
        assert said.startswith(str(path)) and why in said, done
    assert contents(out) == before


def test_inputs_that_cannot_be_read(inputs: dict[str, Path], tmp_path: Path) -> None:
    names = [name for name in OPERATIONS if name != "convert"]
    pairs = [(name, DAMAGES[index % len(DAMAGES)]) for index, name in enumerate(names)]
    _refused(pairs + [("convert", damage) for damage in DAMAGES[11:]], inputs, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_operation_reads_what_cannot_be_read(name: str, inputs: dict[str, Path], tmp_path: Path) -> None:
    _refused([(name, damage) for damage in DAMAGES], inputs, tmp_path)


def test_a_gzip_cut_short_in_its_own_place(inputs: dict[str, Path], tmp_path: Path) -> None:
    mine = tmp_path / "events.jsonl.gz"
    data = inputs["events"].with_name(mine.name).read_bytes()[:-2000]
    mine.write_bytes(data)
    whole = gzip.decompress(inputs["events"].with_name(mine.name).read_bytes()).count(b"\n")
    for done in run_many(
        {
            name: words_of(OPERATIONS[name].words, inputs | {"events": mine}, mine)
            for name in ("techniques", "merge")
        }
    ).values():
        said = done.sentence(3).removeprefix(f"{mine}: the compressed file is damaged after line ")
        assert 0 < int(said.partition(":")[0]) < whole
    assert contents(tmp_path) == {mine.name: data}


# -- where it runs -------------------------------------------------------------------------------------------


def test_a_script_without_a_main_guard_in_another_folder_with_a_path_only(
    large: dict[str, Path], tmp_path: Path
) -> None:
    """The workers take the package from where the script does: here from a copy with another rounding."""
    copy = tmp_path / "packages" / "beatsight"
    shutil.copytree(Path(beatsight.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    module = copy / "manifest" / "openness.py"
    module.write_text(module.read_text().replace("_DECIMALS = 6", "_DECIMALS = 2"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "script.py").write_text(
        textwrap.dedent(
            f"""
            from beatsight.manifest.openness import apply_openness
            print(apply_openness({str(large["events"])!r}, "out.jsonl").updated_events)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        cwd=tmp_path / "elsewhere", env=os.environ | {"PYTHONPATH": "../packages"}, timeout=LIMIT_S,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("120000\n", "")
    with (tmp_path / "elsewhere" / "out.jsonl").open() as stream:
        found = [json.loads(one)["components"][0]["openness"] for one in stream]
    assert len(found) == 120_000 and len(set(found)) > 50
    assert all(value == round(value, 2) for value in found)


def test_standard_input(inputs: dict[str, Path], large: dict[str, Path], tmp_path: Path) -> None:
    assert run(["manifest", "stats", "-"]).sentence(3) == "-: cannot be read: No such file or directory"
    with inputs["events"].open("rb") as stream, subprocess.Popen(["cat"], stdin=stream, stdout=-1) as cat:
        done = run(
            ["manifest", "techniques", "/dev/stdin", "-o", str(tmp_path / "t.jsonl")], stdin=cat.stdout
        )
        twice = "/dev/stdin: is a pipe or device, and this reads its input twice; save it to a file first"
        assert done.sentence(3) == twice
    with inputs["events"].open("rb") as stream, subprocess.Popen(["cat"], stdin=stream, stdout=-1) as cat:
        done = run(["manifest", "convert", "/dev/stdin", str(tmp_path / "c.jsonl")], stdin=cat.stdout)
    assert done.code == 0 and (tmp_path / "c.jsonl").read_bytes() == inputs["events"].read_bytes()
    # No stdin at all, and workers.
    shell = f'{" ".join(PROGRAM)} manifest convert "$1" "$2" <&-'
    subprocess.run(
        ["sh", "-c", shell, "sh", large["events"], tmp_path / "d.jsonl"], check=True, timeout=LIMIT_S
    )
    assert (tmp_path / "d.jsonl").read_bytes() == large["events"].read_bytes()


def test_an_answer_that_nobody_reads_to_its_end(inputs: dict[str, Path]) -> None:
    # Longer than a pipe holds, so that the writing itself fails.
    words = ["manifest", "weights", str(inputs["events"]), "--group-field", "sample_id", "--json"]
    process = start(words)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.read(1) == "{"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait(LIMIT_S)


# -- several at once -----------------------------------------------------------------------------------------


def test_two_runs_onto_one_output(large: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    both = [start(["manifest", "convert", str(large[name]), str(target)]) for name in ("events", "other")]
    assert [finish(process).code for process in both] == [0, 0]
    assert target.read_bytes() in (large["events"].read_bytes(), large["other"].read_bytes())
    assert list(contents(tmp_path)) == ["out.jsonl"]


def test_two_runs_in_one_place(large: dict[str, Path], tmp_path: Path) -> None:
    mine = Path(shutil.copy(large["events"], tmp_path / "mine.jsonl"))
    alone = tmp_path / "alone.jsonl"
    words = words_of(OPERATIONS["openness"].words, large | {"events": mine}, mine)
    assert run(words_of(OPERATIONS["openness"].words, large, alone)).code == 0
    first = start(words)
    time.sleep(0.4)
    for done in (finish(start(words)), finish(first)):
        if done.code:
            assert done.sentence(3) == f"{mine}: was replaced by another program while it was read"
    assert mine.read_bytes() == alone.read_bytes()


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_a_file_that_is_replaced_while_it_is_read(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks_module.file_blocks, "__defaults__", (4096,))
    mine, other, target = (tmp_path / f"{name}{suffix}" for name in ("mine", "other", "out"))
    lines = [line(number) for number in range(100)]
    for path, part in ((mine, lines), (other, lines[1:])):
        (plain := tmp_path / "plain.jsonl").write_text("".join(part))
        convert(plain, path)
    target.write_bytes(OLD)
    with pytest.raises(InputError, match=rf"mine{suffix}: was replaced by another program while it was read"):
        for block, _, _ in rewrite([mine], target, "beatsight.manifest.convert:checked_lines"):
            if block.number == 0:
                other.replace(mine)
    assert target.read_bytes() == OLD


def test_a_file_that_grows_while_it_is_read(large: dict[str, Path], tmp_path: Path) -> None:
    mine = Path(shutil.copy(large["events"], tmp_path / "mine.jsonl"))
    rows, added = 120_000, 0
    words = {name: words_of(OPERATIONS[name].words, large | {"events": mine}, tmp_path / f"{name}-out.jsonl")
             for name in ("convert", "techniques")}  # fmt: skip
    running = {name: start(one) for name, one in words.items()}
    with mine.open("a") as stream:
        while any(process.poll() is None for process in running.values()):
            # Half a line at a time, as a buffer that is full leaves it.
            text = line(rows + added)
            for part in (text[:200], text[200:]):
                stream.write(part)
                stream.flush()
                time.sleep(0.002)
            added += 1
    done = {name: finish(process) for name, process in running.items()}
    for name, one in done.items():
        if one.code == 0:
            kept = sum(1 for _ in read_records(tmp_path / f"{name}-out.jsonl", Event))
            assert rows <= kept <= rows + added
        else:
            # A line half written is a faulty line; and what is read twice must be the same twice.
            assert "while it was read" in one.sentence(3) or f"{mine}:{rows + 1}" in one.err or (
                "is not valid JSON" in one.err), one  # fmt: skip
            assert not (tmp_path / f"{name}-out.jsonl").exists()
    assert added > 10
