"""Supervisors as processes, with workers that do one thing each, for the tests of supervisor and reloader.

Run as a program it is such a worker, or a supervisor of some. No process outlives its test: workers end with their
supervisor, whatever they were told to do.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

PATIENCE = 20.0
"""Seconds after which what should have happened has failed its test."""

# The worker


def work(behaviour: str, descriptors: list[int]) -> int:
    """Be a worker that serves, one connection after the other, or does whatever else `behaviour` says."""
    folder, _, verb = behaviour.rpartition("/")
    lifeline = int(os.environ["RAWBOT_SUPERVISOR_FD"])
    threading.Thread(target=lambda: (os.read(lifeline, 1), os._exit(9)), daemon=True).start()
    if folder:
        verb = Path(behaviour).read_text().strip()
    if verb.startswith("fail"):
        return int(verb.removeprefix("fail"))
    if verb == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL)
        Path(folder, "child").write_text(str(child.pid))
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(listener) for listener in listen(folder, descriptors)]
        ours, theirs = map(stack.enter_context, socket.socketpair())
        theirs.setblocking(False)
        if verb not in ("stubborn", "hang"):
            signal.set_wakeup_fd(theirs.fileno())
            signal.signal(signal.SIGTERM, lambda *_: None)
        if verb != "hang":
            say("STATUS=serves\nREADY=1")
        while serve(listeners, ours, verb, Path(folder)):
            pass
    say("STOPPING=1")
    return 0


def listen(folder: str, descriptors: list[int]) -> list[socket.socket]:
    """Take the inherited sockets; without any, bind the port that the test has chosen, as each worker does then."""
    if descriptors:
        return [socket.socket(fileno=descriptor) for descriptor in descriptors]
    return [socket.create_server(("127.0.0.1", int(Path(folder, "port").read_text())), reuse_port=True)]


def serve(listeners: list[socket.socket], signals: socket.socket, verb: str, folder: Path) -> bool:
    """Answer who is there; return whether there was no signal."""
    readable, _, _ = select.select([signals, *listeners], [], [])
    if signals in readable:
        return False
    for listener in readable:
        listener.setblocking(False)
        with contextlib.suppress(BlockingIOError):  # another worker was faster
            connection = listener.accept()[0]
            answer(connection, verb, folder)
    return True


def answer(connection: socket.socket, verb: str, folder: Path) -> None:
    with connection:
        connection.setblocking(True)
        question = connection.recv(1000).decode()
        if question == "die":
            os._exit(7)
        if question == "slow":
            (folder / "asked").touch()
            time.sleep(0.3)
        if question == "leave":
            say("STOPPING=1")
        orphan = abandon() if question == "orphan" else 0
        told = {
            "pid": os.getpid(),
            "verb": verb,
            "orphan": orphan,
            "environ": dict(os.environ),
            "inherited": [0, 1, 2, int(os.environ["RAWBOT_SUPERVISOR_FD"]), *map(int, sys.argv[3:])],
            "descriptors": [int(path.name) for path in Path("/dev/fd").iterdir()],
            "stdin": os.read(0, 10).decode(),
        }
        connection.sendall(json.dumps(told).encode())


def abandon() -> int:
    """Return the process id of a process whose parent is gone."""
    child = subprocess.run(["sh", "-c", "sleep 0.1 & echo $!"], stdout=subprocess.PIPE, check=True)
    return int(child.stdout.split()[0])


def say(state: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), os.environ["NOTIFY_SOCKET"])


# The supervisor


def lead(settings: dict) -> int:
    """Be a supervisor, or a reloader when there are paths to watch."""
    import logging  # noqa: PLC0415 - not for workers, which start fast

    from rawbot.crew.orders import Patience  # noqa: PLC0415
    from rawbot.reloader import reload_on_change  # noqa: PLC0415
    from rawbot.supervisor import supervise  # noqa: PLC0415

    if settings["process_1"]:
        inherit_orphans()
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    sockets = [socket.socket(fileno=descriptor) for descriptor in settings["descriptors"]]

    def command(descriptors: list[int]) -> list[str]:
        program = settings["program"] or [sys.executable, "-S", __file__, "work"]
        return [*program, settings["behaviour"], *map(str, descriptors)]

    if settings["paths"]:
        return reload_on_change(command, settings["paths"], sockets=sockets, **settings["patience"])
    patience = Patience(**settings["patience"])
    return supervise(command, workers=settings["workers"], sockets=sockets, patience=patience)


def inherit_orphans() -> None:
    """Get what only process 1 gets, and believe to be it."""
    ctypes.CDLL(None, use_errno=True).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER, prctl(2)
    os.getpid = lambda: 1


class Supervised:
    """A supervisor that runs, its workers, and a client."""

    def __init__(self, folder: Path, listener: socket.socket, **settings: object) -> None:
        self.address = listener.getsockname()
        self._family = listener.family
        self._folder = folder
        self._log = folder / "log"
        descriptors = [listener.fileno()] if settings.pop("shared", True) else []
        # the longest times that a busy machine may take, unless the test is about them
        settings["patience"] = {"graceful": PATIENCE} | settings.pop("patience", {})
        defaults = {"workers": 2, "behaviour": str(folder / "verb"), "program": None, "paths": [], "process_1": False}
        text = json.dumps(defaults | settings | {"descriptors": descriptors}, default=str)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(folder / "manager"))
        self.manager.settimeout(PATIENCE)
        environ = {"NOTIFY_SOCKET": str(folder / "manager"), "LISTEN_FDS": "1", "PYTHONWARNINGS": "error"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, __file__, "lead", text],
                stderr=log,
                stdin=subprocess.PIPE,
                pass_fds=descriptors,
                env=os.environ | environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def started(self) -> list[int]:
        """The process ids of all workers so far."""
        return [int(line.split()[1]) for line in self.log.splitlines() if line.endswith(" started")]

    @property
    def ready(self) -> list[int]:
        """The process ids of those that have been ready."""
        return [int(line.split()[1]) for line in self.log.splitlines() if line.endswith(" is ready")]

    @property
    def alive(self) -> list[int]:
        return [pid for pid in self.started if is_alive(pid)]

    def behave(self, verb: str) -> None:
        """Say what workers do that start from now on."""
        (self._folder / "verb").write_text(verb)

    def ask(self, what: str = "say") -> dict:
        """Ask whoever accepts; return what it says. Raises OSError when nobody answers."""
        with socket.socket(self._family) as client:
            client.settimeout(PATIENCE)
            client.connect(self.address)
            client.sendall(what.encode())
            data = b"".join(iter(lambda: client.recv(65536), b""))
        if not data:
            raise OSError("hung up without an answer")
        return json.loads(data)

    @contextlib.contextmanager
    def asking_slowly(self) -> Iterator[list[int]]:
        """Have a worker at work on an answer inside; afterwards the list has its process id if the answer came."""
        answers: list[int] = []
        (self._folder / "asked").unlink(missing_ok=True)

        def ask() -> None:
            with contextlib.suppress(OSError):
                answers.append(self.ask("slow")["pid"])

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            until((self._folder / "asked").exists)
            yield answers
        finally:
            thread.join()

    def told(self) -> list[str]:
        """Return the next states that the service manager was told, without texts and times."""
        lines = self.manager.recv(1000).decode().split("\n")
        return [line for line in lines if not line.startswith(("STATUS=", "MONOTONIC_USEC="))]

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for the end; return the exit status."""
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.manager.close()
        try:
            until(lambda: not self.alive)
        finally:
            for pid in self.alive:
                os.kill(pid, signal.SIGKILL)


class Hammer:
    """Clients that ask without a pause; every question must be answered."""

    def __init__(self, running: Supervised, clients: int = 3) -> None:
        self.answered: list[int] = []
        self.failures: list[OSError] = []
        self._running = running
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._enough.is_set():
            try:
                self.answered.append(self._running.ask()["pid"])
            except OSError as error:
                self.failures.append(error)
                return


@contextlib.contextmanager
def supervised(folder: Path, *, verb: str = "serve", unix: bool = False, **settings: object) -> Iterator[Supervised]:
    """Run a supervisor whose workers do `verb`; give it as soon as its process has started."""
    (folder / "verb").write_text(verb)
    listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
    with listener:
        listener.bind(str(folder / "socket") if unix else ("127.0.0.1", 0))
        listener.listen(128)
        running = Supervised(folder, listener, **settings)
    with contextlib.closing(running):
        yield running


def until(condition: Callable[[], object]) -> None:
    """Wait till something is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Tell whether a process is there and not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists()  # gone meanwhile, or a system without /proc


if __name__ == "__main__":
    if sys.argv[1] == "work":
        sys.exit(work(sys.argv[2], [int(number) for number in sys.argv[3:]]))
    sys.exit(lead(json.loads(sys.argv[2])))
