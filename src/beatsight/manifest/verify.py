"""Does the audio that a manifest names exist, and is it what the manifest says?

The manifest is not read here: it arrives as one :class:`AudioUse` per audio file, what its rows say of it
together. By default a file is judged by its header, at some thousand files a second; ``deep`` decodes and
hashes every byte. Only that finds an MP3 or FLAC that was cut short, because both state in the header the
length they once had. A cut Ogg Vorbis file states the length that is left: its hash and its last event tell.

Nothing but a regular file is ever opened, so that a pipe or a device in place of audio cannot block.

Conventions: paths relative to a root, with forward slashes; times in seconds; SHA-256 as lower-case hex.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from beatsight.audio.io import AudioInfo, probe, stream
from beatsight.errors import InputError
from beatsight.files import inside, read_bytes, sha256_file
from beatsight.sources.ingest import provenance_path

Progress = Callable[[int, int], None]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

# libsndfile estimates the length of an MP3 that has no table of it; more than this share off is a cut file.
_MP3_TOLERANCE = 0.1
_MP3_FORMATS = ("MP3", "MPEG")


@dataclass(frozen=True)
class AudioUse:
    """What a manifest says of one audio file.

    Attributes:
        audio_path: as the manifest writes it.
        events: rows that name it.
        first_row: the first of them, from 1.
        last_onset_s: the greatest onset of them.
        last_row: the row of that onset.
        sample_rate, channels: as the rows state them, or None.
    """

    audio_path: str
    events: int
    first_row: int
    last_onset_s: float
    last_row: int
    sample_rate: int | None = None
    channels: int | None = None


@dataclass(frozen=True)
class Problem:
    """A fault of one audio file: the row and field it shows in, and why, as half a sentence."""

    audio_path: str
    row: int
    field: str
    why: str


class Provenance(msgspec.Struct, frozen=True):
    """What a provenance file says of files: their SHA-256 by path relative to ``root``.

    ``root`` is the name of the folder that was read, ``audio`` the files that events name, ``files`` those
    that the events were read from.
    """

    root: str = ""
    audio: dict[str, Sha256] = {}
    files: dict[str, Sha256] = {}

    @property
    def hashes(self) -> dict[str, str]:
        """All of them in one table."""
        return self.files | self.audio


def read_provenance(manifest: str | os.PathLike[str]) -> Provenance | None:
    """The provenance beside a manifest (``<manifest>.provenance.json``), or None when there is none.

    Raises:
        InputError: it cannot be read, is not JSON, or holds what is no SHA-256.
    """
    path = provenance_path(manifest)
    if not path.exists():
        return None
    if not path.is_file():
        raise InputError(f"{path}: is not a regular file")
    try:
        return msgspec.json.decode(read_bytes(path), type=Provenance)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no provenance file: {error}") from error


def check_audio(
    uses: Iterable[AudioUse],
    root: Path,
    hashes: Mapping[str, str] | None,
    *,
    deep: bool = False,
    progress: Progress | None = None,
) -> list[Problem]:
    """Check every audio file that a manifest names.

    Args:
        uses: one for each file.
        root: the folder that the paths are relative to.
        hashes: SHA-256 by path, from the provenance; files that it does not name are not compared.
        deep: decode every file to its end, and hash it when ``hashes`` names it.
        progress: called with the files checked so far and their number.

    Returns:
        The faults in the order of ``uses``, none for a sound manifest. ``field`` is ``audio_path``,
        ``onset_time``, ``sample_rate``, ``channels`` or ``sha256``.

    >>> check_audio([AudioUse("no.wav", 3, 7, 1.5, 9)], Path("/nowhere"), None)[0].why
    'no such file'
    """
    uses = list(uses)
    problems: list[Problem] = []
    for number, use in enumerate(uses, start=1):
        problems += _check(use, Path(root), (hashes or {}).get(use.audio_path) if deep else None, deep)
        if progress is not None:
            progress(number, len(uses))
    return problems


def _check(use: AudioUse, root: Path, digest: str | None, deep: bool) -> list[Problem]:
    def fault(field: str, why: str, row: int = use.first_row) -> Problem:
        return Problem(use.audio_path, row, field, why)

    path: Path | None = None
    try:
        path = inside(root, use.audio_path)
        _require_regular(path)
        problems = []
        if digest is not None and sha256_file(path) != digest.lower():
            problems.append(fault("sha256", "the file's content is not what the provenance states"))
        info = probe(path)
        duration_s = info.duration_s
        beyond = not use.last_onset_s < duration_s
        # The header's length of an MP3 may be an estimate: no event is blamed on that alone.
        if deep or (beyond and info.format in _MP3_FORMATS):
            duration_s = _decoded_s(path, info)
    except InputError as error:
        place = str(path) if path is not None else use.audio_path
        return [fault("audio_path", str(error).removeprefix(f"{place}: "))]
    for field, stated, there in (
        ("sample_rate", use.sample_rate, info.sample_rate),
        ("channels", use.channels, info.channels),
    ):
        if stated is not None and stated != there:
            problems.append(fault(field, f"the manifest says {stated}, the file {there}"))
    if not use.last_onset_s < duration_s:
        why = f"{use.last_onset_s:g} s is not before the end of the audio ({duration_s:.3f} s)"
        problems.append(fault("onset_time", why, use.last_row))
    return problems


def _require_regular(path: Path) -> None:
    """Refuse what is not there, and what is a folder, a pipe or a device."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    if not path.is_file():
        raise InputError(f"{path}: is a {'folder' if path.is_dir() else 'device or pipe'}, not a file")


def _decoded_s(path: Path, info: AudioInfo) -> float:
    """Seconds that really decode."""
    frames = sum(len(block) for block in stream(path, info.sample_rate))
    if frames < (1.0 - _MP3_TOLERANCE) * info.frames:
        there, stated = frames / info.sample_rate, info.duration_s
        raise InputError(f"{path}: is cut short: {there:.3f} s of {stated:.3f} s could be read")
    return frames / info.sample_rate
