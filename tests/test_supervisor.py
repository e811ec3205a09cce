"""rawbot/supervisor.py with real processes and real signals: what clients, operators and service managers see of it."""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from supervising import Hammer, Supervised, is_alive, supervised, until

from rawbot.crew.orders import Order, Start
from rawbot.errors import ConfigError, StateError
from rawbot.supervisor import run_plan, supervise


@contextlib.contextmanager
def serving(folder: Path, **settings: object) -> Iterator[Supervised]:
    """Give a supervisor whose workers are all ready."""
    with supervised(folder, **settings) as running:
        assert running.told() == ["READY=1"]
        yield running


# Start and death


@pytest.mark.parametrize("unix", [False, True])
def test_all_workers_serve_one_socket_and_ready_is_told_when_all_are(tmp_path: Path, *, unix: bool):
    with serving(tmp_path, workers=3, unix=unix) as running:
        assert sorted(running.ready) == sorted(running.started)
        assert len(running.started) == 3
        assert {running.ask()["pid"] for _ in range(10)} <= set(running.started)


def test_a_worker_inherits_the_sockets_and_the_pipe_and_nothing_else(tmp_path: Path):
    with serving(tmp_path, workers=1) as running:
        told = running.ask()
        others = set(told["descriptors"]) - set(told["inherited"])
        assert len(others) == 4  # its own: two for signals, the connection, and the listing of these
        assert len(told["inherited"]) == 5
        assert told["stdin"] == ""
        environ = told["environ"]
        assert "LISTEN_FDS" not in environ
        assert environ["NOTIFY_SOCKET"] != str(tmp_path / "manager")
        assert Path(environ["NOTIFY_SOCKET"]).parent.stat().st_mode & 0o777 == 0o700


def test_a_worker_that_dies_is_replaced_and_leaves_no_zombie(tmp_path: Path):
    with serving(tmp_path) as running:
        victim = running.started[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: len(running.ready) == 3)
        assert f"worker {victim} ended by signal 9" in running.log
        with pytest.raises(ProcessLookupError):  # which a zombie does not raise
            os.kill(victim, 0)
        assert len(running.alive) == 2
        assert running.ask()["pid"] != victim


@pytest.mark.skipif(sys.platform != "linux", reason="the test is made process 1 by Linux' means")
def test_as_process_1_of_a_container_it_collects_orphans_too(tmp_path: Path):
    with serving(tmp_path, workers=1, process_1=True) as running:
        orphan = running.ask("orphan")["orphan"]
        until(lambda: not Path(f"/proc/{orphan}").exists())  # which a zombie does
        os.kill(running.started[0], signal.SIGKILL)
        until(lambda: len(running.ready) == 2)
        assert f"worker {running.started[0]} ended by signal 9" in running.log


def test_who_dies_while_it_answers_takes_only_that_answer_along(tmp_path: Path):
    with serving(tmp_path) as running:
        with pytest.raises(OSError):  # noqa: PT011 - reset or end, as the system likes
            running.ask("die")
        assert running.ask()["pid"] in running.started
        until(lambda: len(running.ready) == 3)
        assert " ended with status 7\n" in running.log


def test_who_dies_again_and_again_is_replaced_ever_later(tmp_path: Path):
    with serving(tmp_path, workers=1, patience={"first_delay": 0.1, "longest_delay": 0.15}) as running:
        started = []
        for deaths in range(1, 5):
            died = time.monotonic()
            os.kill(running.started[-1], signal.SIGKILL)
            until(lambda deaths=deaths: len(running.started) > deaths)
            started.append(time.monotonic() - died)
            until(lambda deaths=deaths: len(running.ready) > deaths)
        assert started[1] >= 0.1
        assert min(started[2:]) >= 0.15


def test_when_no_worker_can_start_the_supervisor_ends_with_the_worker_s_status_and_says_so(tmp_path: Path):
    with supervised(tmp_path, verb="fail3") as running:
        assert running.wait() == 3
        *each, last = running.log.splitlines()[2:]
        assert [line.split(maxsplit=2)[2] for line in each] == ["ended with status 3, before it was ready"] * 2
        assert last == "no worker could start: giving up"


def test_a_command_that_cannot_be_run_is_told_once_per_worker(tmp_path: Path):
    with supervised(tmp_path, program=["/nowhere/python"]) as running:
        assert running.wait() == 127
        line = "cannot start a worker: [Errno 2] No such file or directory: '/nowhere/python'"
        assert running.log.splitlines() == [line, line, "no worker could start: giving up"]


def test_a_worker_that_never_gets_ready_is_killed_and_counts_as_a_failed_start(tmp_path: Path):
    with supervised(tmp_path, verb="hang", workers=1, patience={"start": 0.2}) as running:
        assert running.wait() == 3
        assert "was not ready within 0.2 s: it is killed" in running.log


def test_a_worker_that_ends_by_its_own_will_is_replaced_while_it_still_serves(tmp_path: Path):
    with serving(tmp_path, workers=1) as running:
        leaving = running.ask("leave")["pid"]
        until(lambda: len(running.ready) == 2)
        assert is_alive(leaving)
        assert f"worker {leaving} is about to end by itself" in running.log


def test_without_sockets_each_worker_binds_for_itself(tmp_path: Path):
    with socket.socket() as chosen:
        chosen.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        chosen.bind(("127.0.0.1", 0))  # and never listens: it only keeps the port for the workers
        (tmp_path / "port").write_text(str(chosen.getsockname()[1]))
        with supervised(tmp_path, shared=False) as running:
            running.address = chosen.getsockname()
            assert running.told() == ["READY=1"]
            until(lambda: answers(running))
            assert {running.ask()["pid"] for _ in range(10)} <= set(running.started)


def answers(running: Supervised) -> bool:
    try:
        running.ask()
    except ConnectionRefusedError:
        return False
    return True


# Rolling restarts


@pytest.mark.parametrize("unix", [False, True])
def test_a_rolling_restart_under_load_refuses_and_loses_nothing(tmp_path: Path, *, unix: bool):
    with serving(tmp_path, unix=unix) as running:
        first = running.started
        with Hammer(running) as hammer:
            for turn in (1, 2):
                running.send(signal.SIGHUP)
                assert running.told() == ["RELOADING=1"]
                assert running.told() == ["READY=1"]
                assert len(running.started) == 2 + 2 * turn
            until(lambda: not set(running.alive) & set(first))
            answered = len(hammer.answered)
            until(lambda: len(hammer.answered) > answered + 10)
        assert hammer.failures == []
        assert set(hammer.answered[-10:]) <= set(running.started[-2:])
        assert running.alive == running.started[-2:]
        assert running.log.endswith("all workers are replaced\n")


def test_when_what_is_new_does_not_start_the_old_workers_stay(tmp_path: Path):
    with serving(tmp_path) as running:
        first = running.started
        running.behave("fail1")
        with Hammer(running) as hammer:
            running.send(signal.SIGHUP)
            assert [running.told(), running.told()] == [["RELOADING=1"], ["READY=1"]]
            until(lambda: "the workers that are left stay" in running.log)
        assert hammer.failures == []
        assert running.alive == first
        running.behave("serve")
        running.send(signal.SIGHUP)
        assert [running.told(), running.told()] == [["RELOADING=1"], ["READY=1"]]
        assert not set(running.alive) & set(first)


def test_a_slow_answer_of_a_worker_that_is_replaced_is_given(tmp_path: Path):
    with serving(tmp_path, workers=1) as running:
        with running.asking_slowly() as answers:
            running.send(signal.SIGHUP)
            assert running.told() == ["RELOADING=1"]
        assert answers == running.started[:1]


# The end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_workers_finish_and_ends_with_0(tmp_path: Path, number: int):
    with serving(tmp_path) as running:
        with running.asking_slowly() as answers:
            running.send(number)
            assert running.told() == ["STOPPING=1"]
            assert running.wait() == 0
        assert len(answers) == 1
        assert running.alive == []
        with pytest.raises(OSError):  # noqa: PT011 - nobody listens any more
            running.ask()
        assert "Warning" not in running.log


def test_a_ctrl_c_in_the_terminal_reaches_the_workers_once_by_way_of_the_supervisor(tmp_path: Path):
    with serving(tmp_path) as running:
        with running.asking_slowly() as answers:
            os.killpg(running.process.pid, signal.SIGINT)
            assert running.wait() == 0
        assert len(answers) == 1


def test_workers_that_do_not_end_are_killed_with_what_they_have_started(tmp_path: Path):
    with serving(tmp_path, verb="stubborn", workers=1, patience={"graceful": 0.2}) as running:
        child = int((tmp_path / "child").read_text())
        assert is_alive(child)
        running.send(signal.SIGTERM)
        assert running.wait() == 1
        assert "has not ended within 0.2 s: it is killed" in running.log
        assert running.alive == []
        until(lambda: not is_alive(child))


def test_a_second_signal_kills_at_once(tmp_path: Path):
    with serving(tmp_path, verb="stubborn") as running:
        running.send(signal.SIGTERM)
        assert running.told() == ["STOPPING=1"]
        running.send(signal.SIGINT)
        assert running.wait() == 1
        assert running.alive == []


def test_a_stop_reaches_workers_that_still_start(tmp_path: Path):
    with supervised(tmp_path, verb="hang") as running:
        until(lambda: len(running.started) == 2)
        running.send(signal.SIGTERM)
        assert running.wait() == 0
        assert running.alive == []


def test_when_the_supervisor_is_killed_the_workers_end(tmp_path: Path):
    with serving(tmp_path, verb="stubborn") as running:
        workers = running.alive
        running.process.kill()
        running.wait()
        until(lambda: not any(map(is_alive, workers)))


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "t").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "t"))
    with serving(tmp_path, workers=3) as running:
        assert len(list((tmp_path / "t").iterdir())) == 3
        os.kill(running.started[0], signal.SIGKILL)
        until(lambda: len(running.ready) == 4)
        assert len(list((tmp_path / "t").iterdir())) == 3
        running.send(signal.SIGTERM)
        assert running.wait() == 0
        assert list((tmp_path / "t").iterdir()) == []


# Inside this process

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]


def test_it_is_refused_outside_of_the_main_thread():
    raised: list[Exception] = []

    def run() -> None:
        try:
            supervise(lambda _: SLEEPER, workers=1)
        except StateError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "main thread" in str(raised[0])


def test_no_workers_are_refused():
    with pytest.raises(ConfigError, match="at least one worker"):
        supervise(lambda _: SLEEPER, workers=0)


class FaultyPlan:
    """Starts a worker and then fails."""

    deadline = 0.0

    def __init__(self) -> None:
        self.ticks = 0

    def tick(self, _now: float) -> list[Order]:
        self.ticks += 1
        if self.ticks > 1:
            raise ZeroDivisionError
        return [Start(1, 0)]


def test_whatever_is_raised_no_process_is_left_and_signals_are_handled_as_before(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO, "rawbot")
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plan = FaultyPlan()
        with pytest.raises(ZeroDivisionError):
            run_plan(plan, lambda _: SLEEPER, sockets=[listener], signals={signal.SIGTERM: plan.tick})
        assert listener.fileno() == -1
    assert {number: signal.getsignal(number) for number in before} == before
    assert signal.set_wakeup_fd(-1) == -1
    pid = int(caplog.messages[0].split()[1])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
