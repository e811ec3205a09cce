"""The bytes of one file, in memory or on the disk.

Layer 3. What is on the disk is read, written and hashed in threads; what is in memory at once, but for what takes long.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

from rawbot.stores.confined import create_in
from rawbot.stores.disk import Rollback, copy_bytes, write_all
from rawbot.stores.seeing_through import SeeingThrough

HASH_IN_THREAD_ABOVE = 256 * 1024
"""Bytes that a thread hashes and fewer do not: this many take 140 µs, the way to a thread and back 110."""

T = TypeVar("T")


class Place(NamedTuple):
    """Where the bytes of a file are: in memory, or at a path."""

    size: int
    data: bytes | bytearray | None = None
    path: str = ""


class SpillingBlob:
    """Bytes in memory or on the disk. Its calls are carried out one after another, in the order of their coming.

    Each raises `OSError` when the disk fails, and `FileNotFoundError` once it was discarded.
    """

    __slots__ = ("_data", "_discarded", "_exports", "_lock", "_on_discard", "_path", "_seeing_through", "size")

    def __init__(
        self, place: Place, seeing_through: SeeingThrough, on_discard: "Callable[[SpillingBlob], None]"
    ) -> None:
        self.size, self._data, self._path = place
        self._seeing_through = seeing_through
        self._on_discard = on_discard
        self._exports: list[str] = []
        self._discarded = False
        self._lock = asyncio.Lock()

    async def write(self, offset: int, data: bytes) -> None:
        """Put these bytes at this place; they end within the size."""
        await self._in_turn(partial(self._write, offset, data), in_thread=self._on_disk)

    async def read(self, offset: int, size: int) -> bytes:
        """Return the bytes at this place, fewer at the end."""
        return await self._in_turn(partial(self._read, offset, size), in_thread=self._on_disk)

    async def digest(self) -> str:
        """Return the SHA-256 of all of it, in lower-case hexadecimal digits."""
        return await self._in_turn(self._digest, in_thread=self._on_disk or self.size > HASH_IN_THREAD_ABOVE)

    async def export(self, folder: str, name: str) -> str:
        """Copy it into this folder, unless it was; return the path. The copy vanishes when the blob is discarded."""
        return await self._in_turn(partial(self._export, folder, name), in_thread=True)

    @property
    def in_memory(self) -> int:
        """How many bytes of memory it takes."""
        return 0 if self._path else self.size

    def discard(self) -> None:
        """Forget it. A file on the disk goes once what is under way with it is done."""
        if self._discarded:
            return
        self._discarded = True
        self._data = None
        self._on_discard(self)
        if not (self._path or self._exports or self._lock.locked()):
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # nothing is under way without a loop
            self._remove()
        else:
            self._seeing_through.begin(self._clean())

    @property
    def _on_disk(self) -> bool:
        return bool(self._path)

    async def _in_turn(self, work: Callable[[], T], *, in_thread: bool) -> T:
        await self._lock.acquire()
        if in_thread:
            return await self._seeing_through.run(self._in_thread(work))
        try:
            return self._unless_discarded(work)
        finally:
            self._lock.release()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Do it in a thread, and give the turn on when that has ended, whoever still waits for it."""
        try:
            return await asyncio.to_thread(self._unless_discarded, work)
        finally:
            self._lock.release()

    async def _clean(self) -> None:
        async with self._lock:
            await asyncio.to_thread(self._remove)

    def _unless_discarded(self, work: Callable[[], T]) -> T:
        if self._discarded:
            raise FileNotFoundError
        return work()

    # In threads, where `in_thread` says so. `discard` may come at any moment, and takes `_data` away.

    def _bytes(self) -> bytes | bytearray:
        data = self._data
        if data is None:
            raise FileNotFoundError
        return data

    def _write(self, offset: int, data: bytes) -> None:
        if self._path:
            with open(self._path, "r+b", buffering=0) as file:  # noqa: PTH123 - a str
                write_all(file.fileno(), offset, data)
            return
        held = self._bytes()
        if isinstance(held, bytes):
            held = self._data = bytearray(held)
        held[offset : offset + len(data)] = data

    def _read(self, offset: int, size: int) -> bytes:
        if not self._path:
            return bytes(self._bytes()[offset : offset + size])
        with open(self._path, "rb") as file:  # noqa: PTH123 - a str
            file.seek(offset)
            return file.read(size)

    def _digest(self) -> str:
        if not self._path:
            return hashlib.sha256(self._bytes()).hexdigest()
        with open(self._path, "rb") as file:  # noqa: PTH123 - a str
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _export(self, folder: str, name: str) -> str:
        path = os.path.join(os.path.abspath(folder), name)  # noqa: PTH100, PTH118 - text
        if path in self._exports and os.path.exists(path):  # noqa: PTH110 - a str
            return path
        descriptor = create_in(folder, name)
        with Rollback(path), open(descriptor, "wb") as target:  # noqa: PTH123 - a descriptor
            if self._path:
                with open(self._path, "rb") as source:  # noqa: PTH123 - a str
                    copy_bytes(source, target, self.size)
            else:
                target.write(self._bytes())
        if path not in self._exports:
            self._exports.append(path)
        return path

    def _remove(self) -> None:
        for path in (self._path, *self._exports):
            with suppress(OSError):
                if path:
                    os.unlink(path)  # noqa: PTH108 - a str
