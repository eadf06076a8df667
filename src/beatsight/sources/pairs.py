"""Pairs of a label file and its recording: the two that share a name in one folder."""

from __future__ import annotations

import os
from pathlib import Path

from beatsight.audio.io import find_audio
from beatsight.errors import InputError


def find_pairs(folder: str | os.PathLike[str], suffix: str) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Every file with ``suffix`` under a folder, each with the audio file of the same name beside it.

    Args:
        folder: searched with its sub-folders.
        suffix: of the label files, e.g. ``.bsm``.

    Returns:
        The pairs in order of their paths, and a sentence for each label file without exactly one recording.

    Raises:
        InputError: no file with this suffix lies in the folder.
    """
    folder = Path(folder)
    labelled = sorted(path for path in folder.rglob("*") if path.suffix.lower() == suffix and path.is_file())
    if not labelled:
        raise InputError(f"{folder}: holds no {suffix} files")
    recordings: dict[Path, list[Path]] = {}
    for audio in find_audio(folder):
        recordings.setdefault(audio.with_suffix(""), []).append(audio)
    pairs: list[tuple[Path, Path]] = []
    faults: list[str] = []
    for path in labelled:
        beside = recordings.get(path.with_suffix(""), [])
        if len(beside) == 1:
            pairs.append((path, beside[0]))
        elif beside:
            names = ", ".join(audio.name for audio in beside)
            faults.append(f"{path}: several recordings have its name ({names}); name the pair itself")
        else:
            faults.append(f"{path}: no recording of the same name lies beside it")
    return pairs, faults
