"""The program itself: quick answers without heavy imports, one sentence per failure, the exit codes."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from beatsight.cli import main
from beatsight.cli.main import COMMANDS, run, spread
from beatsight.version import VERSION

HEAVY = ("torch", "numpy", "scipy", "typer", "soundfile", "rich", "librosa", "matplotlib")


def code_of(*words: str) -> int:
    """The exit code of a command run in this process."""
    with pytest.raises(SystemExit) as caught:
        run(list(words))
    return int(caught.value.code or 0)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(option: str) -> None:
    code = (
        "import sys\nfrom beatsight.cli.main import run\n"
        f"try: run([{option!r}])\n"
        f"finally: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert VERSION in done.stdout if option == "--version" else "Commands:" in done.stdout


def test_python_m_beatsight_is_the_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "beatsight", "--version"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"beatsight {VERSION}\n", "")
    failed = subprocess.run(
        [sys.executable, "-m", "beatsight", "demoo"], capture_output=True, text=True, check=False
    )
    assert (failed.returncode, failed.stdout) == (2, "")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], []])
def test_help_names_every_command(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    # Called with nothing, the program cannot know what was wanted.
    assert code_of(*words) == (0 if words else 2)
    text = capsys.readouterr().out
    for name, (_, what) in COMMANDS.items():
        assert f"  {name} " in text and what in text


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("trian", "beatsight: no such command 'trian'; did you mean 'train'?\n"),
        ("transcibe", "beatsight: no such command 'transcibe'; did you mean 'transcribe'?\n"),
        ("xyzzy", "beatsight: no such command 'xyzzy'; see beatsight --help\n"),
    ],
)
def test_an_unknown_command_is_answered_with_the_nearest(
    capsys: pytest.CaptureFixture[str], word: str, why: str
) -> None:
    assert code_of(word) == 2
    assert capsys.readouterr().err == why


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert code_of(name, "--help") == 0
    text = capsys.readouterr().out
    assert f"beatsight {name}" in text
    assert "Example: beatsight" in text or "Commands" in text


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["transcribe", "absent.wav", "--no-ml"], 3, "absent.wav: no such audio file"),
        (["transcribe", "a.wav", "-o", "a.xyz"], 2, "a.xyz: unknown chart format; known: .bsm, .mid"),
        (["transcribe", "a.wav", "--format", "xyz"], 2, "unknown chart format '.xyz'"),
        (["transcribe", "a.wav", "b.wav", "-o", "c.bsm"], 2, "several songs, or --format, go into one"),
        (["transcribe", "x/a.wav", "y/a.flac", "-o", "out"], 2, "charts would overwrite each other"),
        (["transcribe", "a.wav", "--ml-model", "m.pth", "--no-ml"], 2, "exclude each other"),
        (["transcribe", "a.wav", "--ml-model", "m.pth"], 3, "m.pth: no such model file"),
        (["dataset", "build", "absent.jsonl", "-o", "d"], 3, "absent.jsonl: "),
        (["dataset", "check", "absent"], 3, "absent"),
        (["train", "--dataset", "absent"], 3, "absent"),
        (["train", "--epochs", "0"], 3, "training setting epochs must be positive, not 0"),
        (["train", "--lr", "nan"], 3, "training setting lr must be positive, not nan"),
        (["train", "--config", "absent.toml"], 3, "absent.toml: cannot be read"),
        (["train", "--wandb-tags", "a", "b"], 2, "need --wandb-project"),
        (["evaluate", "--dataset", "absent"], 3, "absent"),
        (["collect", "export", "out"], 3, "holds no hits to export"),
        (["synth", "-o", "songs", "--seconds", "inf"], 2, "a song must last at least 3 s, not inf"),
    ],
)  # fmt: skip
def test_a_failure_is_one_sentence_and_a_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert code_of(*words) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("beatsight: ") and err.count("\n") == 1
    assert why in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["transcribe"],
        ["transcribe", "a.wav", "--nonsense"],
        ["train", "--epochs", "many"],
        ["dataset", "bild"],
    ],
)
def test_wrong_usage_is_two(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert code_of(*words) == 2
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err and f"beatsight {words[0]}" in err


@pytest.mark.parametrize(
    "words", [["train"], ["evaluate"], ["demo"], ["train-songs", "r.toml", "--data", ".", "-o", "out"]]
)
def test_without_torch_the_line_that_installs_it_is_printed(tmp_path: Path, words: list[str]) -> None:
    code = f"import sys\nsys.modules['torch'] = None\nfrom beatsight.cli.main import run\nrun({words!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "beatsight: torch is not installed; run: pip install 'beatsight[ml]'\n"
    assert list(tmp_path.iterdir()) == []


def test_a_file_error_nobody_foresaw_is_still_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of("transcribe", "a" * 300, "--no-ml") == 3
    assert capsys.readouterr().err == f"beatsight: {'a' * 300}: File name too long\n"


@pytest.mark.parametrize(
    ("raised", "code", "why"),
    [
        (
            OSError(errno.EIO, "Input/output error", "disk.wav"),
            3,
            "beatsight: disk.wav: Input/output error\n",
        ),
        (OSError("something broke"), 3, "beatsight: something broke\n"),
        (KeyboardInterrupt(), 130, "beatsight: stopped\n"),
    ],
)
def test_what_the_system_raises(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    why: str,
) -> None:
    def fail(name: str) -> None:
        raise raised

    monkeypatch.setattr(main.importlib, "import_module", fail)
    assert code_of("train") == code
    assert capsys.readouterr().err == why


def test_a_warning_is_one_line_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    from beatsight.models.classifier import DrumClassifierCNN
    from beatsight.synth.song import make_song, write_song

    monkeypatch.chdir(tmp_path)
    torch.save(DrumClassifierCNN().state_dict(), "bare.pth")
    audio = write_song(make_song(1, duration_s=3.0), tmp_path).audio
    code_of("transcribe", str(audio), "--ml-model", "bare.pth", "--device", "cpu", "-o", "a.bsm")
    err = capsys.readouterr().err
    assert err.startswith("beatsight: warning: bare.pth: is a bare state dict;") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--wandb-tags prod retrain", "--wandb-tags prod --wandb-tags retrain"),
        ("--wandb-tags a b c --lr 1", "--wandb-tags a --wandb-tags b --wandb-tags c --lr 1"),
        ("--lr 1 --wandb-tags a", "--lr 1 --wandb-tags a"),
        ("--wandb-tags a --wandb-tags b", "--wandb-tags a --wandb-tags b"),
        ("--wandb-tags", "--wandb-tags"),
        ("--wandb-tags=a --epochs 3", "--wandb-tags=a --epochs 3"),
        ("song.wav other.wav", "song.wav other.wav"),
        ("", ""),
    ],
)
def test_tags_after_one_name(given: str, expected: str) -> None:
    assert spread(given.split()) == expected.split()
