"""rawbot/vk/user_longpoll.py: what an account is told, by polls."""

import pytest
from vk_calling import URL, fields_of, result
from vk_polling import FakeApp, FakeJournal, asked, failed, updates
from vk_samples import recorded

from rawbot.errors import ConfigError
from rawbot.event import MESSAGE
from rawbot.vk.api import VKApi
from rawbot.vk.rates import USER_RATE
from rawbot.vk.user_longpoll import UserLongPoll

FRIEND = 5


def server(ts: int = 1748, key: str = "k1") -> dict[str, object]:
    return {"key": key, "server": "im.vk.example/nim1", "ts": ts, "pts": 10_000}


def begun(token: str | VKApi = "token", **options: object) -> FakeApp:
    app = FakeApp(UserLongPoll(token, api_url=URL, **options))
    app.start()
    app.give_key(server())
    return app


def message(number: int, text: str = "привет", peer: int = FRIEND) -> list[object]:
    return [4, number, 1, peer, 1_700_000_000, text, {}, {}, 0]


def test_it_asks_as_the_page_says_with_version_3_and_mode_234():
    app = FakeApp(UserLongPoll("token", api_url=URL))
    app.start()
    assert app.method == "messages.getLongPollServer"
    assert {"need_pts": "1", "lp_version": "3"}.items() <= fields_of(app.calls[0]).items()
    app.give_key(server())
    expected = {"act": "a_check", "key": "k1", "ts": "1748", "wait": "15", "mode": "234", "version": "3"}
    assert asked(app.polls[0]) == expected
    assert app.polls[0].url.startswith("https://im.vk.example/nim1?")
    assert app.polls[0].read_timeout == 25


def test_what_a_poll_says_can_be_chosen():
    app = FakeApp(UserLongPoll("token", api_url=URL, wait=90, mode=2, version=10))
    app.start()
    assert fields_of(app.calls[0])["lp_version"] == "10"
    app.give_key(server())
    assert asked(app.polls[0]).items() >= {"wait": "90", "mode": "2", "version": "10"}.items()


def test_a_message_is_the_bot_s_and_can_be_answered():
    app = begun()
    app.answer_poll(updates(1750, message(17, "a &lt; b"), [61, FRIEND, 1], [80, 1, 0]))
    assert [(event.kind, event.text) for event in app.events] == [
        (MESSAGE, "a < b"),
        ("message_typing_state", ""),
        ("counter", ""),
    ]
    app.events[0].reply.write("да")
    app.events[0].reply.finish()
    fields = fields_of(app.calls[0])
    assert (app.method, fields["peer_id"], fields["message"]) == ("messages.send", str(FRIEND), "да")
    app.answer_call(result(18))
    assert (app.service.unsettled(), asked(app.polls[0])["ts"]) == (2, "1750")


@pytest.mark.parametrize(
    "entry", [e for e in recorded() if e["name"].startswith(("user-longpoll/e", "user-longpoll/d"))]
)
def test_recorded_updates_come_through(entry: dict):
    app = begun(echoes=True)
    app.answer_poll(updates(1750, entry["body"]))
    assert (len(app.events), app.service.poll.unreadable) == (1, 0)


def test_strange_updates_are_told_raw_or_left_out_and_end_nothing():
    app = begun()
    app.answer_poll(updates(1750, None, {}, [], ["4"], [4], [4, 1], [601, 1, CHAT_EVENT], message(17)))
    assert [event.kind for event in app.events] == ["update_4", "update_4", "update_601", MESSAGE]
    assert (app.service.poll.unreadable, asked(app.polls[0])["ts"]) == (4, "1750")


CHAT_EVENT = {"peer_id": 2_000_000_001}


def test_a_dialog_that_is_behind_waits_and_others_go_on():
    app = begun(max_per_peer=1)
    minor = [4, 3, 1, 77, 6, 1_700_000_000, "b", {}, {}, 0]  # with minor_id before its peer
    app.answer_poll(updates(1750, message(1, "a1"), message(2, "a2"), minor, [61, FRIEND, 1]))
    assert [event.text for event in app.events] == ["a1", "b", ""]
    app.events[0].reply.finish()
    app.wait(0.3)
    assert [event.text for event in app.events[3:]] == ["a2"]


def test_failed_1_goes_on_and_counts_a_gap():
    app = begun()
    app.answer_poll(failed(1, ts=2000))
    assert (asked(app.polls[0])["ts"], app.service.poll.gaps) == ("2000", 1)


# Accounts


def test_a_client_that_is_made_keeps_the_rate_of_users():
    app = FakeApp(UserLongPoll("token", api_url=URL))
    app.start()
    for _ in range(9):
        app.service.api.call("users.get")
    assert len(app.calls) == USER_RATE


def test_a_new_process_goes_on_where_the_last_one_was():
    journal = FakeJournal()
    app = begun(journal=journal)
    app.answer_poll(updates(1750, message(1, "done"), message(2, "open")))
    app.events[0].reply.finish()
    again = FakeApp(UserLongPoll("token", api_url=URL, journal=journal))
    again.start()
    assert [event.text for event in again.events] == ["open"]
    again.give_key(server(9999, "k2"))
    assert asked(again.polls[0])["ts"] == "1750"


def test_accounts_do_not_mix():
    journal = FakeJournal()
    app = begun(journal=journal)
    app.answer_poll(updates(1750, message(1)))
    other = FakeApp(UserLongPoll("another", api_url=URL, journal=journal))
    other.start()
    other.give_key(server(5))
    assert (other.events, asked(other.polls[0])["ts"]) == ([], "5")
    other.answer_poll(updates(6, message(1)))
    assert other.events[0].chat != app.events[0].chat


def test_a_name_outlives_the_token():
    journal = FakeJournal()
    app = begun(journal=journal, account="shop")
    app.answer_poll(updates(1750, message(1)))
    assert (app.events[0].chat, journal.positions) == ("shop/5", {"shop": "1750"})
    again = begun("another", journal=journal, account="shop")
    assert asked(again.polls[0])["ts"] == "1750"
    assert [event.chat for event in again.events] == ["shop/5"]


def test_the_token_does_not_show():
    app = begun("vk1.secret")
    assert "secret" not in f"{app.service!r} {app.service.account} {app.service.poll!r}"
    assert repr(app.service) == f"<UserLongPoll of {app.service.account}>"
    assert app.service.account == UserLongPoll(VKApi("vk1.secret")).account


@pytest.mark.parametrize(
    "options", [{"mode": -1}, {"mode": "234"}, {"version": True}, {"version": 3.0}, {"mode": None}]
)
def test_settings_that_cannot_work_are_refused(options: dict[str, object]):
    with pytest.raises(ConfigError, match="mode and version are whole numbers"):
        UserLongPoll("token", **options)
    with pytest.raises(ConfigError, match="access token"):
        UserLongPoll("")
