"""Files that are never half written, paths that never leave their root, and content hashes.

Every output goes to a temporary name in the same folder and is renamed when complete, so that a killed
process or a full disk leaves the old file as it was.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beatsight.errors import InputError

_CHUNK_BYTES = 1 << 20


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it onto ``target`` when the block succeeds.

    The temporary file keeps the suffix of ``target`` (writers choose a format by it) and is removed when
    the block fails. Missing parent folders are made.

    Raises:
        InputError: the folder or file cannot be written (read-only, full disk, a folder in its place).
    """
    target = Path(target)
    if target.is_dir():
        raise InputError(f"{target}: is a folder, not a file that can be written")
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem[:40]}.", suffix=target.suffix, dir=target.parent
        )
        temporary = Path(name)
        os.close(handle)
        # mkstemp makes private files; give the result the permissions any new file would have.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_bytes(target: str | os.PathLike[str], data: bytes) -> None:
    """Write ``data`` to ``target`` in one step: either all of it is there, or the old file is."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def write_text(target: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 ``text`` to ``target`` in one step."""
    write_bytes(target, text.encode("utf-8"))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The whole content of a file; :class:`InputError` when it is missing, a folder or unreadable."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_text(path: str | os.PathLike[str]) -> str:
    """The whole content of a UTF-8 file (a byte-order mark is dropped); :class:`InputError` otherwise."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start})") from error


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of a file's content, read in blocks."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return digest.hexdigest()


def inside(root: str | os.PathLike[str], relative: str) -> Path:
    """``root / relative``, refused when it would leave ``root``.

    Raises:
        InputError: ``relative`` is absolute or climbs out of ``root`` (also through a link).

    >>> inside("/data", "song/kick.wav").as_posix()
    '/data/song/kick.wav'
    """
    base = Path(root).resolve()
    path = (base / relative).resolve()
    if path != base and base not in path.parents:
        raise InputError(f"{relative}: leaves its root folder {base}")
    return path
