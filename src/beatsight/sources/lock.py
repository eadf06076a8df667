"""One writer at a time: a lock on a folder that the operating system lets go when its holder dies.

``flock`` on POSIX, ``msvcrt.locking`` on Windows, both on a file ``.lock`` that stays in the folder (deleting
it could let two processes hold "the" lock on two files).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beatsight.errors import InputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Adding a song takes about a second, so a short queue passes; a longer one is somebody to ask.
LOCK_WAIT_S = 10.0
_POLL_S = 0.05


def _try(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def locked(folder: Path, others: str = "adding to this collection") -> Iterator[None]:
    """Hold the folder's lock inside the block; the folder is made if it is missing.

    Args:
        folder: what only one process may write.
        others: what another process that holds the lock is doing, for the message.

    Raises:
        InputError: the folder cannot be made or written, or another process holds the lock for longer than
            :data:`LOCK_WAIT_S`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / ".lock").open("a")
    except OSError as error:
        raise InputError(f"{folder}: cannot hold a collection: {error.strerror or error}") from error
    with handle:
        deadline = time.monotonic() + LOCK_WAIT_S
        while not _try(handle.fileno()):
            if time.monotonic() >= deadline:
                raise InputError(f"{folder}: another process is {others}; try again when it is done")
            time.sleep(_POLL_S)
        yield
