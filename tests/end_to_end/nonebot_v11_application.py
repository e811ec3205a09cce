"""A bot on NoneBot 2 and its OneBot 11 adapter, both as they come; `v11_orders.py` says how it is driven.

It says every message back, behind words by which it knows its own.
"""

import asyncio
import sys

import nonebot
from nonebot.adapters.onebot.v11 import Adapter, Bot, Event, MessageEvent
from nonebot.compat import model_dump
from nonebot.log import logger
from v11_orders import descriptor, obey, report, settings

HEARD = "NoneBot heard: "


async def call(bot: str, action: str, **params: object) -> object:
    return await nonebot.get_bot(bot).call_api(action, **params)


def main() -> None:
    logger.remove()
    logger.add(sys.stderr, level="DEBUG", format="{level} {message}")
    nonebot.init(log_level="DEBUG", **settings)
    driver = nonebot.get_driver()
    driver.register_adapter(Adapter)
    tasks = []

    @driver.on_startup
    async def start() -> None:
        tasks.append(asyncio.create_task(obey(call)))

    @driver.on_bot_connect
    async def connected(bot: Bot) -> None:
        report(seen="connect", bot=bot.self_id)

    @driver.on_bot_disconnect
    async def disconnected(bot: Bot) -> None:
        report(seen="disconnect", bot=bot.self_id)

    @nonebot.on(priority=1, block=False).handle()
    async def heard(bot: Bot, event: Event) -> None:
        report(seen=event.get_event_name(), bot=bot.self_id, event=model_dump(event))

    @nonebot.on_message(priority=2).handle()
    async def say_back(bot: Bot, event: MessageEvent) -> None:
        if not event.get_plaintext().startswith((HEARD, "/")):
            await bot.send(event, HEARD + event.message)

    nonebot.run(fd=descriptor)


if __name__ == "__main__":
    main()
