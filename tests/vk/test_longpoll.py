"""rawbot/vk/longpoll.py: what each answer means, when the next poll goes out, and how far it has come."""

from itertools import pairwise
from math import inf

import pytest
from vk_polling import NAME, NOW, SERVER, FakeJournal, FakeShell, asked, failed, reply, told_server, updates

from rawbot.errors import StateError
from rawbot.exchange import OutgoingRequest, Response
from rawbot.vk.errors import AuthError, CallTimeoutError, FloodError, InternalError, ShutdownError, UnreachableError
from rawbot.vk.handoff import MAX_HELD
from rawbot.vk.longpoll import (
    ASK_AFTER,
    ASKING,
    KEY_LIFE,
    KEYLESS,
    MARGIN,
    MAX_REPLY,
    PACE,
    POLLING,
    READY,
    REFUSED,
    STOPPED,
    LongPoll,
)

HOUR = 3600.0


def started(key: object = None, **options: object) -> FakeShell:
    shell = FakeShell(**options)
    shell.start(key)
    return shell


# One poll after the other


def test_first_comes_a_key_then_a_poll_with_its_ts():
    shell = FakeShell(params={"mode": 234, "version": 3})
    assert (shell.poll.phase, shell.poll.deadline) == (STOPPED, inf)
    shell.tick()
    assert shell.asks == []
    shell.poll.start(NOW)
    assert (shell.poll.phase, shell.asks, shell.poll.deadline) == (KEYLESS, [], NOW)
    shell.tick()
    assert (shell.poll.phase, len(shell.asks), shell.poll.deadline) == (ASKING, 1, inf)
    shell.give_key()
    assert (shell.poll.phase, shell.poll.deadline) == (POLLING, inf)
    assert shell.request.url.startswith(SERVER + "?")
    expected = {"act": "a_check", "key": "k1", "ts": "100", "wait": "25", "mode": "234", "version": "3"}
    assert asked(shell.request) == expected


def test_a_poll_is_given_up_some_time_after_it_should_have_been_answered():
    request = started().request
    assert request.read_timeout == 25 + MARGIN == 35
    assert request.expires_at >= NOW + request.read_timeout
    assert (request.max_response, request.disposable, request.body) == (MAX_REPLY, True, b"")


def test_a_poller_may_ask_whomever_the_operator_names():
    assert LongPoll.trusted
    assert "k1" not in f"{started().poll!r} {started().request!r}"


@pytest.mark.parametrize("told", ["101", 101])
def test_updates_are_handed_over_in_order_and_the_next_poll_asks_with_their_ts(told: object):
    shell = started()
    shell.reply(updates(told, 1, 2, 3))
    assert (shell.taken, shell.ts, shell.poll.updates) == ([1, 2, 3], "101", 3)
    shell.reply(updates("105", 4))
    assert (shell.taken, shell.ts, shell.now) == ([1, 2, 3, 4], "105", NOW)
    assert (shell.poll.polls, shell.poll.asked, shell.poll.answered_at) == (3, 1, NOW)


def test_no_second_poll_goes_out_while_one_is_under_way():
    shell = started()
    for _ in range(3):
        shell.tick(10)
        shell.pump()
    assert len(shell.sending) == 1


def test_an_empty_answer_when_its_time_is_over_is_followed_at_once():
    shell = started()
    shell.now += 25
    shell.reply(updates("100"))
    assert shell.ts == "100"


@pytest.mark.parametrize("answer", [updates("100"), updates("100", 1), updates("101")])
def test_answers_that_come_early_and_bring_nothing_new_do_not_make_it_spin(answer: Response):
    shell = started()
    for _ in range(30):
        shell.reply(answer)
        shell.wait(PACE)
        answer = updates(shell.ts, 1)  # again and again the same
    assert shell.poll.polls == 31
    assert shell.poll.deadline == inf


def test_pacing_does_not_stretch_when_the_clock_is_set_back():
    shell = started()
    shell.now -= HOUR
    shell.reply(updates("100"))
    shell.wait(PACE)
    assert shell.ts == "100"


def test_a_pause_does_not_stretch_when_the_clock_is_set_back():
    shell = started()
    shell.reply(failed(2))
    shell.now -= HOUR
    shell.tick(1)
    shell.wait(1)
    assert len(shell.asks) == 1


def test_an_answer_without_ts_goes_on_by_the_hint():
    shell = started()
    shell.reply(reply({"updates": [1]}, x_next_ts="107"))
    assert (shell.taken, shell.ts) == ([1], "107")


# What failed says


@pytest.mark.parametrize("told", ["1659999797", 1659999797])
def test_failed_1_goes_on_at_once_from_the_ts_that_it_tells_and_counts_a_gap(told: object):
    shell = started()
    shell.reply(failed(1, ts=told))
    assert (shell.ts, shell.poll.gaps, shell.poll.asked, shell.now) == ("1659999797", 1, 1, NOW)
    assert shell.complaints() == ["VK does not have all any more that came since the last poll (failed 1)"]


def test_failed_1_again_and_again_is_answered_more_and_more_slowly():
    shell = started()
    for _ in range(20):
        shell.reply(failed(1, ts=1))
        shell.wait(60)
    assert shell.poll.gaps == 20
    times = []
    shell = started()
    for _ in range(8):
        shell.reply(failed(1, ts=1))
        begun = shell.now
        while not shell.sending:
            shell.wait(0.05)
        times.append(shell.now - begun)
    assert times[0] == 0
    assert times[1:] == sorted(times[1:])
    assert times[-1] > 10


def test_failed_1_without_a_ts_asks_for_all_anew():
    shell = started()
    shell.wait(KEY_LIFE)
    shell.reply(failed(1))
    shell.tick()
    shell.give_key(told_server("500", "k2"))
    assert (shell.ts, asked(shell.request)["key"], shell.poll.gaps) == ("500", "k2", 1)


def test_failed_2_takes_another_key_and_keeps_the_ts():
    shell = started()
    shell.reply(updates("101", 1))
    shell.wait(HOUR)
    shell.reply(failed(2))
    shell.tick()
    shell.give_key(told_server("999", "k2"))
    assert (shell.ts, asked(shell.request)["key"], shell.poll.gaps) == ("101", "k2", 0)
    assert (shell.complaints(), shell.now) == ([], NOW + HOUR)


def test_failed_3_takes_another_key_and_ts_and_counts_a_gap():
    shell = started()
    shell.reply(updates("101", 1))
    shell.wait(HOUR)
    shell.reply(failed(3))
    shell.tick()
    shell.give_key(told_server("7", "k2"))
    assert (shell.ts, asked(shell.request)["key"], shell.poll.gaps) == ("7", "k2", 1)
    assert shell.complaints() == ["VK has lost what came since the last poll (failed 3)"]


@pytest.mark.parametrize(
    ("answer", "offer"), [(failed(4, min_version=0, max_version=2), "0 to 2"), (failed(4), "others")]
)
def test_failed_4_ends_it_and_says_why(answer: Response, offer: str):
    shell = started(params={"mode": 234, "version": 3})
    shell.reply(answer)
    shell.wait(2 * HOUR)
    assert (shell.poll.phase, shell.sending, shell.asks, shell.poll.deadline) == (REFUSED, [], [], inf)
    assert shell.complaints() == [f"VK does not speak version 3 of Long Poll (failed 4), but {offer}: no more is asked"]
    shell.start()  # after which it may be another VK
    assert shell.ts == "100"


@pytest.mark.parametrize("number", [0, 5, -1, 10**9])
def test_any_other_failure_takes_another_key_after_a_while_and_keeps_the_ts(number: int):
    shell = started()
    shell.reply(updates("101", 1))
    shell.wait(HOUR)
    shell.reply(failed(number))
    shell.tick()
    assert shell.asks == []
    shell.wait(1)
    shell.give_key(told_server("999", "k2"))
    assert (shell.ts, shell.poll.setbacks.failures) == ("101", {"failed otherwise": 1})


def test_a_failure_s_count_begins_anew_with_a_good_answer():
    shell = started()
    for _ in range(5):
        shell.reply(updates("1", 0))
        shell.reply(failed(1, ts=2))
        assert shell.poll.setbacks.streak == 1
    assert shell.now == NOW


def test_the_shell_that_asks_at_the_deadline_need_not_wait_for_a_tick():
    shell = started()
    shell.wait(HOUR)
    shell.reply(failed(2))
    assert len(shell.asks) == 1  # the next poll was asked for, and this is what comes before it
    shell.give_key(told_server("999", "k2"))
    shell.reply(failed(2))
    assert (shell.asks, shell.poll.deadline) == ([], shell.now + 0.375)
    shell.now = shell.poll.deadline
    shell.pump()
    shell.give_key()
    assert shell.ts == "100"


# Answers that say nothing


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "no connection"),
        (Response(502, b"<html>"), "HTTP 502"),
        (Response(504), "HTTP 504"),
        (Response(429), "HTTP 429"),
        (Response(200, b"<html>maintenance</html>"), "no JSON"),
        (Response(200, b'{"ts":"101","upda', headers=[(b"x-next-ts", b"101")]), "no JSON"),
        (reply([]), "no object"),
        (reply({"error": {"error_code": 10, "error_msg": "Internal server error"}}), "neither updates nor failed"),
        (reply({"ts": "101"}), "neither updates nor failed"),
        (reply({"updates": []}), "neither updates nor failed"),
    ],
)
def test_a_bad_answer_is_asked_for_again_with_the_same_ts(answer: Response | None, reason: str):
    shell = started()
    shell.reply(answer)
    assert shell.sending == []
    assert NOW + 0.25 <= shell.poll.deadline <= NOW + 0.5
    shell.wait(0.5)
    assert (shell.ts, shell.poll.setbacks.failures, shell.poll.asked) == ("100", {reason: 1}, 1)


def test_a_storm_is_sat_out_with_growing_pauses_and_few_questions_for_keys():
    shell = started()
    for _ in range(1000):
        shell.reply(Response(502))
        while not shell.sending:
            shell.wait(max(0.1, shell.poll.deadline - shell.now) if shell.poll.deadline < inf else 0.1)
            if shell.asks:
                shell.give_key(told_server("999", "k2"))
        if shell.now > NOW + 12 * HOUR:
            break
    polls = shell.poll.polls
    assert 12 * 60 < polls < 12 * 60 * 2 + 20  # one a minute at the fastest, in the end
    assert shell.poll.asked <= 1 + polls // ASK_AFTER
    assert shell.ts == "100"
    shell.reply(updates("101", 1))
    assert (shell.taken, shell.ts) == ([1], "101")
    assert shell.complaints() == ["3 polls in a row have failed, the last one with: HTTP 502"]


def test_many_pollers_do_not_come_back_together():
    pauses = set()
    for chance in range(0, 256, 16):
        shell = started(entropy=lambda count, chance=chance: bytes([chance] * count))
        shell.reply(None)
        pauses.add(round(shell.poll.deadline - NOW, 4))
    assert len(pauses) == 16
    assert 0.25 <= min(pauses) < max(pauses) <= 0.5


def test_an_answer_too_large_to_be_read_is_passed_over_and_counted():
    shell = started()
    shell.wait(KEY_LIFE)
    shell.reply(Response(200, b"[" * MAX_REPLY))
    shell.tick()
    shell.give_key(told_server("500", "k2"))
    assert (shell.ts, shell.poll.gaps) == ("500", 1)
    assert shell.complaints() == ["an answer was too large to be read"]


def test_answers_to_what_was_not_asked_are_not_minded():
    shell = started()
    first = shell.request
    shell.reply(updates("101", 1))
    assert shell.poll.receive(first, updates("200", 2), NOW)
    assert shell.poll.receive(OutgoingRequest("GET", SERVER, b"", (), inf), None, NOW)
    assert (shell.taken, shell.ts) == ([1], "101")


# Keys


def test_no_key_is_asked_for_before_each_poll():
    """Where keys die at once, the questions become fewer and fewer."""
    shell = started()
    asked_at = []
    for _ in range(200):
        shell.reply(failed(2))
        while not shell.asks:
            shell.wait(0.1)
        asked_at.append(shell.now)
        shell.give_key(told_server())
        if shell.now > NOW + HOUR:
            break
    pauses = [after - before for before, after in pairwise(asked_at)]
    assert pauses[:6] == sorted(pauses[:6])
    assert min(pauses[8:]) >= 30
    assert shell.poll.asked < 120


def test_keys_that_die_between_good_answers_are_asked_for_less_often_too():
    shell, number = started(), 100
    while shell.now < NOW + HOUR:
        number += 1
        shell.reply(updates(str(number), number))
        shell.reply(failed(2))
        while not shell.asks:
            shell.wait(0.1)
        shell.give_key(told_server("999"))
        assert shell.ts == str(number)
    assert shell.poll.asked < 120


def test_a_quota_that_is_used_up_is_left_alone_for_minutes():
    shell = FakeShell()
    shell.start(FloodError(29, "Rate limit reached"))
    assert 120 <= shell.poll.deadline - NOW <= 300
    asked_at = []
    while shell.now < NOW + 12 * HOUR:
        shell.wait(30)
        if shell.asks:
            asked_at.append(shell.now - NOW)
            shell.give_key(FloodError(29, "Rate limit reached"))
    assert len(asked_at) < 24
    assert shell.complaints()[-1].startswith("there is no key: 29 Rate limit reached; the next try is in")
    while not shell.asks:
        shell.wait(30)
    shell.give_key()
    assert shell.ts == "100"


def test_nobody_stops_for_ever_because_of_a_token_or_a_setting():
    shell = FakeShell()
    shell.start(AuthError(5, "User authorization failed"))
    shell.wait(300)
    shell.give_key(ShutdownError(0, "nothing is sent any more"))
    shell.wait(600)
    shell.give_key({"server": "none"})
    shell.wait(1200)
    shell.give_key()
    assert shell.ts == "100"
    assert shell.poll.setbacks.failures == {"key: 5": 1, "key: ShutdownError": 1, "key: unreadable": 1}


@pytest.mark.parametrize("error", [UnreachableError(0, "x"), CallTimeoutError(0, "x"), InternalError(10, "x")])
def test_an_api_that_cannot_be_reached_is_asked_again_soon(error: Exception):
    shell = FakeShell()
    shell.start(error)
    for wait in (0.5, 1.0, 2.0):
        shell.wait(wait)
        shell.give_key(error)
    shell.wait(4)
    shell.give_key()
    assert (shell.ts, len(shell.complaints())) == ("100", 1)


def test_an_answer_that_comes_in_the_very_call_is_taken():
    shell = FakeShell(ask=lambda on_done: on_done(told_server()))
    shell.poll.start(NOW)
    shell.tick()
    assert shell.ts == "100"
    shell = FakeShell(ask=lambda on_done: on_done(ShutdownError(0, "nothing is sent any more")))
    shell.poll.start(NOW)
    shell.tick()
    assert shell.poll.phase is KEYLESS


def test_a_server_that_polls_do_not_reach_is_asked_for_anew():
    shell = started()
    for number in range(1, ASK_AFTER + 1):
        shell.reply(None)
        assert (shell.poll.phase is KEYLESS) == (number == ASK_AFTER)
        shell.wait(60)
    shell.give_key({"key": "k2", "server": "https://other.vk.example/1", "ts": "999"})
    assert shell.request.url.startswith("https://other.vk.example/1?")
    assert shell.ts == "100"


# What waits for room


def test_what_there_is_no_room_for_waits_and_more_is_asked_for():
    shell = started()
    shell.room = False
    shell.reply(updates("102", 1, 2))
    assert (shell.taken, shell.ts, shell.poll.held) == ([], "102", 2)
    shell.room = True
    shell.wait(0.2)
    assert (shell.taken, shell.poll.held) == ([1, 2], 0)


def test_so_much_may_wait_and_then_no_more_is_asked_for():
    shell = started()
    shell.room = False
    shell.reply(updates("2000", *range(MAX_HELD)))
    shell.wait(60)
    assert (shell.sending, shell.poll.held, shell.poll.phase) == ([], MAX_HELD, READY)
    shell.room = True
    shell.wait(0.2)
    assert (len(shell.taken), shell.ts) == (MAX_HELD, "2000")


def test_one_update_that_breaks_everything_does_not_end_it():
    def take(update: object, _: float) -> bool:
        raise KeyError(update)

    shell = started(take=take)
    shell.reply(updates("101", 1))
    assert (shell.ts, shell.poll.unreadable) == ("101", 1)
    (complaint,) = shell.poll.setbacks.complaints
    assert isinstance(complaint, KeyError)


# How far it has come


def test_a_position_is_saved_when_all_before_it_was_handed_over():
    journal = FakeJournal()
    saved = []

    def take(update: object, _: float) -> bool:
        saved.append((update, list(journal.saved)))
        return True

    shell = started(journal=journal, take=take)
    assert journal.saved == ["100"]
    shell.reply(updates("102", 1, 2))
    shell.reply(updates("103", 3))
    assert saved == [(1, ["100"]), (2, ["100"]), (3, ["100", "102"])]
    assert journal.positions == {NAME: "103"}
    shell.now += 25
    shell.reply(updates("103"))
    assert journal.saved == ["100", "102", "103"]


def test_a_position_is_not_saved_while_something_before_it_waits():
    journal = FakeJournal()
    shell = started(journal=journal)
    shell.room = False
    shell.reply(updates("102", 1))
    shell.reply(updates("103", 2))
    assert journal.positions == {NAME: "100"}
    shell.room = True
    shell.wait(0.2)
    assert journal.saved == ["100", "103"]


def test_a_new_process_begins_where_the_last_one_was():
    journal = FakeJournal()
    shell = started(journal=journal)
    shell.reply(updates("102", 1))
    again = FakeShell(journal=journal)
    again.start(told_server("999", "k2"))
    assert (again.ts, journal.saved, again.poll.gaps) == ("102", ["100", "102"], 0)


def test_without_a_journal_a_new_process_begins_with_what_comes():
    shell = started()
    shell.reply(updates("102", 1))
    assert started(told_server("999")).ts == "999"


def test_a_gap_moves_the_position_as_well():
    journal = FakeJournal()
    shell = started(journal=journal)
    shell.reply(failed(1, ts=200))
    assert journal.positions == {NAME: "200"}
    shell.wait(KEY_LIFE)
    shell.reply(failed(3))
    shell.wait(1)
    assert journal.positions == {NAME: "200"}  # from which a new process would hear of the loss, too
    shell.give_key(told_server("7"))
    assert journal.positions == {NAME: "7"}


def test_a_disk_that_fails_does_not_end_it():
    journal = FakeJournal()
    shell = started(journal=journal)
    journal.broken = True
    shell.reply(updates("102", 1))
    assert (shell.ts, journal.positions) == ("102", {NAME: "100"})
    assert shell.complaints() == ["the disk is full"]
    assert shell.poll.setbacks.failures["position not saved"] == 1
    journal.broken = False
    shell.tick(1)
    assert journal.positions == {NAME: "102"}


# Stopping and starting


def test_a_stopped_poller_asks_for_nothing_and_minds_no_answer():
    shell = started()
    request = shell.request
    shell.sending.clear()
    shell.poll.stop()
    shell.poll.stop()
    assert shell.poll.receive(request, updates("101", 1), NOW)
    shell.wait(HOUR)
    assert (shell.taken, shell.sending, shell.asks, shell.poll.phase) == ([], [], [], STOPPED)


def test_a_key_that_comes_after_the_end_is_not_minded():
    shell = FakeShell()
    shell.poll.start(NOW)
    shell.tick()
    (on_done,) = shell.asks
    shell.poll.stop()
    on_done(told_server())
    assert (shell.poll.phase, shell.sending) == (STOPPED, [])
    shell.asks.clear()
    shell.start(told_server("5"))
    on_done(told_server())
    assert shell.ts == "5"


def test_a_poller_that_starts_again_in_its_process_misses_nothing():
    shell = started()
    shell.reply(updates("102", 1))
    shell.room = False
    shell.reply(updates("103", 2))
    shell.sending.clear()
    shell.poll.stop()
    shell.room = True
    shell.wait(HOUR)
    shell.start(told_server("999", "k2"))
    assert (shell.ts, shell.poll.held) == ("102", 0)
    shell.reply(updates("103", 2))
    assert shell.taken == [1, 2]


def test_starting_twice_is_starting_anew():
    shell = started()
    shell.sending.clear()
    shell.start()
    assert shell.ts == "100"


def test_what_it_is_about_to_do_is_told():
    shell = started()
    assert repr(shell.poll) == "<LongPoll of community 1, has polled>"


def test_moves_that_cannot_be_are_faults_of_ours():
    shell = started()
    with pytest.raises(StateError, match="a poller that has polled cannot become one that has asked for a key"):
        shell.poll._move(ASKING)
    shell.reply(None)
    shell.wait(0)
    shell.poll._server = None
    shell.now += 1
    with pytest.raises(StateError, match="ready without a key"):
        shell.poll.next_request(shell.now)


def test_without_a_shell_nothing_is_sent_and_nothing_breaks():
    shell = FakeShell()
    shell.poll.on_ready = None
    shell.start()
    shell.tick(1)
    assert (shell.poll.phase, shell.sending) == (READY, [])
    shell.pump()
    assert shell.ts == "100"
