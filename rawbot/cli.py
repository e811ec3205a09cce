"""The command line: demo, serve, onebot, simulate, doctor.

Layer 4. A fault of the operator's is told in one line on stderr. The exit status is

    0    all went well; a server that was told to stop has stopped
    1    what was checked is not right (an exception in the served module, too: Python shows its traceback)
    2    the command itself could not be carried out, or whoever read its output has gone
    130  interrupted before it was done

The simulator and the diagnosis are imported by the commands that use them: with what `serving` puts off, a process that
listens holds 0.6 MiB less (CPython 3.11).
"""

import argparse
import asyncio
import contextlib
import io
import logging
import os
import secrets
import string
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawbot import __version__
from rawbot.aio.running import stop_signals
from rawbot.aio.server import Server, serve
from rawbot.demo import WECOM_PATH, allows_loopback, make_app
from rawbot.errors import ConfigError, ProtocolError, RawbotError
from rawbot.serve_options import add_serve_options
from rawbot.serving import serve_target
from rawbot.terminal import Transcript

if TYPE_CHECKING:
    from rawbot.simulate.wecom import Conversation, WeComPlatform

TOKEN = "RAWBOT_WECOM_TOKEN"  # noqa: S105 - the name of a variable
KEY = "RAWBOT_WECOM_ENCODING_AES_KEY"
RECEIVE_ID = "RAWBOT_WECOM_RECEIVE_ID"
LOOPBACK = "RAWBOT_DEMO_LOOPBACK"

GIVE_UP_AFTER = 10.0
"""Seconds without any answer after which `simulate` stops asking: a bot that restarts is back by then, and who watches
a server that has died does not want to wait for the six minutes that the platform would go on for."""

REST_WITHIN = 2.0
"""Seconds for which `simulate` waits for the second part of a long answer."""

Converse = Callable[[str, Transcript], Coroutine[Any, Any, int]]
"""Talks to the bot at a URL and returns how many steps went wrong."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(prog="rawbot", description="A low-level asyncio server for chat bots.")
    parser.add_argument("--version", action="version", version=f"rawbot {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    demo = commands.add_parser("demo", help="serve a demo bot and talk to it as WeCom would")
    _add_address(demo, port=8080)
    demo.add_argument("--once", action="store_true", help="exit after the conversation: 0 if all was right, else 1")
    demo.set_defaults(command=_demo)

    server = commands.add_parser("serve", help="serve an app until SIGINT or SIGTERM")
    server.add_argument("target", metavar="TARGET", help="module:attribute or path/to/file.py[:attribute]")
    add_serve_options(server)
    server.set_defaults(command=_serve)

    loopback = commands.add_parser("onebot", help="serve a OneBot platform whose users say back what they are told")
    _add_onebot_options(loopback)
    loopback.set_defaults(command=_onebot)

    simulate = commands.add_parser("simulate", help="be the platform and talk to a bot server")
    wecom = simulate.add_subparsers(metavar="PLATFORM", required=True).add_parser("wecom", help="企业微信 AI bot")
    wecom.add_argument("url", metavar="URL", help="the bot's callback URL")
    _add_credentials(wecom)
    wecom.add_argument("--text", action="append", help="what the user says; may be given several times")
    wecom.add_argument("--chat", help="say it in the group with this id")
    wecom.add_argument("--interval", type=float, default=1.0, help="seconds between two polls (default 1)")
    wecom.set_defaults(command=_simulate)

    doctor = commands.add_parser("doctor", help="say which step of a captured request fails, and why")
    wecom = doctor.add_subparsers(metavar="PLATFORM", required=True).add_parser("wecom", help="企业微信 AI bot")
    _add_credentials(wecom)
    wecom.add_argument("--url", required=True, metavar="CAPTURED_URL", help="the whole URL that was requested")
    wecom.add_argument("--body", type=Path, metavar="FILE", help="the body of a POST")
    wecom.set_defaults(command=_doctor)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line; return the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # where the terminal knows no Chinese
    try:
        try:
            return _carry_out(arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # `| head`, for one: nobody reads on, so there is nobody to tell
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # for what is still to be flushed at the exit
        os.close(nowhere)
        return 2


def _carry_out(arguments: Sequence[str] | None) -> int:
    try:
        options = build_parser().parse_args(arguments)
        status: int = options.command(options)
    except RawbotError as error:
        print(f"rawbot: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    return status


def _add_address(parser: argparse.ArgumentParser, *, port: int) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=port, help=f"port to listen on, 0 for a free one (default {port})")


def _add_onebot_options(parser: argparse.ArgumentParser) -> None:
    _add_address(parser, port=5700)
    parser.add_argument("--access-token", help="what applications must show, and what is shown to them")
    parser.add_argument("--webhook", action="append", default=[], metavar="URL", help="push events there (repeatable)")
    parser.add_argument(
        "--reverse", action="append", default=[], metavar="URL", help="open a WebSocket there (repeatable)"
    )
    parser.add_argument("--heartbeat", type=int, default=0, metavar="MS", help="heartbeat events (default 0: none)")
    parser.add_argument("--reconnect", type=int, default=3000, metavar="MS", help="between two tries (default 3000)")
    parser.add_argument("--platform", default="loopback", metavar="NAME", help="name of the platform")
    parser.add_argument("--self-id", default="loopback-bot", metavar="ID", help="the bot's user id")
    v11 = parser.add_argument_group("OneBot 11 (give a number as --self-id, or one is made of the id)")
    v11.add_argument("--v11-port", type=int, metavar="N", help="port for its HTTP and WebSockets, 0 for a free one")
    v11.add_argument(
        "--v11-reverse", action="append", default=[], metavar="URL", help="open a WebSocket there (repeatable)"
    )
    v11.add_argument("--v11-post", action="append", default=[], metavar="URL", help="post events there (repeatable)")
    v11.add_argument("--v11-secret", metavar="SECRET", help="what posted events are signed with")


def _add_credentials(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token", default=os.environ.get(TOKEN), help=f"default: ${TOKEN}")
    parser.add_argument("--encoding-aes-key", default=os.environ.get(KEY), help=f"default: ${KEY}")
    parser.add_argument("--receive-id", default=os.environ.get(RECEIVE_ID, ""), help=f"default: ${RECEIVE_ID} or empty")


def _demand_credentials(options: argparse.Namespace) -> None:
    if not options.token or not options.encoding_aes_key:
        raise ConfigError(f"give --token and --encoding-aes-key, or set {TOKEN} and {KEY}")


def _serve(options: argparse.Namespace) -> int:
    _log_to_stderr(logging.Formatter("%(asctime)s %(levelname)s %(message)s"), options.log_level)
    return serve_target(options)


def _onebot(options: argparse.Namespace) -> int:
    from rawbot.onebot_loopback import serve_loopback  # noqa: PLC0415 - see the top

    _log_to_stderr(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    serve_loopback(options)
    return 0


def _demo(options: argparse.Namespace) -> int:
    from rawbot.demonstration import demonstrate  # noqa: PLC0415 - see the top

    environ = dict(os.environ)
    missing = [name for name in (TOKEN, KEY) if not environ.get(name)]
    if len(missing) == 1:
        raise ConfigError(f"{missing[0]} is not set: set it, or unset the other, and random ones are made")
    made = bool(missing)
    if made:
        alphabet = string.ascii_letters + string.digits
        environ[TOKEN] = "".join(secrets.choice(alphabet) for _ in range(24))
        environ[KEY] = "".join(secrets.choice(alphabet) for _ in range(43))
    environ.setdefault("RAWBOT_DEMO_DELAY", "0.2")  # slow enough to watch it grow
    _log_to_stderr(_OneLine("         log │ %(levelname)s %(message)s"))
    receive_id, loopback = environ.get(RECEIVE_ID, ""), allows_loopback(environ)

    async def converse(url: str, transcript: Transcript) -> int:
        return await demonstrate(url, environ[TOKEN], environ[KEY], receive_id, transcript, loopback=loopback)

    return asyncio.run(_run_demo(options, environ, converse, made=made))


class _OneLine(logging.Formatter):
    """Tells an exception in one line: the demo raises one on purpose."""

    def formatException(self, ei: Any) -> str:  # noqa: N802, ANN401 - logging's name and type
        return f"             │ {ei[0].__name__}: {ei[1]}"


def _log_to_stderr(formatter: logging.Formatter, level: str = "info") -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    logger = logging.getLogger("rawbot")
    logger.setLevel(level.upper())
    logger.addHandler(handler)


async def _run_demo(options: argparse.Namespace, environ: dict[str, str], converse: Converse, *, made: bool) -> int:
    transcript = Transcript()
    with stop_signals() as stopped:
        async with serve(make_app(environ), host=options.host, port=options.port) as server:
            url = f"http://{_reachable(server)}{WECOM_PATH}"
            transcript.note(f"rawbot.demo:app answers on {url}")
            if made:
                transcript.note(f"made for this run: token {environ[TOKEN]}, EncodingAESKey {environ[KEY]}")
            conversation = asyncio.create_task(converse(url, transcript))
            stopping = asyncio.create_task(stopped.wait())
            await asyncio.wait((conversation, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not conversation.done():
                conversation.cancel()
                _cancel_this_task()  # closes at once: whoever would fetch the ends of the open bubbles is gone
                return 130
            stopping.cancel()
            failures = conversation.result()
            transcript.verdict(_summary(failures), good=not failures)
            if not options.once:
                _tell_how_to_connect(transcript, url, environ, made=made)
                await stopped.wait()
    return 1 if failures else 0


def _cancel_this_task() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.cancel()


def _summary(failures: int) -> str:
    return f"{failures} step(s) went wrong" if failures else "the whole conversation was right"


def _reachable(server: Server) -> str:
    """Return an address of the server's that a client on this machine can use."""
    return server.addresses[0].replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")  # noqa: S104 - read, not bound


def _tell_how_to_connect(transcript: Transcript, url: str, environ: dict[str, str], *, made: bool) -> None:
    lines = [
        "",
        "To connect a real bot: in the WeCom admin console make an AI bot (智能机器人) in API mode with a callback URL",
        f"that leads here, for example https://bot.example.com{WECOM_PATH}, then start this with its two secrets:",
        f"    {TOKEN}=… {KEY}=… {LOOPBACK}=0 \\",
        "    python -m rawbot serve rawbot.demo:app --host 0.0.0.0 --port 8080",
        f"({LOOPBACK}=0, since only simulators serve files and take active replies on the machine itself.)",
    ]
    if made:
        lines += [
            "Or talk to this demo from another terminal:",
            f"    python -m rawbot simulate wecom {url} \\",
            f"      --token {environ[TOKEN]} --encoding-aes-key {environ[KEY]} --text Hello",
        ]
    for line in [*lines, "Serving. Ctrl-C stops."]:
        transcript.note(line)


def _simulate(options: argparse.Namespace) -> int:
    _demand_credentials(options)
    return asyncio.run(_run_simulation(options))


async def _run_simulation(options: argparse.Namespace) -> int:
    from rawbot.simulate.wecom import WeComPlatform  # noqa: PLC0415 - see the top

    transcript = Transcript()
    problems: list[str] = []

    def tell(_: "Conversation", problem: str) -> None:
        problems.append(problem)
        transcript.verdict(problem, good=False)

    platform = WeComPlatform(
        options.url,
        token=options.token,
        encoding_aes_key=options.encoding_aes_key,
        receive_id=options.receive_id,
        interval=options.interval,
        patience=GIVE_UP_AFTER,
        on_frame=transcript.frame,
        on_active=transcript.active,
        on_problem=tell,
    )
    async with platform:
        transcript.say("console", "verifies the URL")
        try:
            await platform.verify_url()
        except ProtocolError as error:
            transcript.verdict(str(error), good=False)
            return 1
        transcript.verdict("verified", good=True)
        for text in options.text or ["Hello"]:
            transcript.say("zhangsan", text)
            conversation = await platform.say(text, chat=options.chat)
            await _await_rest(platform, conversation)
    return 1 if problems else 0


async def _await_rest(platform: "WeComPlatform", conversation: "Conversation") -> None:
    """Stay a moment after an answer that may fill its bubble: what is beyond comes by response_url, if it comes."""
    from rawbot.simulate.wecom_rules import CONTENT_LIMIT  # noqa: PLC0415 - see the top

    if not conversation.frames or conversation.frames[-1].size < CONTENT_LIMIT // 2:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(REST_WITHIN):
            await platform.wait_active(conversation)


def _doctor(options: argparse.Namespace) -> int:
    from rawbot.wecom.diagnosis import diagnose  # noqa: PLC0415 - see the top

    _demand_credentials(options)
    body = _read(options.body) if options.body is not None else None
    steps = diagnose(
        token=options.token,
        encoding_aes_key=options.encoding_aes_key,
        receive_id=options.receive_id,
        url=options.url,
        body=body,
        now=time.time(),
    )
    marks = {"ok": "✔", "warning": "!", "failed": "✘", "skipped": "·"}
    for step in steps:
        print(f"{marks[step.verdict]} {step.name}: {step.detail}")
    return 1 if any(step.verdict == "failed" for step in steps) else 0


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
