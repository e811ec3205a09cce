"""What README.md says of running a server is so: its numbers are the code's, its files fit the program and each other.

`.ci/deployment` runs the same files for real, with nginx and systemd's tools; here is what needs neither.
"""

import argparse
import ast
import asyncio
import dataclasses
import importlib
import inspect
import re
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_readme import COMMANDS, README, blocks, compile_block
from unit_files import NGINX, SERVICE, SOCKET, directives, documented_files, settings, values
from websockets.asyncio.client import connect

import rawbot
from rawbot.aio import dispatcher, engine
from rawbot.aio.watching import line_writer
from rawbot.cli import build_parser
from rawbot.serve_options import BOUNDS, read_admin, read_listens
from rawbot.websocket.settings import WebSocketSettings
from rawbot.wecom.endpoint import EVENT_DEADLINE

TEXT = README.read_text("utf-8")
FILES = documented_files(TEXT)
UNIT, PLUG = settings(FILES.get(SERVICE, "")), settings(FILES.get(SOCKET, ""))
LIMITS, TIMEOUTS, CAPACITY = rawbot.Limits(), rawbot.Timeouts(), rawbot.Capacity()
SERVE_EXIT_STATUS_WHEN_MISCONFIGURED = 2


def section(title: str) -> str:
    """Return what stands below a heading, down to the next one of its level."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no section {title!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of all tables' rows in a text, without headings."""
    lines = [line[1:-1] for line in text.splitlines() if line.startswith("|") and not re.fullmatch(r"[|-]+", line)]
    return [[cell.strip() for cell in line.split("|")] for line in lines]


# What a name in README.md stands for


def names(cell: str) -> Iterator[str]:
    """Give the full names in a cell: "`A.b`, `.c`" are A.b and A.c, "`F(x=…, y=…)`" are F(x) and F(y)."""
    owner = ""
    for code in re.findall(r"`([^`]+)`", cell):
        call, _, arguments = code.rstrip(")").partition("(")
        if arguments:
            yield from (f"{call}({argument.partition('=')[0].strip()})" for argument in arguments.split(","))
        else:
            dotted = owner + call if call.startswith(".") else call
            owner = dotted.rpartition(".")[0]
            yield dotted


def default_of(name: str) -> object:
    """Return a setting's default, an argument's, or a constant's value. Raises where there is none of that name."""
    path, _, argument = name.rstrip(")").partition("(")
    if argument:
        called: Any = rawbot
        for part in path.split("."):
            called = getattr(called, part)
        parameter = inspect.signature(called).parameters[argument]
        assert parameter.default is not parameter.empty, name
        return parameter.default
    owner, _, attribute = path.rpartition(".")
    if owner[:1].isupper():
        kind = WebSocketSettings if owner == "WebSocketSettings" else getattr(rawbot, owner)
        return next(field.default for field in dataclasses.fields(kind) if field.name == attribute)
    return getattr(importlib.import_module(f"rawbot.{owner}"), attribute)


UNITS = {"": 1, " bytes": 1, " KiB": 1024, " MiB": 1024**2, " s": 1, " h": 3600}
WORDS: dict[str, tuple[object, ...]] = {"any number": (None,), "off": (None, False), "nobody": ((),)}


def is_told(text: str, value: object) -> bool:
    """Tell whether a cell says this value."""
    if text in WORDS:
        return any(value is word for word in WORDS[text])
    if isinstance(value, str):
        return text == value
    found = re.fullmatch(r"([0-9][0-9,]*(?:\.[0-9]+)?)( \w+)?", text)
    return bool(found) and float(found[1].replace(",", "")) * UNITS[found[2] or ""] == value and value is not None


TABLES = section("All limits and time-outs") if "## All limits and time-outs" in TEXT else ""
SETTINGS = [row for row in rows(TABLES) if len(row) == 4 and row[0].startswith("`")]
CONSTANTS = [row for row in rows(TABLES) if len(row) == 3 and row[0].startswith("`")]


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row[0].strip("`"))
def test_the_default_in_the_table_is_the_code_s(row: list[str]):
    (name,) = names(row[0])
    assert is_told(row[2], default_of(name)), f"{name} is {default_of(name)!r}, the table says {row[2]}"


@pytest.mark.parametrize("row", CONSTANTS, ids=lambda row: row[0].split("`")[1])
def test_what_cannot_be_set_is_told_as_it_is(row: list[str]):
    told = dict(zip(names(row[0]), row[1].split(", "), strict=True))
    assert told
    for name, text in told.items():
        assert is_told(text, default_of(name)), f"{name} is {default_of(name)!r}, the table says {text}"


def test_no_bound_is_missing_in_the_table():
    told = {name for row in SETTINGS for name in names(row[0])}
    bounds = {
        f"{kind.__name__}.{field.name}"
        for kind in (rawbot.Limits, rawbot.Timeouts, rawbot.Capacity, rawbot.TLS, rawbot.Listen, WebSocketSettings)
        for field in dataclasses.fields(kind)
        if field.init and (isinstance(field.default, int | float) or "max_" in field.name)
    }
    arguments = {
        f"{kind.__name__}({parameter.name})"
        for kind in (rawbot.WeComEndpoint, rawbot.Bot)
        for parameter in inspect.signature(kind).parameters.values()
        if isinstance(parameter.default, int | float) and not isinstance(parameter.default, bool)
    }
    no_bounds = {f"Listen.{name}" for name in ("port", "systemd", "reuse_port", "proxy_protocol")}
    assert bounds | arguments <= told | no_bounds


def test_the_options_in_the_table_are_those_that_set_the_bound():
    told = {name: row[1].strip("`") for row in SETTINGS for name in names(row[0]) if row[1]}
    settings = rawbot.App().settings
    real = {f"{type(getattr(settings, bound.section)).__name__}.{bound.field}": bound.flag for bound in BOUNDS}
    others = {
        "Listen.backlog": "--backlog",
        "Listen.forwarded_allow_ips": "--forwarded-allow-ips",
        "WebSocketSettings.per_message_deflate": "--ws-per-message-deflate",
    }
    assert told == real | others
    assert set(others.values()) <= OPTIONS


def test_each_setting_that_guards_against_something_is_there():
    told = [name for row in rows(section("What an attacker can try")) if len(row) == 3 for name in names(row[2])]
    checked = [name for name in told if re.match(r"[A-Z]\w*[.(]", name)]
    for name in checked:
        path, _, argument = name.rstrip(")").partition("(")
        if argument:
            assert argument in inspect.signature(getattr(rawbot, path)).parameters, name
        else:
            default_of(name)
    assert {name.partition(".")[0] for name in checked} >= {"Timeouts", "Capacity", "Limits", "Listen", "TLS"}


@pytest.mark.parametrize(
    ("text", "value", "told"),
    [
        ("8 KiB", 8192, True),
        ("8 KiB", 8191, False),
        ("2.5 s", 2.5, True),
        ("1 h", 3600.0, True),
        ("10,000", 10_000, True),
        ("0 s", 0.0, True),
        ("0 s", None, False),
        ("any number", None, True),
        ("any number", 0, False),
        ("off", False, True),
        ("off", None, True),
        ("off", True, False),
        ("nobody", (), True),
        ("1.2", "1.2", True),
    ],
)
def test_a_cell_says_one_value_and_no_other(text: str, value: object, told: bool):  # noqa: FBT001 - a parameter
    assert is_told(text, value) is told


# Options and commands


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    found: set[str] = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found = found.union(*(options_of(parser) for parser in action.choices.values()))
    return found


OPTIONS = options_of(build_parser())


@pytest.mark.parametrize(
    "title",
    ["Running it", "Seen from outside", "Behind nginx", "Under systemd", "What an attacker can try", "Commands"],
)
def test_every_option_that_is_named_is_one_of_the_program(title: str):
    named = [option for code in re.findall(r"`([^`]*)`", section(title)) for option in re.findall(r"--[\w-]+…?", code)]
    whole = {option for option in named if not option.endswith(("-…", "…"))}
    beginnings = {option.rstrip("…") for option in named if option.endswith("…")}
    assert whole <= OPTIONS
    assert all(any(option.startswith(beginning) for option in OPTIONS) for beginning in beginnings)


@pytest.mark.parametrize("arguments", [words for words in COMMANDS if words[0] == "serve"], ids=shlex.join)
def test_every_serve_command_says_what_can_be(arguments: list[str]):
    options = build_parser().parse_args(arguments)
    assert read_listens(options)
    read_admin(options)


# nginx


SITE = values(directives(FILES.get(NGINX, "")))
SIZES = {"k": 1024, "m": 1024**2}


def seconds(name: str) -> float:
    assert SITE[name].endswith("s")
    return float(SITE[name][:-1])


def test_nginx_takes_bodies_and_heads_as_large_as_rawbot_does():
    size = SITE["client_max_body_size"]
    assert int(size[:-1]) * SIZES[size[-1]] == LIMITS.max_body_size
    count, size = SITE["large_client_header_buffers"].split()
    line = int(size[:-1]) * SIZES[size[-1]]
    assert line <= LIMITS.max_target_size
    assert int(count) * line <= LIMITS.max_header_size


def test_nginx_waits_for_clients_as_long_as_rawbot_does():
    times = {"client_header_timeout": TIMEOUTS.header, "client_body_timeout": TIMEOUTS.body}
    assert {name: seconds(name) for name in times} == times
    assert seconds("send_timeout") == TIMEOUTS.write


def test_nginx_closes_an_idle_connection_before_rawbot_does():
    assert seconds("keepalive_timeout") < TIMEOUTS.keep_alive
    assert int(SITE["keepalive"]) < CAPACITY.max_connections
    assert SITE["proxy_http_version"] == "1.1"
    assert SITE["proxy_set_header Connection"] == "$rawbot_connection"


def test_nginx_waits_longer_than_any_answer_and_any_silence_of_a_websocket_takes():
    assert seconds("proxy_read_timeout") > max(EVENT_DEADLINE, TIMEOUTS.graceful + TIMEOUTS.settle)
    settings = WebSocketSettings()
    assert settings.ping_interval is not None
    assert seconds("proxy_read_timeout") > settings.ping_interval + settings.ping_timeout


def test_nginx_says_itself_who_the_client_is():
    assert SITE["proxy_set_header X-Forwarded-For"] == "$remote_addr"
    assert SITE["proxy_set_header X-Forwarded-Proto"] == "$scheme"
    assert SITE["proxy_set_header Host"] == "$host"


def test_directives_are_read_with_their_blocks_quotes_and_comments():
    tree = directives('a b "c ; d"; # e;\nf g {\n  h;\n  i { j k; }\n}\n')
    assert tree == [(["a", "b", '"c ; d"'], []), (["f", "g"], [(["h"], []), (["i"], [(["j", "k"], [])])])]


# systemd


def test_both_units_have_the_sections_of_their_kind_and_no_setting_twice():
    for path, kind in ((SOCKET, "Socket"), (SERVICE, "Service")):
        lines = re.sub(r"\\\n", " ", FILES[path]).splitlines()
        assert [line for line in lines if line.startswith("[")] == ["[Unit]", f"[{kind}]", "[Install]"]
        assert all(re.fullmatch(r"\[\w+\]|[A-Z]\w+=.*|", line) for line in lines)
        assert [name for name, found in settings(FILES[path]).items() if len(found) > 1] in ([], ["SystemCallFilter"])


def test_nginx_and_both_units_mean_the_same_socket():
    (path,) = PLUG["ListenStream"]
    assert SITE["server"] == f"unix:{path}"
    assert f"--uds {path} " in section("Behind nginx")
    assert UNIT["Requires"] == [Path(SOCKET).name]
    assert Path(SOCKET).stem == Path(SERVICE).stem
    assert int(PLUG["SocketMode"][0], 8) == 0o660
    assert int(PLUG["Backlog"][0]) == rawbot.Listen().backlog


def test_the_service_s_command_is_one_that_rawbot_carries_out():
    program, *arguments = shlex.split(UNIT["ExecStart"][0])
    assert Path(program).name == "rawbot"
    options = build_parser().parse_args(arguments)
    (listen,) = read_listens(options)
    assert listen.systemd
    assert listen.trusted.unix
    assert read_admin(options)
    assert UNIT["Type"] == ["notify"]
    assert UNIT["RestartPreventExitStatus"] == [str(SERVE_EXIT_STATUS_WHEN_MISCONFIGURED)]


def test_systemd_waits_longer_than_an_end_may_take():
    handlers = TIMEOUTS.graceful + dispatcher.STUBBORN
    frames_and_posts = 2 * TIMEOUTS.settle
    hook = TIMEOUTS.graceful
    whole = handlers + frames_and_posts + engine.FLUSH + hook + line_writer.CLOSE_WITHIN
    assert float(UNIT["TimeoutStopSec"][0]) > whole
    assert UNIT["KillMode"] == ["mixed"]  # a worker that hears SIGTERM from both managers ends at once


def test_the_service_may_have_the_descriptors_that_the_limits_allow():
    assert int(UNIT["LimitNOFILE"][0]) > CAPACITY.max_connections + rawbot.Listen().max_handshakes


def test_the_service_may_do_what_it_has_to():
    assert set(UNIT["RestrictAddressFamilies"][0].split()) == {"AF_UNIX", "AF_INET", "AF_INET6"}
    assert UNIT["SystemCallFilter"][0] == "@system-service"


# Python


def examples(title: str) -> list[Any]:
    """Return the Python blocks of a section."""
    below = section(title)
    start = TEXT.count("\n", 0, TEXT.index(below))
    return [block for block in blocks(TEXT, "python") if start < block.line <= start + below.count("\n")]


def test_the_examples_of_running_a_server_do_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "hello.txt").write_text("hello")
    monkeypatch.chdir(tmp_path)
    ran: list[tuple[rawbot.Listen, ...]] = []
    monkeypatch.setattr(rawbot, "run", lambda _, *listens, **__: ran.append(listens))
    names = {"rawbot": rawbot, "__name__": "__main__", "app": rawbot.App(rawbot.Bot())}
    whole = [block for block in examples("Running it") if not block.fragment or "Files(" in block.text]
    (fragment,) = [block for block in examples("Running it") if block not in whole]
    for block in whole:
        exec(compile_block(block), names)
    assert [len(listens) for listens in ran] == [3]

    async def run() -> None:
        app = names["app"]
        assert isinstance(app, rawbot.App)
        async with rawbot.serve(app, port=0) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /static/hello.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"\r\n\r\nhello")
            writer.close()
            async with connect(f"ws://127.0.0.1:{server.port}/shout") as channel:
                await channel.send("hello")
                assert await channel.recv() == "HELLO"
        ours, theirs = socket.socketpair()
        with ours:
            await eval(compile_block(fragment, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names | {"connection": theirs})

    asyncio.run(run())
    assert re.fullmatch(r"\['http://127\.0\.0\.1:\d+'\] True\n", capsys.readouterr().out)


def test_the_example_of_an_app_that_is_watched_answers_where_it_says(monkeypatch: pytest.MonkeyPatch):
    ran: list[SimpleNamespace] = []
    monkeypatch.setattr(rawbot, "run", lambda app, **options: ran.append(SimpleNamespace(app=app, **options)))
    names = {"rawbot": rawbot, "__name__": "__main__", "bot": rawbot.Bot()}
    for block in examples("Seen from outside"):
        exec(compile_block(block), names)
    (told,) = ran
    kinds = {type(observer) for observer in told.app.settings.observers}
    assert kinds == {rawbot.Metrics, rawbot.AccessLog}
    assert told.admin.port != told.port
