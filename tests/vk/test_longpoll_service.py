"""rawbot/vk/longpoll_service.py: a poller's part in an app's life."""

import pytest
from vk_calling import URL, error, result
from vk_polling import FakeApp, FakeJournal, failed, half, told_server, updates
from vk_samples import GROUP, new_message, update

from rawbot.errors import ConfigError
from rawbot.exchange import Figure
from rawbot.vk.api import VKApi
from rawbot.vk.group_longpoll import GroupLongPoll
from rawbot.vk.longpoll_service import LongPollService
from rawbot.vk.user_longpoll import UserLongPoll


def begun(**options: object) -> FakeApp:
    app = FakeApp(GroupLongPoll(GROUP, "token", api_url=URL, entropy=half, **options))
    app.start()
    return app


def figures(app: FakeApp) -> dict[str, float]:
    found = {}
    for figure in app.service.figures():
        assert isinstance(figure, Figure)
        name = ".".join([figure.name, *(value for name, value in figure.labels if name not in ("group", "account"))])
        assert name not in found
        found[name] = figure.value
    return found


def test_it_begins_with_a_key_and_polls_till_it_is_drained():
    app = begun()
    assert app.method == "groups.getLongPollServer"
    app.give_key()
    assert len(app.polls) == 1
    app.service.drain(app.now)
    app.answer_poll(updates("101", update()))
    app.wait(60)
    assert (app.events, app.polls, app.calls, app.faults) == ([], [], [], [])


def test_it_may_begin_again_in_the_same_process():
    app = begun()
    app.give_key(told_server("100"))
    app.stop()
    app.start()
    app.give_key(told_server("999"))
    assert "ts=100&" in app.polls[0].url


def test_all_that_it_needs_to_be_told_is_there():
    service = GroupLongPoll(GROUP, "token")
    assert isinstance(service, LongPollService)
    assert service.sources == (service.api, service.poll)
    assert (service.needs_bot, service.keeps_state, service.hears) == (True, True, False)
    assert service.deadline > 1e300


def test_it_wants_to_be_called_when_anything_of_it_is_due():
    app = begun()
    assert app.service.deadline == app.service.api.deadline
    app.answer_call(error(29))
    assert app.service.deadline == app.service.poll.deadline == app.now + 225
    app.service.intake.deadline = app.now + 1
    assert app.service.deadline == app.now + 1


def test_what_the_operator_should_know_is_raised_once_when_all_else_is_done():
    app = begun()
    app.answer_call(error(29, "Rate limit reached"))
    app.tick()
    app.tick()
    reason = "groups.getLongPollServer: 29 Rate limit reached; the next try is in 225 s"
    assert app.faults == [f"Long Poll of community {GROUP}: there is no key: {reason}"]
    app.wait(226)
    app.give_key()
    app.answer_poll(failed(1, ts=500))
    app.wait(1)
    assert app.faults[1:] == [
        f"Long Poll of community {GROUP}: VK does not have all any more that came since the last poll (failed 1)"
    ]


def test_a_disk_that_fails_is_told_of_and_what_came_waits_for_it():
    journal = FakeJournal()
    app = begun(journal=journal)
    app.give_key()
    journal.broken = True
    app.answer_poll(updates("101", update()))
    app.tick(0.2)
    assert (app.events, app.service.poll.held, app.faults[0]) == ([], 1, "the disk is full")
    journal.broken = False
    app.tick(0.2)
    assert (len(app.events), app.service.poll.held, app.service.poll.ts) == (1, 0, "101")


def test_its_numbers_are_shown():
    app = begun(max_per_peer=1)
    app.answer_call(error(29))
    app.wait(226)
    app.give_key()
    told = [update(event_id=f"{n:040x}", value=new_message(cmid=n)) for n in (1, 2)]
    app.answer_poll(updates("103", *told, {"type": 1}))
    app.answer_poll(failed(1, ts=200))
    found = figures(app)
    expected = {
        "vk_longpoll_polls": 3,
        "vk_longpoll_keys": 2,
        "vk_longpoll_updates": 3,
        "vk_longpoll_unreadable": 1,
        "vk_longpoll_held": 1,
        "vk_longpoll_gaps": 1,
        "vk_longpoll_refused": 0,
        "vk_longpoll_answered_at": app.now,
        "vk_longpoll_failures.failed 1": 1,
        "vk_longpoll_failures.key: 29": 1,
        "vk_events": 1,
        "vk_api_answered": 1,
    }
    assert {name: found[name] for name in expected} == expected
    assert app.service.unsettled() == 1


def test_a_client_that_others_have_shows_its_numbers_there():
    app = FakeApp(GroupLongPoll(GROUP, VKApi("token")))
    assert "vk_api_answered" not in figures(app)
    assert "vk_api_answered" in figures(FakeApp(UserLongPoll("token")))
    assert "vk_api_answered" not in figures(FakeApp(UserLongPoll(VKApi("token"))))


def test_a_version_that_is_refused_shows():
    app = FakeApp(UserLongPoll("token", version=99))
    app.start()
    app.answer_call(result({"key": "k", "server": "im.vk.example/nim1", "ts": 1}))
    app.answer_poll(failed(4, min_version=0, max_version=19))
    app.tick()
    assert figures(app)["vk_longpoll_refused"] == 1
    assert app.faults[0].endswith("VK does not speak version 99 of Long Poll (failed 4), but 0 to 19: no more is asked")


@pytest.mark.parametrize("wait", [0, -1, 91, 25.0, True, "25"])
def test_a_wait_that_vk_does_not_grant_is_refused(wait: object):
    with pytest.raises(ConfigError, match="wait is a whole number of seconds, 1 to 90"):
        GroupLongPoll(GROUP, "token", wait=wait)
    with pytest.raises(ConfigError, match="wait is a whole number of seconds, 1 to 90"):
        UserLongPoll("token", wait=wait)


def test_without_an_app_nobody_is_told_and_nothing_breaks():
    app = begun()
    app.give_key()
    app.service.dispatch = None
    app.answer_poll(updates("101", update()))
    assert (app.events, app.service.unsettled()) == ([], 1)
