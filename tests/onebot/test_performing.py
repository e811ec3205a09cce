"""rawbot/onebot/performing.py: whatever a request is, it is answered, once, and with its echo.

OneBot 12, connect/data-protocol/action-request and action-response.
"""

import asyncio
import functools
import json
import math
from collections.abc import Callable

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from onebot_parts import BOT, T0, Data, Gate, Handlers, asking, make, ok

from rawbot.errors import ConfigError
from rawbot.event import Event
from rawbot.onebot.codec import JSON, MSGPACK, Codec
from rawbot.onebot.implementation import Implementation
from rawbot.onebot.messages import Account
from rawbot.onebot.performing import ACTION, META, Performer, run
from rawbot.onebot.requests import ActionRequest
from rawbot.onebot.retcodes import ActionError

CODECS = [JSON, MSGPACK]
each_codec = pytest.mark.parametrize("codec", CODECS, ids=["JSON", "MessagePack"])
BOTS = {"platform": "loop", "user_id": "b1"}, {"platform": "loop", "user_id": "b2"}


class Asked:
    """Performs what is asked for, and keeps what is told."""

    def __init__(self, implementation: Implementation, codec: Codec = JSON) -> None:
        self.performer = implementation.performer
        self.codec = codec
        self.handlers = Handlers()
        self.told: list[Data] = []

    def __call__(self, value: object) -> Data | None:
        """Ask for this; return what is told at once."""
        data = value if isinstance(value, bytes | str) else self.codec.encode(value)
        before = len(self.told)
        request = self.performer.read(data, self.codec)
        if isinstance(request, bytes):
            self.tell(request)
        else:
            event = self.performer.perform(request, self.codec, self.tell)
            if event is not None:
                self.handlers.dispatch(event)
        return self.told[-1] if len(self.told) > before else None

    def tell(self, data: bytes) -> None:
        self.told.append(self.codec.decode(data))


def error_of(response: Data | None) -> tuple[object, object]:
    """Return retcode and echo of a failed response that has the right shape."""
    assert response is not None
    assert list(response)[:4] == ["status", "retcode", "data", "message"]
    assert (response["status"], response["data"]) == ("failed", None)
    assert isinstance(response["message"], str)
    assert response["message"]
    return response["retcode"], response.get("echo")


@pytest.fixture
def implementation() -> Implementation:
    ob = make()
    gates: dict[str, Gate] = {}

    @ob.action("say")
    def say(text: str = "") -> str:
        return text

    @ob.action("wait")
    async def wait(gate: str) -> str:
        await gates.setdefault(gate, Gate())
        return gate

    ob.gates = gates
    return ob


# Responses


@each_codec
def test_success_has_four_keys_and_an_empty_message(implementation: Implementation, codec: Codec):
    asked = Asked(implementation, codec)
    response = asked(asking("say", text="hello"))
    assert response == {"status": "ok", "retcode": 0, "data": "hello", "message": ""}
    assert list(response) == ["status", "retcode", "data", "message"]


def test_a_handler_that_returns_nothing_is_answered_with_null(implementation: Implementation):
    implementation.action("nothing")(lambda: None)
    assert Asked(implementation)(asking("nothing", echo="e")) == ok(None, echo="e")


@each_codec
@pytest.mark.parametrize("echo", ["e", "你好", 0, 1, -5, 1.5, False, True, [], {}, [1, {"a": None}], {"": ""}, "0"])
def test_an_echo_of_any_type_comes_back_as_it_was(implementation: Implementation, codec: Codec, echo: object):
    asked = Asked(implementation, codec)
    assert asked(asking("say", echo=echo)) == ok("", echo=echo)
    assert type(asked.told[-1]["echo"]) is type(echo)
    assert error_of(asked(asking("unknown", echo=echo))) == (10002, echo)


@each_codec
@pytest.mark.parametrize("echo", ["", None])
def test_no_echo_and_an_empty_one_are_not_sent_back(implementation: Implementation, codec: Codec, echo: object):
    asked = Asked(implementation, codec)
    for value in (asking("say"), asking("say") | {"echo": echo}):
        assert asked(value) == ok("")
        assert "echo" not in asked.told[-1]


@each_codec
@pytest.mark.parametrize(
    ("changed", "retcode"),
    [
        ({"action": {}}, 10001),
        ({"action": 5}, 10001),
        ({"action": None}, 10001),
        ({"params": []}, 10001),
        ({"params": None}, 10001),
        ({"params": "x"}, 10001),
        ({"self": "b1"}, 10001),
        ({"self": {}}, 10001),
        ({"self": {"user_id": "b1"}}, 10001),
        ({"self": {"platform": "loop", "user_id": 1}}, 10001),
        ({"self": {"platform": "loop", "user_id": "b9"}}, 10102),
        ({"action": ""}, 10002),
        ({"action": "Say"}, 10002),
        ({"params": {"text": 5}}, 10003),
        ({"params": {"text": None}}, 10003),
    ],
)
def test_the_echo_is_kept_on_every_error(implementation: Implementation, codec: Codec, changed: Data, retcode: int):
    value = asking("say", echo={"n": 1}) | changed
    assert error_of(Asked(implementation, codec)(value)) == (retcode, {"n": 1})


@each_codec
@pytest.mark.parametrize("missing", ["action", "params"])
def test_the_echo_is_kept_where_a_field_is_missing(implementation: Implementation, codec: Codec, missing: str):
    value = asking("say", echo="e")
    del value[missing]
    assert error_of(Asked(implementation, codec)(value)) == (10001, "e")


@pytest.mark.parametrize("text", ["", "{", "[]", "[1]", "null", "5", '"x"', "{}x", "\ufeff{}", "NaN", '{"a":\x00}'])
def test_what_is_no_request_in_json_is_answered(implementation: Implementation, text: str):
    assert error_of(Asked(implementation)(text)) == (10001, None)
    assert error_of(Asked(implementation)(text.encode())) == (10001, None)


@pytest.mark.parametrize("data", [b"\xff\xfe", b'{"action":"\xff"}', b'"\xed\xa0\x80"'])
def test_what_is_not_utf_8_is_answered(implementation: Implementation, data: bytes):
    assert error_of(Asked(implementation)(data)) == (10001, None)


@given(st.binary(max_size=40))
@settings(max_examples=60)
def test_whatever_comes_is_answered_once(data: bytes):
    for codec in CODECS:
        asked = Asked(make(), codec)
        asked(data)
        (response,) = asked.told
        assert set(response) in ({"status", "retcode", "data", "message"}, {*ok(), "echo"})
        assert response["retcode"] in (10001, 10002)


ECHOES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(ECHOES, st.sampled_from(["say", "unknown"]))
@settings(max_examples=60)
def test_whatever_echo_can_be_read_can_be_sent_back(echo: object, action: str):
    data = json.dumps({"action": action, "params": {}, "echo": echo}).encode()
    asked = Asked(make())
    implementation_answer = asked(data)
    read = JSON.decode(data)["echo"]
    assert implementation_answer.get("echo") == (None if read == "" else read)


@given(st.integers(0, 2**64 - 1) | st.binary(max_size=8) | st.floats(allow_nan=False))
def test_messagepack_gives_back_bytes_and_large_numbers_too(echo: object):
    asked = Asked(make(), MSGPACK)
    assert asked(ormsgpack.packb({"action": "?", "params": {}, "echo": echo}))["echo"] == echo


def test_an_echo_that_is_nested_too_deeply_is_left_out_and_the_action_not_begun(implementation: Implementation):
    deep = "[" * 900 + "]" * 900
    text = f'{{"action": "say", "params": {{}}, "echo": {deep}}}'
    assert error_of(Asked(implementation)(text)) == (10001, None)


# Which bot


@pytest.fixture
def two() -> Implementation:
    ob = make(bots=["b1", "b2"])

    @ob.action("who")
    def who(bot: Account) -> str:
        return bot.user_id

    return ob


def test_of_several_bots_an_action_names_one(two: Implementation):
    asked = Asked(two)
    assert asked(asking("who", bot=BOTS[1], echo=1)) == ok("b2", echo=1)
    assert error_of(asked(asking("who", echo=1))) == (10101, 1)
    assert error_of(asked(asking("who", bot={"platform": "x", "user_id": "b1"}, echo=1))) == (10102, 1)


@pytest.mark.parametrize("action", sorted(META - {"get_latest_events"}))
@pytest.mark.parametrize("bot", [None, BOTS[0], {"platform": "?", "user_id": "?"}])
def test_actions_about_the_implementation_need_no_bot_and_ignore_any(
    two: Implementation, action: str, bot: Data | None
):
    assert Asked(two)(asking(action, bot=bot))["status"] == "ok"


@pytest.mark.parametrize("bot", [None, {"platform": "?", "user_id": "?"}])
def test_an_unknown_action_is_unknown_before_its_bot_is(two: Implementation, bot: Data | None):
    assert error_of(Asked(two)(asking("what", bot=bot))) == (10002, None)


def test_the_only_bot_need_not_be_named(implementation: Implementation):
    implementation.action("who")(_who)
    assert Asked(implementation)(asking("who")) == ok("b1")


def _who(bot: Account) -> str:
    return bot.user_id


def test_get_latest_events_is_unknown_where_nobody_polls(implementation: Implementation):
    assert error_of(Asked(implementation)(asking("get_latest_events"))) == (10002, None)


# Parameters


def test_unknown_parameters_are_ignored_unless_all_is_strict():
    for strict, answer in ((False, ok("x")), (True, None)):
        ob = make(strict=strict)
        ob.action("say")(lambda text: text)
        response = Asked(ob)(asking("say", text="x", _timeout=30))
        assert response == answer if answer else error_of(response) == (10004, None)


# What handlers do


def test_an_action_error_of_a_handler_is_told(implementation: Implementation):
    def refuse() -> None:
        raise ActionError(35001, "not today")

    async def refuse_later() -> None:
        raise ActionError(35001, "not today")

    implementation.action("refuse")(refuse)
    implementation.action("refuse_later")(refuse_later)
    asked = Asked(implementation)
    for action in ("refuse", "refuse_later"):
        asked(asking(action, echo="e"))
        assert asked.told.pop() == {
            "status": "failed",
            "retcode": 35001,
            "data": None,
            "message": "not today",
            "echo": "e",
        }
    assert asked.handlers.raised == []


class Odd(BaseException):
    """An exception that is no Exception."""


@pytest.mark.parametrize("error", [ZeroDivisionError("a secret"), asyncio.CancelledError(), Odd(), StopIteration()])
def test_any_other_exception_is_20002_and_not_told_but_raised_where_it_is_logged(
    implementation: Implementation, error: BaseException
):
    def fail() -> None:
        raise error

    implementation.action("fail")(fail)
    asked = Asked(implementation)
    assert error_of(asked(asking("fail", echo="e"))) == (20002, "e")
    assert "secret" not in str(asked.told)
    (raised,) = asked.handlers.raised
    assert error in (raised, raised.__cause__)


@pytest.mark.parametrize("error", [ZeroDivisionError("a secret"), asyncio.CancelledError(), Odd()])
def test_a_coroutine_that_raises_is_20002_too(implementation: Implementation, error: BaseException):
    async def fail() -> None:
        raise error

    implementation.action("fail")(fail)
    asked = Asked(implementation)
    assert error_of(asked(asking("fail", echo="e"))) == (20002, "e")
    assert asked.handlers.raised == [error]
    assert "secret" not in str(asked.told)
    assert len(asked.performer) == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_who_wants_to_end_the_process_may(implementation: Implementation, error: type[BaseException]):
    def stop() -> None:
        raise error

    implementation.action("stop")(stop)
    with pytest.raises(error):
        Asked(implementation)(asking("stop"))


@pytest.mark.parametrize("result", [object(), {1: 2}, 2**70, "\ud800", {"a": {3}}, pytest.raises], ids=repr)
@pytest.mark.parametrize("later", [False, True])
@each_codec
def test_a_result_that_cannot_be_encoded_is_20001_with_the_echo(
    implementation: Implementation,
    codec: Codec,
    result: object,
    later: bool,  # noqa: FBT001 - a parameter
):
    async def give_later() -> object:
        return result

    implementation.action("give")(give_later if later else lambda: result)
    assert error_of(Asked(implementation, codec)(asking("give", echo="e"))) == (20001, "e")


@pytest.mark.parametrize(
    "error", [ActionError(35000, "a file \udcff"), ActionError(2**70, "x"), ActionError({1: 2}, "x")]
)
@pytest.mark.parametrize("later", [False, True])
@each_codec
def test_an_error_that_cannot_be_encoded_is_20001_or_20002_with_the_echo(
    implementation: Implementation,
    codec: Codec,
    error: ActionError,
    later: bool,  # noqa: FBT001 - a parameter
):
    def fail() -> None:
        raise error

    async def fail_later() -> None:
        raise error

    implementation.action("fail")(fail_later if later else fail)
    assert error_of(Asked(implementation, codec)(asking("fail", echo="e"))) == (20001, "e")


def test_bytes_are_base64_in_json_and_bytes_in_messagepack(implementation: Implementation):
    implementation.action("bytes")(lambda: {"data": b"\x00\xff"})
    assert Asked(implementation)(asking("bytes")) == ok({"data": "AP8="})
    assert Asked(implementation, MSGPACK)(asking("bytes")) == ok({"data": b"\x00\xff"})


def test_a_plain_handler_is_answered_within_the_call_and_starts_nothing(implementation: Implementation):
    performer = implementation.performer
    request = performer.read(JSON.encode(asking("say")), JSON)
    told: list[bytes] = []
    assert isinstance(request, ActionRequest)
    assert performer.perform(request, JSON, told.append) is None
    assert len(told) == 1


def test_coroutines_run_side_by_side(implementation: Implementation):
    asked = Asked(implementation)
    assert asked(asking("wait", gate="slow", echo=1)) is None
    assert asked(asking("wait", gate="fast", echo=2)) is None
    assert len(asked.performer) == 2
    implementation.gates["fast"].open = True
    asked.handlers.go_on()
    assert asked.told == [ok("fast", echo=2)]
    implementation.gates["slow"].open = True
    asked.handlers.go_on()
    assert asked.told[1:] == [ok("slow", echo=1)]
    assert (len(asked.performer), asked.performer.deadline) == (0, math.inf)


class Waiting:
    async def __call__(self) -> str:
        return "called"


def _partial() -> Callable[..., object]:
    async def late(text: str) -> str:
        return text

    return functools.partial(late, text="called")


def _returns_awaitable() -> Callable[..., object]:
    async def late(text: str) -> str:
        return text

    return lambda: late("called")


@pytest.mark.parametrize("handler", [Waiting(), _partial(), _returns_awaitable()])
def test_whatever_gives_something_to_wait_for_is_waited_for(implementation: Implementation, handler: object):
    implementation.action("call")(handler)
    asked = Asked(implementation)
    assert asked(asking("call", echo=1)) == ok("called", echo=1)


# Bounds


def test_no_more_run_at_once_than_may():
    ob = make(max_running=2)
    gate = Gate()

    @ob.action("wait")
    async def wait() -> None:
        await gate

    asked = Asked(ob)
    for _ in range(2):
        assert asked(asking("wait")) is None
    assert error_of(asked(asking("wait", echo="e"))) == (36000, "e")
    gate.open = True
    asked.handlers.go_on()
    assert asked(asking("wait")) == ok()


def test_what_a_plain_handler_gives_to_wait_for_counts_and_is_closed_where_there_is_no_room():
    ob = make(max_running=1)
    gate = Gate()
    begun: list[int] = []

    async def wait(number: int) -> None:
        begun.append(number)
        await gate

    ob.action("wait")(lambda: wait(1))
    ob.action("gate")(lambda: gate)
    asked = Asked(ob)
    assert asked(asking("wait")) is None
    assert error_of(asked(asking("wait", echo="e"))) == (36000, "e")  # a coroutine that is not closed is a warning
    assert error_of(asked(asking("gate", echo="e"))) == (36000, "e")
    assert begun == [1]
    asked.handlers.stop()


def test_a_handler_that_takes_too_long_is_answered_for_and_its_result_is_not_told(implementation: Implementation):
    asked = Asked(implementation)
    implementation.performer._timeout = 120.0
    assert asked(asking("wait", gate="g", echo="e")) is None
    assert implementation.deadline == T0 + 120
    implementation.tick(T0 + 119.9)
    assert asked.told == []
    implementation.tick(T0 + 120)
    assert error_of(asked.told[-1]) == (36001, "e")
    implementation.gates["g"].open = True
    asked.handlers.go_on()
    assert len(asked.told) == 1


def test_handlers_that_run_on_although_they_were_answered_for_still_count():
    ob = make(max_running=1, action_timeout=10)
    gate = Gate()

    @ob.action("wait")
    async def wait() -> None:
        await gate

    asked = Asked(ob)
    asked(asking("wait"))
    ob.clock.now += 10
    ob.tick(ob.clock.now)
    assert error_of(asked.told[-1]) == (36001, None)
    assert (len(ob.performer), ob.deadline) == (1, math.inf)
    assert error_of(asked(asking("wait"))) == (36000, None)
    gate.open = True
    asked.handlers.go_on()
    assert len(ob.performer) == 0
    assert asked(asking("wait")) == ok()


@pytest.mark.parametrize("end", ["finish", "fail", "cancel"])
def test_each_way_to_end_frees_the_place_of_one_that_was_overdue_once(end: str):
    ob = make(action_timeout=10)

    @ob.action("wait")
    async def wait() -> None:
        """Never begun here."""

    told: list[bytes] = []
    request = ob.performer.read(JSON.encode(asking("wait")), JSON)
    event = ob.performer.perform(request, JSON, told.append)
    ob.tick(T0 + 10)
    assert len(ob.performer) == 1
    for _ in range(2):
        getattr(event.reply, end)(*(["shutdown"] if end == "cancel" else []))
        assert len(ob.performer) == 0
    assert len(told) == 1
    assert event.reply.finished


@pytest.mark.parametrize(("end", "retcode"), [("finish", 0), ("fail", 20002), ("cancel", 36000)])
def test_however_a_handler_ends_it_is_answered_once(implementation: Implementation, end: str, retcode: int):
    told: list[bytes] = []
    request = implementation.performer.read(JSON.encode(asking("wait", gate="g", echo="e")), JSON)
    event = implementation.performer.perform(request, JSON, told.append)
    reply = event.reply
    assert (reply.text, reply.finished) == ("", False)
    reply.write("x")
    reply.replace("y")
    for _ in range(2):
        getattr(reply, end)(*(["shutdown"] if end == "cancel" else []))
        reply.succeed("late")
        reply.refuse(ActionError(1, "late"))
    assert reply.finished
    (response,) = map(JSON.decode, told)
    assert (response["retcode"], response["echo"]) == (retcode, "e")


def test_a_clock_that_is_set_back_does_not_let_handlers_wait_for_longer():
    ob = make(action_timeout=10)
    gate = Gate()

    @ob.action("wait")
    async def wait() -> None:
        await gate

    asked = Asked(ob)
    asked(asking("wait", echo=1))
    ob.clock.now -= 3600
    asked(asking("wait", echo=2))
    ob.tick(ob.clock.now)
    assert ob.deadline == ob.clock.now + 10
    ob.clock.now += 10
    ob.tick(ob.clock.now)
    assert [error_of(told) for told in asked.told] == [(36001, 1), (36001, 2)]
    asked.handlers.stop()


@pytest.mark.parametrize("options", [{"action_timeout": 0}, {"action_timeout": math.inf}, {"action_timeout": math.nan}])
def test_a_timeout_is_finite_and_more_than_nothing(options: Data):
    with pytest.raises(ConfigError):
        make(**options)


@pytest.mark.parametrize("number", [0, -1, 1.5, True])
def test_at_least_one_action_may_run(number: object):
    with pytest.raises(ConfigError):
        make(max_running=number)


# The shell's side


def test_only_actions_have_a_handler(implementation: Implementation):
    assert implementation.handlers.handler_for(ACTION) is run
    assert implementation.handlers.handler_for("message") is None
    assert implementation.handlers.policy == "parallel"


def test_an_event_of_ours_without_anything_to_call_is_answered_with_nothing(implementation: Implementation):
    told: list[bytes] = []
    request = implementation.performer.read(JSON.encode(asking("wait", gate="g")), JSON)
    event = implementation.performer.perform(request, JSON, told.append)
    with pytest.raises(StopIteration):
        run(Event(ACTION, "onebot", "", "", "", event.reply, None), event.reply).send(None)
    assert [JSON.decode(data) for data in told] == [ok()]


def test_what_was_performed_and_failed_is_counted(implementation: Implementation):
    asked = Asked(implementation)
    for value in (asking("say"), asking("say", text=5), asking("?"), b"{"):
        asked(value)
    assert (asked.performer.performed, asked.performer.failed) == (4, 3)


class PerformerMachine(RuleBasedStateMachine):
    """Actions begin, end, fail, and take too long, in any order: each is answered once, with its own echo."""

    max_running = 3

    def __init__(self) -> None:
        super().__init__()
        self.ob = make(max_running=self.max_running, action_timeout=10)
        self.asked = Asked(self.ob)
        self.gates: dict[int, Gate] = {}
        self.began: dict[int, float] = {}
        self.overdue: set[int] = set()
        self.expected: dict[int, int] = {}
        self.number = 0

        @self.ob.action("wait")
        async def wait(gate: int, *, fail: bool = False) -> int:
            await self.gates[gate]
            if fail:
                raise ActionError(35000, "no")
            return gate

    @rule(fail=st.booleans())
    def ask(self, fail: bool) -> None:  # noqa: FBT001 - drawn
        self.number += 1
        self.gates[self.number] = Gate()
        running = len(self.began) + len(self.overdue)
        self.asked(asking("wait", echo=self.number, gate=self.number, fail=fail))
        if running >= self.max_running:
            self.expected[self.number] = 36000
        else:
            self.began[self.number] = self.ob.clock.now
            self.gates[self.number].fails = fail

    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        if waiting := sorted([*self.began, *self.overdue]):
            number = data.draw(st.sampled_from(waiting))
            self.gates[number].open = True
            self.asked.handlers.go_on()
            if self.began.pop(number, None) is not None:
                self.expected[number] = 35000 if self.gates[number].fails else 0
            self.overdue.discard(number)

    @rule(seconds=st.sampled_from([1.0, 4.0, 10.0]))
    def time_passes(self, seconds: float) -> None:
        now = self.ob.clock.now = self.ob.clock.now + seconds
        self.ob.tick(now)
        for number in [number for number, began in self.began.items() if began + 10 <= now]:
            del self.began[number]
            self.overdue.add(number)
            self.expected[number] = 36001

    @invariant()
    def each_is_answered_once_as_it_ended(self) -> None:
        assert [response["echo"] for response in self.asked.told] == list(
            dict.fromkeys(response["echo"] for response in self.asked.told)
        )
        assert {response["echo"]: response["retcode"] for response in self.asked.told} == self.expected
        assert len(self.ob.performer) == len(self.began) + len(self.overdue)

    def teardown(self) -> None:
        self.asked.handlers.stop()
        assert len(self.ob.performer) == 0


PerformerMachine.TestCase.settings = settings(deadline=None, max_examples=40, stateful_step_count=30)
test_actions_run_and_end_in_any_order = PerformerMachine.TestCase


def test_a_performer_knows_its_bot_from_the_request(implementation: Implementation):
    assert implementation.roster.find(None) == BOT
    assert isinstance(implementation.performer, Performer)
