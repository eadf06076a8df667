"""Errors a user can act on: one sentence each, with the exit code that the command line returns.

Exit codes (docs/commands.md): 0 done and passed, 1 a gate failed, 2 wrong usage, 3 bad input,
4 a missing optional dependency.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class BeatSightError(Exception):
    """Root of every error that beatsight raises on purpose; its text is one sentence for the user."""

    exit_code = 3


class InputError(BeatSightError):
    """A file or value that cannot be used. The message names the file, and line and field where known."""

    exit_code = 3


class UsageError(BeatSightError):
    """A call or command line that makes no sense as given."""

    exit_code = 2


class MissingDependencyError(BeatSightError):
    """An optional package is not installed. The message holds the line that installs it."""

    exit_code = 4


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module, or say how to install it.

    Args:
        module: import name, e.g. ``"torch"``.
        extra: the extra of this package that brings it, e.g. ``"ml"``.

    Raises:
        MissingDependencyError: the module is not installed.

    >>> require("math", "ml").floor(1.5)
    1
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:
            raise
        raise MissingDependencyError(
            f"{module} is not installed; run: pip install 'beatsight[{extra}]'"
        ) from error


def harmless(text: str) -> str:
    """A sentence that may hold names from files, without what would drive the terminal.

    >>> harmless("snare\\x1b[2J: is missing")
    'snare?[2J: is missing'
    """
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)
