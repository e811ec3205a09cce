"""rawbot/wecom/endpoint.py: a message opens a bubble, polls see it grow, and whatever is repeated changes nothing.

Source: developer.work.weixin.qq.com/document/path/100719 and 101031.
"""

import json

import pytest
from wecom_callbacks import (
    CARD,
    FILE_URL,
    KEY,
    OTHER_KEY,
    PNG,
    T0,
    TOKEN,
    Json,
    is_empty,
    message,
    open_answer,
    post,
    refresh,
    say,
    shown,
    text,
)

from rawbot.event import MESSAGE
from rawbot.exchange import Answer, Exchange, Pending
from rawbot.wecom.deliveries import FETCHED_WITHIN
from rawbot.wecom.endpoint import WeComEndpoint
from rawbot.wecom.markdown import TEXT_LIMIT
from rawbot.wecom.stream_table import AHEAD
from rawbot.wecom.streams import Stream
from rawbot.wecom.texts import CHINESE, WeComTexts

TEXTS = WeComTexts()
WAITING = "<think></think>"


@pytest.fixture
def endpoint() -> WeComEndpoint:
    return WeComEndpoint(TOKEN, KEY)


def begin(endpoint: WeComEndpoint, fields: Json | None = None, now: float = T0) -> Stream:
    reply = say(endpoint, text() if fields is None else fields, now).reply
    assert isinstance(reply, Stream)
    return reply


def poll(endpoint: WeComEndpoint, stream: Stream, now: float = T0, msgid: str = "r1") -> tuple[str, bool]:
    """Ask how the stream looks, as a platform that gets its answer at once or as late as it may be held."""
    exchange = post(endpoint, refresh(stream.id, msgid), now)
    assert exchange.event is None
    if isinstance(exchange, Pending):
        return shown(exchange.answer(exchange.deadline), exchange.deadline)
    return shown(exchange, now)


def held(exchange: Exchange, until: float) -> tuple[Pending, list[tuple[str, bool]]]:
    """Look for an answer that is held till then; return it with a list that gets the answer once it is woken."""
    assert isinstance(exchange, Pending)
    assert abs(exchange.deadline - until) < 0.001
    answers: list[tuple[str, bool]] = []
    exchange.attach(lambda: answers.append(shown(exchange.answer(T0))))
    return exchange, answers


# The first answer


def test_first_answers_are_encrypted_many_at_a_time(endpoint: WeComEndpoint):
    crypto, lengths = endpoint._ciphers[0], []
    encrypt = crypto._encrypt
    crypto._encrypt = lambda data: lengths.append(len(data)) or encrypt(data)
    for number in range(AHEAD + 1):
        exchange = post(endpoint, text(msgid=f"m{number}"))
        stream = open_answer(exchange)["stream"]
        assert (stream["id"], stream["content"]) == (exchange.event.reply.id, WAITING)
    assert len(lengths) == 2  # all that are coming, and the first itself


def test_a_message_is_answered_at_once_and_then_the_bot_is_told(endpoint: WeComEndpoint):
    exchange = post(endpoint, text("hello", "m7"))
    assert isinstance(exchange, Answer)
    reply = open_answer(exchange)
    event = exchange.event
    assert event is not None
    assert isinstance(event.reply, Stream)
    assert reply == {"msgtype": "stream", "stream": {"id": event.reply.id, "finish": False, "content": WAITING}}
    assert (event.kind, event.platform, event.chat, event.sender) == (MESSAGE, "wecom", "BOT/zhangsan", "zhangsan")
    assert (event.text, list(event.attachments), event.in_flight) == ("hello", [], 1)


@pytest.mark.parametrize(
    ("bot_name", "said", "heard"),
    [(None, "@Robot hi", "hi"), ("Robot A", "@Robot A hi", "hi"), ("Robot", "@Other hi", "@Other hi")],
)
def test_in_groups_the_mention_is_taken_off(bot_name: str | None, said: str, heard: str):
    endpoint = WeComEndpoint(TOKEN, KEY, bot_name=bot_name)
    event = say(endpoint, text(said, chattype="group", chatid="wrCHAT"))
    assert (event.text, event.chat, event.sender) == (heard, "BOT/wrCHAT", "zhangsan")
    assert say(endpoint, text(said, "m2")).text == said


def test_attachments_are_named_and_not_fetched(endpoint: WeComEndpoint):
    items = [{"msgtype": "text", "text": {"content": "look"}}, {"msgtype": "image", "image": {"url": "1"}}]
    quote = {"msgtype": "file", "file": {"url": FILE_URL, "filename": "a.pdf"}}
    event = say(endpoint, message(msgtype="mixed", mixed={"msg_item": items}, quote=quote))
    assert [(a.kind, a.url, a.name) for a in event.attachments] == [("image", "1", ""), ("file", FILE_URL, "a.pdf")]
    assert {a.expires_at for a in event.attachments} == {T0 + 300}
    assert event.text == "look"
    video = say(endpoint, message("m2", msgtype="video", video={"url": "2"}))
    assert [a.kind for a in video.attachments] == ["video"]
    assert FILE_URL not in repr(event.attachments)


def test_messages_in_flight_are_counted_per_sender(endpoint: WeComEndpoint):
    first = say(endpoint, text(msgid="m1"))
    assert [say(endpoint, text(msgid=f"m{n}")).in_flight for n in (2, 3)] == [2, 3]
    assert say(endpoint, text(msgid="m4") | {"from": {"userid": "lisi"}}).in_flight == 1
    first.reply.finish()
    assert say(endpoint, text(msgid="m5")).in_flight == 3


def test_a_held_first_answer_shows_a_quick_reply_in_one_shot():
    endpoint = WeComEndpoint(TOKEN, KEY, first_hold=0.5)
    exchange = post(endpoint, text())
    _, answers = held(exchange, T0 + 0.5)
    assert exchange.event is not None
    exchange.event.reply.write("quick")
    assert answers == []
    exchange.event.reply.finish()
    assert answers == [("quick", True)]
    assert endpoint.unsettled() == 0


def test_a_held_first_answer_of_a_slow_reply_opens_the_bubble():
    endpoint = WeComEndpoint(TOKEN, KEY, first_hold=0.5)
    pending, answers = held(post(endpoint, text()), T0 + 0.5)
    assert pending.event is not None
    pending.event.reply.write("slow")
    assert shown(pending.answer(T0 + 0.5)) == ("slow", False)
    pending.event.reply.finish()
    assert answers == []


def test_a_wordless_card_in_time_is_the_whole_answer():
    endpoint = WeComEndpoint(TOKEN, KEY, first_hold=0.5)
    pending = post(endpoint, text())
    assert isinstance(pending, Pending)
    assert pending.event is not None
    assert isinstance(pending.event.reply, Stream)
    pending.event.reply.card(CARD)
    pending.event.reply.finish()
    expected = {"msgtype": "template_card", "template_card": CARD}
    assert open_answer(pending.answer(T0)) == open_answer(post(endpoint, text())) == expected


# Repetition


def test_a_repeated_message_gets_the_same_stream_and_the_bot_hears_it_once():
    endpoint = WeComEndpoint(TOKEN, KEY, feedback=True)
    first = post(endpoint, text())
    again = post(endpoint, text(), T0 + 5)
    assert (first.event is None, again.event) == (False, None)
    assert open_answer(first) == open_answer(again, T0 + 5)
    assert open_answer(first)["stream"]["feedback"] == {"id": open_answer(first)["stream"]["id"]}
    assert first.event is not None
    first.event.reply.write("done")
    first.event.reply.finish()
    assert shown(post(endpoint, text(), T0 + 10), T0 + 10) == ("done", True)
    assert len(endpoint.streams) == 1


def test_a_repetition_that_overlaps_a_held_first_answer_waits_with_it():
    endpoint = WeComEndpoint(TOKEN, KEY, first_hold=3.0)
    first, answers = held(post(endpoint, text()), T0 + 3)
    again, more = held(post(endpoint, text(), T0 + 2), T0 + 5)
    assert (first.event is None, again.event) == (False, None)
    assert first.event is not None
    first.event.reply.write("once")
    first.event.reply.finish()
    assert answers == more == [("once", True)]


def test_a_first_answer_whose_peer_went_away_is_there_for_the_repetition():
    endpoint = WeComEndpoint(TOKEN, KEY, first_hold=3.0)
    first = post(endpoint, text())
    assert isinstance(first, Pending)
    assert first.event is not None
    first.abandon()
    first.event.reply.finish()
    assert shown(post(endpoint, text(), T0 + 5), T0 + 5) == (TEXTS.silent, True)


def test_a_repeated_refresh_is_never_older_and_never_empty(endpoint: WeComEndpoint):
    stream = begin(endpoint)
    seen = []
    for piece in ("a", "", "b", "", ""):
        stream.write(piece)
        seen += [poll(endpoint, stream, msgid="r1")[0], poll(endpoint, stream, msgid="r1")[0]]
    assert seen == ["a", "a", "a", "a", "ab", "ab", "ab", "ab", "ab", "ab"]
    stream.finish()
    assert [poll(endpoint, stream, msgid=msgid) for msgid in ("r1", "r1", "r2")] == [("ab", True)] * 3


# Polls


def test_a_poll_gets_all_that_was_written_since(endpoint: WeComEndpoint):
    stream = begin(endpoint)
    for _ in range(1000):
        stream.write("x")
    assert poll(endpoint, stream) == ("x" * 1000, False)
    stream.finish()
    assert poll(endpoint, stream) == ("x" * 1000, True)


def test_a_poll_without_news_is_held_and_then_shows_the_same_again(endpoint: WeComEndpoint):
    stream = begin(endpoint)
    stream.write("so far")
    assert poll(endpoint, stream) == ("so far", False)
    pending, _ = held(post(endpoint, refresh(stream.id, "r2"), T0 + 1), T0 + 1.5)
    assert shown(pending.answer(T0 + 1.5), T0 + 1) == ("so far", False)


def test_a_repeated_poll_whose_answer_was_lost_is_answered_at_once(endpoint: WeComEndpoint):
    stream = begin(endpoint)
    assert isinstance(post(endpoint, refresh(stream.id, "r1")), Pending)
    stream.write("so far")
    for _ in range(2):
        assert shown(post(endpoint, refresh(stream.id, "r1"))) == ("so far", False)
    assert isinstance(post(endpoint, refresh(stream.id, "r2")), Pending)


@pytest.mark.parametrize(("act", "seen"), [("write", ("so far!", False)), ("finish", ("so far", True))])
def test_a_held_poll_is_woken_in_the_call_that_brings_news(endpoint: WeComEndpoint, act: str, seen: tuple[str, bool]):
    stream = begin(endpoint)
    stream.write("so far")
    poll(endpoint, stream)
    _, answers = held(post(endpoint, refresh(stream.id, "r2")), T0 + 0.5)
    getattr(stream, act)(*["!"] * (act == "write"))
    assert answers == [seen]


def test_without_a_hold_a_poll_is_answered_at_once():
    endpoint = WeComEndpoint(TOKEN, KEY, refresh_hold=0, waiting="One moment…")
    stream = begin(endpoint)
    for _ in range(2):
        assert shown(post(endpoint, refresh(stream.id))) == ("One moment…", False)


def test_an_unknown_stream_ends_with_a_sentence(endpoint: WeComEndpoint):
    for stream_id in ("of-another-worker", ""):
        answer = open_answer(post(endpoint, refresh(stream_id)))
        assert answer["stream"] == {"id": stream_id, "finish": True, "content": TEXTS.unknown}
    other = WeComEndpoint(TOKEN, KEY, texts=CHINESE)
    assert shown(post(other, refresh(begin(endpoint).id))) == (CHINESE.unknown, True)


def test_a_finished_stream_is_answered_for_longer_than_polling_lasts(endpoint: WeComEndpoint):
    stream = begin(endpoint)
    stream.write("done")
    stream.finish()
    for age in (1, 360, 419):
        assert poll(endpoint, stream, T0 + age) == ("done", True)
    assert poll(endpoint, stream, T0 + 420) == (TEXTS.unknown, True)


def test_pictures_and_card_come_through(endpoint: WeComEndpoint):
    stream = begin(endpoint)
    stream.write("look")
    stream.attach_image(PNG)
    stream.card(CARD)
    answers = [open_answer(post(endpoint, refresh(stream.id, msgid))) for msgid in ("r1", "r1")]
    assert [a["msgtype"] for a in answers if isinstance(a, dict)] == ["stream_with_template_card"] * 2
    assert "msg_item" not in answers[0]["stream"]
    stream.finish()
    last = open_answer(post(endpoint, refresh(stream.id, "r2")))
    assert (last["msgtype"], len(last["stream"]["msg_item"])) == ("stream", 1)


# Ends


@pytest.mark.parametrize(
    ("end", "sentence"),
    [(("fail",), CHINESE.failed), (("cancel", "superseded"), CHINESE.superseded), (("finish",), CHINESE.silent)],
)
def test_every_end_shows_a_sentence_in_the_users_language(end: tuple[str, ...], sentence: str):
    endpoint = WeComEndpoint(TOKEN, KEY, texts=CHINESE)
    stream = begin(endpoint)
    getattr(stream, end[0])(*end[1:])
    assert poll(endpoint, stream) == (sentence, True)


def test_after_five_and_a_half_minutes_the_bubble_ends_and_the_rest_goes_out_once(endpoint: WeComEndpoint):
    endpoint.deliveries.enabled = True
    stream = begin(endpoint)
    stream.write("so far")
    assert poll(endpoint, stream, T0 + 329.9) == ("so far", False)
    _, answers = held(post(endpoint, refresh(stream.id, "r2"), T0 + 329.9), T0 + 330.4)
    endpoint.tick(T0 + 330)
    assert answers == [(f"so far\n\n{TEXTS.overdue}", True)]
    stream.write(", the rest")
    stream.finish()
    request = endpoint.deliveries.next_request(T0 + 600)
    assert request is not None
    assert json.loads(request.body)["markdown"]["content"] == ", the rest"
    assert endpoint.deliveries.next_request(T0 + 600) is None
    assert endpoint.sources == (endpoint.deliveries,)


def test_too_long_an_answer_goes_on_through_the_response_url(endpoint: WeComEndpoint):
    endpoint.deliveries.enabled = True
    stream = begin(endpoint)
    stream.write("word " * 5000)
    stream.finish()
    content, _ = poll(endpoint, stream)
    request = endpoint.deliveries.next_request(T0)
    assert request is not None
    assert content + json.loads(request.body)["markdown"]["content"] == "word " * 5000
    assert len(content.encode()) <= TEXT_LIMIT


def test_a_draining_endpoint_opens_nothing_and_goes_on_answering(endpoint: WeComEndpoint):
    stream = begin(endpoint)
    endpoint.drain(T0)
    exchange = post(endpoint, text(msgid="m2"))
    assert exchange.event is None
    assert shown(exchange) == (TEXTS.restarting, True)
    assert post(endpoint, text()).event is None
    assert endpoint.unsettled() == 1
    stream.cancel("shutdown")
    assert poll(endpoint, stream) == (TEXTS.shutdown, True)
    assert endpoint.unsettled() == 0


def posted(endpoint: WeComEndpoint, now: float = T0) -> list[str]:
    """Take out what goes to response_urls."""
    texts = []
    while (request := endpoint.deliveries.next_request(now)) is not None:
        texts.append(json.loads(request.body)["markdown"]["content"])
    return texts


def test_a_drain_sends_what_waits_for_a_bubble_and_lets_nothing_wait_any_more(endpoint: WeComEndpoint):
    endpoint.deliveries.enabled = True
    finished, writing = begin(endpoint), begin(endpoint, text(msgid="m2"))
    for stream in (finished, writing):
        stream.write("word " * 5000)
    finished.finish()
    assert posted(endpoint) == []
    endpoint.drain(T0)
    assert len(posted(endpoint)) == 1
    writing.finish()
    assert len(posted(endpoint)) == 1
    assert endpoint.unsettled() == 2
    endpoint.start(T0)
    again = begin(endpoint, text(msgid="m3"))
    again.write("word " * 5000)
    again.finish()
    assert posted(endpoint) == []


def test_the_rest_of_an_answer_that_nobody_fetches_goes_out_as_time_passes(endpoint: WeComEndpoint):
    endpoint.deliveries.enabled = True
    stream = begin(endpoint)
    stream.write("word " * 5000)
    stream.finish()
    endpoint.tick(T0 + FETCHED_WITHIN - 0.1)
    assert posted(endpoint, T0 + FETCHED_WITHIN) == []
    endpoint.tick(T0 + FETCHED_WITHIN)
    assert len(posted(endpoint, T0 + FETCHED_WITHIN)) == 1


def test_an_endpoint_can_be_started_again(endpoint: WeComEndpoint):
    stream = begin(endpoint)
    endpoint.drain(T0 + 330)
    assert stream.overdue  # time passes with it
    endpoint.start(T0 + 331)
    assert post(endpoint, text(msgid="m2"), T0 + 331).event is not None
    endpoint.start(T0 + 1000)
    assert endpoint.unsettled() == 1  # and with this: the first one is forgotten


@pytest.mark.parametrize("bound", [{"max_streams": 1}, {"max_bytes": 50_000, "max_text_bytes": 50_000}])
def test_a_full_endpoint_says_that_it_is_busy(bound: dict[str, int]):
    endpoint = WeComEndpoint(TOKEN, KEY, **bound)
    stream = begin(endpoint)
    stream.write("x" * 50_000)
    exchange = post(endpoint, text(msgid="m2"))
    assert exchange.event is None
    answer = open_answer(exchange)["stream"]
    assert (answer["content"], answer["finish"]) == (TEXTS.busy, True)
    assert answer["id"] != stream.id
    stream.finish()
    assert post(endpoint, text(msgid="m2")).event is not None  # it was not answered by the bot, so it may come again


def test_two_endpoints_never_share_a_stream(endpoint: WeComEndpoint):
    other = WeComEndpoint(TOKEN, KEY)
    assert begin(endpoint).id != begin(other).id
    assert begin(endpoint, text(msgid="m2", aibotid="B2")).sender == "zhangsan"
    assert say(endpoint, text(msgid="m3", aibotid="B2")).chat == "B2/zhangsan"


def test_a_message_that_is_repeated_as_an_event_is_not_told_again(endpoint: WeComEndpoint):
    begin(endpoint).finish()
    assert post(endpoint, message(msgtype="link")).event is None
    assert is_empty(post(endpoint, message(msgtype="link"), T0 + 500))


def test_first_frames_that_were_encrypted_ahead_name_their_own_streams_under_either_key():
    """Whatever came in between: another pair's messages, repetitions, polls, and ids that went elsewhere."""
    endpoint = WeComEndpoint(TOKEN, KEY, previous=[(TOKEN, OTHER_KEY)])
    seen: list[str] = []
    for number in range(70):
        key = OTHER_KEY if number % 3 == 1 else KEY
        exchange = post(endpoint, text(msgid=f"m{number}"), key=key)
        stream = open_answer(exchange, key=key)["stream"]
        assert (stream["id"], stream["finish"]) == (exchange.event.reply.id, False)
        assert open_answer(post(endpoint, text(msgid=f"m{number}"), key=key), key=key)["stream"] == stream
        seen.append(stream["id"])
        if number % 7 == 0:
            endpoint.streams.new_id()
    assert len(set(seen)) == len(seen)


def test_the_bot_is_told_which_message_it_is_and_where_it_was_said(endpoint: WeComEndpoint):
    alone, together = text(msgid="m7"), text(msgid="m8", chattype="group", chatid="wr-1")
    events = [say(endpoint, alone), say(endpoint, together)]
    assert [(event.message_id, event.bot, event.group) for event in events] == [
        ("m7", "BOT", ""),
        ("m8", "BOT", "wr-1"),
    ]
    assert [(event.quoted, event.reply_to, event.keeper, event.payload) for event in events] == [
        ("", "", None, None)
    ] * 2


@pytest.mark.parametrize(
    ("quote", "quoted"),
    [
        ({"msgtype": "text", "text": {"content": "earlier"}}, "earlier"),
        ({"msgtype": "voice", "voice": {"content": "spoken"}}, "spoken"),
        ({"msgtype": "image", "image": {"url": FILE_URL}}, ""),
    ],
)
def test_the_words_of_a_quote_are_told_apart(endpoint: WeComEndpoint, quote: Json, quoted: str):
    event = say(endpoint, text("and this?", quote=quote))
    assert (event.text, event.quoted) == ("and this?", quoted)
