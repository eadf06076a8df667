"""The session manifest, and where its audio files may lie.

``{session_id, mics: [{name, path}]}``; unknown keys are passed over. Paths start at the manifest's folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from beatsight.errors import InputError
from beatsight.events import Name, decode_as
from beatsight.files import read_text


class _Entry(msgspec.Struct):
    name: Name
    path: Name


class _Manifest(msgspec.Struct):
    session_id: Name
    mics: list[_Entry]


@dataclass(frozen=True)
class Source:
    """One microphone of a manifest: its name, its path as written, and the file."""

    name: str
    written: str
    path: Path


@dataclass(frozen=True)
class Session:
    """A session's name and its microphones, at least two, each of its own name and file."""

    session_id: str
    sources: list[Source]


def read_session(manifest: Path, audio_root: Path | None = None) -> Session:
    """Read a manifest; the audio files themselves are not opened.

    Args:
        manifest: the JSON file.
        audio_root: folder that every file must lie in; None: the manifest's folder, or the current folder
            where that holds the manifest.

    Raises:
        InputError: the manifest cannot be read or lacks something, names fewer than two microphones, one
            name or file twice, or a file outside the folder (also through a link).
    """
    text = read_text(manifest)
    if not text.strip():
        raise InputError(f"{manifest}: is empty")
    content = decode_as(text, _Manifest, str(manifest))
    if len(content.mics) < 2:
        count = "no microphone" if not content.mics else f"one microphone ({content.mics[0].name!r})"
        raise InputError(f"{manifest}: mics: names {count}; delays need at least two")
    roots = _roots(manifest, audio_root)
    sources: list[Source] = []
    for entry in content.mics:
        source = Source(entry.name, entry.path, _locate(manifest, entry, roots))
        for other in sources:
            if other.name == source.name:
                raise InputError(f"{manifest}: mics: {source.name!r} stands twice")
            if other.path == source.path:
                raise InputError(
                    f"{manifest}: microphones {other.name!r} and {source.name!r} are the same file "
                    f"({source.written}), whose delay says nothing"
                )
        sources.append(source)
    return Session(content.session_id, sources)


def _roots(manifest: Path, audio_root: Path | None) -> list[Path]:
    """Folders of which one must hold the audio."""
    if audio_root is not None:
        if not audio_root.is_dir():
            raise InputError(f"{audio_root}: is not a folder (the audio root)")
        return [audio_root.resolve()]
    base, here = manifest.parent.resolve(), Path.cwd()
    # From the file system's root everything would be inside the current folder.
    return [base, here] if here in base.parents and here != Path(here.anchor) else [base]


def _locate(manifest: Path, entry: _Entry, roots: list[Path]) -> Path:
    where = f"{manifest}: microphone {entry.name!r}"
    try:
        path = (manifest.parent.resolve() / entry.path).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a null byte, a name too long
        raise InputError(f"{where}: {entry.path!r} is not a usable path: {error}") from error
    if not any(root in path.parents for root in roots):
        raise InputError(
            f"{where}: {entry.path} leaves {roots[-1]}; the audio must lie inside it, or name its folder "
            "as audio root"
        )
    return path
