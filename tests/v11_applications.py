"""Applications of OneBot 11 and loop-back platforms for them, as processes."""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onebot_processes import Loopback, NoneBot

from rawbot.onebot.v11.settings import V11Connection
from rawbot.onebot_loopback import make_loopback

LISTENS = re.compile(r"rawbot listens on http://127.0.0.1:(\d+)\n")
END_TO_END = Path(__file__).parent / "end_to_end"


class V11Loopback(Loopback):
    """`rawbot onebot` with OneBot 11 on a port of its own, too. Its bot's number is `self_id`."""

    def __init__(self, self_id: str, *arguments: str, token: str = "") -> None:
        super().__init__("--self-id", self_id, "--v11-port", "0", *arguments, token=token)

    @property
    def v11_port(self) -> int:
        """Where OneBot 11 is listened for: the second place."""
        self.log.wait(lambda _: len(LISTENS.findall(self.log.text)) > 1)
        return int(LISTENS.findall(self.log.text)[1])


class V11NoneBot(NoneBot):
    """A bot on NoneBot's adapter for OneBot 11."""

    application = END_TO_END / "nonebot_v11_application.py"


class Aiocqhttp(NoneBot):
    """A bot on aiocqhttp, which knows no drivers, and no settings but access_token and secret."""

    application = END_TO_END / "aiocqhttp_application.py"

    def __init__(self, folder: Path, listener: socket.socket, **settings: str) -> None:
        super().__init__(folder, "", listener, **settings)


@contextmanager
def place() -> Iterator[tuple[socket.socket, str]]:
    """Listen for an application that is still to be started; give the socket, and where it is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def loopback_in_a_thread(self_id: str, *connections: V11Connection) -> Iterator[None]:
    """Run the loop-back platform with connections that its command line has no options for."""
    begun, over = threading.Event(), threading.Event()

    async def run() -> None:
        async with make_loopback("loopback", self_id, connections).serve():
            begun.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        begun.wait()
        yield
    finally:
        over.set()
        thread.join()
