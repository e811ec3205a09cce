"""Fragmented uploads under way: prepared, filled in any order, finished or forgotten.

Layer 3, pure. Source: OneBot 12, interface/file/actions, `upload_file_fragmented`.

An upload's id is for this only: no other action knows it. Once finished, the file has another id. The application may
not have got that answer, so the same `finish` is answered with the same id for a while.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rawbot.errors import ConfigError
from rawbot.exchange import Figure
from rawbot.expiring import ExpiringDict
from rawbot.onebot.file_store import Blob, FileStore, blame_disk
from rawbot.onebot.file_table import FileTable, StoredFile
from rawbot.onebot.fragments import Fragments
from rawbot.onebot.retcodes import BAD_PARAM, FILE_MISMATCH, FILE_NOT_FOUND, FILE_TOO_LARGE, TIRED, ActionError

_GONE = "no upload under way has this file_id"


@dataclass(slots=True, repr=False)
class _Upload:
    """What has come of a file so far."""

    name: str
    blob: Blob
    fragments: Fragments
    started_at: float


@dataclass(slots=True, frozen=True)
class UploadLimits:
    """How much and how long; times in seconds. Raises `ConfigError` for what could take nothing."""

    max_size: int
    """Bytes of one file."""
    max_uploads: int
    """Uploads at once."""
    ttl: float
    transfer_timeout: float

    def __post_init__(self) -> None:
        if self.transfer_timeout <= 0 or self.max_uploads < 1:
            raise ConfigError("uploads need a transfer_timeout above 0 and room for at least one of them")


class Uploads:
    """Fragmented uploads, at most `max_uploads` at once.

    One is forgotten `transfer_timeout` seconds after its last new part, and in any case at the first call that comes
    `ttl` seconds after its start. What is announced is set aside in the table of files from the start.
    """

    def __init__(self, store: FileStore, table: FileTable, limits: UploadLimits, *, clock: Callable[[], float]) -> None:
        self.finished = 0
        self.expired = 0
        self._store = store
        self._table = table
        self._clock = clock
        self._limits = limits
        self._preparing = 0
        timeout, number = limits.transfer_timeout, limits.max_uploads
        self._open: ExpiringDict[str, _Upload] = ExpiringDict(timeout, number, on_drop=self._drop)
        self._done: ExpiringDict[str, tuple[str, str]] = ExpiringDict(timeout, number)
        """The lasting id and the SHA-256, by the upload's id."""

    async def prepare(self, name: str, total_size: int) -> str:
        """Begin; return the id for the transfer."""
        if total_size < 0:
            raise ActionError(BAD_PARAM, "total_size is below 0")
        if total_size > self._limits.max_size:
            raise ActionError(FILE_TOO_LARGE, f"files of up to {self._limits.max_size} bytes are taken")
        now = self._clock()
        self._open.expire(now)
        if len(self._open) + self._preparing >= self._limits.max_uploads:
            raise ActionError(TIRED, "too many uploads are under way")
        self._table.reserve(total_size, now)
        self._preparing += 1
        try:
            with blame_disk():
                blob = await self._store.create(total_size)
        except BaseException:
            self._table.release(total_size)
            raise
        finally:
            self._preparing -= 1
        upload_id = self._table.new_id()
        now = self._clock()
        self._open.set(upload_id, _Upload(name, blob, Fragments(total_size), now), now)
        return upload_id

    async def transfer(self, upload_id: str, offset: int, data: bytes) -> None:
        """Take a part: a new one, or one that has come before with the same content."""
        now = self._clock()
        upload = self._find(upload_id, now)
        if not upload.fragments.add(offset, len(data)):
            await _compare(upload.blob, offset, data)
            return
        self._open.set(upload_id, upload, now)
        try:
            with blame_disk(_GONE):
                await upload.blob.write(offset, data)
        except BaseException:
            upload.fragments.remove(offset, len(data))
            raise

    async def finish(self, upload_id: str, sha256: str) -> str:
        """Return the lasting id, if all is there and the hash is right; otherwise the upload stays as it is."""
        now = self._clock()
        if (done := self._finished(upload_id, sha256, now)) is not None:
            return done
        upload = self._find(upload_id, now)
        upload.fragments.demand_whole()
        self._open.set(upload_id, upload, now)  # the hash of a large file takes a while
        with blame_disk(_GONE):
            found = await upload.blob.digest()
        now = self._clock()
        if (done := self._finished(upload_id, sha256, now)) is not None:
            return done  # two finished at once
        if found != sha256:
            raise ActionError(FILE_MISMATCH, "the file received has another sha256")
        self._find(upload_id, now)
        self._open.pop(upload_id)
        file = StoredFile(self._table.new_id(), upload.name, upload.blob, sha256)
        self._table.settle(file, now)
        self._done.set(upload_id, (file.file_id, sha256), now)
        self.finished += 1
        return file.file_id

    def tick(self, now: float) -> None:
        """Forget what is over."""
        self._open.expire(now)
        self._done.expire(now)

    def figures(self) -> Iterator[Figure]:
        """Return the numbers to be watched from outside."""
        yield Figure("onebot_uploads_open", "gauge", len(self._open), "Fragmented uploads under way.")
        yield Figure("onebot_uploads_finished", "counter", self.finished, "Fragmented uploads that became files.")
        yield Figure("onebot_uploads_expired", "counter", self.expired, "Fragmented uploads that were not finished.")

    def _find(self, upload_id: str, now: float) -> _Upload:
        upload = self._open.get(upload_id, now)
        if upload is None:
            raise ActionError(FILE_NOT_FOUND, _GONE)
        if now - upload.started_at >= self._limits.ttl:
            self._open.pop(upload_id)
            self._drop(upload_id, upload)
            raise ActionError(FILE_NOT_FOUND, _GONE)
        return upload

    def _finished(self, upload_id: str, sha256: str, now: float) -> str | None:
        done = self._done.get(upload_id, now)
        if done is None:
            return None
        if done[1] != sha256:
            raise ActionError(FILE_MISMATCH, "this upload was finished with another sha256")
        return done[0]

    def _drop(self, _upload_id: str, upload: _Upload) -> None:
        self._table.release(upload.blob.size)
        upload.blob.discard()
        self.expired += 1


async def _compare(blob: Blob, offset: int, data: bytes) -> None:
    """Raise `ActionError` unless the blob has this content at this place."""
    with blame_disk(_GONE):
        held = await blob.read(offset, len(data))
    if held != data:
        raise ActionError(FILE_MISMATCH, "other bytes were received for this part before")
