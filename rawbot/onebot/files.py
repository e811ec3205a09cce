"""The file service: the four file actions, and the same files for the bot's own code.

Layer 3, pure: bytes are with a `FileStore`, downloads with a `FetchURL`, the time comes from a clock that is given.
Source: OneBot 12, interface/file/actions.

No error's text holds a path, a URL or a name: they are told to applications, and logged.
"""

import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Annotated, Literal, Protocol

from rawbot.errors import ConfigError
from rawbot.event import Attachment
from rawbot.exchange import Figure
from rawbot.media import MAGIC_BYTES, Media, default_name, sniff_type
from rawbot.onebot.file_checks import check_headers, check_sha256, clean_name, demand
from rawbot.onebot.file_store import Blob, FetchURL, FileStore, PathLike, blame_disk, blame_network
from rawbot.onebot.file_table import FileTable, Offer, StoredFile
from rawbot.onebot.retcodes import (
    BAD_PARAM,
    FILE_MISMATCH,
    FILE_NOT_FOUND,
    FILE_TOO_LARGE,
    UNSUPPORTED_PARAM,
    ActionError,
)
from rawbot.onebot.uploads import UploadLimits, Uploads

MAX_SIZE = 100 * 1024 * 1024
"""Bytes of one file: as large as WeCom's may be."""

MAX_INLINE = 20 * 1024 * 1024
"""Bytes of a file that `get_file` puts into its answer, a third larger as base64. Others are to be had in parts."""

MAX_PART = 4 * 1024 * 1024
"""Bytes that `get_file_fragmented` gives at once."""

MAX_FILES = 10_000
"""Files at once, and offers: some thousand bytes of memory each, at most."""

MAX_TOTAL = 1024 * 1024 * 1024
"""Bytes of all files."""

MAX_UPLOADS = 100
"""Fragmented uploads at once."""

TTL = 3600.0
"""Seconds for which a file can be asked for."""

TRANSFER_TIMEOUT = 300.0
"""Seconds without a new part after which a fragmented upload is forgotten."""

_NO_FILE = "no file has this file_id, or not any more"
_NO_URL = "this file has no URL: use type data or get_file_fragmented"


class Registry(Protocol):
    """Where actions are registered."""

    def register(self, name: str, handler: Callable[..., object]) -> object:
        """Let this handler answer for the action of this name."""


class Files:
    """Files that applications upload and get, with ids that nobody can guess.

    `fetch` downloads for `upload_file` with a URL; None refuses that. `folder` is a directory shared with applications
    on the same machine: type `path` reads from it, and puts copies into it, and nowhere else; None, the default,
    refuses that. `link(file_id)` gives a URL under which a file can be had from us, for type `url` of `get_file`;
    None lets only what everybody can download from elsewhere be told as a URL.

    The limits are bytes, numbers and seconds. `clock` gives Unix seconds. What is over goes with `tick`. All methods
    that are awaited raise `ActionError`, and what an offer's `read` raises beyond the network's errors.
    """

    def __init__(
        self,
        store: FileStore,
        *,
        clock: Callable[[], float],
        entropy: Callable[[int], bytes] = os.urandom,
        fetch: FetchURL | None = None,
        folder: str | PathLike | None = None,
        link: Callable[[str], str] | None = None,
        max_size: int = MAX_SIZE,
        max_inline: int = MAX_INLINE,
        max_part: int = MAX_PART,
        max_files: int = MAX_FILES,
        max_total: int = MAX_TOTAL,
        max_uploads: int = MAX_UPLOADS,
        ttl: float = TTL,
        transfer_timeout: float = TRANSFER_TIMEOUT,
    ) -> None:
        if not 0 < max_size <= max_total:
            raise ConfigError("max_size must be above 0, and no more than max_total")
        if max_inline < 1 or max_part < 1:
            raise ConfigError("max_inline and max_part must be above 0")
        self.downloads = 0
        """How many files were fetched from a URL or read from an offer."""
        self._store = store
        self._clock = clock
        self._fetch = fetch
        self._folder = None if folder is None else _path_of(folder)
        self._link = link
        self._max_size = max_size
        self._max_inline = max_inline
        self._max_part = max_part
        self._table = FileTable(entropy=entropy, max_files=max_files, max_total=max_total, ttl=ttl)
        limits = UploadLimits(max_size, max_uploads, ttl, transfer_timeout)
        self._uploads = Uploads(store, self._table, limits, clock=clock)

    def register(self, actions: Registry) -> None:
        """Answer for the four actions."""
        actions.register("upload_file", self.upload_file)
        actions.register("upload_file_fragmented", self.upload_file_fragmented)
        actions.register("get_file", self.get_file)
        actions.register("get_file_fragmented", self.get_file_fragmented)

    def tick(self, now: float) -> None:
        """Forget what is over."""
        self._uploads.tick(now)
        self._table.tick(now)

    def figures(self) -> Iterator[Figure]:
        """Return the numbers to be watched from outside."""
        yield from self._table.figures()
        yield from self._uploads.figures()
        yield Figure("onebot_file_downloads", "counter", self.downloads, "Files fetched from a URL or a platform.")

    # For the bot's side

    async def add(self, source: bytes | str | PathLike, name: str = "") -> str:
        """Hold these bytes, or a copy of the file at this path, wherever it is; return its file_id."""
        if isinstance(source, bytes):
            return await self._add_data(source, name)
        path = _path_of(source)
        return await self._admit(self._store.copy(path, self._max_size), name or path)

    async def read(self, file_id: str) -> Media:
        """Return a file, in memory. What was offered is downloaded now."""
        file = await self._find(file_id)
        with blame_disk(_NO_FILE):
            data = await file.blob.read(0, file.blob.size)
        return Media(file.name, sniff_type(data[:MAGIC_BYTES]), len(data), data)

    def offer(self, name: str, kind: str, read: Callable[[], Awaitable[Media]]) -> str:
        """Return a file_id for what `read` brings once somebody asks for it; it is read once, unless that fails.

        A `Media` on disk is taken over from its path. Without a name, the downloaded one counts, or one is made of
        `kind`: `image`, `file`, `video`.
        """
        offer = Offer(clean_name(name), kind, read, self._store.lock())
        return self._table.offer(offer, self._clock())

    def offer_attachment(self, attachment: Attachment) -> str:
        """Return a file_id for what a user sent. Pictures are downloaded to memory, what may be larger to the disk."""

        async def save() -> Media:
            with blame_disk():
                path = await self._store.new_path()
                return await attachment.save(path, max_bytes=self._max_size)

        return self.offer(attachment.name, attachment.kind, attachment.read if attachment.kind == "image" else save)

    # The actions

    async def upload_file(
        self,
        *,
        kind: Annotated[str, "type"],
        name: str,
        url: str | None = None,
        headers: dict[str, str] | None = None,
        path: str | None = None,
        data: bytes | None = None,
        sha256: str | None = None,
    ) -> dict[str, object]:
        """Take a file from the request itself, from a URL, or from the shared folder."""
        digest = "" if sha256 is None else check_sha256(sha256)
        if kind == "data":
            file_id = await self._add_data(demand(data, "data"), name, digest)
        elif kind == "url":
            file_id = await self._add_url(demand(url, "url"), check_headers(headers or {}), name, digest)
        elif kind == "path":
            source = demand(path, "path")
            making = self._store.copy(source, self._max_size, self._demand_folder())
            file_id = await self._admit(making, name, digest, missing="the shared folder has no such file")
        else:
            raise ActionError(UNSUPPORTED_PARAM, "files are uploaded with type data, url or path")
        return {"file_id": file_id}

    async def upload_file_fragmented(
        self,
        *,
        stage: Literal["prepare", "transfer", "finish"],
        name: str | None = None,
        total_size: int | None = None,
        file_id: str | None = None,
        offset: int | None = None,
        data: bytes | None = None,
        sha256: str | None = None,
    ) -> dict[str, object] | None:
        """Take a file in parts, which may come in any order and more than once."""
        if stage == "prepare":
            size = demand(total_size, "total_size")
            wanted = clean_name(demand(name, "name")) or default_name("file", sniff_type(b""))
            return {"file_id": await self._uploads.prepare(wanted, size)}
        upload_id = demand(file_id, "file_id")
        if stage == "transfer":
            await self._uploads.transfer(upload_id, demand(offset, "offset"), demand(data, "data"))
            return None
        digest = check_sha256(demand(sha256, "sha256"))
        return {"file_id": await self._uploads.finish(upload_id, digest)}

    async def get_file(self, *, file_id: str, kind: Annotated[str, "type"]) -> dict[str, object]:
        """Give a file: in the answer, as a copy in the shared folder, or as a URL."""
        if kind == "data":
            return await self._get_data(file_id)
        if kind == "path":
            return await self._get_path(file_id, self._demand_folder())
        if kind == "url":
            return await self._get_url(file_id)
        raise ActionError(UNSUPPORTED_PARAM, "files are given with type data, path or url")

    async def get_file_fragmented(
        self,
        *,
        stage: Literal["prepare", "transfer"],
        file_id: str,
        offset: int | None = None,
        size: int | None = None,
    ) -> dict[str, object]:
        """Give a file in parts. A part is shorter than asked for at the file's end, and only there."""
        if stage == "prepare":
            file = await self._find(file_id)
            return {"name": file.name, "total_size": file.blob.size, "sha256": await self._digest(file)}
        start, count = demand(offset, "offset"), demand(size, "size")
        if count < 0 or count > self._max_part:
            raise ActionError(BAD_PARAM, f"size is not from 0 to {self._max_part}, which is given at once")
        file = await self._find(file_id)
        if start < 0 or start > file.blob.size:
            raise ActionError(BAD_PARAM, f"offset is not within the file's {file.blob.size} bytes")
        with blame_disk(_NO_FILE):
            return {"data": await file.blob.read(start, count)}

    # Ways in

    async def _add_data(self, data: bytes, name: str, sha256: str = "") -> str:
        self._check_size(len(data))
        return await self._admit(self._store.keep(data), name, sha256)

    async def _add_url(self, url: str, headers: Mapping[str, str], name: str, sha256: str) -> str:
        if self._fetch is None:
            raise ActionError(UNSUPPORTED_PARAM, "this implementation does not download: use type data")
        if not url.lower().startswith(("http://", "https://")):
            raise ActionError(BAD_PARAM, "the URL is neither http nor https")
        with blame_network():
            media = await self._fetch(url, headers, self._max_size)
        self.downloads += 1
        # header fields are the credentials of one application: a URL that needs them is not passed on to others
        return await self._admit(self._take(media), name, sha256, url="" if headers else url)

    def _take(self, media: Media) -> Awaitable[Blob]:
        if media.path is not None:
            return self._store.move(media.path, self._max_size)
        self._check_size(len(media.data))
        return self._store.keep(media.data)

    async def _admit(
        self,
        making: Awaitable[Blob],
        name: str,
        sha256: str = "",
        *,
        url: str = "",
        missing: str = "there is no such file",
    ) -> str:
        """Hold what the store makes, unless its hash is wrong or there is no room; return its id."""
        with blame_disk(missing):
            blob = await making
        try:
            file = StoredFile(self._table.new_id(), clean_name(name), blob, url=url)
            await self._verify(file, sha256)
            await self._settle(file, "file")
        except BaseException:
            blob.discard()
            raise
        return file.file_id

    async def _verify(self, file: StoredFile, sha256: str) -> None:
        if sha256 and await self._digest(file) != sha256:
            raise ActionError(FILE_MISMATCH, "the file received has another sha256")

    async def _settle(self, file: StoredFile, kind: str) -> None:
        if not file.name:
            with blame_disk(_NO_FILE):
                file.name = default_name(kind, sniff_type(await file.blob.read(0, MAGIC_BYTES)))
        now = self._clock()
        self._table.reserve(file.blob.size, now)
        self._table.settle(file, now)

    async def _find(self, file_id: str) -> StoredFile:
        """Return a file, read now if it was only offered."""
        file = self._table.file(file_id, self._clock())
        if file is not None:
            return file
        offer = self._table.offered(file_id, self._clock())
        if offer is None:
            raise ActionError(FILE_NOT_FOUND, _NO_FILE)
        async with offer.lock:
            return self._table.file(file_id, self._clock()) or await self._read_offer(file_id, offer)

    async def _read_offer(self, file_id: str, offer: Offer) -> StoredFile:
        with blame_network():
            media = await offer.read()
        self.downloads += 1
        with blame_disk():
            blob = await self._take(media)
        try:
            file = StoredFile(file_id, offer.name or clean_name(media.name), blob)
            await self._settle(file, offer.kind)
        except BaseException:
            blob.discard()
            raise
        return file

    # Ways out

    async def _get_data(self, file_id: str) -> dict[str, object]:
        file = await self._find(file_id)
        if file.blob.size > self._max_inline:
            limit = self._max_inline
            raise ActionError(FILE_TOO_LARGE, f"more than {limit} bytes are given by get_file_fragmented only")
        with blame_disk(_NO_FILE):
            data = await file.blob.read(0, file.blob.size)
        return {"name": file.name, "data": data, "sha256": await self._digest(file)}

    async def _get_path(self, file_id: str, folder: str) -> dict[str, object]:
        file = await self._find(file_id)
        if not file.export_as:
            self._table.grow(file, self._clock())
            file.export_as = f"{self._table.new_id()}-{file.name}"
        with blame_disk(_NO_FILE):
            path = await file.blob.export(folder, file.export_as)
        return {"name": file.name, "path": path, "sha256": await self._digest(file)}

    async def _get_url(self, file_id: str) -> dict[str, object]:
        if self._link is None and self._table.offered(file_id, self._clock()) is not None:
            raise ActionError(UNSUPPORTED_PARAM, _NO_URL)  # nothing need be downloaded to know that
        file = await self._find(file_id)
        url = file.url if self._link is None else self._link(file_id)
        if not url:
            raise ActionError(UNSUPPORTED_PARAM, _NO_URL)
        return {"name": file.name, "url": url, "sha256": await self._digest(file)}

    async def _digest(self, file: StoredFile) -> str:
        if not file.sha256:
            with blame_disk(_NO_FILE):
                file.sha256 = await file.blob.digest()
        return file.sha256

    # Checks

    def _check_size(self, size: int) -> None:
        if size > self._max_size:
            raise ActionError(FILE_TOO_LARGE, f"files of up to {self._max_size} bytes are taken")

    def _demand_folder(self) -> str:
        if self._folder is None:
            raise ActionError(UNSUPPORTED_PARAM, "this implementation shares no folder, so there is no type path")
        return self._folder


def _path_of(path: str | PathLike) -> str:
    return path if isinstance(path, str) else path.__fspath__()
