"""Locks that the operating system lets go when their last holder dies: ``flock``, or ``msvcrt`` on Windows.

On POSIX a child process that is given the lock's handle holds the lock too: while a training process lives,
its folder stays locked, whatever became of the sweep that started it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from beatsight.errors import InputError
from beatsight.files import reason

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def try_lock(path: Path) -> IO[bytes] | None:
    """Hold the lock until the handle is closed; None while another process holds it.

    Raises:
        InputError: the lock file or its folder cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("ab")
    except OSError as error:
        raise InputError(f"{path.parent}: cannot be written: {reason(error)}") from error
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


@contextmanager
def only_sweep(folder: Path) -> Iterator[None]:
    """Keep other sweeps out of an output folder inside the block.

    Raises:
        InputError: one is at work there.
    """
    handle = try_lock(folder / ".lock")
    if handle is None:
        raise InputError(
            f"{folder}: another sweep is at work here; wait for it or take another --output-root"
        )
    with handle:
        yield
