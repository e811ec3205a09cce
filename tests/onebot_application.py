"""A OneBot 12 application of a few lines, over a WebSocket of the `websockets` library: it keeps what it hears."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

Data = dict[str, Any]


class Failed(Exception):  # noqa: N818 - it has failed
    """An action that was refused."""

    def __init__(self, response: Data) -> None:
        super().__init__(response["message"])
        self.retcode: int = response["retcode"]


class Application:
    """Hears events and calls actions, on a connection that it has opened or accepted."""

    def __init__(self, connection: ClientConnection | ServerConnection) -> None:
        self.events: list[Data] = []
        self._connection = connection
        self._answers: dict[str, asyncio.Future[Data]] = {}
        self._numbers = count(1)
        self._news = asyncio.Event()

    async def listen(self) -> None:
        """Take in what comes, to the end of the connection."""
        try:
            async for frame in self._connection:
                data = json.loads(frame)
                if "type" in data:
                    self.events.append(data)
                else:
                    self._answers.pop(data["echo"]).set_result(data)
                news, self._news = self._news, asyncio.Event()
                news.set()
        except ConnectionClosed as error:
            for answer in self._answers.values():
                answer.set_exception(error)

    async def heard(self, name: str, **fields: object) -> Data:
        """Wait for an event of this detail_type, with these fields; return the first."""
        while True:
            for event in self.events:
                if event["detail_type"] == name and fields.items() <= event.items():
                    return event
            await self._news.wait()

    async def call(self, action: str, **params: object) -> Any:  # noqa: ANN401 - data of any action
        """Call an action and return its data. Raises `Failed`."""
        echo = str(next(self._numbers))
        answer = self._answers[echo] = asyncio.get_running_loop().create_future()
        bots = [event["self"] for event in self.events if "self" in event]
        who = {"self": bots[-1]} if bots else {}
        await self._connection.send(json.dumps({"action": action, "params": params, "echo": echo} | who))
        response = await answer
        if response["status"] != "ok":
            raise Failed(response)
        return response["data"]

    async def send(self, message: object, user: str = "zhangsan", **more: object) -> Data:
        """Say something to a user."""
        return await self.call("send_message", **{"detail_type": "private", "user_id": user, "message": message} | more)

    async def upload(self, data: bytes) -> Data:
        """Upload a picture; return the segment for it."""
        encoded = base64.b64encode(data).decode()
        file_id = (await self.call("upload_file", type="data", name="x.png", data=encoded))["file_id"]
        return {"type": "image", "data": {"file_id": file_id}}

    async def download(self, file_id: str, part: int = 512 * 1024) -> tuple[Data, bytes]:
        """Get a file in parts."""
        head = await self.call("get_file_fragmented", stage="prepare", file_id=file_id)
        data = b""
        while len(data) < head["total_size"]:
            asked = {"stage": "transfer", "file_id": file_id, "offset": len(data), "size": part}
            data += base64.b64decode((await self.call("get_file_fragmented", **asked))["data"])
        return head, data


@asynccontextmanager
async def application(url: str, token: str = "") -> AsyncIterator[Application]:
    """Connect to an implementation."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with connect(url, additional_headers=headers, proxy=None) as connection:
        app = Application(connection)
        listening = asyncio.create_task(app.listen())
        await app.heard("status_update")
        yield app
    await listening
