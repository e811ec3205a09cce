"""What `rawbot serve` holds when it has begun to listen: started as a user starts it, in a process of its own.

An installed package has its byte code, and so it is measured: compiling holds 0.9 MiB more until the process ends
(CPython 3.11). Packages that are installed beside count, too, where rawbot uses them: the extras of a development
environment come to 3 MiB.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic, sleep

from benchmarks.siege import read_memory
from benchmarks.traffic import KEY, PATH, TOKEN

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 20.0
_SETTLES_WITHIN = 0.3

_BOT = f"""\
import rawbot

bot = rawbot.Bot()
app = rawbot.App(bot)
app.add("{PATH}", rawbot.WeComEndpoint("{TOKEN}", "{KEY}"))


@bot.on_message
async def answer(event, reply):
    reply.write(event.text)
"""


_BARE = "import asyncio, sys\nprint('listens', file=sys.stderr)\ninput()"


def measure_start() -> tuple[int, int]:
    """Return the resident bytes of a rawbot that listens, and of a Python that has imported asyncio and waits."""
    with tempfile.TemporaryDirectory() as folder:
        bot = Path(folder) / "bot.py"
        bot.write_text(_BOT, encoding="utf-8")
        environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "compiled")
        ours = _second([sys.executable, "-m", "rawbot", "serve", str(bot), "--port", "0"], environ)
        bare = _second([sys.executable, "-c", _BARE], environ)
    return ours, bare


def _second(command: list[str], environ: dict[str, str]) -> int:
    """Return what the second start holds: the first writes the byte code."""
    _resident(command, environ)
    return _resident(command, environ)


def _resident(command: list[str], environ: dict[str, str]) -> int:
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = ""
            while "listens" not in said:  # a missing extra is told before
                line = process.stderr.readline()
                assert line, f"it ended before it listened: {said}"
                said += line
            settled_at = monotonic() + _SETTLES_WITHIN
            while monotonic() < settled_at:
                sleep(0.05)
            return read_memory(process.pid)
        finally:
            process.terminate()
            process.wait(PATIENCE)
