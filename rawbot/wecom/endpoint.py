"""WeCom's door: an encrypted callback in, an encrypted reply out, in one call and without waiting.

Layer 3, pure. Source: developer.work.weixin.qq.com/document/path/101033 (callbacks), 100719 (messages), 101031
(replies).

    GET  ?msg_signature&timestamp&nonce&echostr      the console verifies the URL: the decrypted echostr, raw
    POST ?msg_signature&timestamp&nonce {encrypt}    a message   → opens a stream, and the bot is told
                                                     a refresh   → the stream's newest text
                                                     an event    → welcome, changed card or nothing

Nothing here waits: where the bot must speak first, the exchange is `Pending` and says until when.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from rawbot.errors import ProtocolError
from rawbot.event import MESSAGE, Attachment, Event
from rawbot.exchange import Answer, Endpoint, Exchange, Figure, Pending, Request, Response, refuse
from rawbot.expiring import ExpiringDict
from rawbot.wecom.crypto import ReceiveId, WeComCrypto
from rawbot.wecom.deliveries import Deliveries
from rawbot.wecom.envelope import decode_envelope
from rawbot.wecom.event_replies import EventReply
from rawbot.wecom.figures import gather_figures
from rawbot.wecom.media import MEDIA_LIFETIME, WeComAttachment
from rawbot.wecom.messages import (
    File,
    Image,
    Message,
    Refresh,
    Text,
    UserMessage,
    Video,
    contents,
    decode_message,
    encode_stream,
    payload_of,
    strip_mention,
    text_of,
)
from rawbot.wecom.query import CallbackQuery, decode_query
from rawbot.wecom.sealing import Seal, unseal
from rawbot.wecom.settings import demand_count, demand_lifetime, demand_pairs, demand_seconds, demand_text, draw
from rawbot.wecom.stream_table import StreamLimits, StreamTable, Voice
from rawbot.wecom.streams import Stream
from rawbot.wecom.texts import WeComTexts

PLATFORM = "wecom"

EVENT_DEADLINE = 4.0
"""Seconds after which an event is answered with what there is; the platform gives up at five (doc 101027)."""

EVENTS_KEPT = 60.0
"""Seconds for which the answer to an event is kept for a repetition: events have five, and card events no retry."""

MAX_EVENTS = 4096
"""Answers to events kept: at most 20 KB each, so no more than 80 MB, and 4 KB as a rule."""

TICK = 0.25
"""Seconds for which `receive` does not look for time-outs again; no time-out here is meant more exactly."""


class WeComEndpoint(Endpoint):
    """One AI bot in callback mode: give it the token and the EncodingAESKey that the admin console shows.

    - `receive_id`: what the frames end with; `""` for a bot made inside the company, an id or several for a template
      of a third party, None to accept any.
    - `previous`: further (token, encoding_aes_key) pairs to accept while keys are rotated; the pair that fits answers.
    - `bot_name`: taken off the front of group messages, where it stands as "@name "; without it, a first word that
      begins with `@` is.
    - `first_hold`: seconds for which the first answer waits for a handler that may be done by then, so that its reply
      is shown in one shot. `refresh_hold`: seconds for which a refresh that finds nothing new waits for the next
      write, which ends the wait at once.
    - `waiting`: what a bubble shows before the first word; an empty think block is the platform's waiting animation.
    - `feedback`: ask the user to judge answers (feedback_event; its id is the stream's).
    - `replay_window`: seconds for which a msgid is remembered, `max_remembered` at the most: a callback repeated
      within it never reaches the bot twice. `clock_window`: refuse callbacks whose timestamp is further off than
      these seconds; None, the default, trusts no clock.
    - `watchdog`, `keep`, `max_streams`, `max_bytes`, `max_text_bytes`: see `StreamLimits`.
    - `texts`: what rawbot itself says to users. `entropy(n)`: n random bytes.

    Raises `ConfigError` for a setting that cannot work. `receive` answers every request and raises nothing.
    """

    keeps_state = True  # the platform's polls must reach the process that got the message

    def __init__(
        self,
        token: str,
        encoding_aes_key: str,
        *,
        receive_id: ReceiveId = "",
        previous: Sequence[tuple[str, str]] = (),
        bot_name: str | None = None,
        first_hold: float = 0.0,
        refresh_hold: float = 0.5,
        waiting: str = "<think></think>",
        feedback: bool = False,
        replay_window: float = 3600.0,
        max_remembered: int = 65_536,
        clock_window: float | None = None,
        watchdog: float = 330.0,
        keep: float = 420.0,
        max_streams: int = 262_144,
        max_bytes: int = 256 * 1024 * 1024,
        max_text_bytes: int = 256 * 1024,
        texts: WeComTexts | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        pairs = ((token, encoding_aes_key), *demand_pairs(previous))
        self._ciphers = [WeComCrypto(t, k, receive_id=receive_id, entropy=entropy) for t, k in pairs]
        self._bot_name = None if bot_name is None else demand_text("bot_name", bot_name)
        self._first_hold = demand_seconds("first_hold", first_hold, below=EVENT_DEADLINE)
        self._refresh_hold = demand_seconds("refresh_hold", refresh_hold, below=EVENT_DEADLINE)
        self._clock_window = None if clock_window is None else demand_lifetime("clock_window", clock_window)
        self._texts = WeComTexts() if texts is None else texts
        self.failures: Counter[int] = Counter()
        """How often callbacks were refused, by the vendor's -400xx code; 0 counts what has none."""
        self.deliveries = Deliveries()
        self.sources = (self.deliveries,)
        limits = StreamLimits(watchdog, keep, max_streams, max_bytes, max_text_bytes)
        voice = Voice(self._texts, waiting, feedback)
        self.streams = StreamTable(draw(entropy, 6).hex(), limits, voice, self.deliveries)
        self._remembered = _make_memory(replay_window, max_remembered)  # stream id by msgid
        self._events: ExpiringDict[str, EventReply] = ExpiringDict(EVENTS_KEPT, MAX_EVENTS)
        self._ticked, self._draining = 0.0, False

    def __repr__(self) -> str:
        return "<WeComEndpoint>"  # neither token nor key

    def receive(self, request: Request, now: float) -> Exchange:
        """Answer one callback (`Endpoint.receive`): 403 for a wrong signature, 400 for what cannot be read."""
        if not 0 <= now - self._ticked < TICK:
            self.tick(now)
        try:
            query = decode_query(request.query)
            if self._clock_window is not None:
                self._check_clock(query, self._clock_window, now)
            if request.method == "GET":
                return self._verify_url(query)
            crypto, plaintext = unseal(self._ciphers, query, decode_envelope(request.body))
            return self._dispatch(decode_message(plaintext), Seal(crypto, query.nonce), now)
        except ProtocolError as error:
            self.failures[error.code or 0] += 1
            return refuse(error)

    def tick(self, now: float) -> None:
        """Let time pass: the watchdog, forgetting, second tries of deliveries."""
        self._ticked = now
        self.streams.tick(now)
        self._remembered.expire(now)
        self._events.expire(now)
        self.deliveries.tick(now)

    def start(self, now: float) -> None:
        """Take on messages (again)."""
        self.tick(now)
        self.deliveries.start()
        self._draining = False

    def drain(self, now: float) -> None:
        """Open no stream any more: whoever writes now is told that the bot is restarting.

        What follows a bubble is sent without waiting for it from now on, so that the end loses nothing.
        """
        self.tick(now)
        self.deliveries.drain()
        self._draining = True

    def figures(self) -> Iterable[Figure]:
        """Return the numbers to be watched from outside."""
        return gather_figures(self.streams, self.failures)

    def unsettled(self) -> int:
        """Count the bubbles whose last frame the platform has not fetched yet."""
        return self.streams.unsettled

    def _verify_url(self, query: CallbackQuery) -> Answer:
        """Give the decrypted echostr back as it is: no quotes, no newline (doc 101033).

        Base64 has no spaces: one that stands there was a `+` before a proxy or a form decoder took it for a blank.
        """
        if not query.echostr:
            raise ProtocolError("the query has no echostr")
        _, message = unseal(self._ciphers, query, query.echostr.replace(" ", "+").encode())
        return Answer(Response(200, message))

    @staticmethod
    def _check_clock(query: CallbackQuery, window: float, now: float) -> None:
        timestamp = query.timestamp
        if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:  # noqa: PLR2004 - 30,000 years
            raise ProtocolError("the timestamp is not a number of seconds", status=403)
        if abs(now - int(timestamp)) > window:
            raise ProtocolError("the timestamp lies outside of the clock window", status=403)

    def _dispatch(self, message: Message, seal: Seal, now: float) -> Exchange:
        if isinstance(message, Refresh):
            return self._refresh(message, seal, now)
        known = self._remembered.get(message.msgid, now)
        if known is not None:
            return self._repeat(known, message, seal, now)
        if isinstance(message, UserMessage):
            return self._begin(message, seal, now)
        return self._begin_event(message, seal, now)

    def _repeat(self, stream_id: str, message: Message, seal: Seal, now: float) -> Exchange:
        """Answer a callback again as it was answered; empty when that is so long ago that nobody looks any more."""
        if stream := self.streams.get(stream_id, now):
            return self._first_answer(stream, message, None, seal, now)
        if reply := self._events.get(message.msgid, now):
            return self._event_answer(reply, None, seal, now)
        return Answer(Response(200))

    def _begin(self, message: UserMessage, seal: Seal, now: float) -> Exchange:
        """Open the bubble for a new message, and tell the bot."""
        stream = None if self._draining else self.streams.open(message, now)
        if stream is None:
            text = self._texts.restarting if self._draining else self._texts.busy
            return Answer(seal.response(encode_stream(self.streams.new_id(), text, finish=True), now))
        self._remembered.set(message.msgid, stream.id, now)
        text = message.text
        if message.chattype == "group":
            text = strip_mention(text, bot_name=self._bot_name)
        attachments = self._attachments(message, seal.key, now)
        in_flight = self.streams.in_flight(message.sender)
        # by position, in the order of the fields: 0.4 µs less than by name
        event = Event(
            MESSAGE, PLATFORM, _chat(message), message.sender, text, stream, message, attachments, in_flight,
            message.msgid, message.aibotid, message.chatid,
        )  # fmt: skip
        if message.quote is not None:
            event.quoted = text_of(message.quote)
        if not self._first_hold and not self.streams.feedback:  # then it says that it waits, whatever came
            frame = stream.frame(message.msgid, first=True)
            return Answer(seal.first_response(frame, now, self.streams.coming_frames), event)
        return self._first_answer(stream, message, event, seal, now)

    def _first_answer(self, stream: Stream, message: Message, event: Event | None, seal: Seal, now: float) -> Exchange:
        if not self._first_hold or stream.ended:
            return Answer(seal.response(stream.frame(message.msgid, first=True), now), event)
        pending = Pending(
            event, now + self._first_hold, lambda at: seal.response(stream.frame(message.msgid, first=True), at)
        )
        stream.wait(pending, until_closed=True)
        return pending

    def _refresh(self, message: Refresh, seal: Seal, now: float) -> Exchange:
        stream = self.streams.get(message.stream_id, now)
        if stream is None:
            return Answer(seal.response(encode_stream(message.stream_id, self._texts.unknown, finish=True), now))
        if stream.has_news(message.msgid) or not self._refresh_hold:
            return Answer(seal.response(stream.frame(message.msgid), now))
        pending = Pending(None, now + self._refresh_hold, lambda at: seal.response(stream.frame(message.msgid), at))
        stream.wait(pending)
        return pending

    def _begin_event(self, message: Message, seal: Seal, now: float) -> Exchange:
        reply = EventReply(message, now, self.deliveries, self._texts)
        self._remembered.set(message.msgid, "", now)
        self._events.set(message.msgid, reply, now)
        event = Event(
            kind=reply.kind,
            platform=PLATFORM,
            chat=_chat(message),
            sender=message.sender,
            text="",
            reply=reply,
            message=message,
            message_id=message.msgid,
            bot=message.aibotid,
            group=message.chatid,
            payload=payload_of(message),
            patience=EVENT_DEADLINE if reply.awaits_words else 0.0,
        )
        if not reply.answerable or self._draining:
            reply.close()
            return Answer(Response(200), None if self._draining else event)
        return self._event_answer(reply, event, seal, now)

    def _event_answer(self, reply: EventReply, event: Event | None, seal: Seal, now: float) -> Exchange:
        if reply.answer is not None:
            return Answer(seal.response(reply.answer, now))
        pending = Pending(event, now + EVENT_DEADLINE, lambda at: seal.response(reply.time_out(), at))
        reply.wait(pending)
        return pending

    @staticmethod
    def _attachments(message: UserMessage, key: bytes, now: float) -> Sequence[Attachment]:
        if message.quote is None and isinstance(message.content, Text):
            return ()
        return [
            WeComAttachment(
                type(part).__name__.lower(),
                part.url,
                key=key,
                expires_at=now + MEDIA_LIFETIME,
                name=part.filename if isinstance(part, File) else "",
            )
            for part in contents(message)
            if isinstance(part, Image | File | Video)
        ]


def _make_memory(replay_window: float, max_remembered: int) -> ExpiringDict[str, str]:
    demand_lifetime("replay_window", replay_window)
    return ExpiringDict(replay_window, demand_count("max_remembered", max_remembered))


def _chat(message: Message) -> str:
    """Name the conversation: the group, or else the user, with this bot."""
    return f"{message.aibotid}/{message.chatid or message.sender}"
