"""`wrk` as a generator: one thread that takes prepared requests from a file, each once; what it does is in `wrk.lua`.

It counts answers above 399 and failed connections, and keeps its own histogram of times, which it corrects for what a
slow answer kept it from sending. It does not look into answers: that costs more than sending does.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep

import orjson

from benchmarks.generators.load import LIMIT, SETTLE, SILENCE, Load, Meter, Outcome, Sendable
from benchmarks.measuring import Failed
from benchmarks.processes import on_core

_SCRIPT = Path(__file__).with_name("wrk.lua")
_READY, _GO, _DRAINED = b"ready\n", b"go\n", b"drained\n"
_OUTCOME = b"outcome "
_NUDGE = 0.05
"""Seconds between two signals to end: one that comes before `wrk` has gone to sleep is not heard."""


class Wrk:
    """Starts `wrk` for each load."""

    def __init__(self, directory: Path, core: int | None, program: str = "wrk") -> None:
        self.title = f"{version(program)}, one thread"
        self._program = program
        self._pool = directory / "requests"
        self._core = core

    def carry_out(self, load: Load, meter: Meter) -> Outcome:
        """Send all of it. Raises `Failed` when an answer is missing, is not a 200, or takes too long."""
        if load.way != "kept" or load.check is not None:
            raise Failed("wrk keeps its connections, speaks HTTP, and looks into no answer")
        write_pool(self._pool, load.callbacks)
        with on_core(self._core), self._started(load) as process:
            output, server_ns = _watch(process, meter)
        return read_outcome(output, len(load.callbacks))._replace(server_ns=server_ns)

    @contextlib.contextmanager
    def _started(self, load: Load) -> Iterator[subprocess.Popen[bytes]]:
        connections = str(min(load.connections, len(load.callbacks)))
        command = [
            self._program, "--threads", "1", "--connections", connections, "--duration", f"{LIMIT:.0f}s",
            "--timeout", f"{SILENCE:.0f}s", "--script", str(_SCRIPT), f"http://127.0.0.1:{load.port}/",
            "--", str(self._pool), connections,
        ]  # fmt: skip
        with subprocess.Popen(  # noqa: S603 - nothing of it comes from outside
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()


@contextlib.contextmanager
def started_wrk(core: int | None) -> Iterator[Wrk]:
    """Give it a directory for its requests. Raises `Failed` when there is no `wrk`."""
    with tempfile.TemporaryDirectory() as directory:
        yield Wrk(Path(directory), core)


def version(program: str) -> str:
    """Return name and version. Raises `Failed` when there is no such program."""
    try:
        asked = subprocess.run([program, "--version"], capture_output=True, check=False, timeout=SILENCE)  # noqa: S603
    except OSError:
        raise Failed(f"{program} is not installed: apt-get install wrk, or --generator builtin") from None
    words = asked.stdout.decode(errors="replace").split()
    return " ".join(words[:2])


def write_pool(file: Path, callbacks: Sequence[Sendable]) -> None:
    """Write requests as the script reads them: a line with the number of bytes, then the bytes."""
    file.write_bytes(b"".join(b"%d\n%b" % (len(each.request), each.request) for each in callbacks))


def read_outcome(output: bytes, owed: int) -> Outcome:
    """Return what the script says in its last line. Raises `Failed`."""
    _, said, line = output.rpartition(_OUTCOME)
    if not said:
        raise Failed(f"wrk says: {output.decode(errors='replace').strip()[-500:]}")
    figures = orjson.loads(line.partition(b"\n")[0])
    answered, errors = figures["answered"], figures["errors"]
    wrong = ", ".join(f"{kind}: {count}" for kind, count in errors.items() if count)
    if wrong:
        raise Failed(f"errors, as wrk counts them: {wrong}")
    if answered != owed:
        raise Failed(f"{owed - answered} of {owed} answers are owed after {LIMIT:.0f} s")
    return Outcome(figures["elapsed"], figures["cpu"], figures["p50"], figures["p99"], figures["bytes"] / answered)


def _watch(process: subprocess.Popen[bytes], meter: Meter) -> tuple[bytes, int]:
    """Return what it prints, and what the meter has counted from its first request to its last answer."""
    output = _read_until(process, _READY)
    sleep(SETTLE)
    before = meter()
    assert process.stdin is not None
    with contextlib.suppress(OSError), process.stdin:  # what it has died of is in its output
        process.stdin.write(_GO)
    output += _read_until(process, _DRAINED)
    sleep(SETTLE)
    used = meter() - before
    return output + _end(process), used


def _read_until(process: subprocess.Popen[bytes], word: bytes) -> bytes:
    """Return what it prints, up to this word or its end."""
    assert process.stdout is not None
    output = b""
    gives_up_at = monotonic() + LIMIT + SILENCE
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while word not in output:
            if not selector.select(gives_up_at - monotonic()):
                raise Failed("wrk is silent")
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                break
            output += data
    return output


def _end(process: subprocess.Popen[bytes]) -> bytes:
    """Return the rest of what it prints, ending it: by itself it ends after `LIMIT` only."""
    assert process.stdout is not None
    for _ in range(round(SILENCE / _NUDGE)):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_NUDGE)
            return process.stdout.read()
    raise Failed("wrk does not end")
