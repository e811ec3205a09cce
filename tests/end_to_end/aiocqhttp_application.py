"""A bot on aiocqhttp, as it comes; `v11_orders.py` says how it is driven. Settings: access_token, secret.

It answers every message with a quick operation, behind words by which it knows its own.
"""

import asyncio

import aiocqhttp
import uvicorn
from v11_orders import descriptor, obey, report, settings

HEARD = "aiocqhttp heard: "


def main() -> None:
    bot = aiocqhttp.CQHttp(access_token=settings["access_token"], secret=settings["secret"])
    tasks = []

    async def call(self_id: str, action: str, **params: object) -> object:
        return await bot.call_action(action, self_id=int(self_id), **params)

    @bot.server_app.before_serving
    async def start() -> None:
        tasks.append(asyncio.create_task(obey(call)))

    @bot.on_meta_event
    @bot.on_notice
    async def heard(event: aiocqhttp.Event) -> None:
        report(seen=event.name, bot=str(event.self_id), event=event)

    @bot.on_message
    async def say_back(event: aiocqhttp.Event) -> dict[str, object] | None:
        report(seen=event.name, bot=str(event.self_id), event=event)
        silent = HEARD in event.raw_message or event.raw_message.startswith("/")
        return None if silent else {"reply": HEARD + event.raw_message}

    uvicorn.run(bot.asgi, fd=descriptor, log_config=None)


if __name__ == "__main__":
    main()
