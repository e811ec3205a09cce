"""Files in memory, the large ones in a temporary directory: a store for a file service.

Layer 3. What is on the disk is read, written and hashed in threads, so the loop never waits for it; a thread that has
begun is seen through even where the task that asked was cancelled. The directory is made when it is first needed, for
the owner alone (mode 0700), and removed by `close`.
"""

import asyncio
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Self

from rawbot.errors import LimitError
from rawbot.stores.blob import Place, SpillingBlob
from rawbot.stores.confined import open_below, open_regular
from rawbot.stores.disk import Rollback, copy_bytes
from rawbot.stores.seeing_through import SeeingThrough

SPILL_ABOVE = 1024 * 1024
"""Bytes from which on a file is on the disk: most pictures stay in memory, most videos do not."""

MAX_MEMORY = 64 * 1024 * 1024
"""Bytes of all files in memory; where they are reached, small files go to the disk, too."""


class SpillingStore:
    """Holds files up to `spill_above` bytes in memory, `max_memory` in all of them, and others on the disk.

    `directory` is where the temporary directory is made: the system's place for such by default. Methods raise
    `OSError` when the disk fails. After `close` the store is empty, and can be used anew.
    """

    def __init__(
        self, *, spill_above: int = SPILL_ABOVE, max_memory: int = MAX_MEMORY, directory: str | None = None
    ) -> None:
        self.memory = 0
        """Bytes held in memory."""
        self._spill_above = spill_above
        self._max_memory = max_memory
        self._parent = directory
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._making = threading.Lock()
        self._blobs: set[SpillingBlob] = set()
        self._seeing_through = SeeingThrough()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Discard everything, and remove the directory and the copies made elsewhere."""
        self._discard_all()
        while await self._seeing_through.wait():
            self._discard_all()  # what came into being meanwhile
        directory, self._directory = self._directory, None
        if directory is not None:
            await asyncio.to_thread(directory.cleanup)

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Make a lock."""
        return asyncio.Lock()

    async def create(self, size: int) -> SpillingBlob:
        """Make room for a file of this size; it is full of zeros."""
        if self._fits(size):
            return self._hold(Place(size, bytearray(size)))
        return await self._make(partial(self._allot, size))

    async def keep(self, data: bytes) -> SpillingBlob:
        """Hold these bytes."""
        if self._fits(len(data)):
            return self._hold(Place(len(data), data))
        return await self._make(partial(self._spill, data))

    async def copy(self, path: str, max_bytes: int, folder: str | None = None) -> SpillingBlob:
        """Hold a copy of the regular file at this path; with `folder`, of one below it and reached without a link.

        Raises `FileNotFoundError` for any other path, and `LimitError` when the file is larger than `max_bytes`.
        """
        opening = partial(open_regular, path) if folder is None else partial(open_below, folder, path)
        return await self._make(partial(self._copy, opening, max_bytes))

    async def new_path(self) -> str:
        """Return a path at which a file may be put, for `move`; what is not moved goes with `close`."""
        return await asyncio.to_thread(self._new_path)

    async def move(self, path: str, max_bytes: int) -> SpillingBlob:
        """Take over the file at this path, which is gone from there even when `LimitError` is raised as `copy` does."""
        return await self._make(partial(self._move, path, max_bytes))

    def _fits(self, size: int) -> bool:
        return size <= self._spill_above and self.memory + size <= self._max_memory

    def _hold(self, place: Place) -> SpillingBlob:
        blob = SpillingBlob(place, self._seeing_through, self._forget)
        self._blobs.add(blob)
        self.memory += blob.in_memory
        return blob

    def _forget(self, blob: SpillingBlob) -> None:
        self._blobs.discard(blob)
        self.memory -= blob.in_memory

    def _discard_all(self) -> None:
        for blob in list(self._blobs):
            blob.discard()

    async def _make(self, work: Callable[[], Place]) -> SpillingBlob:
        async def make() -> SpillingBlob:
            return self._hold(await asyncio.to_thread(work))

        return await self._seeing_through.run(make(), undo=SpillingBlob.discard)

    # In threads. `_fits` may be told a size of memory that just changes: a file or two too many do no harm.

    def _new_path(self) -> str:
        with self._making:
            if self._directory is not None and not os.path.isdir(self._directory.name):  # noqa: PTH112 - a str
                self._directory.cleanup()  # some systems clear away what lay about for days
                self._directory = None
            if self._directory is None:
                self._directory = tempfile.TemporaryDirectory(
                    prefix="rawbot-", dir=self._parent, ignore_cleanup_errors=True
                )
            return f"{self._directory.name}/{secrets.token_hex(8)}"

    def _allot(self, size: int) -> Place:
        path = self._new_path()
        with Rollback(path), open(path, "xb") as file:  # noqa: PTH123 - a str
            file.truncate(size)
        return Place(size, path=path)

    def _spill(self, data: bytes) -> Place:
        path = self._new_path()
        with Rollback(path), open(path, "xb") as file:  # noqa: PTH123 - a str
            file.write(data)
        return Place(len(data), path=path)

    def _copy(self, opening: Callable[[], tuple[int, int]], max_bytes: int) -> Place:
        descriptor, size = opening()
        with open(descriptor, "rb") as source:  # noqa: PTH123 - a descriptor
            if size > max_bytes:
                raise LimitError("the file is too large")
            if self._fits(size):
                data = source.read(size)
                return Place(len(data), data)
            path = self._new_path()
            with Rollback(path), open(path, "xb") as target:  # noqa: PTH123 - a str
                copy_bytes(source, target, size)
                return Place(target.tell(), path=path)

    def _move(self, source: str, max_bytes: int) -> Place:
        path = self._new_path()
        with Rollback(path):
            shutil.move(source, path)
            size = os.path.getsize(path)  # noqa: PTH202 - a str
            if size > max_bytes:
                raise LimitError("the file is too large")
            os.chmod(path, 0o600)  # noqa: PTH101 - a str
        return Place(size, path=path)
