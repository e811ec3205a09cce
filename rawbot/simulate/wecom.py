"""WeCom's side of an AI bot in callback mode, to talk to any bot server as the platform does.

Layer 3 (simulate), the part with IO: it posts callbacks, waits, asks again, tries again. What a user does is built in
wecom_messages, the envelope is made and opened in wecom_envelope, what the answers come to is kept by a
`Conversation`, files and response_urls are served by `WeComServices`. Source:
developer.work.weixin.qq.com/document/path/100719, 101027, 101031, 101033, 101138.
"""

import asyncio
import math
import random
import secrets
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from rawbot.errors import ConfigError, FetchError, ProtocolError
from rawbot.simulate import wecom_messages as messages
from rawbot.simulate.http_client import HttpPool, split_url
from rawbot.simulate.wecom_conversation import ACCEPTED, RESPONSE_URL_LIFETIME, STREAM_LIFETIME, Conversation, Frame
from rawbot.simulate.wecom_envelope import decode_reply, encode_callback, encode_verification, judge_echo
from rawbot.simulate.wecom_messages import JsonObject
from rawbot.simulate.wecom_rules import judge_delay
from rawbot.simulate.wecom_services import WeComServices
from rawbot.wecom.crypto import WeComCrypto
from rawbot.wecom.media import MEDIA_LIFETIME, encode_media

__all__ = ["Conversation", "Frame", "WeComPlatform", "decode_reply"]

TRIES = 3
"""How often a callback is delivered at most, by the rule of the platform's family."""
DELIVERED_ONCE = ("template_card_event", "enter_chat")
"""Events that are not repeated whatever happens (101027)."""

_ECHO_WITHIN = 1.0  # seconds for the answer to a URL verification (91144)
_JSON = ((b"content-type", b"application/json"),)
_OK = 200
_SERVER_ERROR = 500

LoseReply = float | Callable[[JsonObject, int], bool]
"""A probability, or a function of the callback and the number of the try (from 1)."""


class WeComPlatform:
    """The platform for one bot: users write through it, `url` is the bot's callback URL.

    Use it as `async with WeComPlatform(…) as platform:`, for the files and response_urls that it serves meanwhile; any
    number of conversations may run at once. Whatever the bot does wrong is in `Conversation.problems`; no method raises
    for it but `verify_url`.

    `interval` is the wait between two refreshes, in seconds. `speed` divides that wait and the lifetimes of streams,
    files and response_urls: at 360, six minutes pass in one second. Times in a `Conversation` are real, and so is
    `timeout`, the time that one answer may take, and `patience`: after so many seconds without any answer a
    conversation is given up. The platform asks for six minutes whatever happens. `clock` gives the Unix time for the
    envelopes.

    Faults to order: `lose_reply` drops answers that have come, so that the callback is tried again, `duplicate` is the
    probability that a callback is delivered twice at once; `seed` makes both repeatable. `on_frame` is called with each
    frame as it is shown, `on_active` with what came by response_url, `on_problem` with what is wrong, when it is found.

    Raises `ConfigError` for settings that cannot work.
    """

    __slots__ = (
        "_address",
        "_arrived",
        "_bot_id",
        "_bot_name",
        "_clock",
        "_crypto",
        "_faults",
        "_interval",
        "_on_active",
        "_on_frame",
        "_on_problem",
        "_patience",
        "_pool",
        "_services",
        "_speed",
    )

    def __init__(
        self,
        url: str,
        *,
        token: str,
        encoding_aes_key: str,
        receive_id: str = "",
        bot_id: str = "AIBOTID",
        bot_name: str = "RobotA",
        interval: float = 1.0,
        speed: float = 1.0,
        timeout: float = 5.0,
        patience: float = math.inf,
        lose_reply: LoseReply = 0.0,
        duplicate: float = 0.0,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        on_frame: Callable[[Conversation, Frame], None] | None = None,
        on_active: Callable[[Conversation, JsonObject], None] | None = None,
        on_problem: Callable[[Conversation, str], None] | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        _demand_numbers(interval, patience, speed=speed, timeout=timeout)
        self._address = split_url(url)
        self._crypto = WeComCrypto(token, encoding_aes_key, receive_id=receive_id)
        self._bot_id = bot_id
        self._bot_name = bot_name
        self._interval = interval / speed
        self._speed = speed
        self._faults = _Faults(lose_reply, duplicate, seed)
        self._clock = clock
        self._patience, self._on_problem, self._on_frame = patience, on_problem, on_frame
        self._on_active = on_active
        self._pool = HttpPool(url, timeout=timeout, ssl_context=ssl_context)
        self._arrived = asyncio.Event()
        self._services = WeComServices(
            media_lifetime=MEDIA_LIFETIME / speed,
            response_url_lifetime=2 * RESPONSE_URL_LIFETIME / speed,  # a late use is told from an unknown code
        )

    async def __aenter__(self) -> Self:
        await self._services.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._services.stop()
        await self._pool.aclose()

    async def verify_url(self) -> None:
        """Do what the console does when the URL is saved; works outside of `async with`, too.

        Raises `ProtocolError` saying what is wrong with the answer, `FetchError` when there is none.
        """
        echo = str(10**18 + secrets.randbelow(9 * 10**18))
        query, echostr = encode_verification(self._crypto, echo, timestamp=int(self._clock()), nonce=_new_nonce())
        now = asyncio.get_running_loop().time
        started = now()
        try:
            response = await self._pool.request("GET", self._target(query))
            took = now() - started
        finally:
            await self._pool.aclose()
        problem = judge_echo(response.status, response.body, echo=echo, echostr=echostr)
        if problem is None and took > _ECHO_WITHIN:
            problem = f"the answer is right, but took {took:.1f} s: the console waits {_ECHO_WITHIN:g} s"
        if problem is not None:
            raise ProtocolError(problem)

    async def say(
        self, text: str, *, user: str = "zhangsan", chat: str | None = None, quote: JsonObject | None = None
    ) -> Conversation:
        """Write a text, in the group `chat` or the single chat; return when the bot's answer is complete or given up.

        In a group "@RobotName " stands in front of it, as the platform leaves it there. `quote` is a body made by
        `wecom_messages`, its file hosted by `host`.
        """
        body = messages.text_body(self._addressed(text, chat))
        return await self.send(messages.user_message(body, user=user, chat=chat, quote=quote))

    async def send_image(self, data: bytes, *, user: str = "zhangsan", quote: JsonObject | None = None) -> Conversation:
        """Send a picture in the single chat: in groups WeCom lets no bare one through. Returns as `say`."""
        body = messages.image_body(self.host(data, name="image"))
        return await self.send(messages.user_message(body, user=user, quote=quote))

    async def send_mixed(
        self,
        items: Sequence[str | bytes],
        *,
        user: str = "zhangsan",
        chat: str | None = None,
        quote: JsonObject | None = None,
    ) -> Conversation:
        """Send texts (`str`) and pictures (`bytes`) in one message. Returns as `say`."""
        bodies: list[JsonObject] = []
        for item in items:
            if isinstance(item, bytes):
                bodies.append(messages.image_body(self.host(item, name="image")))
            else:
                spoken_to = chat if not bodies else None  # the mention stands in front of the message only
                bodies.append(messages.text_body(self._addressed(item, spoken_to)))
        return await self.send(messages.user_message(messages.mixed_body(bodies), user=user, chat=chat, quote=quote))

    async def send_voice(self, text: str, *, user: str = "zhangsan") -> Conversation:
        """Say something aloud in the single chat; the bot gets the text. Returns as `say`."""
        return await self.send(messages.user_message(messages.voice_body(text), user=user))

    async def send_file(self, data: bytes, *, name: str = "report.pdf", user: str = "zhangsan") -> Conversation:
        """Send a file in the single chat. Returns as `say`."""
        return await self.send(messages.user_message(messages.file_body(self.host(data, name=name)), user=user))

    async def send_video(self, data: bytes, *, name: str = "video.mp4", user: str = "zhangsan") -> Conversation:
        """Send a video in the single chat. Returns as `say`."""
        return await self.send(messages.user_message(messages.video_body(self.host(data, name=name)), user=user))

    async def enter_chat(self, *, user: str = "zhangsan") -> Conversation:
        """Open the single chat for the first time today; a welcome is in `shown` or `cards`."""
        return await self.send_event("enter_chat", user=user)

    async def give_feedback(
        self,
        feedback_id: str,
        *,
        verdict: int = 1,
        content: str = "",
        reasons: Sequence[int] = (),
        user: str = "zhangsan",
    ) -> Conversation:
        """Judge an answer by the `feedback_id` of its first frame: 1 good, 2 bad, 3 withdrawn."""
        payload = messages.feedback(feedback_id, verdict=verdict, content=content, reasons=reasons)
        return await self.send_event("feedback_event", payload, user=user)

    async def press(
        self,
        card: JsonObject,
        key: str,
        *,
        selected: Mapping[str, Sequence[str]] | None = None,
        user: str = "zhangsan",
        chat: str | None = None,
    ) -> Conversation:
        """Press a button of a card out of `Conversation.cards`; an update changes this very object.

        `selected` are the chosen option ids by question_key. Raises `StateError` when there is no such button.
        """
        payload = messages.press(card, key, selected)
        event = messages.event("template_card_event", payload, user=user, chat=chat, create_time=int(self._clock()))
        return await self.send(event, card=card)

    async def send_event(
        self, name: str, payload: JsonObject | None = None, *, user: str = "zhangsan", chat: str | None = None
    ) -> Conversation:
        """Send any event, known to the vendor or not."""
        event = messages.event(name, payload, user=user, chat=chat, create_time=int(self._clock()))
        return await self.send(event)

    async def send(self, message: JsonObject, *, card: JsonObject | None = None) -> Conversation:
        """Deliver a message or event and follow the answer to its end: finished, given up, or six minutes over.

        msgid, aibotid and, where the platform gives one, response_url are added if they are missing. `card` is the card
        that was pressed. Raises `StateError` outside of `async with`.
        """
        now = asyncio.get_running_loop().time
        started = now()
        conversation = Conversation(
            message | {"msgid": message.get("msgid", _new_id()), "aibotid": message.get("aibotid", self._bot_id)},
            card=card,
            lifetime=STREAM_LIFETIME / self._speed,
            response_url_lifetime=RESPONSE_URL_LIFETIME / self._speed,
            on_problem=self._on_problem,
        )
        if conversation.kind in (messages.MESSAGE, "template_card_event") and "response_url" not in message:
            receive = partial(self._receive_active, conversation, started)
            conversation.message["response_url"] = self._services.add_response_url(receive)
        await self._deliver(conversation, conversation.message, started)
        answered = now()
        while conversation.streaming:
            await asyncio.sleep(self._interval)
            if conversation.overdue(now() - started):
                conversation.expire()
                continue
            refresh = messages.refresh(conversation.message, conversation.stream_id)
            if await self._deliver(conversation, refresh | {"msgid": _new_id()}, started):
                answered = now()
            elif now() - answered >= self._patience:
                conversation.expire(f"no answer for {self._patience:g} s: given up")
        return conversation

    def host(self, data: bytes, *, name: str = "file") -> str:
        """Encrypt a file and serve it for five minutes, `speed` counted in; return its URL, for a body or a quote."""
        return self._services.add_file(encode_media(data, self._crypto.key), name=name)

    async def wait_active(self, conversation: Conversation, *, count: int = 1) -> None:
        """Wait until `count` messages have come by response_url, for ever if they do not: use `asyncio.timeout`."""
        while len(conversation.active_messages) < count:
            await self._arrived.wait()

    async def _deliver(self, conversation: Conversation, callback: JsonObject, started: float) -> bool:
        """Bring one callback to the bot, again with the same msgid if the answer does not come, and show the answer.

        Returns whether any came.
        """
        seen: list[JsonObject] = []
        for number in range(1, 1 + (1 if conversation.kind in DELIVERED_ONCE else TRIES)):
            replies, again = await self._try(conversation, callback)
            for reply in replies:
                if seen:
                    conversation.receive_repeat(seen[-1], reply, overlapping=len(replies) > 1)
                seen.append(reply)
            if replies and not self._faults.lose(callback, number):
                self._show(conversation, replies[0], started)
                return True
            if replies:
                conversation.note("an answer was dropped on purpose")
            elif not again:
                break
        conversation.receive_nothing()
        return bool(seen)

    async def _try(self, conversation: Conversation, callback: JsonObject) -> tuple[list[JsonObject], bool]:
        """Deliver once, or twice at the same time; return the readable answers, and whether to try again for one."""
        nonce = _new_nonce()
        query, body = encode_callback(self._crypto, callback, timestamp=int(self._clock()), nonce=nonce)
        twice = conversation.kind not in DELIVERED_ONCE and self._faults.duplicate()
        posts = [self._post(conversation, self._target(query), body, nonce) for _ in range(2 if twice else 1)]
        answers = await asyncio.gather(*posts)
        return [reply for reply, _ in answers if reply is not None], any(again for _, again in answers)

    async def _post(
        self, conversation: Conversation, target: str, body: bytes, nonce: str
    ) -> tuple[JsonObject | None, bool]:
        """Return the answer to one POST, and whether the platform would try again: no answer, or a 5xx."""
        conversation.deliveries += 1
        now = asyncio.get_running_loop().time
        asked = now()
        try:
            response = await self._pool.request("POST", target, _JSON, body)
        except FetchError as error:
            conversation.blame(str(error))
            return None, True
        conversation.blame(*judge_delay(now() - asked))
        if response.status != _OK:
            conversation.blame(f"an answer's status is {response.status}")
            return None, response.status >= _SERVER_ERROR
        reply, problems = decode_reply(response.body, crypto=self._crypto, nonce=nonce)
        conversation.blame(*problems)
        return reply, False

    def _show(self, conversation: Conversation, reply: JsonObject, started: float) -> None:
        frame = conversation.receive(reply, asyncio.get_running_loop().time() - started)
        if frame is not None and self._on_frame is not None:
            self._on_frame(conversation, frame)

    def _receive_active(self, conversation: Conversation, started: float, body: bytes) -> tuple[int, str]:
        code, error = conversation.receive_active(body, asyncio.get_running_loop().time() - started)
        if code == ACCEPTED:
            arrived, self._arrived = self._arrived, asyncio.Event()
            arrived.set()
            if self._on_active is not None:
                self._on_active(conversation, conversation.active_messages[-1])
        return code, error

    def _target(self, query: str) -> str:
        return self._address.target + ("&" if "?" in self._address.target else "?") + query

    def _addressed(self, text: str, chat: str | None) -> str:
        return text if chat is None else f"@{self._bot_name} {text}"


class _Faults:
    """Which deliveries go wrong: a function of the seed and of their order."""

    __slots__ = ("_chance", "_duplicate", "_lose_reply")

    def __init__(self, lose_reply: LoseReply, duplicate: float, seed: int) -> None:
        self._lose_reply = lose_reply
        self._duplicate = duplicate
        self._chance = random.Random(seed)  # noqa: S311 - it draws faults, no secrets

    def lose(self, callback: JsonObject, number: int) -> bool:
        if callable(self._lose_reply):
            return self._lose_reply(callback, number)
        return self._chance.random() < self._lose_reply

    def duplicate(self) -> bool:
        return self._chance.random() < self._duplicate


def _demand_numbers(interval: float, patience: float, **others: float) -> None:
    """Refuse what cannot be divided by or waited for, NaN too, with which every comparison is false."""
    if not 0 <= interval < math.inf:
        raise ConfigError(f"interval is a number of seconds, 0 or more, not {interval:g}")
    if not patience > 0:
        raise ConfigError(f"patience is a number of seconds above 0, not {patience:g}")
    for name, value in others.items():
        if not 0 < value < math.inf:
            raise ConfigError(f"{name} is a number above 0, not {value:g}")


def _new_id() -> str:
    return secrets.token_hex(16)


def _new_nonce() -> str:
    return str(secrets.randbelow(10**10))
