"""Label files of a folder, and the recording that lies beside each under the same name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from beatsight.audio.io import AUDIO_SUFFIXES, probe
from beatsight.errors import InputError
from beatsight.sources.contract import Report


@dataclass(frozen=True)
class Beside:
    """The recording beside a label file, as its events name it."""

    audio_path: str
    sample_rate: int
    channels: int
    duration_s: float


def find_labelled(root: Path, suffixes: tuple[str, ...], expected: str) -> list[Path]:
    """The files with one of some endings: ``root`` itself, or those below it in the order of their paths.

    Hidden files are left out (some archives hold a ``._name`` beside each file).

    Raises:
        InputError: there is none; ``expected`` says what should be there.
    """
    if root.is_file():
        found = [root] if root.suffix.lower() in suffixes else []
    else:
        found = sorted(
            path
            for path in root.rglob("*")
            if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
        )
    if not found:
        raise InputError(f"{root}: holds no {' or '.join(suffixes)} file; expected {expected}")
    return found


def beside(audio: Path, report: Report) -> Beside:
    """What the events say of an audio file that is there.

    Raises:
        InputError: it is no audio, or damaged at its head.
    """
    info = probe(audio)
    return Beside(report.relative(audio), info.sample_rate, info.channels, info.duration_s)


def audio_beside(path: Path, report: Report) -> Beside | None:
    """The recording with the name of a label file in its folder, or None.

    Raises:
        InputError: several have its name, or it is damaged.
    """
    found = sorted(
        other
        for other in path.parent.iterdir()
        if other.stem == path.stem and other.suffix.lower() in AUDIO_SUFFIXES and other.is_file()
    )
    if len(found) > 1:
        names = ", ".join(other.name for other in found)
        raise InputError(f"{path}: several recordings have its name ({names}); keep one")
    return beside(found[0], report) if found else None
