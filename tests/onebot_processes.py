"""The loop-back platform and a bot on NoneBot as processes, and what they say as it comes."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

import processes

PATIENCE = 60.0
"""Seconds after which what should have happened has failed its test."""

APPLICATION = Path(__file__).parent / "end_to_end" / "nonebot_application.py"
HEARD = "NoneBot heard: "
"""What the bot puts before the words that it says back."""

Report = dict[str, object]


class Lines:
    """The lines that somebody writes, read as they come."""

    def __init__(self, stream: IO[str]) -> None:
        self.ended = False
        self._lines: list[str] = []
        self._stream = stream
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def text(self) -> str:
        """All that was said so far."""
        return "".join(self._lines)

    def wait(self, wanted: Callable[[str], object], *, since: int = 0) -> str:
        """Return the first line from number `since` on that is wanted, once it is there."""
        deadline = time.monotonic() + PATIENCE
        while lines := self._after(since, deadline):
            if line := next(filter(wanted, lines), ""):
                return line
            since += len(lines)
        raise AssertionError(f"it was not said, but this was:\n{self.text}")

    def close(self) -> None:
        """Wait for the end, which must have come for the process."""
        self._thread.join()
        self._stream.close()

    def _after(self, number: int, deadline: float) -> list[str]:
        """Return the lines from this number on as soon as there are any; none at the end and at the deadline."""
        with self._more:
            self._more.wait_for(lambda: self.ended or len(self) > number, deadline - time.monotonic())
            return self._lines[number:]

    def _read(self) -> None:
        for line in self._stream:
            with self._more:
                self._lines.append(line)
                self._more.notify_all()
        with self._more:
            self.ended = True
            self._more.notify_all()


class Loopback:
    """`rawbot onebot` at a free port, which it gets again when it is started again."""

    def __init__(self, *arguments: str, token: str = "") -> None:
        self._arguments = [*arguments, *(("--access-token", token) if token else ())]
        self._port = 0
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._close()

    def start(self) -> None:
        """Begin (again)."""
        self.process = processes.start("onebot", "--port", str(self._port), *self._arguments)
        self.log = Lines(self.process.stderr)

    @property
    def port(self) -> int:
        """Where it listens, as soon as it does."""
        line = self.log.wait(lambda line: line.startswith("rawbot listens on http://127.0.0.1:"))
        self._port = int(line.rpartition(":")[2])
        return self._port

    def stop(self, *signals: int) -> int:
        """Send the signals, wait for the end and return the exit status."""
        for number in signals:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE)
        self._close()
        return status

    def _close(self) -> None:
        self.log.close()
        self.process.stdout.close()


class CallError(Exception):
    """An action that failed: `raised` is NoneBot's name for it, or what that wraps the name in."""

    def __init__(self, raised: str, retcode: int | None, message: str | None, cause: dict | None) -> None:
        super().__init__(raised, retcode, message)
        self.raised, self.retcode, self.message = raised, retcode, message
        self.cause = None if cause is None else CallError(**cause)


class NoneBot:
    """A bot on NoneBot, as a process. `settings` are NoneBot's own; it listens where there is a `listener`."""

    application = APPLICATION

    def __init__(self, folder: Path, driver: str, listener: socket.socket | None = None, **settings: object) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("RAWBOT_")}
        environ |= {"NONEBOT_SETTINGS": json.dumps({"driver": driver} | settings), "NONEBOT_PREFIX": HEARD}
        descriptors = [] if listener is None else [listener.fileno()]
        environ |= {} if listener is None else {"NONEBOT_FD": str(listener.fileno())}
        self.process = subprocess.Popen(
            [sys.executable, str(self.application)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environ | {"PYTHONIOENCODING": "utf-8"},
            cwd=folder,  # where no .env file is
            pass_fds=descriptors,
            encoding="utf-8",
        )
        self.reports = Lines(self.process.stdout)
        self.log = Lines(self.process.stderr)
        self._calls = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.reports.close()
        self.log.close()
        self.process.stdin.close()

    def wait(self, bot: str, seen: str, *, since: int = 0, **fields: object) -> Report:
        """Return its first report on this bot of what was seen: "connect", "disconnect" or an event with these fields.

        `since` is the number of a report, as `len(nonebot.reports)` said at some time.
        """

        def wanted(line: str) -> bool:
            report = json.loads(line)
            event = report.get("event", {})
            named = report.get("bot") == bot and report["seen"] == seen if "seen" in report else False
            return named and all(event.get(name) == value for name, value in fields.items())

        return read(self.reports.wait(wanted, since=since))

    def call(self, bot: str, action: str, /, **params: object) -> object:
        """Have it call an action; return the data. Raises `CallError`."""
        self._calls += 1
        number, since = self._calls, len(self.reports)
        self.process.stdin.write(say({"call": number, "bot": bot, "action": action, "params": params}) + "\n")
        self.process.stdin.flush()
        answer = read(self.reports.wait(lambda line: json.loads(line).get("answered") == number, since=since))
        if "failed" in answer:
            raise CallError(**answer["failed"])
        return answer["data"]


def say(value: object) -> str:
    return json.dumps(value, default=lambda data: {"base64": base64.b64encode(data).decode()})


def read(line: str) -> Report:
    return json.loads(
        line, object_hook=lambda value: base64.b64decode(value["base64"]) if value.keys() == {"base64"} else value
    )


WAYS = ("forward", "http", "reverse")
"""How an application is reached, and the ids of the bots that are reached so: a NoneBot knows each id once."""


class Party:
    """One NoneBot, and a loop-back platform for each way to reach it."""

    def __init__(
        self,
        stack: ExitStack,
        folder: Path,
        driver: str,
        *,
        token: str = "",
        shown: str | None = None,
        **settings: object,
    ) -> None:
        """`token` is the platforms', `shown` NoneBot's where that is another one."""
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        base = f"127.0.0.1:{listener.getsockname()[1]}/onebot/v12"
        options = {
            "forward": ("--heartbeat", "301"),
            "http": ("--heartbeat", "302", "--webhook", f"http://{base}/http"),
            "reverse": ("--heartbeat", "303", "--reverse", f"ws://{base}/ws", "--reconnect", "100"),
        }
        self.platforms = {
            way: stack.enter_context(Loopback("--self-id", way, *options[way], token=token)) for way in WAYS
        }
        shown = token if shown is None else shown
        self.nonebot = stack.enter_context(
            NoneBot(
                folder,
                driver,
                listener,
                onebot_v12_ws_urls=[f"ws://127.0.0.1:{self.platforms['forward'].port}/"],
                onebot_v12_api_roots={"http": f"http://127.0.0.1:{self.platforms['http'].port}/"},
                **({"onebot_v12_access_token": shown} if shown else {}),
                **settings,
            )
        )

    def stop(self, number: int = signal.SIGTERM) -> list[int]:
        """Send a signal to all platforms; return their exit statuses."""
        for platform in self.platforms.values():
            platform.process.send_signal(number)
        return [platform.stop() for platform in self.platforms.values()]
