"""Everything that clients do wrong, at once and beside normal traffic: `python -m benchmarks abuse`, for two seconds.

The server is a process of its own, with the benchmark's abusers and bystanders around it. Beside what the benchmark has
in stock, all that `http_corpus` knows to be broken is sent.
"""

import asyncio
import functools
from collections import Counter
from collections.abc import Iterator

import http_corpus
import pytest

import rawbot
from benchmarks import __main__, abuse
from benchmarks.abuse import Cost, Found, Round, judge_round, judge_rounds, run_crowd, run_round
from benchmarks.abused import State, Terms
from benchmarks.abusers import ABUSERS, CROWD
from benchmarks.abusing import Outcome
from benchmarks.bystanders import Seen
from benchmarks.link import CLOSED, KEPT, REFUSED, Tally
from benchmarks.siege import Footprint, Siege, besieged, short

TERMS = Terms(short(0.6, keep_alive=1.0))
SECONDS = 1.2
ROOM = 16 * 1024 * 1024
"""Bytes that a server may take for good when it is abused for the first time; a second round is the benchmark's."""
TURN = 0.05
"""Seconds of CPU time for which one client may keep all others waiting: their own answers take a thousandth of it."""
PATIENCE = 20.0
"""Seconds after which an answer has been waited for in vain."""
LINES = 20
"""Log lines, from warnings on, that one kind of abuse may cause in a second."""

BROKEN = tuple(data for data, _ in http_corpus.BAD.values())
FEW = {"leave unread": 1, "read slowly": 10, "read file slowly": 10}
"""A second of CPU time each, or megabytes in the kernel: as many as in the benchmark would take too long."""
ENDED_IN_TIME = (
    "drip head", "drip body", "drip chunks", "fill body", "await continue", "say nothing", "fall silent",
    "speak nonsense", "send huge head", "send huge body", "send empty lines",
)  # fmt: skip
"""Whom the server must put an end to so that the client learns of it."""


@pytest.fixture(scope="module")
def siege() -> Iterator[Siege]:
    with besieged(TERMS) as siege:
        yield siege


@pytest.fixture(scope="module")
def taken(siege: Siege) -> Round:
    return run_round(siege, SECONDS, widths=FEW, nonsense=BROKEN)


def test_every_normal_request_is_answered_rightly(taken: Round):
    assert taken.seen.wrong == []
    assert taken.seen.sent == taken.seen.answered
    assert len(taken.seen.times) > 50
    assert len(taken.seen.first_words) >= 6


def test_every_abuser_hears_what_is_right_for_it_and_nothing_else(taken: Round):
    for name, tally in taken.outcome.tallies.items():
        assert set(tally.statuses) <= ABUSERS[name].told, name
        assert tally.connections
        assert not tally.ends[REFUSED]


def test_the_slow_hear_that_their_time_is_over(taken: Round):
    for name in ("drip head", "drip body", "drip chunks", "fill body", "await continue"):
        assert taken.outcome.tallies[name].statuses[408], name


@pytest.mark.parametrize("name", ENDED_IN_TIME)
def test_nobody_outstays_the_time_outs(name: str, taken: Round):
    assert not taken.outcome.tallies[name].ends[KEPT]


def test_neither_connections_nor_descriptors_nor_waiting_answers_are_left(taken: Round):
    assert (taken.after.connections, taken.state.pending) == (0, 0)
    assert taken.after.descriptors == taken.before.descriptors


def test_memory_is_where_it_was(taken: Round):
    assert taken.after.memory < taken.before.memory + ROOM


def test_the_kernel_keeps_nothing_for_those_that_were_cut_off(taken: Round):
    assert taken.after.unsent == 0


def test_nothing_is_logged_as_an_error(taken: Round):
    assert taken.state.errors == ()


@pytest.mark.parametrize(
    "name",
    [
        "pipeline",
        "push ahead",
        "leave unread",
        "send tiny chunks",
        "send small chunks",
        "send heavy json",
        "stream body",
    ],
)
def test_no_single_client_holds_the_loop(name: str, siege: Siege):
    siege.settle()
    siege.try_alone(name, 0.8)
    assert siege.look().held < TURN


@pytest.mark.parametrize("name", ["leave unread", "pipeline", "forge", "speak nonsense", "mutate"])
def test_no_client_fills_the_log(name: str, siege: Siege):
    siege.settle()
    before = siege.look().log_lines
    siege.try_alone(name, 0.8)
    assert siege.settle().connections == 0
    assert siege.look().log_lines - before <= LINES


def test_a_crowd_takes_no_place_from_those_who_have_one_and_leaves_nothing():
    taken = run_crowd(0.5, TERMS.timeouts)
    assert judge_round("crowd", taken) == []
    assert taken.outcome.tallies["stand in the door"].statuses[503]
    assert taken.seen.sent > 40


@pytest.mark.parametrize("count", [15, 16, 17, 1000])
def test_who_has_said_all_gets_the_answers_to_all_though_others_have_their_turn_in_between(count: int):
    """RFC 9112, section 9.3.2 and 9.6: a client that closes its side waits for what it has asked for."""

    async def run() -> bytes:
        app = rawbot.App(rawbot.Bot())
        async with asyncio.timeout(PATIENCE), rawbot.serve(app, port=0) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * count)
            writer.write_eof()
            said = await reader.read()
            writer.close()
            await writer.wait_closed()
        return said

    assert asyncio.run(run()).count(b"HTTP/1.1 404 ") == count


# The verdict

CALM = Footprint(40_000_000, 10, 0, 0)
IDLE = State(1.0, 0.001, 0, 0, 0, 0, ())


def make_round(**changes: object) -> Round:
    seen = Seen(2, 2, [], [0.001, 0.002], [0.003])
    tally = Tally(3, 100, 200, Counter({408: 2}), Counter({CLOSED: 3}), 2.5)
    parts = {"seen": seen, "outcome": Outcome({"drip head": tally}, 0.1), "state": IDLE, "before": CALM, "after": CALM}
    return Round(**(parts | changes))


def heard(status: int = 408, end: str = CLOSED) -> dict[str, Outcome]:
    return {"outcome": Outcome({"drip head": Tally(1, 1, 1, Counter({status: 1}), Counter({end: 1}))}, 0.1)}


def test_a_good_round_has_no_faults():
    assert judge_rounds([make_round(), make_round()]) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seen": Seen(2, 1, ["too late"])}, "1 of 2 normal requests lost: ['too late']"),
        (heard(500), "drip head was told [500]"),
        (heard(end=REFUSED), "drip head was refused 1 connections"),
        ({"after": CALM._replace(connections=1)}, "1 connections are left"),
        ({"after": CALM._replace(descriptors=11)}, "10 descriptors before, 11 after"),
        ({"after": CALM._replace(unsent=2_000_000)}, "the kernel holds 2.0 MB"),
        ({"after": CALM._replace(memory=50_000_000)}, "40.0 MB before, 50.0 MB after"),
        ({"state": IDLE._replace(errors=("boom",))}, "logged: boom"),
    ],
)
def test_each_thing_that_must_not_happen_is_a_fault(changes: dict[str, object], said: str):
    faults = judge_round("round 1", make_round(**changes))
    assert len(faults) == 1
    assert faults[0].startswith("round 1: ")
    assert said in faults[0]


def test_memory_that_grows_with_each_round_is_a_leak():
    grown = make_round(after=CALM._replace(memory=CALM.memory + 2_000_000))
    assert judge_rounds([grown]) == []
    assert judge_rounds([make_round(), grown]) == ["round 2: memory has grown further, by 2.0 MB"]


def test_the_command_prints_what_was_found_and_fails_when_there_are_faults(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    costs = {"drip head": Cost(Tally(3, 2048), 0.5, 0.2, 3_000_000, 7)}
    crowd = make_round(outcome=Outcome({name: Tally() for name in CROWD}, 0.1))
    found = Found(Seen(1, 1, [], [0.001]), IDLE, [make_round(), make_round()], crowd, costs)
    for faults, status in (((), 0), (("something is lost",), 1)):
        result = abuse.report(found, faults)
        monkeypatch.setattr(abuse, "run", functools.partial(lambda result, **_: result, result))
        assert __main__.main(["abuse"]) == status
        said = capsys.readouterr().out
        assert (faults or ("nothing lost, nothing left",))[0] in said
        assert "holds the loop" in said
        assert "408: 4" in said
