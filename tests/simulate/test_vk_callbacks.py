"""rawbot/simulate/vk_callbacks.py over real sockets and in virtual time, against a bot that does what its script says.

The schedule of retries is that of dev.vk.com/ru/api/callback/getting-started: 10 s, 3 min, 10 min, 30 min, 1 h.
"""

import asyncio

import pytest
from honest_vk import CODE, GROUP, HANG_UP, OK, SECRET, USER, HonestVKBot, Raw, script, serve, simulate

from rawbot.errors import ProtocolError
from rawbot.simulate.vk import VKPlatform
from rawbot.simulate.vk_callbacks import RETRIES

SPAN = sum(RETRIES)
BAD = Raw(b"oops", 500)
LATER = Raw(b"busy", 503, (b"Retry-After: 7",))


def say(bot: HonestVKBot, *, seconds: float = 0, **options: object):
    """Say one thing, let time pass; return what was sent, the offsets of the attempts, the problems and the server."""

    async def use(platform: VKPlatform):
        start = platform.clock.now
        sent = await platform.say(GROUP, USER, "hello", **options)
        await platform.advance(seconds)
        (server,) = platform.group(GROUP).live_servers() or [None]
        return sent, [attempt.at - start for attempt in sent.attempts], platform.problems, server

    return serve(bot, use)


def test_an_event_that_is_taken_comes_once():
    bot = HonestVKBot()
    sent, at, problems, _ = say(bot, seconds=SPAN)
    assert (sent.delivered, at, problems) == (True, [0.0], [])
    assert bot.counters == [""]


def test_an_event_comes_as_recorded_ones_do():
    bot = HonestVKBot()
    say(bot)
    (event,) = bot.received
    assert list(event) == ["group_id", "type", "event_id", "v", "object", "secret"]
    assert (event["group_id"], event["type"], event["v"], event["secret"]) == (GROUP, "message_new", "5.199", SECRET)
    assert len(event["event_id"]) == 40
    assert b"content-type: application/json" in bot.heads[-1].lower()


def test_a_failure_is_repeated_on_vks_schedule_with_the_same_event_id():
    bot = script(BAD)
    sent, at, problems, _ = say(bot, seconds=SPAN)
    assert at == [0.0, 10.0, 190.0, 790.0, 2590.0, 6190.0]
    assert bot.counters == ["", "1", "2", "3", "4", "5"]
    assert len(set(bot.event_ids)) == 1
    assert sent.deliveries[0].state == "lost"
    assert problems == ["an answer's status is 500", "message_new was given up after 6 attempts"]


def test_nothing_comes_after_the_last_retry_or_before_its_time():
    bot = script(BAD)
    say(bot, seconds=100 * SPAN)
    assert len(bot.received) == 6
    bot = script(BAD)
    say(bot, seconds=SPAN - 1)
    assert len(bot.received) == 5


def test_what_was_lost_is_known():
    async def use(platform: VKPlatform):
        sent = await platform.say(GROUP, USER, "hello")
        assert platform.lost == []
        await platform.advance(SPAN)
        return platform.lost == sent.deliveries

    assert serve(script(BAD), use)


def test_a_retry_that_is_taken_ends_it():
    bot = script(BAD, b"OK", OK)
    sent, at, problems, server = say(bot, seconds=SPAN)
    assert (sent.delivered, at) == (True, [0.0, 10.0, 190.0])
    assert problems == ["an answer's status is 500", "an answer is 'OK' and not ok"]
    assert (server.status, server.failures) == ("ok", 0)


def test_a_connection_that_breaks_is_a_failure():
    sent, _, problems, _ = say(script(HANG_UP, OK), seconds=10)
    assert (sent.delivered, sent.attempts[0].status) == (True, 0)
    assert problems == ["no answer: the server closed the connection without an answer"]


def test_an_answer_that_takes_too_long_is_a_failure():
    async def slow(_: dict):
        if len(bot.received) == 1:
            await asyncio.sleep(9)
        return OK

    async def use(platform: VKPlatform):
        sent = await platform.say(GROUP, USER, "hello")
        await platform.advance(10)
        return sent, platform.problems

    bot = HonestVKBot(slow)
    sent, problems = serve(bot, use, timeout=0.15)
    assert (sent.delivered, len(sent.attempts)) == (True, 2)
    assert problems == ["no answer: no whole answer within 0.15 s"]


@pytest.mark.parametrize("status", [410, 429, 503])
def test_retry_after_is_kept_and_is_no_problem(status: int):
    bot = script(Raw(b"busy", status, (b"Retry-After: 7",)), OK)
    sent, at, problems, server = say(bot, seconds=7)
    assert (sent.delivered, at, problems, bot.counters) == (True, [0.0, 7.0], [], ["", "1"])
    assert server.failures == 0


def test_retry_after_uses_up_a_retry():
    sent, at, _, _ = say(script(LATER), seconds=SPAN)
    assert (sent.deliveries[0].state, at) == ("lost", [0.0, 7.0, 14.0, 21.0, 28.0, 35.0])


def test_after_it_the_schedule_goes_on():
    _, at, _, _ = say(script(LATER, BAD, OK), seconds=SPAN)
    assert at == [0.0, 7.0, 187.0]


def test_a_lost_answer_is_sent_again_though_it_was_good():
    bot = HonestVKBot()
    sent, at, problems, _ = say(bot, seconds=SPAN, lose_answer=True)
    assert (sent.delivered, at, problems) == (True, [0.0, 10.0], [])
    assert [attempt.failure for attempt in sent.attempts] == ["the answer was lost on purpose", ""]
    bot = HonestVKBot()
    assert len(say(bot, seconds=SPAN, lose_answer=3)[1]) == len(bot.received) == 4


def test_an_event_may_come_twice_at_once():
    bot = HonestVKBot()
    sent, _, problems, _ = say(bot, seconds=SPAN, twice=True)
    assert (len(bot.received), len(set(bot.event_ids)), bot.counters) == (2, 1, ["", ""])
    assert (sent.delivered, len(sent.deliveries[0].duplicates), problems) == (True, 1, [])


def test_what_is_wrong_with_a_duplicates_answer_is_told():
    sent, _, problems, _ = say(script(BAD), twice=True)
    assert sent.deliveries[0].duplicates[0].status == 500
    assert problems == ["an answer's status is 500"]


def test_remove_deletes_the_server():
    async def use(platform: VKPlatform):
        first = await platform.say(GROUP, USER, "one")
        second = await platform.say(GROUP, USER, "two")
        return first, second, platform.group(GROUP).live_servers(), platform.problems

    bot = script(b"remove", OK)
    first, second, servers, problems = serve(bot, use)
    assert (first.delivered, second.deliveries, servers, problems) == (True, [], [], [])
    assert len(bot.received) == 1


def test_what_waits_for_a_server_that_is_removed_goes_nowhere():
    async def use(platform: VKPlatform):
        first = await platform.say(GROUP, USER, "one")
        await platform.say(GROUP, USER, "two")
        await platform.advance(SPAN)
        return first

    bot = script(BAD, b"remove")
    assert serve(bot, use).deliveries[0].state == "dropped"
    assert len(bot.received) == 2


def test_version_changes_what_is_sent_from_then_on():
    async def use(platform: VKPlatform):
        for text in ("one", "two", "three"):
            assert (await platform.say(GROUP, USER, text)).delivered
        return platform.problems

    bot = script(b"version 5.100", b"version 5.199", OK)
    assert serve(bot, use) == []
    assert [event["v"] for event in bot.received] == ["5.199", "5.100", "5.199"]
    new, old, _ = (event["object"] for event in bot.received)
    assert (new["message"]["text"], old["text"]) == ("one", "two")
    assert "client_info" in new
    assert "client_info" not in old
    assert "version" in new["message"]
    assert "version" not in old


def test_a_server_that_fails_and_fails_is_given_a_pause_and_gets_what_has_come_meanwhile():
    async def use(platform: VKPlatform):
        (server,) = platform.group(GROUP).live_servers()
        bot.answer = lambda _: BAD
        early = [await platform.say(GROUP, USER, text) for text in ("a", "b", "c")]
        assert (server.status, len(bot.received)) == ("failed", 3)
        bot.answer = lambda _: OK
        held = await platform.say(GROUP, USER, "d")
        await platform.advance(59)
        assert (len(bot.received), held.attempts) == (3, [])
        await platform.advance(1)
        assert (server.status, held.delivered, len(bot.received)) == ("ok", True, 7)
        await platform.advance(SPAN)
        assert all(sent.delivered for sent in early)
        return len(bot.received)

    bot = HonestVKBot()
    assert serve(bot, use, pause_after=3, pause_for=60) == 7


def test_a_success_in_between_starts_the_count_anew():
    async def use(platform: VKPlatform):
        for _ in range(5):
            await platform.say(GROUP, USER, "x")
        (server,) = platform.group(GROUP).live_servers()
        return server.status, server.failures

    assert serve(script(BAD, BAD, OK, BAD, BAD), use, pause_after=3) == ("ok", 2)


def test_several_failures_at_the_same_time_make_one_pause():
    async def use(platform: VKPlatform):
        await asyncio.gather(*(platform.say(GROUP, USER, "x") for _ in range(6)))
        (server,) = platform.group(GROUP).live_servers()
        await platform.advance(30)
        return server.status, server.paused_until - platform.clock.now

    assert serve(script(BAD), use, pause_after=3, pause_for=100) == ("failed", 70)


def test_a_confirmation_tells_group_and_secret_and_no_more():
    bot = HonestVKBot()
    say(bot)
    assert bot.confirmations == [{"type": "confirmation", "group_id": GROUP, "secret": SECRET}]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"wrong", "the answer to the confirmation is 'wrong' and not the confirmation string"),
        (CODE.encode() + b"\n", f"the answer to the confirmation is '{CODE}\\\\n' and not the confirmation string"),
        (Raw(CODE.encode(), 403), "the answer to the confirmation has status 403"),
        (HANG_UP, "the server closed the connection without an answer"),
    ],
)
def test_a_server_that_does_not_confirm_is_not_added(answer: object, problem: str):
    async def use(platform: VKPlatform):
        async with HonestVKBot(confirm=answer).serve() as url:
            with pytest.raises(ProtocolError, match=problem):
                await platform.connect(GROUP, url, secret=SECRET)
        return platform.group(GROUP).live_servers()

    assert simulate(use) == []


def test_each_server_has_its_own_events_version_secret_and_retries():
    first, second = HonestVKBot(), script(BAD, OK)

    async def use(platform: VKPlatform):
        async with first.serve() as url, second.serve() as other:
            await platform.connect(GROUP, url, secret="one", events=["message_new"])
            await platform.connect(GROUP, other, secret="two", api_version="5.131")
            sent = await platform.say(GROUP, USER, "hello")
            await platform.join(GROUP, USER)
            await platform.advance(10)
            return sent

    sent = simulate(use)
    assert [delivery.state for delivery in sent.deliveries] == ["delivered", "delivered"]
    assert [(e["type"], e["secret"], e["v"]) for e in first.received] == [("message_new", "one", "5.199")]
    assert [(e["type"], e["secret"], e["v"]) for e in second.received] == [
        ("message_new", "two", "5.131"),
        ("group_join", "two", "5.131"),
        ("message_new", "two", "5.131"),
    ]


def test_what_cannot_be_switched_off_comes_anyway():
    async def use(platform: VKPlatform):
        async with bot.serve() as url:
            await platform.connect(GROUP, url, events=[])
            await platform.emit(GROUP, "app_payload", {"user_id": USER})
            await platform.join(GROUP, USER)

    bot = HonestVKBot()
    simulate(use)
    assert [event["type"] for event in bot.received] == ["app_payload"]
    assert "secret" not in bot.received[0]


def test_whoever_looks_sees_each_attempt():
    async def use(platform: VKPlatform):
        await platform.say(GROUP, USER, "hello")
        await platform.advance(10)

    seen = []
    serve(script(BAD, OK), use, on_attempt=lambda d, a: seen.append((d.event.type, a.counter, a.status, d.state)))
    assert seen == [("message_new", 0, 500, "waiting"), ("message_new", 1, 200, "delivered")]
