"""rawbot/aio/listening/systemd.py against sd_listen_fds(3) and sd_notify(3): what is handed in, and what is told."""

import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import rawbot
from rawbot.aio.listening import systemd
from rawbot.aio.listening.systemd import READY, STOPPING, activated_sockets, notify, reloading, status
from rawbot.errors import ConfigError

FIRST = 250
"""Instead of 3, which belongs to the test runner."""


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[list[socket.socket]]:
    """Give a TCP, a Unix and another TCP listener."""
    path = str(tmp_path / "s")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        unix.bind(path)
        unix.listen()
        yield [tcp, unix, other]


@pytest.fixture
def handed_in(listeners: list[socket.socket], monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Put the listeners where systemd would, and give the environment that it would make."""
    monkeypatch.setattr(systemd, "LISTEN_FDS_START", FIRST)
    for number, listener in enumerate(listeners, FIRST):
        os.dup2(listener.fileno(), number)
    yield {"LISTEN_FDS": "3", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "a:b:c", "PATH": "/bin"}
    for number in range(FIRST, FIRST + 3):
        try:
            os.close(number)
        except OSError:
            continue


def test_the_sockets_come_in_their_order_and_each_with_its_own_family(
    listeners: list[socket.socket], handed_in: dict[str, str]
):
    sockets = activated_sockets(environ=handed_in)
    try:
        assert [sock.fileno() for sock in sockets] == [FIRST, FIRST + 1, FIRST + 2]
        assert [sock.family for sock in sockets] == [socket.AF_INET, socket.AF_UNIX, socket.AF_INET]
        assert [sock.getsockname() for sock in sockets] == [sock.getsockname() for sock in listeners]
    finally:
        for sock in sockets:
            sock.close()


def test_children_inherit_neither_the_variables_nor_the_sockets(handed_in: dict[str, str]):
    assert os.get_inheritable(FIRST)
    sockets = activated_sockets(environ=handed_in)
    try:
        assert handed_in == {"PATH": "/bin"}
        assert [sock.get_inheritable() for sock in sockets] == [False] * 3
        with pytest.raises(ConfigError, match="LISTEN_FDS is not set"):
            activated_sockets(environ=handed_in)
    finally:
        for sock in sockets:
            sock.close()


@pytest.mark.parametrize("pid", ["1", "", "x"])
def test_sockets_for_another_process_are_not_taken(handed_in: dict[str, str], pid: str):
    handed_in["LISTEN_PID"] = pid
    with pytest.raises(ConfigError, match="handed to process"):
        activated_sockets(environ=handed_in)
    assert handed_in == {"PATH": "/bin"}
    os.fstat(FIRST)  # still open: it is not ours to close


@pytest.mark.parametrize("count", ["0", "-1", "x", "3 ", "٣", "1" * 5000])
def test_a_number_of_sockets_that_is_none_is_refused(count: str):
    with pytest.raises(ConfigError, match="is no number of sockets"):
        activated_sockets(environ={"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid())})


def test_without_a_service_manager_there_are_none(monkeypatch: pytest.MonkeyPatch):
    for name in systemd.LISTEN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="no socket-activated service"):
        activated_sockets()


ACTIVATED = """
import os, sys
from rawbot.aio.listening.systemd import activated_sockets
tcp, = activated_sockets()
print(tcp.getsockname()[1], [name for name in os.environ if name.startswith("LISTEN")])
tcp.close()
"""
MANAGER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="http")
os.execv(sys.executable, [sys.executable, "-W", "error", "-c", sys.argv[2]])
"""


def test_a_service_started_as_systemd_starts_it_finds_its_socket():
    environ = os.environ | {"PYTHONPATH": str(Path(rawbot.__file__).parents[1])}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-c", MANAGER, str(listener.fileno()), ACTIVATED]
        ended = subprocess.run(
            command, pass_fds=[listener.fileno()], env=environ, capture_output=True, text=True, timeout=30, check=False
        )
        assert (ended.stdout, ended.stderr) == (f"{listener.getsockname()[1]} []\n", "")


@pytest.mark.parametrize("kind", ["connection", "datagram", "unbound", "pipe", "closed"])
def test_what_is_no_listening_stream_socket_is_refused_and_all_are_left_open(handed_in: dict[str, str], kind: str):
    ours, theirs = socket.socketpair()
    reader, writer = os.pipe()
    with ours, theirs, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as unbound:
        other = {"connection": ours.fileno(), "datagram": udp.fileno(), "unbound": unbound.fileno(), "pipe": reader}
        if kind == "closed":
            os.close(FIRST + 1)
        else:
            os.dup2(other[kind], FIRST + 1)
        with pytest.raises(ConfigError, match=f"descriptor {FIRST + 1} is no "):
            activated_sockets(environ=handed_in)
    os.close(reader)
    os.close(writer)
    for descriptor in (FIRST, FIRST + 2, *([] if kind == "closed" else [FIRST + 1])):
        os.fstat(descriptor)


# What is told


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Give the socket of a service manager that NOTIFY_SOCKET names."""
    path = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        yield sock


def test_states_are_told_in_a_datagram_each(manager: socket.socket):
    for state in (READY, STOPPING, status("3 workers\nREADY=1 \t go")):
        assert notify(state)
    assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"STOPPING=1", b"STATUS=3 workers READY=1 go"]


def test_a_reload_is_told_with_the_monotonic_time_in_microseconds(manager: socket.socket):
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert notify(reloading())
    told = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", manager.recv(100).decode())
    assert before - 1 <= int(told[1]) / 1e6 <= time.clock_gettime(time.CLOCK_MONOTONIC)


@pytest.mark.skipif(sys.platform != "linux", reason="abstract names are Linux's")
def test_a_name_in_the_abstract_namespace_is_understood(monkeypatch: pytest.MonkeyPatch):
    name = f"rawbot-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        assert notify(READY)
        assert sock.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", [None, "", "relative/path", "vsock:2:1", "/nowhere/at/all", "/" + "x" * 200])
def test_without_a_manager_nothing_happens(address: str | None, monkeypatch: pytest.MonkeyPatch):
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert notify(READY) is False


def test_a_manager_that_hangs_does_not_hang_us(manager: socket.socket, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(systemd, "SEND_WITHIN", 0.01)
    told = 0
    while notify(STOPPING):  # till its queue is full
        told += 1
    assert [manager.recv(100) for _ in range(told)] == [b"STOPPING=1"] * told
    assert notify(READY)
