"""What may be seen of a running app from outside: the interface of access logs and metrics.

Engine room, pure. An app without observers pays one look at an empty tuple per answer and nothing more.
"""

from rawbot.errors import ProtocolError
from rawbot.event import Event
from rawbot.exchange import Request, Response


class Observer:
    """Is told what happens, in the very call in which it does: so be quick and never raise. Subclass what you need."""

    def opened(self) -> None:
        """Note a new connection."""

    def closed(self) -> None:
        """Note the end of a connection."""

    def answered(self, request: Request, route: str, response: Response, took: float, now: float) -> None:
        """Note an answer, as it is handed to the transport.

        `route` is the path that the endpoint was added with, empty when there is none for this request. `took` are the
        seconds from the first byte of the request to the first byte of the answer, `now` is Unix time.
        """

    def refused(self, error: ProtocolError, peer: str, now: float) -> None:
        """Note a request that broke HTTP or a limit, and was answered with `error.status`."""

    def handled(self, event: Event, took: float, error: BaseException | None) -> None:
        """Note that a handler ended after so many seconds, and with what if it did not end well."""

    def reopen(self) -> None:
        """Go on in a new file, if there is one (SIGHUP)."""

    def close(self) -> None:
        """Write down what is there: an app has ended. Another that has this observer, too, may go on."""
