"""How a connection ends, and how long its peer may take to read: in stages, each with a deadline of its own.

Engine room, pure.

        ┌ finish ─▶ LINGERING (our side is closed; what still comes is thrown away) ─┐ linger, or the peer's end
    OPEN ┤                                                                            ├▶ CLOSING ──▶ lost
        └ close ────────────────────────────────────────────────────────────────────┘    │ write, without progress
                                                                                           └▶ cut off
"""

from rawbot.aio.deadline import Deadlined
from rawbot.aio.host import Host, Transport

MIN_PROGRESS = 256 * 1024
"""Bytes that a peer has to read of much that waits before each write time-out, as of a file: 8.7 KB/s at 30 s. Of less,
all."""


class Ending(Deadlined):
    """What a connection knows of its end. `_over`: nothing more is read; `_eof`: the peer has closed its side."""

    __slots__ = ("_engine", "_eof", "_over", "_paused_reading", "_paused_writing", "_transport", "_unread")

    _transport: Transport

    def __init__(self, engine: Host) -> None:
        super().__init__(engine)
        self._engine = engine
        self._eof = False
        self._over = False
        self._paused_reading = False
        self._paused_writing = False
        self._unread = 0

    def _finish(self, *, unread: bool = False) -> None:
        """Close in stages (RFC 9112, section 9.6): our side first, the rest when the peer has closed its own.

        Closing at once while the peer still sends has the kernel answer with a reset, which takes the unread answer
        from it. TLS has no half-closing: there it is waited for only when bytes are known to be `unread`.
        """
        if self._over:
            return
        transport = self._transport
        half = transport.can_write_eof()
        if self._eof or not (half or unread):
            self._close()
            return
        self._over = True
        if half:
            transport.write_eof()
        if self._paused_reading:
            self._paused_reading = False
            transport.resume_reading()
        if transport.get_write_buffer_size():
            self._expect_progress()
        else:
            self._set_deadline(self._engine.timeouts.linger)

    def _close(self) -> None:
        """Close when all is written; a peer that does not read is cut off, which asyncio's own close never does."""
        self._over = True
        self._transport.close()
        self._expect_progress()

    def _expect_progress(self) -> None:
        """Give the peer the write time-out to read some of what waits."""
        self._unread = self._transport.get_write_buffer_size()
        self._set_deadline(self._engine.timeouts.write)

    def _press_on(self) -> bool:
        """Do what is due to a peer that does not read, or whose connection ends; tell whether anything was.

        To be called when the deadline has passed.
        """
        transport = self._transport
        unread = transport.get_write_buffer_size()
        if unread:
            if self._unread - unread >= MIN_PROGRESS:
                self._expect_progress()
            else:
                self._engine.cut(transport)
        elif transport.is_closing():
            transport.abort()
        elif self._over:
            self._close()
        return self._over or bool(unread)
