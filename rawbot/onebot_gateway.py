"""The gateway as a program writes it: an app's channels, offered to OneBot applications.

Layer 4: it puts `rawbot.onebot.gateway` and an app together.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping

from rawbot.aio.app import App
from rawbot.onebot.gateway import HOLD, Gateway
from rawbot.onebot.settings import HTTP, Connection, WebSocket
from rawbot.onebot_server import OneBot


class OneBotGateway(OneBot):
    """Makes a OneBot 12 platform of each channel of this app, for applications on `path` and on `connections`.

    On `path`, which may be None, the app answers action requests and opens WebSockets for whoever shows the
    `access_token`. Connections of the kinds `HTTP` and `WebSocket` listen on their own host and port. `hold` is for how
    many seconds a reply is held open for applications, `names` the bots' names by platform. Raises `ConfigError` and
    `MissingExtraError` as `OneBot` and `App.add` do.
    """

    def __init__(
        self,
        app: App,
        *,
        path: str | None = None,
        access_token: str | None = None,
        connections: Iterable[Connection] = (),
        impl: str = "rawbot",
        version: str = "1",
        heartbeat: int = 0,
        hold: float = HOLD,
        names: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        super().__init__(
            impl,
            platform=impl,
            version=version,
            connections=connections,
            heartbeat=heartbeat,
            clock=clock,
            entropy=entropy,
        )
        app.attach(self._keep(Gateway(self, self.serve_files(), hold=hold, names=names)))
        if path is not None:
            here = HTTP(access_token=access_token), WebSocket(access_token=access_token)
            self.mount(app, path, http=here[0], websocket=here[1])
        else:
            self._join(app)
        self._listening: contextlib.AsyncExitStack | None = None
        app.on_startup(self._listen)
        app.on_shutdown(self._stop_listening)

    async def _listen(self) -> None:
        self._listening = contextlib.AsyncExitStack()
        await self._listening.enter_async_context(self.listen())

    async def _stop_listening(self) -> None:
        if self._listening is not None:
            await self._listening.aclose()
