"""Opens files below a directory, so that nothing outside of it is ever opened, whatever stands in its tree.

Engine room. A path that is checked first and opened afterwards can be another file by then; that, and links that nobody
looked at (CVE-2024-23334), are how servers of files leak. So nothing is checked: the directory is opened, each further
name is opened relative to the descriptor of the last (openat), and no step follows a symbolic link or takes `..`.
Whatever is moved meanwhile, the walk only ever goes down.

With links allowed, the path is resolved by text first and then walked in the same way. A link that was changed between
the two is then refused, as is one that leads out.

Opening is a handful of system calls that the loop waits for, 2 µs each. On a network file system they are as slow as
the network: serve from a local disk.
"""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rawbot.errors import ConfigError

_DIRECTORY = os.O_DIRECTORY | getattr(os, "O_PATH", 0)  # where there is O_PATH, the right to pass through is enough
_NEXT = _DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK  # the last: for a FIFO that nobody writes to


class OpenFile(NamedTuple):
    """An open regular file, as it was when it was opened; its descriptor is to be closed."""

    descriptor: int
    size: int
    modified_ns: int
    changed_ns: int


class Root:
    """A directory to open files in.

    It is opened anew each time: a deployment that moves a link from one release to the next takes effect at once. That
    one link is the operator's word and is followed. Raises `ConfigError` when there is no such directory.
    """

    def __init__(self, directory: str | os.PathLike[str], *, follow_symlinks: bool = False) -> None:
        path = Path(directory).absolute()
        if not path.is_dir():
            raise ConfigError(f"no directory {path}")
        self._directory = os.fsencode(path)
        self._follow = follow_symlinks

    def open_parent(self, names: Sequence[bytes]) -> tuple[int, bytes]:
        """Open the directory that the last name stands in; return its descriptor, to be closed, and that name.

        Names must be plain: not empty, not `.` or `..`, without a slash. Raises `OSError`.
        """
        if self._follow:
            names = self._resolve(names)
        parent = os.open(self._directory, _DIRECTORY)
        for name in names[:-1]:
            above = parent
            try:
                parent = os.open(name, _NEXT, dir_fd=above)
            finally:
                os.close(above)
        return parent, names[-1] if names else b"."

    def _resolve(self, names: Sequence[bytes]) -> Sequence[bytes]:
        root = os.path.realpath(self._directory)
        found = os.path.realpath(b"/".join((root, *names)))
        if found == root:
            return ()
        inside = root.rstrip(b"/") + b"/"
        if not found.startswith(inside):
            raise FileNotFoundError(errno.ENOENT, "a symbolic link leads out of the directory")
        return found.removeprefix(inside).split(b"/")


def open_file(parent: int, name: bytes) -> OpenFile | None:
    """Open the file with this name, or return None when it is a directory.

    Raises `OSError`: for symbolic links, and for what is neither file nor directory, whose content has no end.
    """
    descriptor = os.open(name, _FILE, dir_fd=parent)
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode):
        return OpenFile(descriptor, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    os.close(descriptor)
    if stat.S_ISDIR(status.st_mode):
        return None
    raise FileNotFoundError(errno.ENOENT, "not a regular file")


def open_gzip(parent: int, name: bytes, plain: OpenFile) -> OpenFile | None:
    """Open the ready-made gzip of a file, or return None when there is none that is as new as the file."""
    try:
        found = open_file(parent, name + b".gz")
    except OSError:  # whatever it is, the plain file is open
        return None
    if found is not None and found.modified_ns < plain.modified_ns:
        os.close(found.descriptor)
        return None
    return found
