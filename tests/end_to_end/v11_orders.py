"""What the applications of OneBot 11 share: they call what they are told to, and report what they see.

NONEBOT_SETTINGS    the application's own settings, an object in JSON
NONEBOT_FD          the socket to listen on
stdin               one call a line: {"call": number, "bot": id, "action": name, "params": {}}; its end ends the bot
stdout              one report a line: {"seen": an event's name, "bot": id, "event": {}},
                    {"answered": number, "data": …} or {"answered": number, "failed": {}}
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable

LONGEST_LINE = 1024 * 1024

Call = Callable[..., Awaitable[object]]

settings = json.loads(os.environ["NONEBOT_SETTINGS"])
descriptor = int(os.environ["NONEBOT_FD"])


def report(**fields: object) -> None:
    print(json.dumps(fields), flush=True)  # noqa: T201 - a report


async def obey(call: Call) -> None:
    """Call the actions that lines of stdin name, one after the other: `call(bot, action, **params)`."""
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        try:
            data = await call(order["bot"], order["action"], **order["params"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the test judges it
            report(answered=order["call"], failed=describe(error))
        else:
            report(answered=order["call"], data=data)
    signal.raise_signal(signal.SIGTERM)


def describe(error: Exception) -> dict[str, object]:
    """Tell of what a call raised; both libraries keep the answer, under two names."""
    answer = getattr(error, "info", None) or getattr(error, "result", None) or {}
    named = {name: answer.get(name) for name in ("retcode", "message")}
    return {"raised": type(error).__name__, "cause": None, **named}
