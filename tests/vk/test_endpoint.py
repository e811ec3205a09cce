"""rawbot/vk/endpoint.py: what each callback is answered, and what the operator can have said.

The rules of the platform, one by one and over sockets: tests/vk/test_conformance.py.
"""

from math import inf

import orjson
import pytest
from memory_journal import MemoryJournal
from vk_platform import NOW, Door, FakeApi, request
from vk_samples import EVENT_ID, GROUP, SECRET, USER, button, callback, encode, message, new_message

from rawbot.aio.app import App
from rawbot.bot import Bot
from rawbot.errors import ConfigError, ProtocolError, StateError
from rawbot.exchange import REFUSED, Answer
from rawbot.vk.api import VKApi
from rawbot.vk.endpoint import RETRY_AFTER, VKEndpoint
from rawbot.vk.intake import Refusal
from rawbot.vk.messages import decode_envelope
from rawbot.vk.settings import VKGroup

OTHER = GROUP + 1


def body(number: int = 1, **more: object) -> dict[str, object]:
    return callback(value=new_message(cmid=number), event_id=f"{number:040x}", **more)


# Answers


def test_an_event_is_ok_in_two_bytes_and_the_bot_is_told():
    door = Door()
    response = door.post(body())
    assert (response.status, response.body, response.content_type) == (200, b"ok", b"text/plain")
    (event,) = door.events
    assert (event.text, event.bot) == ("привет", str(GROUP))


def test_what_a_handler_says_does_not_reach_the_body():
    door = Door()
    event = door.take(body())
    event.reply.write("remove")
    event.reply.finish()
    door.repeat(body())
    assert door.api.texts() == ["remove"]


def test_a_wrong_secret_is_forbidden_and_told_to_nobody_and_not_to_the_peer():
    door = Door()
    for secret in ("wrong", "", None):
        response = door.post(body(secret=secret))
        assert (response.status, response.body) == (403, REFUSED)
    without = body()
    del without["secret"]
    assert door.post(without).status == 403
    assert (door.events, door.endpoint.failures) == ([], {"secret": 4})


def test_what_is_no_event_is_a_bad_request():
    door = Door()
    for bad in (b"", b"{", b"[]", b"null", b"{}"):
        assert door.post(bad).status == 400
    assert door.endpoint.failures == {"malformed": 5}


def test_an_object_that_is_not_what_its_type_says_is_a_bad_request_too():
    door = Door()
    assert door.post(callback("message_event", {"user_id": USER})).status == 400
    assert door.post(callback(value={"message": {"peer_id": "x"}})).status == 400


def test_a_stranger_is_refused_or_dropped_as_the_operator_wants_and_never_confirmed():
    stranger = body(group_id=OTHER)
    confirmation = callback("confirmation", group_id=OTHER)
    refusing, dropping = Door(), Door(unknown="ok_and_drop")
    assert [refusing.post(it).status for it in (stranger, confirmation)] == [403, 403]
    assert [dropping.post(it).status for it in (stranger, confirmation)] == [200, 403]
    assert dropping.post(stranger).body == b"ok"
    assert refusing.events == dropping.events == []
    assert refusing.endpoint.failures == {"unknown group": 2}
    assert dropping.endpoint.failures == {"unknown group": 3}


def test_each_community_has_its_own_secret_and_its_own_client():
    groups = {GROUP: VKGroup(secret="one"), OTHER: VKGroup(secret=["two", "zwei"])}
    apis = {GROUP: FakeApi(), OTHER: FakeApi()}
    door = Door(groups=groups, apis=apis)
    assert door.post(body(secret="two")).status == 403
    assert door.post(body(secret="one", group_id=OTHER)).status == 403
    for secret, group in (("one", GROUP), ("zwei", OTHER)):
        event = door.take(body(secret=secret, group_id=group))
        event.reply.write("ответ")
        event.reply.finish()
        assert apis[group].texts() == ["ответ"]


def test_without_a_secret_every_senders_word_is_taken_and_the_figures_tell():
    door = Door(groups={GROUP: VKGroup(), OTHER: VKGroup(secret="x")}, apis={})
    door.take(body(secret="anything"))
    assert figures(door)["vk_without_secret"] == 1


def test_the_confirmation_string_is_told_to_who_has_the_secret():
    door = Door()
    assert door.post(callback("confirmation")).body == b"12ab34cd"
    refused = door.post(callback("confirmation", secret="wrong"))
    assert (refused.status, refused.body) == (403, REFUSED)


def test_a_confirmation_that_nobody_knows_is_refused():
    door = Door(groups={GROUP: VKGroup(secret=SECRET)}, apis={})
    assert door.post(callback("confirmation")).status == 403
    assert door.endpoint.failures == {"confirmation": 1}


def test_without_a_string_the_api_tells_it():
    door = Door(groups={GROUP: VKGroup(secret=SECRET)})
    assert door.post(callback("confirmation")).body == b"12ab34cd"
    door.api.code = {}
    door.wait(100)
    assert door.post(callback("confirmation")).status == 503


# Room


def test_when_there_is_no_room_vk_is_asked_to_come_again_later_each_time():
    door = Door(max_running=1)
    door.take(body())
    told = [dict(door.post(body(2), tries=tries).headers)[b"retry-after"] for tries in range(6)]
    assert told == [b"%d" % seconds for seconds in (*RETRY_AFTER, RETRY_AFTER[-1])]
    assert all(0 < int(seconds) < 3 * 3600 for seconds in told)
    assert door.post(body(2)).status == 503
    door.events[0].reply.finish()
    door.take(body(2), tries=6)


def test_being_put_off_never_takes_longer_than_the_events_are_remembered():
    assert sum(RETRY_AFTER) <= 6190


def test_what_cannot_be_kept_is_not_acknowledged():
    journal = MemoryJournal()
    door = Door(journal=journal)
    journal.broken = True
    exchange = door.endpoint.receive(request(body()), NOW)
    assert isinstance(exchange, Answer)
    assert (exchange.response.status, exchange.event) == (503, None)
    assert "journal" in str(exchange.error)
    journal.broken = False
    door.take(body(), tries=1)


def test_who_goes_down_takes_nothing_on_but_confirms():
    door = Door()
    door.take(body(9))
    door.endpoint.drain(NOW)
    assert door.post(body()).status == 503
    assert door.endpoint.failures == {"draining": 1}
    door.repeat(body(9))
    door.repeat(callback("message_reply", event_id="e"))
    assert door.post(callback("confirmation")).body == b"12ab34cd"
    door.endpoint.start(NOW)
    door.take(body(), tries=1)


# VK's counter


def test_a_repetition_that_is_new_here_is_handled():
    door = Door()
    door.take(body(), tries=3)
    assert door.endpoint.retries == {"3": 1}


@pytest.mark.parametrize(("counter", "label"), [(b"x", "0"), (b"", "0"), (b"-1", "0"), (b"10", "0"), (b"9", "more")])
def test_a_counter_that_is_none_is_no_hint(counter: bytes, label: str):
    door = Door()
    asked = request(body())
    asked.headers = [(b"x-retry-counter", counter)]
    exchange = door.endpoint.receive(asked, NOW)
    assert isinstance(exchange, Answer)
    assert exchange.response.body == b"ok"
    assert door.endpoint.retries == {label: 1}


@pytest.mark.parametrize(("tries", "stale"), [(0, False), (1, False), (2, True), (5, True)])
def test_a_button_that_vk_has_brought_twice_in_vain_is_stale(tries: int, stale: bool):  # noqa: FBT001 - a column
    door = Door()
    event = door.take(callback("message_event", button()), tries=tries)
    assert event.reply.stale is stale


# What the operator has said


def test_a_server_is_removed_by_one_answer_and_only_when_the_operator_says_so():
    door = Door()
    door.endpoint.remove_server(GROUP)
    assert door.post(callback("confirmation")).body == b"12ab34cd"
    assert door.post(body(secret="wrong")).status == 403
    assert door.post(body()).body == b"remove"
    assert len(door.events) == 1
    assert door.post(body(2)).body == b"ok"


def test_another_version_is_asked_for_in_one_answer():
    door = Door()
    door.take(body())
    door.endpoint.switch_version(GROUP, "5.199")
    assert door.post(body()).body == b"version 5.199"
    assert door.post(body()).body == b"ok"


def test_a_full_house_says_nothing_of_it():
    door = Door(max_running=1)
    door.take(body())
    door.endpoint.remove_server(GROUP)
    assert door.post(body(2)).status == 503
    assert door.post(body()).body == b"remove"


def test_a_command_is_for_a_community_that_is_served_here():
    endpoint = Door().endpoint
    with pytest.raises(ConfigError):
        endpoint.remove_server(OTHER)
    with pytest.raises(ConfigError):
        endpoint.switch_version(OTHER, "5.199")
    with pytest.raises(ConfigError):
        endpoint.switch_version(GROUP, "newest")


# Events by another road


def test_an_event_may_come_by_another_road_and_is_the_same_event():
    door = Door()
    taken = door.endpoint.push_event(encode(body()))
    assert door.events == [taken]
    door.repeat(body())
    assert door.endpoint.push_event(body()) is Refusal.RUNNING
    assert door.endpoint.push_event(decode_envelope(encode(body(2)))) is door.events[1]


def test_its_secret_is_not_looked_at():
    door = Door()
    door.endpoint.push_event(body(secret=None))
    assert len(door.events) == 1


@pytest.mark.parametrize("pushed", [b"[]", {}, {"type": "message_new"}, callback(group_id=OTHER)])
def test_what_is_no_event_of_these_communities_is_refused(pushed: object):
    with pytest.raises(ProtocolError):
        Door().endpoint.push_event(pushed)


def test_what_cannot_be_kept_is_told_to_who_pushes_it():
    journal = MemoryJournal()
    door = Door(journal=journal)
    journal.broken = True
    with pytest.raises(OSError, match="full"):
        door.endpoint.push_event(body())


def test_without_a_running_app_nobody_would_hear_of_it():
    with pytest.raises(StateError, match="no running app"):
        VKEndpoint({GROUP: VKGroup()}).push_event(body())
    door = Door()
    door.endpoint.drain(NOW)
    with pytest.raises(StateError, match="no running app"):
        door.endpoint.push_event(body())


# Life


def test_what_an_earlier_process_has_left_is_told_at_the_start():
    journal = MemoryJournal()
    Door(journal=journal).take(body())
    door = Door(journal=journal)
    (event,) = door.events
    assert door.endpoint.unsettled() == 1
    event.reply.finish()
    assert door.endpoint.unsettled() == 0


def test_an_app_may_end_and_begin_again_in_one_process():
    door = Door(journal=MemoryJournal())
    event = door.take(body())
    door.endpoint.drain(NOW)
    event.reply.cancel("shutdown")
    door.api.close()
    assert door.endpoint.unsettled() == 0
    door.endpoint.promise = object
    door.endpoint.start(NOW)
    assert door.api.promise is object
    again = door.events[1]
    again.reply.write("готово")
    again.reply.finish()
    assert door.api.texts() == ["готово"]
    door.repeat(body())


def test_a_start_without_anybody_to_tell_leaves_events_where_they_are():
    journal = MemoryJournal()
    Door(journal=journal).take(body())
    endpoint = VKEndpoint({GROUP: VKGroup()}, journal=journal)
    endpoint.start(NOW)
    endpoint.dispatch = (events := []).append
    endpoint.start(NOW)
    assert len(events) == 1


def test_time_is_passed_on_to_its_parts_and_their_deadlines_are_its_own():
    door = Door(stream="edit")
    door.wait(1)
    assert door.endpoint.deadline == inf
    door.take(body()).reply.write("a")
    door.api.queued = 1
    door.wait(1)
    assert door.endpoint.deadline == door.now + 0.5
    door.api.deadline = door.now + 0.25
    door.wait(0)
    assert door.endpoint.deadline == door.now + 0.25


def figures(door: Door) -> dict[str, float]:
    return {
        figure.name + "".join(f" {value}" for _, value in figure.labels): figure.value
        for figure in door.endpoint.figures()
    }


def test_the_figures_tell_what_was_refused_and_how_often_vk_tried():
    door = Door()
    door.post(b"")
    door.post(body(secret="wrong"))
    door.take(body())
    door.repeat(body(), tries=2)
    told = figures(door)
    assert (told["vk_refused malformed"], told["vk_refused secret"]) == (1, 1)
    assert (told["vk_callbacks 0"], told["vk_callbacks 2"]) == (1, 1)
    assert (told["vk_events"], told["vk_events_refused running"]) == (1, 1)
    assert told["vk_without_secret"] == 0


def test_figures_of_several_clients_are_told_apart():
    endpoint = VKEndpoint({GROUP: VKGroup(token="a"), OTHER: VKGroup(token="b")})
    labels = [figure.labels for figure in endpoint.figures() if figure.name == "vk_api_waiting"]
    assert labels == [(("group", str(GROUP)),), (("group", str(OTHER)),)]


# Settings


def test_a_client_is_made_for_each_token_unless_one_is_given():
    given = VKApi("given")
    groups = {1: VKGroup(token="a"), 2: VKGroup(), 3: VKGroup(token="c"), 4: VKGroup()}
    endpoint = VKEndpoint(groups, apis={3: given, 4: given}, api_url="http://127.0.0.1:1/method")
    assert list(endpoint.apis) == [1, 3, 4]
    assert endpoint.apis[3] is endpoint.apis[4] is given
    assert endpoint.sources == tuple(endpoint.apis.values())


@pytest.mark.parametrize(
    "groups", [{}, {0: VKGroup()}, {-1: VKGroup()}, {True: VKGroup()}, {"1": VKGroup()}, {1: None}]
)
def test_communities_have_ids_and_settings(groups: dict[int, VKGroup]):
    with pytest.raises(ConfigError):
        VKEndpoint(groups)


@pytest.mark.parametrize(
    "options",
    [
        {"unknown": "whatever"},
        {"apis": {OTHER: VKApi("t")}},
        {"window": 60},
        {"max_remembered": 0},
        {"max_running": 0},
        {"api_url": "ftp://x"},
        {"api_version": "new"},
    ],
)
def test_settings_that_cannot_work_are_refused(options: dict[str, object]):
    with pytest.raises(ConfigError):
        VKEndpoint({GROUP: VKGroup(token="t")}, **options)


def test_the_repr_has_the_ids_and_nothing_secret():
    assert repr(VKEndpoint({1: VKGroup(secret="geheim", token="t"), 2: VKGroup()})) == "<VKEndpoint of 1, 2>"


def test_it_has_a_bot_from_the_app_or_of_its_communities_own():
    with pytest.raises(ConfigError, match="no bot"):
        App().add("/webhook", VKEndpoint({1: VKGroup()}))
    App().add("/webhook", VKEndpoint({1: VKGroup(bot=Bot()), 2: VKGroup(bot=Bot())}))
    with pytest.raises(ConfigError, match="none has"):
        VKEndpoint({1: VKGroup(bot=Bot()), 2: VKGroup()})


def test_it_is_served_by_one_process_that_knows_each_event():
    assert VKEndpoint.keeps_state


def test_events_are_known_by_what_the_platform_names_them():
    door = Door(echoes=True)
    assert door.take(callback("message_reply", message(out=1), event_id=EVENT_ID)).kind == "message_reply"
    assert door.take(callback("brand_new", {"a": 1}, event_id="b")).payload == {"a": 1}
    assert orjson.loads(encode(door.events[1].message.object)) == {"a": 1}
