"""A file store without disk, threads or waiting, and a way to run what never waits: the file service needs no loop."""

import hashlib
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

from rawbot.errors import LimitError

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that nothing makes wait."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise AssertionError("it waits for something")


class MemoryBlob:
    def __init__(self, data: bytes) -> None:
        self.data: bytearray | None = bytearray(data)
        self.size = len(data)
        self.fails: OSError | None = None
        self.exports: dict[tuple[str, str], bytes] = {}

    def held(self) -> bytearray:
        if self.data is None:
            raise FileNotFoundError
        if self.fails is not None:
            raise self.fails
        return self.data

    async def write(self, offset: int, data: bytes) -> None:
        self.held()[offset : offset + len(data)] = data
        assert len(self.held()) == self.size, "a part is never written beyond the end"

    async def read(self, offset: int, size: int) -> bytes:
        return bytes(self.held()[offset : offset + size])

    async def digest(self) -> str:
        return hashlib.sha256(self.held()).hexdigest()

    async def export(self, folder: str, name: str) -> str:
        self.exports[folder, name] = bytes(self.held())
        return f"{folder}/{name}"

    def discard(self) -> None:
        assert self.data is not None, "discarded once only"
        self.data = None
        self.exports.clear()


class MemoryStore:
    """Holds blobs; `disk` is what `copy` and `move` find at a path, with its folder or None."""

    def __init__(self) -> None:
        self.blobs: list[MemoryBlob] = []
        self.disk: dict[tuple[str | None, str], bytes] = {}
        self.fails: OSError | None = None

    @property
    def held(self) -> list[MemoryBlob]:
        return [blob for blob in self.blobs if blob.data is not None]

    def lock(self) -> AbstractAsyncContextManager[object]:
        return nullcontext()

    async def create(self, size: int) -> MemoryBlob:
        return self.hold(bytes(size))

    async def keep(self, data: bytes) -> MemoryBlob:
        return self.hold(data)

    async def copy(self, path: str, max_bytes: int, folder: str | None = None) -> MemoryBlob:
        data = self.disk.get((folder, path))
        if data is None:
            raise FileNotFoundError(2, "No such file or directory", path)
        if len(data) > max_bytes:
            raise LimitError("the file is too large")
        return self.hold(data)

    async def move(self, path: str, max_bytes: int) -> MemoryBlob:
        blob = await self.copy(path, max_bytes)
        del self.disk[None, path]
        return blob

    def hold(self, data: bytes) -> MemoryBlob:
        if self.fails is not None:
            raise self.fails
        blob = MemoryBlob(data)
        self.blobs.append(blob)
        return blob
