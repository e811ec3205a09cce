"""What the file service asks of the world: a store that holds bytes, and a way to download.

Layer 3, pure: protocols, and the translation of their errors. Nothing here opens, downloads or waits.
"""

import errno
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Protocol

from rawbot.errors import FetchError, LimitError, MissingExtraError
from rawbot.media import Media
from rawbot.onebot.retcodes import (
    FILE_NOT_FOUND,
    FILE_TOO_LARGE,
    FILESYSTEM_ERROR,
    NETWORK_ERROR,
    UNSUPPORTED_PARAM,
    ActionError,
)


class PathLike(Protocol):
    """What stands for a path of the file system, as `pathlib.Path` does."""

    def __fspath__(self) -> str:
        """Return the path."""


class Blob(Protocol):
    """Bytes that a store holds. Its calls are carried out one after another, in the order in which they were made.

    Each raises `OSError` when the disk fails, and `FileNotFoundError` once the blob was discarded.
    """

    @property
    def size(self) -> int:
        """How many bytes it has; that never changes."""

    async def write(self, offset: int, data: bytes) -> None:
        """Put these bytes at this place; they end within the size."""

    async def read(self, offset: int, size: int) -> bytes:
        """Return the bytes at this place, fewer at the end."""

    async def digest(self) -> str:
        """Return the SHA-256 of all of it, in lower-case hexadecimal digits."""

    async def export(self, folder: str, name: str) -> str:
        """Copy it into this folder, unless it was; return the path. The copy vanishes when the blob is discarded."""

    def discard(self) -> None:
        """Forget it. What is on the disk goes in the store's own time."""


class FileStore(Protocol):
    """Where the bytes of files are. Its methods raise `OSError` when the disk fails."""

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Make a lock: one task is inside at a time, the others wait."""

    async def create(self, size: int) -> Blob:
        """Make room for a file of this size, to be written."""

    async def keep(self, data: bytes) -> Blob:
        """Hold these bytes."""

    async def copy(self, path: str, max_bytes: int, folder: str | None = None) -> Blob:
        """Hold a copy of the regular file at this path; with `folder`, of one below it and reached without a link.

        Raises `FileNotFoundError` for any other path, and `LimitError` when the file is larger than `max_bytes`.
        """

    async def new_path(self) -> str:
        """Return a path of its own at which a file may be put, for `move`."""

    async def move(self, path: str, max_bytes: int) -> Blob:
        """Take over the file at this path, which is gone from there then. Raises `LimitError` as `copy` does."""


class FetchURL(Protocol):
    """The way to download what a URL leads to."""

    def __call__(self, url: str, headers: Mapping[str, str], max_bytes: int) -> Awaitable[Media]:
        """Download it, sending these header fields along. A `Media` on disk is taken over from its path.

        The URL comes from the application: which hosts may be connected to is decided here. Raises `FetchError`.
        """


@contextmanager
def blame_disk(missing: str = "the file is not held any more") -> Iterator[None]:
    """Turn a store's errors into those of an action; `missing` is said when there is no such file."""
    try:
        yield
    except FileNotFoundError:
        raise ActionError(FILE_NOT_FOUND, missing) from None
    except LimitError:
        raise ActionError(FILE_TOO_LARGE, "the file is larger than this implementation takes") from None
    except OSError as error:  # its text holds the path
        reason = errno.errorcode.get(error.errno or 0, "no further reason")
        raise ActionError(FILESYSTEM_ERROR, f"the disk failed: {reason}") from None


@contextmanager
def blame_network() -> Iterator[None]:
    """Turn a download's errors into those of an action. Their texts hold hosts, so none is passed on."""
    try:
        yield
    except (FetchError, TimeoutError, ConnectionError):
        raise ActionError(NETWORK_ERROR, "the file could not be downloaded") from None
    except MissingExtraError:
        raise ActionError(UNSUPPORTED_PARAM, "this implementation has no client to download with") from None
