"""rawbot/onebot/webhook.py: one push at a time and in order, and what comes of answers and of none.

OneBot 12, connect/communication/http-webhook. Over real sockets: test_webhook_pushes.py.
"""

import json
import math

import ormsgpack
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from onebot_parts import BOT, T0, TOKEN, Data, Gate, Handlers, asking, make, message

from rawbot.exchange import EncodedText, OutgoingRequest, Response
from rawbot.onebot import webhook as module
from rawbot.onebot.broadcast import Broadcast
from rawbot.onebot.codec import JSON
from rawbot.onebot.events import heartbeat
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.messages import Account
from rawbot.onebot.settings import HTTPWebhook
from rawbot.onebot.webhook import PATIENCE, Webhook

URL = "http://127.0.0.1:1/onebot?access_token=in-the-url"
TAKEN = Response(204)
SIZE = len(make().prepare(message(10)).text)


class Shell:
    """Sends for a webhook as the app's shell does, and answers as the test says."""

    def __init__(self, implementation: Implementation | None = None, **options: object) -> None:
        self.ob = implementation or make()
        self.handlers = Handlers()
        self.complaints: list[str] = []
        self.webhook = Webhook(
            self.ob, HTTPWebhook(URL, **options), self.handlers.dispatch, complain=self.complaints.append
        )
        self.now = T0
        self.under_way: OutgoingRequest | None = None
        self.webhook.enabled = True
        self.webhook.on_ready = self.pump

    def pump(self) -> None:
        """Take the next request, if there is one; a second one at a time there must not be."""
        request = self.webhook.next_request(self.now)
        if request is not None:
            assert self.under_way is None
            self.under_way = request
            assert self.webhook.next_request(self.now) is None

    def start(self) -> Data:
        """Begin; return the first push, which is taken."""
        self.webhook.start(self.now)
        self.tick(0)
        return self.answer(TAKEN)

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.webhook.tick(self.now)

    def answer(self, response: Response | None) -> Data:
        """Answer the push that is under way; return it."""
        request, self.under_way = self.under_way, None
        assert request is not None
        self.told = self.webhook.receive(request, response, self.now)
        self.pump()
        return json.loads(request.body)

    def take_all(self) -> list[str]:
        """Take pushes until there are no more; return their ids, or names."""
        taken = []
        while self.under_way is not None:
            event = self.answer(TAKEN)
            taken.append(event["id"] if event["type"] != "meta" else event["detail_type"])
        return taken


def ask(*requests: object, content_type: bytes = b"application/json") -> Response:
    """Make an answer that asks for actions."""
    packed = ormsgpack.packb(list(requests)) if b"msgpack" in content_type else json.dumps(requests).encode()
    return Response(200, packed, content_type)


@pytest.fixture
def shell() -> Shell:
    shell = Shell()
    shell.start()
    return shell


# Pushes


def test_the_first_push_tells_how_all_bots_are():
    shell = Shell(make(bots=["b1", "b2"]))
    assert shell.webhook.next_request(T0) is not None
    first = Shell(make(bots=["b1", "b2"])).start()
    assert first["detail_type"] == "status_update"
    assert [bot["self"]["user_id"] for bot in first["status"]["bots"]] == ["b1", "b2"]


def test_a_push_has_the_fields_that_the_standard_asks_for(shell: Shell):
    shell.ob.push(message(1))
    request = shell.under_way
    assert (request.method, request.url) == ("POST", URL)
    assert list(request.headers) == [
        (b"content-type", b"application/json"),
        (b"user-agent", b"OneBot/12 (loop) my-impl/1.2"),
        (b"x-onebot-version", b"12"),
        (b"x-impl", b"my-impl"),
    ]
    assert json.loads(request.body) == shell.ob.prepare(message(1)).value | {"time": T0}


def test_the_token_goes_along_where_there_is_one():
    shell = Shell(access_token=TOKEN)
    shell.webhook.start(T0)
    shell.tick(0)
    assert (b"authorization", f"Bearer {TOKEN}".encode()) in shell.under_way.headers
    for empty in (None, ""):
        shell = Shell(access_token=empty)
        shell.webhook.start(T0)
        shell.tick(0)
        assert b"authorization" not in dict(shell.under_way.headers)


@pytest.mark.parametrize(("timeout", "expires_at"), [(5000, T0 + 5), (1, T0 + 0.001), (0, math.inf)])
def test_the_timeout_is_in_milliseconds_and_0_is_for_none(timeout: int, expires_at: float):
    shell = Shell(timeout=timeout)
    shell.webhook.start(T0)
    shell.tick(0)
    assert shell.under_way.expires_at == expires_at


@pytest.mark.parametrize(("timeout", "silence"), [(5000, 5.0), (60_000, 60.0), (0, 120.0)])
def test_an_application_may_be_silent_for_as_long_as_the_time_out_says(timeout: int, silence: float):
    """An application of aiocqhttp answers when its handler is done, however long that takes."""
    shell = Shell(timeout=timeout)
    shell.webhook.start(T0)
    shell.tick(0)
    assert shell.under_way is not None
    assert shell.under_way.read_timeout == silence


def test_it_shows_no_url_and_is_trusted_with_its_own():
    shell = Shell()
    assert (repr(shell.webhook), shell.webhook.trusted) == ("<Webhook>", True)


def test_events_go_one_after_the_other_in_their_order(shell: Shell):
    for number in (1, 2, 3):
        shell.ob.push(message(number))
    assert shell.webhook.waiting() == 2
    assert shell.take_all() == ["e1", "e2", "e3"]
    assert (shell.webhook.waiting(), shell.webhook.pushed, shell.webhook.failed) == (0, 4, 0)


def test_what_is_emitted_before_the_first_push_was_taken_comes_behind_it():
    shell = Shell()
    shell.webhook.start(T0)
    shell.ob.push(message(1))
    shell.tick(0)
    assert shell.take_all() == ["status_update", "e1"]


def test_events_of_the_time_before_the_start_are_not_pushed():
    shell = Shell()
    shell.ob.push(message(1))
    shell.start()
    assert shell.under_way is None


def test_without_a_shell_events_wait():
    shell = Shell()
    shell.webhook.on_ready = None
    shell.webhook.start(T0)
    shell.ob.push(message(1))
    shell.tick(0)
    assert shell.webhook.waiting() == 1


def test_heartbeats_and_changes_are_pushed_as_well(shell: Shell):
    shell.ob.set_online("b1", online=False)
    shell.ob.push(heartbeat(5000))
    assert shell.take_all() == ["status_update", "heartbeat"]


def test_of_more_than_fits_the_oldest_are_dropped_and_counted_but_not_what_is_under_way():
    shell = Shell(max_queue_bytes=2 * SIZE)
    shell.start()
    for number in range(10, 20):
        shell.ob.push(message(number))
    assert shell.webhook.dropped == 7
    assert shell.take_all() == ["e10", "e18", "e19"]
    shell.ob.push(message(20))
    assert shell.take_all() == ["e20"]


def test_a_single_event_may_be_larger_than_all_that_fits():
    shell = Shell(max_queue_bytes=10)
    shell.start()
    for number in (1, 2, 3):
        shell.ob.push(message(number))
    assert shell.take_all() == ["e1", "e3"]


def test_after_its_end_what_waits_is_still_sent_and_nothing_more_taken(shell: Shell):
    shell.ob.push(message(1))
    shell.webhook.stop()
    shell.ob.push(message(2))
    assert shell.take_all() == ["e1"]


def test_it_listens_while_pushes_are_taken():
    shell = Shell()
    assert not shell.webhook.listens(T0)
    shell.start()
    assert shell.webhook.listens(T0)
    shell.ob.push(message(1))
    shell.answer(Response(500))
    assert not shell.webhook.listens(T0)


# Failures


@pytest.mark.parametrize("status", [100, 201, 202, 205, 301, 302, 304, 400, 401, 404, 500, 503, 504])
def test_any_status_but_two_is_a_failure_and_that_event_is_not_sent_again(shell: Shell, status: int):
    for number in (1, 2):
        shell.ob.push(message(number))
    shell.answer(Response(status, b"[]", b"application/json"))
    assert not shell.told  # for the log: it is lost
    assert shell.under_way is None
    shell.tick(PATIENCE[0])
    assert shell.take_all() == ["status_update", "e2"]
    assert shell.webhook.failed == 1


def test_an_event_that_never_arrived_is_sent_again_after_a_status_update(shell: Shell):
    for number in (1, 2):
        shell.ob.push(message(number))
    shell.answer(None)
    assert shell.told
    shell.tick(PATIENCE[0] - 0.001)
    assert shell.under_way is None
    shell.tick(0.001)
    assert shell.take_all() == ["status_update", "e1", "e2"]


def test_what_comes_in_the_meantime_waits(shell: Shell):
    shell.ob.push(message(1))
    shell.answer(None)
    shell.ob.push(message(2))
    assert shell.under_way is None
    shell.tick(PATIENCE[0])
    assert shell.take_all() == ["status_update", "e1", "e2"]


def test_the_next_try_comes_later_and_later_and_then_regularly(shell: Shell):
    shell.ob.push(message(1))
    shell.answer(None)
    waits = [*PATIENCE, PATIENCE[-1], PATIENCE[-1]]
    for wait in waits:
        assert shell.webhook.deadline == shell.now + wait
        shell.tick(wait - 0.01)
        assert shell.under_way is None
        shell.tick(0.01)
        assert shell.answer(None)["detail_type"] == "status_update"
        assert shell.told  # a status_update is said again, so nothing is lost
    shell.tick(PATIENCE[-1])
    assert shell.take_all() == ["status_update", "e1"]
    assert shell.webhook.deadline == math.inf
    shell.ob.push(message(2))
    shell.answer(None)
    assert shell.webhook.deadline == shell.now + PATIENCE[0]


def test_a_clock_that_is_set_back_delays_no_try_for_longer_than_the_longest_wait(shell: Shell):
    shell.ob.push(message(1))
    shell.answer(None)
    shell.tick(-3600)
    assert shell.webhook.deadline == shell.now + PATIENCE[-1]
    shell.tick(PATIENCE[-1])
    assert shell.take_all() == ["status_update", "e1"]


def test_while_nothing_gets_through_events_about_the_implementation_are_left_out(shell: Shell):
    shell.ob.push(message(1))
    shell.answer(None)
    shell.ob.set_online("b1", online=False)
    shell.ob.push(heartbeat(5000))
    shell.tick(PATIENCE[0])
    status = shell.answer(TAKEN)["status"]
    assert status == {"good": False, "bots": [{"self": BOT.encode(), "online": False}]}
    assert shell.take_all() == ["e1"]


def test_a_change_while_the_status_update_is_under_way_is_told_after_it():
    shell = Shell()
    shell.webhook.start(T0)
    shell.tick(0)
    shell.ob.set_online("b1", online=False)
    shell.ob.push(heartbeat(5000))
    shell.ob.push(message(1))
    assert [shell.answer(TAKEN)["status"]["good"] for _ in range(2)] == [True, False]
    assert shell.take_all() == ["e1"]


@pytest.mark.parametrize("answer", [None, Response(503)])
def test_a_change_that_waits_is_not_told_after_the_status_update_that_knows_better(
    shell: Shell, answer: Response | None
):
    shell.ob.push(message(1))
    shell.ob.set_online("b1", online=False)
    shell.ob.push(message(2))
    shell.answer(TAKEN)
    shell.ob.set_online("b1", online=False)
    shell.answer(answer)
    assert shell.told  # since nothing is lost
    shell.ob.set_online("b1", online=True)
    shell.tick(PATIENCE[0])
    assert shell.take_all() == ["status_update", "e2"]


def test_the_goodbye_of_one_run_is_not_told_in_the_next():
    shell = Shell()
    shell.start()
    shell.ob.push(message(1))
    shell.ob.set_good(good=False)
    shell.webhook.stop()
    shell.under_way = None
    shell.ob.set_good(good=True)
    shell.webhook.start(shell.now)
    shell.tick(0)
    assert shell.take_all() == ["status_update"]


def test_heartbeats_alone_repeat_no_status_update():
    shell = Shell()
    shell.webhook.start(T0)
    shell.tick(0)
    shell.ob.push(heartbeat(5000))
    assert shell.take_all() == ["status_update"]


def test_the_bound_holds_again_once_more_comes_after_an_event_was_put_back():
    shell = Shell(max_queue_bytes=2 * SIZE)
    shell.start()
    for number in range(10, 13):
        shell.ob.push(message(number))
    shell.answer(None)
    assert shell.webhook.waiting() == 3
    shell.ob.push(message(13))
    shell.tick(PATIENCE[0])
    assert shell.take_all() == ["status_update", "e12", "e13"]


def test_failures_are_told_to_the_operator_without_the_url(shell: Shell):
    shell.ob.push(message(1))
    shell.answer(None)
    shell.tick(1)
    shell.answer(Response(503))
    assert shell.complaints == [
        "a webhook's push failed (no connection): the next one is in 1 s",
        "a webhook's push failed (503): the next one is in 2 s",
    ]


def test_after_a_restart_it_begins_anew_whatever_was_cut_off(shell: Shell):
    gate = Gate()

    @shell.ob.action("wait")
    async def wait() -> None:
        await gate

    for number in (1, 2, 3):
        shell.ob.push(message(number))
    shell.answer(ask(asking("wait"), asking("wait")))
    shell.webhook.stop()
    shell.under_way = None  # the shell ends while e2 is under way: whether it was taken nobody knows
    shell.handlers.stop()
    shell.webhook.start(shell.now)
    shell.tick(0)
    assert shell.take_all() == ["status_update", "e3"]
    shell.ob.push(message(4))
    shell.answer(ask(asking("get_status")))
    assert shell.ob.performer.failed == 2  # those that were stopped


def test_a_restart_while_nothing_got_through_tries_at_once(shell: Shell):
    shell.ob.push(message(1))
    shell.answer(None)
    shell.webhook.start(shell.now)
    shell.tick(0)
    assert shell.take_all() == ["status_update", "e1"]


# What answers ask for


@pytest.fixture
def said(shell: Shell) -> list[str]:
    """Have actions that note their text, at once and later."""
    said: list[str] = []
    shell.ob.gates = {}

    @shell.ob.action("say")
    def say(text: str) -> None:
        said.append(text)

    @shell.ob.action("wait")
    async def wait(text: str) -> None:
        said.append(f"{text}…")
        await shell.ob.gates.setdefault(text, Gate())
        said.append(text)

    return said


def push_answered(shell: Shell, response: Response) -> None:
    """Have an event answered with this; it counts as taken."""
    before = shell.webhook.pushed
    shell.ob.push(message(1))
    shell.answer(response)
    assert shell.told
    assert shell.webhook.pushed == before + 1


@pytest.mark.parametrize(
    "content_type",
    [
        b"application/json",
        b"application/json; charset=utf-8",
        b"APPLICATION/JSON;x",
        b"application/msgpack",
        b"application/msgpack; x=y",
    ],
)
def test_actions_are_run_in_their_order(shell: Shell, said: list[str], content_type: bytes):
    push_answered(shell, ask(*(asking("say", text=text) for text in "abc"), content_type=content_type))
    assert (said, shell.complaints) == (list("abc"), [])
    assert shell.ob.performer.performed == 3


def test_each_waits_for_the_one_before_also_when_it_takes_a_while(shell: Shell, said: list[str]):
    push_answered(shell, ask(asking("wait", text="a"), asking("say", text="b"), asking("wait", text="c")))
    push_answered(shell, ask(asking("say", text="d")))
    assert said == ["a…"]
    shell.ob.gates["a"].open = True
    shell.handlers.go_on()
    assert said == ["a…", "a", "b", "c…"]
    shell.ob.gates["c"].open = True
    shell.handlers.go_on()
    assert said[-2:] == ["c", "d"]


def test_events_do_not_wait_for_actions(shell: Shell, said: list[str]):
    push_answered(shell, ask(asking("wait", text="a")))
    shell.ob.push(message(2))
    assert shell.take_all() == ["e2"]
    assert said == ["a…"]
    shell.handlers.stop()


def test_the_bot_is_the_one_that_is_named():
    shell = Shell(make(bots=["b1", "b2"]))
    shell.start()
    bots: list[str] = []

    @shell.ob.action("who")
    def who(bot: Account) -> None:
        bots.append(bot.user_id)

    push_answered(shell, ask(asking("who", bot={"platform": "loop", "user_id": "b2"}), asking("who")))
    assert bots == ["b2"]
    assert shell.complaints == [
        "who of a webhook's answer failed with 10101: there are several bots, or none: name one with self"
    ]


@pytest.mark.parametrize(
    "response", [TAKEN, Response(200), Response(200, b"", b"text/html"), Response(204, b"x", b"text/plain")]
)
def test_an_answer_without_a_body_asks_for_nothing(shell: Shell, response: Response):
    push_answered(shell, response)
    assert shell.complaints == []


@pytest.mark.parametrize(
    "response",
    [
        Response(200, b"ok", b"text/plain"),
        Response(200, b"[]", b""),
        Response(200, b"[", b"application/json"),
        Response(200, b"null", b"application/json"),
        Response(200, b"{}", b"application/json"),
        Response(200, b"\xff", b"application/json"),
        Response(200, b"\x81", b"application/msgpack"),
        Response(200, b"[]", b"application/msgpack"),
        Response(200, JSON.encode([asking("say", text="x")] * 1001), b"application/json"),
    ],
    ids=repr,
)
def test_a_body_that_is_no_list_of_actions_is_only_told_to_the_operator(
    shell: Shell, said: list[str], response: Response
):
    push_answered(shell, response)
    assert shell.complaints == ["the answer to a webhook's push is no list of action requests, or too long a one"]
    assert said == []


def test_what_is_no_request_in_a_list_is_left_out(shell: Shell, said: list[str]):
    push_answered(shell, ask(5, asking("say", text="a"), {"action": "say"}, None, asking("say", text="b")))
    assert said == ["a", "b"]
    assert len(shell.complaints) == 3
    assert (shell.ob.performer.performed, shell.ob.performer.failed) == (5, 3)


def test_actions_that_fail_are_told_to_the_operator_and_the_rest_is_run(shell: Shell, said: list[str]):
    @shell.ob.action("fail")
    def fail() -> None:
        raise ZeroDivisionError

    @shell.ob.action("fail_later")
    async def fail_later() -> object:
        raise ZeroDivisionError("a secret")

    push_answered(
        shell,
        ask(asking("fail"), asking("fail_later"), asking("a secret"), asking("say"), asking("say", text="at last")),
    )
    assert said == ["at last"]
    assert shell.complaints == [
        "fail of a webhook's answer failed with 20002: the handler of fail failed",
        "fail_later of a webhook's answer failed with 20002: the handler failed",
        "an unknown action of a webhook's answer failed with 10002: the action is not supported",
        "say of a webhook's answer failed with 10003: param text: missing, expected string",
    ]
    assert [type(error) for error in shell.handlers.raised] == [ZeroDivisionError] * 2


def test_a_result_that_no_form_has_is_nobodys_matter_here(shell: Shell):
    @shell.ob.action("odd")
    def odd() -> object:
        return object()

    push_answered(shell, ask(asking("odd")))
    assert shell.complaints == []


def test_the_answer_to_a_status_update_may_ask_for_actions_as_well(said: list[str], shell: Shell):
    shell.webhook.start(shell.now)
    shell.tick(0)
    shell.answer(ask(asking("say", text="hello")))
    assert said == ["hello"]


def test_a_fault_of_the_shell_does_not_stop_all_later_actions(shell: Shell, said: list[str]):
    def refuse(_: object) -> None:
        raise ZeroDivisionError

    shell.webhook._dispatch, dispatch = refuse, shell.webhook._dispatch
    shell.ob.push(message(1))
    with pytest.raises(ZeroDivisionError):
        shell.answer(ask(asking("wait", text="a")))
    shell.webhook._dispatch = dispatch
    shell.pump()
    shell.webhook.start(shell.now)
    shell.tick(0)
    shell.answer(ask(asking("say", text="b")))
    assert said == ["b"]


def test_of_very_many_actions_those_that_wait_are_bounded(
    shell: Shell, said: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_JOBS", 3)
    push_answered(shell, ask(asking("wait", text="a"), asking("say", text="b"), asking("say", text="c")))
    push_answered(shell, ask(asking("say", text="d"), asking("say", text="e")))
    assert len(shell.complaints) == 1
    push_answered(shell, ask(asking("say", text="f")))
    shell.ob.gates["a"].open = True
    shell.handlers.go_on()
    assert said == ["a…", "a", "b", "c", "f"]


class Wordless(Webhook):
    """Speaks another version of the standard, which has no words for messages."""

    def _encode(self, broadcast: Broadcast) -> EncodedText | None:
        return None if broadcast.event.type == "message" else super()._encode(broadcast)


def test_what_its_form_has_no_words_for_is_left_out(shell: Shell):
    webhook = Wordless(shell.ob, HTTPWebhook(URL), shell.handlers.dispatch)
    webhook.start(T0)
    webhook.receive(webhook.next_request(T0), TAKEN, T0)
    shell.ob.push(message(1))
    shell.ob.push(heartbeat(5000))
    assert webhook.waiting() == 1
    assert json.loads(webhook.next_request(T0).body)["detail_type"] == "heartbeat"


# In any order


class WebhookMachine(RuleBasedStateMachine):
    """Events, changes, answers, time and restarts in any order: order is kept, and nothing is lost unseen."""

    def __init__(self) -> None:
        super().__init__()
        self.shell = Shell(max_queue_bytes=4 * SIZE)
        self.ob = self.shell.ob
        self.number = 9
        self.taken: list[int] = []
        self.lost: list[int] = []
        self.view: dict[str, bool] = {}
        self.failing = True
        """Whether the next push that is taken must be a status_update: after a failure, and at first."""
        self.asked: list[int] = []
        self.acted: list[int] = []

        @self.ob.action("act")
        async def act(number: int) -> None:
            self.acted.append(number)

        self.shell.webhook.start(T0)
        self.shell.tick(0)

    @rule(count=st.integers(1, 3))
    def emit(self, count: int) -> None:
        for _ in range(count):
            self.number += 1
            self.ob.push(message(self.number))

    @rule(bot=st.sampled_from(["b1", "b2"]), online=st.booleans())
    def change(self, bot: str, online: bool) -> None:  # noqa: FBT001 - drawn
        self.ob.set_online(bot, online)

    @rule()
    def beat(self) -> None:
        self.ob.push(heartbeat(5000))

    @rule(seconds=st.sampled_from([0.5, 1.0, 30.0, -60.0]))
    def time_passes(self, seconds: float) -> None:
        self.shell.tick(seconds)

    @precondition(lambda self: self.shell.under_way is not None)
    @rule(actions=st.integers(0, 3))
    def it_is_taken(self, actions: int) -> None:
        numbers = [len(self.asked) + n for n in range(actions)]
        self.asked += numbers
        event = self.shell.answer(ask(*(asking("act", bot=BOT.encode(), number=n) for n in numbers)))
        if self.failing:
            assert event["detail_type"] == "status_update"
            assert {one["self"]["user_id"]: one["online"] for one in event["status"]["bots"]}.keys() >= self.view.keys()
            self.failing = False
        self._note(event, self.taken)

    @precondition(lambda self: self.shell.under_way is not None)
    @rule(status=st.sampled_from([404, 500, 504]))
    def it_fails(self, status: int) -> None:
        self._note(self.shell.answer(Response(status)), self.lost)
        self.failing = True

    @precondition(lambda self: self.shell.under_way is not None)
    @rule()
    def it_never_arrives(self) -> None:
        self.shell.answer(None)
        self.failing = True

    @rule()
    def it_restarts(self) -> None:
        if self.shell.under_way is not None:
            self._note(json.loads(self.shell.under_way.body), self.lost)
            self.shell.under_way = None
        self.shell.webhook.stop()
        self.shell.webhook.start(self.shell.now)
        self.failing = True
        self.shell.tick(0)

    def _note(self, event: Data, where: list[int]) -> None:
        if event["type"] == "message":
            where.append(int(event["alt_message"]))
        elif event["detail_type"] == "status_update" and where is self.taken:
            self.view |= {one["self"]["user_id"]: one["online"] for one in event["status"]["bots"]}

    @invariant()
    def events_are_taken_in_their_order_and_once(self) -> None:
        assert self.taken == sorted(set(self.taken))
        assert not set(self.taken) & set(self.lost)
        assert self.acted == self.asked

    @invariant()
    def each_event_is_somewhere(self) -> None:
        under_way = 0
        if self.shell.under_way is not None:
            under_way = int(json.loads(self.shell.under_way.body)["type"] == "message")
        waiting = sum(not is_meta for _, is_meta in self.shell.webhook._events)
        gone = len(self.taken) + len(self.lost) + under_way + waiting
        assert gone <= self.number - 9 <= gone + self.shell.webhook.dropped

    @invariant()
    def what_waits_is_bounded(self) -> None:
        webhook = self.shell.webhook
        assert webhook._queued == sum(len(text) for text, _ in webhook._events)
        assert webhook._queued <= 6 * SIZE or len(webhook._events) < 3

    def teardown(self) -> None:
        for _ in range(200):
            if self.shell.under_way is not None:
                self.it_is_taken(0)
            elif self.shell.webhook.deadline < math.inf:
                self.shell.tick(30)
            else:
                break
        assert (self.shell.under_way, self.shell.webhook.waiting(), self.failing) == (None, 0, False)
        if not self.shell.webhook.dropped:
            statuses = {bot["self"]["user_id"]: bot["online"] for bot in self.ob.roster.status()["bots"]}
            assert self.view == statuses


WebhookMachine.TestCase.settings = settings(deadline=None, max_examples=80, stateful_step_count=30)
test_pushes_answers_and_failures_in_any_order = WebhookMachine.TestCase
