"""``beatsight COMMAND …``: finds the command's file, and turns errors into one sentence and an exit code.

Only the file of the command that is called gets imported, so ``--help`` and ``--version`` answer at once.
Exit codes: 0 done, 1 a gate failed, 2 wrong usage, 3 bad input, 4 a missing optional dependency.
"""

from __future__ import annotations

import importlib
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import NoReturn

from beatsight.errors import BeatSightError, InputError, harmless
from beatsight.version import VERSION

# command -> (module under beatsight.cli, what it does)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "The whole chain on songs it makes itself, ending in a report."),
    "collect": ("collect", "Label drum hits and keep them, with their audio, in one folder."),
    "sources": ("sources", "Read drum datasets and kits into events.jsonl."),
    "manifest": ("manifest", "Check, convert, merge, compare and prepare manifests."),
    "gate": ("gate", "Readiness gates: may this data be trained on, may this model be shipped?"),
    "synth": ("synth", "Make songs with exact labels, from the built-in kit or recorded ones."),
    "dataset": ("dataset", "Build and check training data."),
    "audition": ("audition", "What augmentation does to training clips, to hear and to see."),
    "train": ("train", "Train the drum classifier on a dataset."),
    "train-songs": ("train_songs", "Train the song transcriber by a recipe."),
    "sweep": ("sweep", "Train with many settings, and see which are best."),
    "evaluate": ("evaluate", "Score a model on a dataset's split."),
    "predict": ("predict", "A model's scores for any labelled rows, for the gates."),
    "export": ("export", "A model as ONNX or safetensors, and its model card."),
    "transcribe": ("transcribe", "Turn songs into drum charts."),
}
# Options that take several values after one name, as in the seed's scripts.
_SPREAD = frozenset(
    {"--wandb-tags", "--heads", "--freeze", "--batch-sizes", "--learning-rates", "--dropouts", "--rerun"}
)
# Those that take several values in one command only: a second value elsewhere stays an error.
_SPREAD_IN = {
    "sweep": frozenset({"--epochs"}),
    "audition": frozenset({"--rows"}),
    "synth": frozenset({"--kit", "--backing", "--instruments"}),
}
# What an option means when no value follows it.
_BARE = {"--rerun": "all"}
# What shells report of a program that Ctrl-C ended.
_STOPPED = 130


def help_text() -> str:
    """What ``beatsight --help`` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: beatsight COMMAND [OPTIONS] …",
            "",
            "Labelled drum recordings in, a trusted transcription model and playable charts out.",
            "",
            "Commands:",
            *lines,
            "",
            "Options:",
            "  --help     This text; beatsight COMMAND --help explains a command.",
            "  --version  The program's version.",
            "",
            "Example: beatsight transcribe song.mp3 -o song.bsm",
        ]
    )


def spread(arguments: Sequence[str], command: str = "") -> list[str]:
    """``--wandb-tags prod retrain`` becomes ``--wandb-tags prod --wandb-tags retrain``.

    >>> spread(["--wandb-tags", "a", "b", "--lr", "1"])
    ['--wandb-tags', 'a', '--wandb-tags', 'b', '--lr', '1']
    >>> spread(["--wandb-tags=a", "b"])
    ['--wandb-tags=a', '--wandb-tags', 'b']
    >>> spread(["--rerun", "--epochs", "3", "5"], "sweep")
    ['--rerun', 'all', '--epochs', '3', '--epochs', '5']
    """
    names = _SPREAD | _SPREAD_IN.get(command, frozenset())
    out: list[str] = []
    repeated: str | None = None
    first = False
    for argument in arguments:
        if argument.startswith("-"):
            out += _meaning(repeated, first)
            name, _, value = argument.partition("=")
            repeated, first = (name, not value) if name in names else (None, False)
            out.append(argument)
        elif repeated is not None and not first:
            out += [repeated, argument]
        else:
            out.append(argument)
            first = False
    return out + _meaning(repeated, first)


def _meaning(option: str | None, bare: bool) -> list[str]:
    """The value of an option that was given without one."""
    return [_BARE[option]] if option in _BARE and bare else []


def run(arguments: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code; the entry point of the ``beatsight`` program."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("--help", "-h", "help"):
        print(help_text())
        sys.exit(0 if arguments else 2)
    if arguments[0] == "--version":
        print(f"beatsight {VERSION}")
        sys.exit(0)
    name = arguments[0]
    if name not in COMMANDS:
        import difflib

        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "see beatsight --help"
        print(f"beatsight: no such command {name!r}; {hint}", file=sys.stderr)
        sys.exit(2)
    # A polite kill ends like Ctrl-C: nothing half-written stays behind.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    warnings.showwarning = lambda message, *_, **__: print(f"beatsight: warning: {message}", file=sys.stderr)
    try:
        app = importlib.import_module(f"beatsight.cli.{COMMANDS[name][0]}").app
        app(args=spread(arguments[1:], name), prog_name=f"beatsight {name}")
    except BeatSightError as error:
        print(f"beatsight: {harmless(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        # Every file that is wrong in a foreseen way has its own sentence; this is a name too long, a folder
        # that may not be entered, a disk that fails.
        named = f"{error.filename}: " if error.filename else ""
        print(f"beatsight: {harmless(named)}{error.strerror or error}", file=sys.stderr)
        sys.exit(InputError.exit_code)
    except KeyboardInterrupt:
        _stopped()
    except SystemExit as done:
        # Typer turns Ctrl-C into this code, without a word.
        if done.code == _STOPPED:
            _stopped()
        raise


def _stopped() -> NoReturn:
    print("beatsight: stopped", file=sys.stderr)
    sys.exit(_STOPPED)
