"""The gateway as a program writes it: an app's channels, offered to OneBot applications.

Layer 4: it puts `rawbot.onebot.gateway` and an app together.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from rawbot.aio.app import App
from rawbot.aio.watching.version import read_version
from rawbot.onebot.gateway import HOLD, Gateway
from rawbot.onebot.messages import Account
from rawbot.onebot.settings import HTTP, Connection, WebSocket
from rawbot.onebot.v11.settings import V11Connection
from rawbot.onebot_server import OneBot, OneBotServer


class OneBotGateway(OneBot):
    """Makes a OneBot 12 platform of each channel of this app, for applications on `path` and on `connections`.

    On `path`, which may be None, the app answers action requests and opens WebSockets for whoever shows the
    `access_token`. Connections of the kinds `HTTP` and `WebSocket` listen on their own host and port; those of OneBot
    11 name their bot, an `Account` with the channel's platform and the id that its events tell. `bots` are those that
    are known before their first message, `hold` is for how many seconds a reply is held open for applications, `names`
    the bots' names by id or platform. Raises `ConfigError` and `MissingExtraError` as `OneBot` and `App.add` do.
    """

    def __init__(
        self,
        app: App,
        *,
        path: str | None = None,
        access_token: str | None = None,
        connections: Iterable[Connection | V11Connection] = (),
        bots: Sequence[Account] = (),
        impl: str = "rawbot",
        version: str | None = None,
        heartbeat: int = 0,
        hold: float = HOLD,
        names: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        super().__init__(
            impl,
            platform=impl,
            version=version or read_version(),
            bots=bots,
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
        self.server = OneBotServer()
        """What listens on hosts and ports of its own, while the app runs."""
        self._listening = contextlib.AsyncExitStack()
        app.on_startup(self._listen)
        app.on_shutdown(self._listening.aclose)

    async def _listen(self) -> None:
        self.server = await self._listening.enter_async_context(self.listen())
