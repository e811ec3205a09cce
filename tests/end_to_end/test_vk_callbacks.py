"""VK's callbacks to a bot in a process of its own, which is stopped, killed and started again."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from processes import PATIENCE

import rawbot
from rawbot.simulate.vk import VKPlatform

GROUP, USER, SECRET, TOKEN, CODE = 7, 100, "a-secret", "vk1.a.token", "c0ffee42"

BOT = f"""
import asyncio, os, rawbot
from pathlib import Path
from rawbot.stores.journal import SqliteJournal
from rawbot.vk.endpoint import VKEndpoint
from rawbot.vk.settings import VKGroup

bot = rawbot.Bot()
log = open(os.environ["LOG"], "a", buffering=1)

@bot.on_message
async def answer(event, reply):
    print(event.text, file=log)
    while event.text == "slow" and not Path(os.environ["GO_ON"]).exists():
        await asyncio.sleep(0.01)
    reply.write("answer to " + event.text)

journal = SqliteJournal(os.environ["JOURNAL"])
app = rawbot.App(bot, timeouts=rawbot.Timeouts(graceful=float(os.environ["GRACEFUL"])))
group = VKGroup(secret="{SECRET}", confirmation="{CODE}", token="{TOKEN}")
app.add("/webhook", VKEndpoint({{{GROUP}: group}}, journal=journal, api_url=os.environ["API"]))
app.on_shutdown(journal.close)
"""


class Machine:
    """Where the bot runs: its files, and a process at a time."""

    def __init__(self, folder: Path, platform: VKPlatform) -> None:
        self.folder = folder
        self.platform = platform
        (folder / "bot.py").write_text(BOT)
        self.environ = os.environ | {
            "PYTHONPATH": str(Path(rawbot.__file__).parents[1]),
            "PYTHONWARNINGS": "error",
            "LOG": str(folder / "log"),
            "JOURNAL": str(folder / "journal.db"),
            "GO_ON": str(folder / "go-on"),
            "API": platform.api_url,
            "GRACEFUL": "8",
        }

    async def start(self) -> asyncio.subprocess.Process:
        """Start the bot, and have VK call it where it is now."""
        command = [sys.executable, "-m", "rawbot", "serve", str(self.folder / "bot.py"), "--port", "0"]
        process = await asyncio.create_subprocess_exec(*command, env=self.environ, stderr=asyncio.subprocess.PIPE)
        line = (await process.stderr.readline()).decode()
        assert line.startswith("rawbot listens on "), line + (await process.stderr.read()).decode()
        url = line.split()[-1] + "/webhook"
        servers = self.platform.group(GROUP).live_servers()
        if servers:
            servers[0].url = url
        else:
            await self.platform.connect(GROUP, url, secret=SECRET)
        return process

    def go_on(self) -> None:
        (self.folder / "go-on").touch()

    async def handled(self, *texts: str) -> None:
        """Wait till the bot's handlers have begun with these."""
        while self.begun() != Counter(texts):  # noqa: ASYNC110 - a file signals nobody
            await asyncio.sleep(0.01)

    def begun(self) -> Counter[str]:
        log = self.folder / "log"
        return Counter(log.read_text().split()) if log.exists() else Counter()


async def end(process: asyncio.subprocess.Process, number: int) -> tuple[int, str]:
    process.send_signal(number)
    _, err = await process.communicate()
    return process.returncode, err.decode()


@contextlib.asynccontextmanager
async def meeting(folder: Path) -> AsyncIterator[tuple[VKPlatform, Machine]]:
    async with asyncio.timeout(PATIENCE), VKPlatform() as platform:
        platform.add_group(GROUP, token=TOKEN, confirmation=CODE)
        yield platform, Machine(folder, platform)


def test_a_bot_that_is_killed_finishes_what_it_had_acknowledged_and_repeats_nothing(tmp_path: Path):
    async def run() -> None:
        async with meeting(tmp_path) as (platform, machine):
            process = await machine.start()
            await platform.say(GROUP, USER, "quick", lose_answer=2)
            await platform.wait_sent(GROUP, USER)
            for text in ("slow", "next", "last"):
                await platform.say(GROUP, USER, text, lose_answer=2)
            await machine.handled("quick", "slow")
            assert (await end(process, signal.SIGKILL))[0] == -signal.SIGKILL
            machine.go_on()
            process = await machine.start()
            await platform.wait_sent(GROUP, USER, 4)
            await platform.advance(7000)  # with all that VK tries again
            assert (await end(process, signal.SIGTERM))[0] == 0
            assert machine.begun() == {"quick": 1, "slow": 2, "next": 1, "last": 1}
            assert platform.dialog(GROUP, USER).shown == [f"answer to {t}" for t in ("quick", "slow", "next", "last")]
            assert (platform.problems, platform.lost) == ([], [])

    asyncio.run(run())


def test_a_bot_that_is_stopped_answers_before_it_goes(tmp_path: Path):
    async def run() -> None:
        async with meeting(tmp_path) as (platform, machine):
            process = await machine.start()
            for text in ("slow", "next"):
                await platform.say(GROUP, USER, text)
            await machine.handled("slow")
            ending = asyncio.create_task(end(process, signal.SIGTERM))
            await asyncio.sleep(0.1)
            machine.go_on()
            status, err = await ending
            assert (status, "Traceback" in err) == (0, False)
            assert platform.dialog(GROUP, USER).shown == ["answer to slow", "answer to next"]
            assert machine.begun() == {"slow": 1, "next": 1}

    asyncio.run(run())


@pytest.mark.parametrize("patience", ["0.1"])
def test_a_bot_that_is_stopped_too_soon_goes_on_when_it_comes_back(tmp_path: Path, patience: str):
    async def run() -> None:
        async with meeting(tmp_path) as (platform, machine):
            machine.environ["GRACEFUL"] = patience
            process = await machine.start()
            for text in ("slow", "next"):
                await platform.say(GROUP, USER, text)
            await machine.handled("slow")
            assert (await end(process, signal.SIGTERM))[0] == 0
            assert platform.dialog(GROUP, USER).shown == []
            machine.go_on()
            process = await machine.start()
            await platform.wait_sent(GROUP, USER, 2)
            assert (await end(process, signal.SIGTERM))[0] == 0
            assert platform.dialog(GROUP, USER).shown == ["answer to slow", "answer to next"]

    asyncio.run(run())
