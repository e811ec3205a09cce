"""Opens files in one folder, and nothing outside of it, whatever stands in its tree or in the path asked for.

Layer 3, blocking: called in threads. Nothing is checked first and opened afterwards, since it can be another file by
then: each directory is opened relative to the descriptor of the one above (openat), no step follows a symbolic link,
and `..` is no step. The folder itself is the operator's word, and may be a link.
"""

import errno
import os
import stat
from collections.abc import Sequence

_DIRECTORY = os.O_DIRECTORY | getattr(os, "O_PATH", 0)
_NEXT = _DIRECTORY | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK  # the last: for a FIFO that nobody writes to
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW

_FAILURES = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What opening says when the machine is to blame, and not the path."""

SHARED_MODE = 0o640
"""Of files made in the folder: whom it is shared with is said by the folder's own mode and group."""


def open_regular(path: str) -> tuple[int, int]:
    """Open the regular file at any path, links followed; return its descriptor, to be closed, and its size.

    Raises `FileNotFoundError` when there is none, and `OSError`.
    """
    return _regular(os.open(path, _READ))


def open_below(folder: str, path: str) -> tuple[int, int]:
    """Open the regular file at a path within the folder; return as `open_regular` does.

    The path is absolute, or relative to the folder. Raises `FileNotFoundError` for what is not there, what is not
    inside, and what cannot be reached without a link: which of these it was is nobody's business.
    """
    names = _names(folder, path)
    if not names:
        raise FileNotFoundError
    try:
        parent = _open_folder(folder, names[:-1])
        try:
            descriptor = os.open(names[-1], _READ | os.O_NOFOLLOW, dir_fd=parent)
        finally:
            os.close(parent)
    except OSError as error:
        if error.errno in _FAILURES:
            raise
        raise FileNotFoundError(error.errno, "not a file of the folder") from None
    return _regular(descriptor)


def create_in(folder: str, name: str) -> int:
    """Make a file in the folder; return its descriptor, to be closed. Raises `FileExistsError`, and `OSError`."""
    parent = _open_folder(folder, ())
    try:
        return os.open(name, _CREATE, SHARED_MODE, dir_fd=parent)
    finally:
        os.close(parent)


def _regular(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return descriptor, status.st_size
    os.close(descriptor)
    raise FileNotFoundError


def _open_folder(folder: str, names: Sequence[str]) -> int:
    parent = os.open(folder, _DIRECTORY)
    for name in names:
        above = parent
        try:
            parent = os.open(name, _NEXT, dir_fd=above)
        finally:
            os.close(above)
    return parent


def _names(folder: str, path: str) -> Sequence[str]:
    """Return the names that lead down from the folder, none for a path that leads elsewhere."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return ()
    if "\0" in path:
        return ()
    if path.startswith("/"):
        roots = (os.path.abspath(folder), os.path.realpath(folder))  # noqa: PTH100 - text, no object for each name
        root = next((root for root in roots if path.startswith(root.rstrip("/") + "/")), None)
        if root is None:
            return ()
        path = path.removeprefix(root)
    names = [name for name in path.split("/") if name not in ("", ".")]
    return () if ".." in names else names
