"""benchmarks/servers.py: processes that start, are measured, and end, whatever they do."""

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from benchmarks import servers
from benchmarks.contenders import Contender, Interpreter
from benchmarks.measuring import Failed
from benchmarks.peers import Peer
from benchmarks.servers import serving

Start = Callable[[str], Contender]

LISTEN = """
import os, signal, socket, sys, time
socket_ = socket.create_server(("127.0.0.1", int(sys.argv[4])))
"""


@pytest.fixture
def contender(tmp_path: Path) -> Start:
    """Return what makes a contender of a program, which takes the place of an interpreter."""

    def make(program: str) -> Contender:
        path = tmp_path / "python"
        path.write_text(f"#!{sys.executable}\n{program}", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        peer = Peer("stub", "Stub", (), ("asyncio",), (), "peer", "nowhere:serve")
        return Contender("stub", peer, "asyncio", "", Interpreter(str(path), "3.11.0", {}))

    return make


def is_alive(pid: int) -> bool:
    return any(pid == alive for alive, _ in servers._sessions())


def test_a_server_listens_works_and_ends(contender: Start):
    with serving(contender(LISTEN + "while True: pass"), None) as server:
        server.wait_until_listening()
        before = server.cpu_ns()
        (pid,) = server.pids()
        until = monotonic() + 5
        while server.cpu_ns() < before + 1e7 and monotonic() < until:
            sleep(0.01)
        assert server.cpu_ns() >= before + 1e7
        assert server.memory() > 1e6
    assert not is_alive(pid)


def test_workers_count_and_are_ended_even_if_they_do_not_want_to(contender: Start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(servers, "FAREWELL", 0.2)
    stubborn = "os.fork(); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    with serving(contender(LISTEN + stubborn + "while True: time.sleep(1)"), None) as server:
        server.wait_until_listening()
        until = monotonic() + 5
        while len(server.pids()) < 2 and monotonic() < until:
            sleep(0.01)
        pids = server.pids()
        assert len(pids) == 2
    assert not any(is_alive(pid) for pid in pids)


def test_a_server_that_ends_at_its_start_is_told_with_its_last_words(contender: Start):
    with (
        serving(contender("import sys; print('one'); sys.exit('no such module')"), None) as server,
        pytest.raises(Failed, match=r"(?s)ended with status 1\n    one\n    no such module|no such module\n    one"),
    ):
        server.wait_until_listening()


def test_a_server_that_ends_later_is_told(contender: Start):
    with serving(contender(LISTEN + "socket_.accept(); os._exit(7)"), None) as server:
        server.wait_until_listening()
        until = monotonic() + 5
        while server.pids() and monotonic() < until:
            sleep(0.01)
        with pytest.raises(Failed, match="ended with status 7"):
            server.cpu_ns()


def test_a_server_that_never_listens_is_given_up(contender: Start, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(servers, "PATIENCE", 0.2)
    with (
        serving(contender("import time; time.sleep(60)"), None) as server,
        pytest.raises(Failed, match="accepts no connection"),
    ):
        server.wait_until_listening()


def test_a_server_that_cannot_be_started_is_told(contender: Start):
    made = contender("")
    Path(made.interpreter.path).unlink()
    with pytest.raises(Failed, match="cannot be started"), serving(made, None):
        pass


def test_a_server_stays_on_its_core(contender: Start):
    core = max(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    with serving(contender(LISTEN + "time.sleep(60)"), core) as server:
        server.wait_until_listening()
        (pid,) = server.pids()
        assert os.sched_getaffinity(pid) == {core}
    assert os.sched_getaffinity(0) == before
