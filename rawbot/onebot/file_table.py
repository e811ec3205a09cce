"""The files that have an id: how many, how large, for how long.

Layer 3, pure. Two kinds: files whose bytes are held, and offers, which name a file that nobody has asked for yet. They
forget apart from each other, so that users who send many pictures do not crowd out what applications have uploaded.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from rawbot.errors import ConfigError
from rawbot.exchange import Figure
from rawbot.expiring import ExpiringDict
from rawbot.media import Media
from rawbot.onebot.file_store import Blob
from rawbot.onebot.retcodes import TIRED, ActionError

ID_BYTES = 16
"""Chance in a file_id: whoever knows the id gets the file, so it must not be guessed."""


@dataclass(slots=True, repr=False)
class StoredFile:
    """A file that is held."""

    file_id: str
    name: str
    blob: Blob
    sha256: str = ""
    """Empty until somebody wanted to know."""
    url: str = ""
    """Where it was downloaded from, if everybody may."""
    export_as: str = ""
    """The name of its copy in the shared folder, once there is one."""
    held: int = 0
    """The bytes that it is counted with: twice its size after it was copied to the folder."""


@dataclass(slots=True, repr=False)
class Offer:
    """A file that can be had by `read`."""

    name: str
    kind: str
    read: Callable[[], Awaitable[Media]]
    lock: AbstractAsyncContextManager[object]
    """Held by whoever reads it: two that ask at once cause one download."""


class FileTable:
    """Files and offers by id. Each lives `ttl` seconds; the oldest make room when there are too many or too much.

    `max_files` bounds files and offers each, `max_total` the bytes of all files and of those that are being uploaded.
    An upload is never dropped for the sake of another one: where uploads alone fill the room, `TIRED` is the answer.
    """

    def __init__(self, *, entropy: Callable[[int], bytes], max_files: int, max_total: int, ttl: float) -> None:
        if max_total < 1:
            raise ConfigError("max_total must leave room for at least one byte")
        self.crowded_out = 0
        """Files and offers that had to go before their time."""
        self._entropy = entropy
        self._max_files = max_files
        self._max_total = max_total
        self._held = 0
        self._reserved = 0
        self._files: ExpiringDict[str, StoredFile] = ExpiringDict(ttl, max_files, on_drop=self._drop)
        self._offers: ExpiringDict[str, Offer] = ExpiringDict(ttl, max_files)

    def new_id(self) -> str:
        """Return an id that nobody can guess."""
        return self._entropy(ID_BYTES).hex()

    def file(self, file_id: str, now: float) -> StoredFile | None:
        """Return a file that is held, or None."""
        return self._files.get(file_id, now)

    def offered(self, file_id: str, now: float) -> Offer | None:
        """Return a file that can be had, or None."""
        return self._offers.get(file_id, now)

    def offer(self, offer: Offer, now: float) -> str:
        """Give an id to what can be had."""
        self._make_place(self._offers, now)
        file_id = self.new_id()
        self._offers.set(file_id, offer, now)
        return file_id

    def reserve(self, size: int, now: float, *, own: int = 0) -> None:
        """Set bytes aside for a file that is to come; `own` are held already by the youngest file, which must stay.

        Raises `ActionError` (`TIRED`) where only what is being uploaded could make room.
        """
        if self._reserved + own + size > self._max_total:
            raise ActionError(TIRED, "there is no room for more files at present")
        self._files.expire(now)
        while self._held + self._reserved + size > self._max_total:
            self._files.drop_oldest()
            self.crowded_out += 1
        self._reserved += size

    def release(self, size: int) -> None:
        """Give back what was reserved."""
        self._reserved -= size

    def settle(self, file: StoredFile, now: float) -> None:
        """Hold a file, for whose size room was reserved. An offer with its id has become this file."""
        size = file.blob.size
        self._make_place(self._files, now)
        self._offers.pop(file.file_id)
        self._reserved -= size
        self._held += size
        file.held += size
        self._files.set(file.file_id, file, now)

    def grow(self, file: StoredFile, now: float) -> None:
        """Count a file's size once more, and let its life start anew. Raises as `reserve` does."""
        size = file.blob.size
        if self._files.pop(file.file_id) is None:
            return  # it went meanwhile, and so does the copy
        self._files.set(file.file_id, file, now)
        self.reserve(size, now, own=file.held)
        self.release(size)
        self._held += size
        file.held += size

    def tick(self, now: float) -> None:
        """Forget what is over."""
        self._files.expire(now)
        self._offers.expire(now)

    def figures(self) -> Iterator[Figure]:
        """Return the numbers to be watched from outside."""
        yield Figure("onebot_files_held", "gauge", len(self._files), "Files that can be asked for.")
        yield Figure("onebot_files_offered", "gauge", len(self._offers), "Attachments that nobody has asked for yet.")
        yield Figure(
            "onebot_file_bytes", "gauge", self._held, "Bytes of the files held, copies in the folder included."
        )
        yield Figure("onebot_file_bytes_reserved", "gauge", self._reserved, "Bytes set aside for uploads under way.")
        yield Figure(
            "onebot_files_crowded_out", "counter", self.crowded_out, "Files and offers dropped for newer ones."
        )

    def _make_place(self, table: "ExpiringDict[str, StoredFile] | ExpiringDict[str, Offer]", now: float) -> None:
        table.expire(now)
        if len(table) >= self._max_files:
            table.drop_oldest()
            self.crowded_out += 1

    def _drop(self, _file_id: str, file: StoredFile) -> None:
        self._held -= file.held
        file.blob.discard()
