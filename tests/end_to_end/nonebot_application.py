"""A bot on NoneBot 2 and its OneBot 12 adapter, both as they come: the application that tests connect to rawbot.

It says messages back, save its own and those that begin with a slash, and calls the actions that it is told to call.

    NONEBOT_SETTINGS    NoneBot's configuration, an object in JSON
    NONEBOT_PREFIX      the words that it puts before what it says back
    NONEBOT_FD          the socket to listen on, for drivers that listen
    stdin               one call a line: {"call": number, "bot": id, "action": name, "params": {}}; its end ends the bot
    stdout              one report a line: {"seen": "connect", "disconnect" or an event's name, "bot": id, …},
                        {"answered": number, "data": …} or {"answered": number, "failed": {}}

Bytes are {"base64": text} in calls and in reports. NoneBot's log is on stderr.
"""

import asyncio
import base64
import dataclasses
import json
import os
import signal
import sys
from datetime import datetime

import nonebot
from nonebot.adapters.onebot.v12 import Adapter, Bot, Event, MessageEvent
from nonebot.compat import model_dump
from nonebot.log import logger

LONGEST_LINE = 16 * 1024 * 1024


def report(**fields: object) -> None:
    print(json.dumps(fields, default=encode), flush=True)  # noqa: T201 - a report


def encode(value: object) -> object:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return value.timestamp()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(type(value).__name__)


def decode(value: dict[str, object]) -> object:
    return base64.b64decode(str(value["base64"])) if value.keys() == {"base64"} else value


async def obey() -> None:
    """Call the actions that lines of stdin name, one after the other."""
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line, object_hook=decode)
        try:
            data = await nonebot.get_bot(order["bot"]).call_api(order["action"], **order["params"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the test judges it
            report(answered=order["call"], failed=describe(error))
        else:
            report(answered=order["call"], data=data)
    signal.raise_signal(signal.SIGTERM)


def describe(error: BaseException) -> dict[str, object]:
    """Tell of what a call raised. Over HTTP the adapter wraps it once more, so the cause is told, too."""
    cause = None if error.__cause__ is None else describe(error.__cause__)
    retcode, message = getattr(error, "retcode", None), getattr(error, "message", None)
    return {"raised": type(error).__name__, "retcode": retcode, "message": message, "cause": cause}


def main() -> None:
    logger.remove()
    logger.add(sys.stderr, level="DEBUG", format="{level} {message}")
    nonebot.init(log_level="DEBUG", **json.loads(os.environ["NONEBOT_SETTINGS"]))
    driver, prefix = nonebot.get_driver(), os.environ["NONEBOT_PREFIX"]
    driver.register_adapter(Adapter)
    tasks = []

    @driver.on_startup
    async def start() -> None:
        tasks.append(asyncio.create_task(obey()))

    @driver.on_bot_connect
    async def connected(bot: Bot) -> None:
        report(seen="connect", bot=bot.self_id, platform=bot.platform, impl=bot.impl)

    @driver.on_bot_disconnect
    async def disconnected(bot: Bot) -> None:
        report(seen="disconnect", bot=bot.self_id)

    @nonebot.on(priority=1, block=False).handle()
    async def heard(bot: Bot, event: Event) -> None:
        report(seen=event.get_event_name(), bot=bot.self_id, event=model_dump(event))

    @nonebot.on_message(priority=2).handle()
    async def say_back(bot: Bot, event: MessageEvent) -> None:
        if not event.get_plaintext().startswith((prefix, "/")):
            await bot.send(event, prefix + event.message)

    nonebot.run(**({"fd": int(os.environ["NONEBOT_FD"])} if "NONEBOT_FD" in os.environ else {}))


if __name__ == "__main__":
    main()
