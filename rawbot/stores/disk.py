"""Bytes to and from open files, and nothing left behind when that fails.

Layer 3, blocking: called in threads.
"""

import os
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO

_PIECE = 1024 * 1024


class Rollback:
    """Removes the file at a path when what is inside fails."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if kind is not None:
            with suppress(OSError):
                os.unlink(self._path)  # noqa: PTH108 - a str


def copy_bytes(source: BinaryIO, target: BinaryIO, size: int) -> None:
    """Copy that many bytes, fewer when the file became shorter, no more when it grew."""
    while size and (data := source.read(min(size, _PIECE))):
        target.write(data)
        size -= len(data)


def write_all(descriptor: int, offset: int, data: bytes) -> None:
    """Write all of it; a disk that fills up takes a part before it fails."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        offset += written
        rest = rest[written:]
