"""``split.json``: which session is in which split; written by ``manifest split``."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from beatsight.errors import InputError
from beatsight.files import read_bytes, write_bytes

FORMAT = "beatsight-split/1"


class SplitFile(msgspec.Struct):
    """The content of the file; a session left out has the split null. Only ``sessions`` must be there."""

    sessions: dict[str, str | None]
    format: str = FORMAT
    parameters: dict[str, Any] = {}
    events: dict[str, Any] = {}
    synthetic: dict[str, Any] = {}
    labels: dict[str, Any] = {}
    groups: int = 0
    notes: list[str] = []


def read_split(path: str | os.PathLike[str]) -> dict[str, str | None]:
    """The split of every session, None where it is left out.

    Raises:
        InputError: the file cannot be read, or is no split.
    """
    try:
        return msgspec.json.decode(read_bytes(path), type=SplitFile).sessions
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not a split of sessions: {error}") from error


def write_split(content: SplitFile, path: str | os.PathLike[str]) -> None:
    """Write the file in one step."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
