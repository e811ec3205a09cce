"""Streams in a table of their own, for the tests of what a bubble shows."""

import json

from wecom_callbacks import T0, Json, text

from rawbot.wecom.deliveries import Deliveries
from rawbot.wecom.messages import UserMessage, decode_message
from rawbot.wecom.stream_table import StreamLimits, StreamTable, Voice
from rawbot.wecom.streams import Stream
from rawbot.wecom.texts import WeComTexts

TEXTS = WeComTexts()
WAITING = "…"


def make_table(*, feedback: bool = False, waiting: str = WAITING, enabled: bool = True, **limits: float) -> StreamTable:
    """Return a table with the endpoint's limits or these, whose deliveries are sent."""
    defaults = {"watchdog": 330.0, "keep": 420.0, "max_streams": 1000, "max_bytes": 2**28, "max_text_bytes": 2**18}
    deliveries = Deliveries()
    deliveries.enabled = enabled
    table = StreamTable("boot", StreamLimits(**defaults | limits), Voice(TEXTS, waiting, feedback), deliveries)
    pass_time(table, T0)
    return table


def pass_time(table: StreamTable, now: float) -> None:
    """Let time pass as the endpoint does."""
    table.tick(now)
    table.deliveries.tick(now)


def user_message(msgid: str = "m1", **more: object) -> UserMessage:
    decoded = decode_message(json.dumps(text(msgid=msgid, **more)).encode())
    assert isinstance(decoded, UserMessage)
    return decoded


def sent(deliveries: Deliveries) -> list[Json]:
    """Take out what waits to be posted to response_urls."""
    bodies = []
    while (request := deliveries.next_request(T0)) is not None:
        bodies.append(json.loads(request.body))
    return bodies


def opened(table: StreamTable, **more: object) -> Stream:
    stream = table.open(user_message(**more), T0)
    assert stream is not None
    return stream


def open_stream(*, feedback: bool = False, **more: object) -> Stream:
    return opened(make_table(feedback=feedback), **more)


def overdue_stream(written: str = "", **more: object) -> Stream:
    """Return a stream whose bubble the watchdog has ended, after this was written."""
    table = make_table()
    stream = opened(table, **more)
    stream.write(written)
    table.tick(T0 + 330)
    assert stream.overdue
    return stream


def look(stream: Stream, msgid: str = "r1") -> tuple[str, bool]:
    """Poll, and return what is shown and whether it is the end."""
    body = json.loads(stream.frame(msgid))["stream"]
    assert body["id"] == stream.id
    return body["content"], body["finish"]


def late(stream: Stream) -> list[str]:
    """Fetch the last frame, and return the markdown that then goes to the response_url."""
    look(stream, "last")
    return [body["markdown"]["content"] for body in sent(stream._owner.deliveries)]
