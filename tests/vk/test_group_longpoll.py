"""rawbot/vk/group_longpoll.py: a community's events by polls, alone and beside a callback door."""

import pytest
from vk_calling import URL, fields_of, result
from vk_polling import FakeApp, FakeJournal, asked, told_server, updates
from vk_samples import (
    CHAT,
    GROUP,
    OBJECTS,
    SECRET,
    T0,
    USER,
    button,
    callback,
    encode,
    message,
    new_message,
    recorded,
    update,
)

from rawbot.bot import Bot
from rawbot.errors import ConfigError
from rawbot.event import MESSAGE, Event
from rawbot.exchange import Answer, Request
from rawbot.vk.api import VKApi
from rawbot.vk.endpoint import VKEndpoint
from rawbot.vk.event_types import CONFIRMATION
from rawbot.vk.group_longpoll import WAIT, GroupLongPoll
from rawbot.vk.longpoll import MAX_WAIT
from rawbot.vk.settings import VKGroup

NOW = float(T0)


def begun(service: GroupLongPoll | None = None, **options: object) -> FakeApp:
    app = FakeApp(service or GroupLongPoll(GROUP, "token", api_url=URL, **options), NOW)
    app.start()
    app.give_key(told_server("100"))
    return app


def numbered(number: int, text: str = "привет", peer_id: int = USER) -> dict[str, object]:
    return update("message_new", new_message(text, peer_id=peer_id, cmid=number), event_id=f"{number:040x}")


def test_it_asks_for_the_community_s_key_and_waits_as_the_page_advises():
    app = FakeApp(GroupLongPoll(GROUP, "token", api_url=URL), NOW)
    app.start()
    assert fields_of(app.calls[0])["group_id"] == str(GROUP)
    app.give_key()
    assert asked(app.polls[0]) == {"act": "a_check", "key": "k1", "ts": "100", "wait": "25"}
    assert app.polls[0].read_timeout == WAIT + 10
    assert "wait=90&" in begun(wait=MAX_WAIT).polls[0].url + "&"


def test_a_message_is_the_bot_s_and_can_be_answered():
    app = begun()
    app.answer_poll(updates("101", numbered(7)))
    (event,) = app.events
    assert (event.kind, event.platform, event.text, event.bot, event.sender) == (
        MESSAGE,
        "vk",
        "привет",
        str(GROUP),
        str(USER),
    )
    event.reply.write("и тебе")
    event.reply.finish()
    assert app.method == "messages.send"
    assert fields_of(app.calls[0])["message"] == "и тебе"
    app.answer_call(result([{"peer_id": USER, "message_id": 1}]))
    assert app.service.unsettled() == 0


@pytest.mark.parametrize("event_type", sorted(OBJECTS.keys() - {CONFIRMATION, "message_reply"}))
def test_every_known_event_comes_through(event_type: str):
    app = begun()
    app.answer_poll(updates("101", update(event_type)))
    assert [event.kind for event in app.events] == [MESSAGE if event_type == "message_new" else event_type]


@pytest.mark.parametrize("entry", [e for e in recorded() if e["name"].startswith("longpoll-reply/one_")])
def test_a_recorded_answer_comes_through(entry: dict):
    body = entry["body"]
    app = begun(GroupLongPoll(body["updates"][0]["group_id"], "token", api_url=URL))
    app.answer_poll(updates(body["ts"], *body["updates"]))
    (event,) = app.events
    assert event.text == body["updates"][0]["object"]["message"]["text"]
    assert asked(app.polls[0])["ts"] == body["ts"]


def test_a_batch_keeps_its_order_and_what_is_none_is_left_out():
    app = begun()
    strange = [None, 1, "x", [], {}, {"type": 5}, numbered(9) | {"group_id": 1}, {"type": "message_new", "object": 1}]
    app.answer_poll(
        updates("120", numbered(1, "a"), *strange, numbered(2, "b"), update("message_new", {}), numbered(3))
    )
    assert [event.text for event in app.events] == ["a", "b", "привет"]
    assert app.service.poll.unreadable == len(strange) + 1


def test_an_update_need_not_name_its_community():
    app = begun()
    named = numbered(1)
    del named["group_id"]
    app.answer_poll(updates("101", named))
    assert [event.bot for event in app.events] == [str(GROUP)]


def test_an_event_that_comes_again_is_told_once():
    app = begun()
    app.answer_poll(updates("101", numbered(1)))
    app.answer_poll(updates("102", numbered(1), numbered(2)))
    app.events[0].reply.finish()
    app.answer_poll(updates("103", numbered(1)))
    assert len(app.events) == 2


def test_what_the_community_says_itself_is_no_event_unless_it_is_wanted():
    echo = update("message_reply")
    app = begun()
    app.answer_poll(updates("101", echo))
    assert app.events == []
    app = begun(echoes=True)
    app.answer_poll(updates("101", echo))
    assert [event.kind for event in app.events] == ["message_reply"]


def test_a_dialog_that_is_behind_waits_and_others_go_on():
    app = begun(max_per_peer=1)
    app.answer_poll(updates("103", numbered(1, "a1"), numbered(2, "a2"), numbered(3, "b", CHAT)))
    app.answer_poll(updates("104", numbered(4, "a3")))
    assert [event.text for event in app.events] == ["a1", "b"]
    app.events[0].reply.finish()
    app.wait(0.3)
    assert [event.text for event in app.events[2:]] == ["a2"]
    app.events[2].reply.finish()
    app.wait(0.3)
    assert [event.text for event in app.events[3:]] == ["a3"]


def test_updates_whose_dialog_nobody_can_tell_stand_in_one_line():
    app = begun(max_running=1)
    odd = update("message_new", {"message": 5}, event_id="odd")
    app.answer_poll(updates("104", update("group_join"), odd, update("like_add", event_id="b"), 5))
    assert (len(app.events), app.service.poll.held, app.service.poll.unreadable) == (1, 2, 1)
    app.events[0].reply.finish()
    app.wait(0.3)
    assert [event.kind for event in app.events] == ["group_join", "like_add"]


# Restarts


def test_a_new_process_goes_on_where_the_last_one_was_and_with_what_that_had_not_done():
    journal = FakeJournal()
    app = begun(journal=journal)
    app.answer_poll(updates("103", numbered(1, "done"), numbered(2, "open"), numbered(3, "failed")))
    app.events[0].reply.finish()
    app.events[2].reply.fail()
    again = FakeApp(GroupLongPoll(GROUP, "token", api_url=URL, journal=journal), NOW + 60)
    again.start()
    assert [event.text for event in again.events] == ["open"]
    again.give_key(told_server("999", "k2"))
    assert asked(again.polls[0])["ts"] == "103"


def test_what_comes_again_after_a_crash_is_told_once():
    journal = FakeJournal()
    app = begun(journal=journal)
    app.answer_poll(updates("102", numbered(1, "done"), numbered(2, "open")))
    app.events[0].reply.finish()
    journal.positions.clear()  # the crash came before
    journal.save_position(f"community {GROUP}", "100")
    again = FakeApp(GroupLongPoll(GROUP, "token", api_url=URL, journal=journal), NOW + 60)
    again.start()
    again.give_key(told_server("999"))
    assert asked(again.polls[0])["ts"] == "100"
    again.answer_poll(updates("103", numbered(1, "done"), numbered(2, "open"), numbered(3, "new")))
    assert [event.text for event in again.events] == ["open", "new"]


def test_several_pollers_may_share_a_journal():
    journal = FakeJournal()
    one = begun(journal=journal)
    other = begun(GroupLongPoll(2, "token", api_url=URL, journal=journal))
    one.answer_poll(updates("101", numbered(1, "one")))
    other.answer_poll(updates("202", numbered(1, "other") | {"group_id": 2}))
    assert journal.positions == {f"community {GROUP}": "101", "community 2": "202"}
    for group_id, text in ((GROUP, "one"), (2, "other")):
        again = FakeApp(GroupLongPoll(group_id, "token", journal=journal), NOW)
        again.start()
        assert [event.text for event in again.events] == [text]


# Beside a callback door


def door(**group: object) -> VKEndpoint:
    return VKEndpoint({GROUP: VKGroup(secret=SECRET, **({"token": "token"} | group))}, api_url=URL)


def attach(beside: VKEndpoint, token: str | VKApi | None = None) -> tuple[FakeApp, list[Event]]:
    """Let both take part in an app; return what the door's bot is told, too."""
    told: list[Event] = []
    beside.dispatch = told.append
    beside.start(NOW)
    return begun(GroupLongPoll(GROUP, token, beside=beside)), told


def post(beside: VKEndpoint, body: dict[str, object]) -> Answer:
    exchange = beside.receive(Request("POST", "/webhook", body=encode(body)), NOW)
    assert isinstance(exchange, Answer)
    return exchange


def test_each_event_is_handled_once_whichever_way_it_comes():
    beside = door()
    app, told = attach(beside)
    first, second = numbered(1, "by callback first"), numbered(2, "by poll first")
    answer = post(beside, first | {"secret": SECRET})
    assert answer.event is not None
    app.answer_poll(updates("102", first, second))
    assert [event.text for event in told] == ["by poll first"]
    answer = post(beside, second | {"secret": SECRET})
    assert (answer.response.body, answer.event) == (b"ok", None)
    told[0].reply.finish()
    assert post(beside, second | {"secret": SECRET}).event is None
    assert app.events == []


def test_beside_a_door_it_has_nothing_of_its_own_but_the_poll():
    beside = door()
    app, told = attach(beside)
    service = app.service
    assert (service.api, service.intake, service.needs_bot) == (beside.apis[GROUP], beside.intake, False)
    app.answer_poll(updates("101", numbered(1)))
    assert (len(told), beside.unsettled(), service.unsettled()) == (1, 1, 0)
    names = [figure.name for figure in service.figures()]
    assert all(name.startswith("vk_longpoll_") for name in names)


def test_a_door_without_a_token_may_have_a_poller_with_one():
    beside = door(token=None)
    with pytest.raises(ConfigError, match="needs the community's access token"):
        GroupLongPoll(GROUP, beside=beside)
    app, told = attach(beside, VKApi("token", url=URL))
    app.answer_poll(updates("101", numbered(1)))
    assert len(told) == 1


def test_the_community_s_own_bot_hears_of_it():
    beside = door(bot=Bot())
    app, told = attach(beside)
    app.answer_poll(updates("101", numbered(1)))
    assert (len(told), app.service.handlers) == (1, None)


def test_events_that_a_door_does_not_take_while_it_ends_wait():
    beside = door()
    app, told = attach(beside)
    beside.drain(NOW)
    app.answer_poll(updates("101", numbered(1)))
    assert (told, app.service.poll.held) == ([], 1)


def test_a_door_of_another_app_or_of_none_is_refused_when_it_begins():
    app = FakeApp(GroupLongPoll(GROUP, beside=door()), NOW)
    with pytest.raises(ConfigError, match="must be added to the same app"):
        app.start()


def test_settings_that_cannot_work_are_refused():
    for group_id in (0, -1, True, "1", 1.0, None):
        with pytest.raises(ConfigError, match="positive integer"):
            GroupLongPoll(group_id, "token")
    with pytest.raises(ConfigError, match="does not serve this community"):
        GroupLongPoll(GROUP + 1, beside=door())
    with pytest.raises(ConfigError, match="journal is that of the endpoint"):
        GroupLongPoll(GROUP, beside=door(), journal=FakeJournal())
    with pytest.raises(ConfigError, match="needs the community's access token"):
        GroupLongPoll(GROUP)
    with pytest.raises(ConfigError, match="access token"):
        GroupLongPoll(GROUP, "")


def test_neither_token_nor_key_shows():
    app = begun()
    assert "token" not in f"{app.service!r} {app.service.api!r} {app.service.poll!r}"
    assert repr(app.service) == f"<GroupLongPoll of {GROUP}>"


def test_a_button_s_minute_begins_when_its_event_comes():
    app = begun()
    app.answer_poll(updates("101", update("message_event", button())))
    (event,) = app.events
    event.reply.snackbar("done")
    assert app.method == "messages.sendMessageEventAnswer"


def test_old_and_new_forms_of_messages_may_come_in_one_batch():
    app = begun()
    old = update("message_new", message("old", cmid=1), event_id="a")
    new = update("message_new", new_message("new", cmid=2), event_id="b")
    app.answer_poll(updates("102", old, new))
    assert [event.text for event in app.events] == ["old", "new"]
    assert post(door(), callback()).response.body == b"ok"
