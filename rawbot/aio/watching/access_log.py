"""The access log: one line for every answered and every refused request.

Engine room. What a line says is decided in `http/access_log`, how it gets to a file in `line_writer`; here they meet.
Off unless asked for. On, it costs a request 3 µs (common), 4 µs (combined) or 5 µs (JSON), 0.4 for handing the line
over and the rest for its text (CPython 3.11); `logging` alone would take 7.8.
"""

import os

from rawbot.aio.watching.line_writer import LineWriter
from rawbot.aio.watching.observer import Observer
from rawbot.errors import ConfigError, ProtocolError
from rawbot.exchange import Request, Response
from rawbot.http.access_log import FORMS, Style

STDOUT = 1
"""The descriptor that the target `-` names."""


class AccessLog(Observer):
    """Give it to an app: `App(bot, observers=[AccessLog("access.log")])`.

    `target` is the path of a file, which is made or appended to, `-` for standard output, or an open descriptor, which
    stays open. `style` is `common`, `combined` or `json` (see `rawbot.http.access_log`). Raises `ConfigError` for a
    file that cannot be opened and for a style that there is none of.
    """

    def __init__(self, target: str | os.PathLike[str] | int = "-", *, style: Style = "combined") -> None:
        if style not in FORMS:
            raise ConfigError(f"the style of an access log is one of {', '.join(FORMS)}")
        self._answered, self._refused = FORMS[style]
        self._writer = LineWriter(STDOUT if target == "-" else target)
        self._add = self._writer.add

    @property
    def dropped(self) -> int:
        """How many lines were dropped because writing failed or did not keep up."""
        return self._writer.dropped

    def answered(self, request: Request, route: str, response: Response, took: float, now: float) -> None:
        """Note an answer."""
        self._add(self._answered(request, route, response, took, now))

    def refused(self, error: ProtocolError, peer: str, now: float) -> None:
        """Note a refusal."""
        self._add(self._refused(error, peer, now))

    def reopen(self) -> None:
        """Go on in a new file of the same name, after the old one was renamed (log rotation, SIGHUP).

        Returns at once. Where the new file cannot be opened, that is logged and the old one goes on.
        """
        self._writer.reopen()

    def close(self) -> None:
        """Write what is there and close the file. A line that comes later opens it again."""
        self._writer.close()
