"""Files that are never half written, compressed streams, paths that never leave their root, content hashes.

Every output goes to a temporary name in the same folder and is renamed when complete, so that a killed
process or a full disk leaves the old file as it was. Compression is chosen by the last suffix: ``.gz``,
``.zst`` (needs the ``zstd`` extra) or none.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from beatsight.errors import InputError, require

_CHUNK_BYTES = 1 << 20

# What reading a stream of `open_input` raises when the compressed file is cut short or corrupt.
DAMAGED = (EOFError, gzip.BadGzipFile, zlib.error)


def reason(error: OSError) -> str:
    """Why a file cannot be read or written, in a few words and without its name.

    Some libraries give an errno only, in a sentence of their own.

    >>> reason(OSError(2, "Detail: [errno 2] open"))
    'No such file or directory'
    """
    return os.strerror(error.errno) if error.errno else error.strerror or str(error)


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``target``; rename it onto ``target`` when the block succeeds.

    The temporary file keeps the suffix of ``target`` (writers choose a format by it) and is removed when
    the block fails. Missing parent folders are made. A link stays a link: the file it points to is replaced.

    Raises:
        InputError: the folder or file cannot be written (read-only, full disk, a folder or a device such as
            ``/dev/null`` in its place).
    """
    target = Path(target)
    temporary: Path | None = None
    try:
        final = Path(os.path.realpath(target))
        if final.is_dir():
            raise InputError(f"{target}: is a folder, not a file that can be written")
        if final.exists() and not final.is_file():
            # Renaming onto a device or a pipe would destroy it.
            raise InputError(f"{target}: is not a regular file, so it cannot be replaced")
        final.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{final.stem[:40]}.", suffix=final.suffix, dir=final.parent)
        temporary = Path(name)
        os.close(handle)
        # mkstemp makes private files; give the result the permissions any new file would have.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        yield temporary
        temporary.replace(final)
    except OSError as error:
        # An error about some other file, raised inside the block, must not look like one of this file.
        named = error.filename
        # Before there is a temporary file, what cannot be made is that or a parent folder.
        about = temporary is None or named in (None, str(target), str(temporary))
        other = "" if about else f" ({named})"
        raise InputError(f"{target}: cannot be written: {reason(error)}{other}") from error
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


class _ZstdReader(io.RawIOBase):
    """Decompressed bytes of a zstd file: all its frames, and EOFError where the last one is cut short.

    ``zstandard``'s own stream reader ends quietly in both cases, which would lose rows without a word.
    """

    def __init__(self, file: IO[bytes], zstandard: ModuleType) -> None:
        self._zstandard = zstandard
        self._file = file
        self._frame: Any = None
        self._input = b""
        self._output = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._output:
            self._input = self._input or self._file.read(_CHUNK_BYTES)
            if not self._input:
                if self._frame is not None:
                    raise EOFError("the last zstd frame is cut short")
                return 0
            self._advance()
        size = min(len(buffer), len(self._output))
        buffer[:size] = self._output[:size]
        self._output = self._output[size:]
        return size

    def _advance(self) -> None:
        if self._frame is None:
            self._frame = self._zstandard.ZstdDecompressor().decompressobj()
        try:
            self._output = self._frame.decompress(self._input)
        except self._zstandard.ZstdError as error:
            raise EOFError(str(error)) from error
        self._input = self._frame.unused_data
        if self._frame.eof:
            self._frame = None

    def close(self) -> None:
        self._file.close()
        super().close()


def open_input(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a file to read its bytes, decompressed by suffix.

    Reading the stream raises one of :data:`DAMAGED` when the compressed file is cut short or corrupt.

    Raises:
        OSError: the file cannot be opened.
        MissingDependencyError: it ends in ``.zst`` and ``zstandard`` is not installed.
    """
    path = Path(path)
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if path.suffix == ".zst":
        zstandard = require("zstandard", "zstd")
        return io.BufferedReader(_ZstdReader(path.open("rb"), zstandard), _CHUNK_BYTES)
    return path.open("rb")


@contextmanager
def open_output(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a file to write bytes, compressed by suffix; the same bytes in give the same file.

    Use it on the path that :func:`atomic_path` yields.
    """
    path = Path(path)
    if path.suffix == ".zst":
        with require("zstandard", "zstd").open(path, "wb") as stream:
            yield stream
        return
    with path.open("wb") as raw:
        if path.suffix != ".gz":
            yield raw
            return
        # No time stamp and no (temporary) name in the header, so that equal content gives equal bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
            yield packed  # type: ignore[misc]


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
        InputError: ``relative`` is absolute, climbs out of ``root`` (also through a link) or is no path.

    >>> inside("/data", "song/kick.wav").as_posix()
    '/data/song/kick.wav'
    """
    base = Path(root).resolve()
    if Path(relative).is_absolute():
        raise InputError(f"{relative}: is an absolute path; give it relative to {base}")
    try:
        path = (base / relative).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a null byte, a name too long
        raise InputError(f"{relative!r}: is not a usable path: {error}") from error
    if path != base and base not in path.parents:
        raise InputError(f"{relative}: leaves its root folder {base}")
    return path
