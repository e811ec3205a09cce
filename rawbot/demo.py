"""A bot on every channel, configured by environment variables: for trying out, and as a pattern to copy.

Layer 4. `rawbot.demo:app` is the app; it is made when first asked for, from

    RAWBOT_WECOM_TOKEN, RAWBOT_WECOM_ENCODING_AES_KEY    as the admin console shows them (needed)
    RAWBOT_WECOM_RECEIVE_ID                              default empty: a bot made inside the company
    RAWBOT_DEMO_DELAY                                    seconds between the pieces of an answer, default 0.05
    RAWBOT_DEMO_ECHO                                     1 adds /echo, which says back what comes by HTTP and WebSocket;
                                                         then the two secrets may be left out
    RAWBOT_DEMO_LOOPBACK                                 0 forbids files and active replies on this machine's own
                                                         loopback addresses, where simulators serve them
    RAWBOT_ONEBOT_PATH                                   a path, as /onebot: OneBot 12 applications get the messages
                                                         there, by HTTP and WebSocket, and answer in the bot's place
    RAWBOT_ONEBOT_ACCESS_TOKEN                           what they must show; without it anybody is let in
"""

import asyncio
import math
import os
import struct
import zlib
from collections.abc import Callable, Mapping

from rawbot.aio.app import App
from rawbot.aio.outgoing.policy import OutgoingPolicy
from rawbot.bot import Bot
from rawbot.demo_echo import ECHO_PATH, ECHO_SETTINGS, EchoEndpoint, make_echo_bot
from rawbot.errors import ConfigError
from rawbot.event import Event, Reply
from rawbot.onebot_gateway import OneBotGateway
from rawbot.wecom import cards
from rawbot.wecom.endpoint import WeComEndpoint
from rawbot.wecom.event_replies import EventReply
from rawbot.wecom.messages import CardEvent
from rawbot.wecom.streams import Stream

WECOM_PATH = "/callback/command"

HELP = (
    "Hello! I repeat what you say. Try /slow 3, /long 30000, /image, /card, /fail or /silent, "
    "or send me a picture or a file."
)


def make_bot(delay: float = 0.05, *, silent: Callable[[], bool] = lambda: False) -> Bot:
    """Return the demo bot: it repeats what it hears, piece by piece, and knows a few commands; not while `silent`."""
    bot = Bot()

    @bot.on_message
    async def answer(event: Event, reply: Stream) -> None:
        if silent():
            return
        if event.attachments:
            await describe_files(event, reply)
        else:
            await obey(event.text, reply, delay)

    @bot.on_event("enter_chat")
    def welcome(_event: Event, reply: Reply) -> None:
        reply.write(HELP)

    @bot.on_event("template_card_event")
    def decided(event: Event, reply: EventReply) -> None:
        if isinstance(event.message, CardEvent):
            reply.update_card(answered_card(event.message.task_id, event.message.event_key))

    return bot


async def obey(text: str, reply: Stream, delay: float) -> None:
    """Do what a command says; say back anything else."""
    command, _, argument = text.strip().partition(" ")
    if command == "/slow":
        seconds = _number(argument, 3)
        await asyncio.sleep(seconds)
        reply.write(f"That took {seconds:g} s.")
    elif command == "/long":
        reply.write(long_text(int(_number(argument, 30_000))))
    elif command == "/image":
        reply.write("Here is a picture.")
        reply.attach_image(png(64, 64))
    elif command == "/card":
        reply.write("Please decide.")
        reply.card(question_card(f"demo-{reply.id}"))
    elif command == "/fail":
        raise RuntimeError("the demo was asked to fail")
    elif command != "/silent":
        await repeat(text, reply, delay)


async def repeat(text: str, reply: Reply, delay: float) -> None:
    """Say it back in several pieces, as a language model would."""
    said = f"You said: {text}"
    size = max(1, len(said) // 5)
    for start in range(0, len(said), size):
        if start:
            await asyncio.sleep(delay)
        reply.write(said[start : start + size])


async def describe_files(event: Event, reply: Reply) -> None:
    """Download what the user sent and tell type, name and size."""
    for attachment in event.attachments:
        media = await attachment.read()
        reply.write(f"{attachment.kind}: {media.content_type}, {media.name}, {media.size} bytes\n")


def long_text(size: int) -> str:
    """Return text of exactly so many bytes, in paragraphs that are numbered."""
    paragraphs = (f"{n}. The quick brown fox jumps over the lazy dog.\n\n" for n in range(1, size // 40 + 2))
    return "".join(paragraphs)[:size]


def question_card(task_id: str) -> cards.Card:
    """Return a card with two buttons."""
    return cards.button_interaction(
        main_title={"title": "Shall we?", "desc": "Press a button and the card changes."},
        button_list=[cards.button("Yes", "yes"), cards.button("No", "no", style=2)],
        task_id=task_id,
    )


def answered_card(task_id: str, key: str) -> cards.Card:
    """Return what that card becomes."""
    return cards.text_notice(
        main_title={"title": f"You pressed {key}."},
        card_action={"type": 1, "url": "https://developer.work.weixin.qq.com/"},
        task_id=task_id,
    )


def png(width: int, height: int) -> bytes:
    """Draw a small gradient as a PNG (W3C PNG specification, 8-bit RGB)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 160)) for x in range(width)) for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_app(environ: Mapping[str, str]) -> App:
    """Build the app from the environment. Raises `ConfigError` that names the variable at fault."""
    token = environ.get("RAWBOT_WECOM_TOKEN", "")
    key = environ.get("RAWBOT_WECOM_ENCODING_AES_KEY", "")
    echo = environ.get("RAWBOT_DEMO_ECHO", "0") == "1"
    if not (token and key) and (token or key or not echo):
        raise ConfigError("set RAWBOT_WECOM_TOKEN and RAWBOT_WECOM_ENCODING_AES_KEY, or try: python -m rawbot demo")
    delay = environ.get("RAWBOT_DEMO_DELAY", "0.05")
    try:
        seconds = float(delay)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise ConfigError(f"RAWBOT_DEMO_DELAY is a number of seconds, not {delay!r}")
    loopback = allows_loopback(environ)
    gateways: list[OneBotGateway] = []
    app = App(
        make_bot(seconds, silent=lambda: any(gateway.is_heard() for gateway in gateways)),
        websocket=ECHO_SETTINGS if echo else None,
        outgoing=OutgoingPolicy(allow_loopback=loopback, allow_http=loopback),
    )
    if echo:
        app.add(ECHO_PATH, EchoEndpoint(), bot=make_echo_bot())
    if path := environ.get("RAWBOT_ONEBOT_PATH"):
        gateways.append(OneBotGateway(app, path=path, access_token=environ.get("RAWBOT_ONEBOT_ACCESS_TOKEN")))
    if not token:
        return app
    try:
        endpoint = WeComEndpoint(token, key, receive_id=environ.get("RAWBOT_WECOM_RECEIVE_ID", ""))
    except ConfigError as error:
        raise ConfigError(f"RAWBOT_WECOM_…: {error}") from None
    app.add(WECOM_PATH, endpoint)
    return app


def allows_loopback(environ: Mapping[str, str]) -> bool:
    """Tell whether files and active replies on this machine's loopback addresses are let through."""
    return environ.get("RAWBOT_DEMO_LOOPBACK", "1") != "0"


def _number(argument: str, default: float) -> float:
    try:
        return min(max(0.0, float(argument)), 1_000_000.0)  # in this order NaN becomes 0
    except ValueError:
        return default


def __getattr__(name: str) -> App:
    if name == "app":
        return make_app(os.environ)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
