"""Sends a part of a file as the body of a response, in slices and at the pace of a peer that reads it.

Engine room. On a plain connection the kernel copies (`loop.sendfile`); under TLS, and on loops that have no sendfile
(uvloop), slices are read and written. asyncio has a fallback of its own for that, which is not used: it puts another
protocol in the place of ours, so that no pause and no end of the connection reaches us, goes to a thread for every
16 KiB (10.8 ms of CPU for a MiB over TLS, where 0.8 do), and writes on to the end of a large file, with a warning in
the log for each piece, when a TLS peer has gone.

Reading a slice makes the loop wait for the disk, as `os.sendfile` does: from the page cache no longer than the copying.

While the kernel copies, the transport must be left alone: on its `abort` asyncio (3.11 to 3.13) logs an
InvalidStateError, never ends the copying, and goes on watching the number of a descriptor that is closed. So whoever
holds a sender ends the connection through it.
"""

import asyncio
import errno
import logging
import select
from collections.abc import Callable, Iterator

from rawbot.aio.listening.cutting import cut_off
from rawbot.errors import StateError
from rawbot.exchange import FileRegion

log = logging.getLogger("rawbot")

SLICE = 256 * 1024
"""Bytes that the kernel is given at once; then the peer is seen to have taken them, and other connections have a turn.
So one that takes less within the stall time is cut off: 8.7 KB/s at 30 s. A MiB costs 840 µs of CPU in slices of
64 KiB, 340 in these and 460 in slices of 1 MiB, which fit the caches no more (loopback, CPython 3.11)."""
COPIED = 64 * 1024
"""Bytes that are read and written at once where the kernel cannot copy; up to twice as many are held for a peer that
does not read. 580 µs for a MiB, 850 with TLS; slices of 256 KiB would save a fifth."""

_ENDED: int | None = getattr(select, "POLLRDHUP", None)
"""Linux's word for a peer that has ended the stream; where there is none, the log has to bear it."""

_OF_THE_FILE = (errno.EIO, errno.ESTALE)
"""What `os.sendfile` says when the disk fails; all its other errors say that the peer has gone."""


def read_slices(region: FileRegion) -> Iterator[bytes]:
    """Read a region piece by piece, for those who have no transport, as within ASGI. The file stays open.

    Raises `StateError` when it ends before its time: a length was promised, so the response must be broken off.
    """
    at, end = region.offset, region.offset + region.count
    while at < end:
        region.file.seek(at)
        data = region.file.read(min(end - at, COPIED))
        if not data:
            raise StateError("a file was cut short while it was being sent")
        yield data
        at += len(data)


class RegionSender:
    """Sends one region and closes its file, whatever happens.

    For the protocol that has the transport. From `start` on until `on_end(sent)` is called, which happens once and
    never inside of `start`, it

    - writes nothing, and calls neither `close` nor `abort` of the transport, but `abort` here, also when the connection
      is lost;
    - passes `pause_writing` and `resume_writing` on to here, and leaves the time to the sender: a peer that does not
      take a slice within `stall` seconds is cut off;
    - may get data on TLS connections and on uvloop, and has to keep them. On others reading is paused, as is asyncio's
      way, and goes on afterwards when it did before.

    With `sent` the whole region is out, or nearly, and writing is not paused. Without it the connection was aborted,
    since the length that was promised can be corrected in no other way: the peer went away or did not read, or the file
    was cut short.
    """

    __slots__ = ("_loop", "_moved_at", "_on_end", "_region", "_resumed", "_stall", "_task", "_transport", "_watch")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        region: FileRegion,
        *,
        stall: float,
        on_end: Callable[[bool], None],
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._region = region
        self._stall = stall
        self._on_end = on_end
        self._moved_at = 0.0
        self._resumed: asyncio.Future[None] | None = None
        self._task: asyncio.Task[bool] | None = None

    def start(self, head: bytes) -> None:
        """Write the head and begin. Writing must not be paused before."""
        self._transport.write(head)
        self._moved_at = self._loop.time()
        self._watch = self._loop.call_later(self._stall, self._look)
        self._task = self._loop.create_task(self._send())
        self._task.add_done_callback(self._finish)

    def pause_writing(self) -> None:
        """Wait: the transport has enough to write."""
        self._resumed = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on."""
        resumed, self._resumed = self._resumed, None
        if resumed is not None and not resumed.done():
            resumed.set_result(None)

    def abort(self) -> None:
        """Stop. The connection is aborted, and `on_end` called, as soon as the loop's sendfile has let go of it."""
        if self._task is not None:
            self._task.cancel()

    def _look(self) -> None:
        """Stop when nothing has moved for too long. One timer serves a region, set anew when it comes too early."""
        left = self._moved_at + self._stall - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self.abort()

    def _finish(self, task: asyncio.Task[bool]) -> None:
        """End it; not in the task's own code, which never runs when it is cancelled before its first step."""
        self._watch.cancel()
        self._region.close()
        sent = False
        if not task.cancelled():
            error = task.exception()
            sent = error is None and task.result()
            if error is not None:
                log.error("a file cannot be sent", exc_info=error)
        if not sent:
            cut_off(self._transport)
        self._on_end(sent)

    async def _send(self) -> bool:
        """Send all; return whether that went well. The limits of the transport's buffer are afterwards as before."""
        transport = self._transport
        low, high = transport.get_write_buffer_limits()
        try:
            by_kernel = await self._clear_way()
            return await self._send_slices(by_kernel=by_kernel)
        except OSError as error:
            if error.errno in _OF_THE_FILE:
                log.error("a file cannot be read: %s", error.strerror)  # noqa: TRY400 - the traceback is asyncio's
            return False
        finally:
            if not transport.is_closing():
                transport.set_write_buffer_limits(high=high, low=low)

    async def _clear_way(self) -> bool:
        """Return whether the kernel may copy; then all is out that was written before.

        asyncio would wait for that too, but whoever stops it while it does gets exceptions in the log.
        """
        transport = self._transport
        if not isinstance(self._loop, asyncio.BaseEventLoop) or transport.get_extra_info("sslcontext") is not None:
            transport.set_write_buffer_limits(high=COPIED)  # over TLS it is 512 KiB else
            return False
        transport.set_write_buffer_limits(high=0)  # pauses now if anything is left, and resumes when nothing is
        if self._resumed is not None:
            await self._resumed
        return True

    async def _send_slices(self, *, by_kernel: bool) -> bool:
        file, offset, left = self._region.file, self._region.offset, self._region.count
        while left and not self._is_gone():
            try:
                if by_kernel:
                    sent = await self._loop.sendfile(self._transport, file, offset, min(left, SLICE), fallback=False)
                else:
                    sent = await self._copy(offset, min(left, COPIED))
            except RuntimeError:  # not with this file or transport; nothing of the slice is out
                if not by_kernel:
                    raise
                by_kernel = False
                continue
            if not sent:
                return False  # the file ends before its time
            offset += sent
            left -= sent
            self._moved_at = self._loop.time()
        return not left

    def _is_gone(self) -> bool:
        """Tell whether nobody is there to write to.

        A TLS client that has ended the TCP stream is lost to asyncio. But as long as reading is paused, nobody is told,
        and what is written is thrown away, with a warning in the log for each piece. So the system is asked, in 2 µs.
        """
        transport = self._transport
        if transport.is_closing() or _ENDED is None or transport.get_extra_info("sslcontext") is None:
            return transport.is_closing()
        poll = select.poll()
        poll.register(transport.get_extra_info("socket"), _ENDED)
        return bool(poll.poll(0))

    async def _copy(self, offset: int, count: int) -> int:
        """Read and write one slice, and wait while the transport has enough; others have their turn in any case."""
        self._region.file.seek(offset)
        data = self._region.file.read(count)
        self._transport.write(data)
        await (self._resumed or asyncio.sleep(0))
        return len(data)
