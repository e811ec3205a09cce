"""What README.md shows must work: its Python runs, its commands parse.

The convention: a block that begins with ```python is executed, all of them in one namespace from top to bottom, as a
reader would type them; `rawbot.run` only checks its arguments then, since it would serve for ever. A block behind the
comment <!-- test: compile --> is a fragment (`await` outside of a function, names that the reader has) and only
compiled. In blocks that begin with ```sh, ```bash, ```shell or ```console each `rawbot …` and `python -m rawbot …` must
be a command line that the program accepts.
"""

import argparse
import ast
import base64
import importlib
import importlib.util
import inspect
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from processes import end, serving, start

import rawbot

README = Path(__file__).resolve().parents[1] / "README.md"
TEXT = README.read_text("utf-8") if README.exists() else ""

SHELLS = ("sh", "bash", "shell", "console")
MARKER = re.compile(r"<!-- test: (.*) -->")
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
HERE_DOCUMENT = re.compile(r"<<['\"]?(\w+)['\"]?([^\n]*)\n.*?^\1$", re.MULTILINE | re.DOTALL)
OPERATORS = re.compile(r"[;&|()<>]+")


@dataclass(frozen=True)
class Block:
    """A fenced block: where its first line stands, its language, its text, and whether it is a fragment."""

    line: int
    language: str
    text: str
    fragment: bool

    def __str__(self) -> str:
        return f"line {self.line}"


def blocks(markdown: str, *languages: str) -> list[Block]:
    found = []
    for fence in FENCE.finditer(markdown):
        above = markdown[: fence.start()].rstrip().rpartition("\n")[2]
        line = markdown.count("\n", 0, fence.start()) + 2
        found.append(Block(line, fence[1], fence[2], fragment=above == "<!-- test: compile -->"))
    return [block for block in found if block.language in languages]


def compile_block(block: Block, flags: int = 0) -> object:
    """Compile so that tracebacks name the README's own lines."""
    return compile("\n" * (block.line - 1) + block.text, README.name, "exec", flags, dont_inherit=True)


def command_lines(script: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of rawbot in a shell script, however it is started."""
    joined = script.replace("\\\n", " ")
    for line in re.sub(r"^\$ ", "", HERE_DOCUMENT.sub(r"\2", joined), flags=re.MULTILINE).splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if not OPERATORS.fullmatch(word):
                words.append(word)
                continue
            yield from arguments_of(words)
            words = []


def arguments_of(words: list[str]) -> Iterator[list[str]]:
    for i, word in enumerate(words):
        as_module = word == "rawbot" and i >= 2 and words[i - 1] == "-m" and "python" in words[i - 2]
        as_script = word.rpartition("/")[2] == "rawbot" and all("=" in before for before in words[:i])
        if as_module or as_script:
            yield words[i + 1 :]
            return


PYTHON = blocks(TEXT, "python")
COMMANDS = [arguments for block in blocks(TEXT, *SHELLS) for arguments in command_lines(block.text)]


def test_every_marker_is_one_that_this_test_knows_and_stands_before_a_block():
    assert set(MARKER.findall(TEXT)) <= {"compile"}
    assert len(MARKER.findall(TEXT)) == sum(block.fragment for block in PYTHON)


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_a_python_block_compiles(block: Block):
    compile_block(block, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if block.fragment else 0)


def test_the_python_blocks_run_from_top_to_bottom(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    if run := getattr(rawbot, "run", None):
        monkeypatch.setattr(rawbot, "run", inspect.signature(run).bind)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in PYTHON:
        if not block.fragment:
            exec(compile_block(block), namespace)
    assert "hello.txt, 5 bytes []\n" in capsys.readouterr().out  # as the comment there says


def test_the_secrets_that_it_shows_are_such_as_the_console_gives_out():
    keys, tokens = set(re.findall(r"\b[0-9A-Za-z]{43}\b", TEXT)), set(re.findall(r"\bYourToken\w*", TEXT))
    assert (len(keys), len(tokens)) == (1, 1)
    (key,) = keys
    assert base64.b64encode(base64.b64decode(f"{key}=", validate=True)).decode() == f"{key}="  # by any strict decoder
    (token,) = tokens
    assert token.isalnum()
    assert len(token) <= 32
    for block in PYTHON:
        assert block.text.count("WeComEndpoint(") <= block.text.count(token) + block.text.count("**secrets")


def test_the_first_bot_is_served_from_its_file_and_talked_to_as_it_says(tmp_path: Path):
    bot = next(block for block in PYTHON if "rawbot.run(" in block.text)
    (tmp_path / "bot.py").write_text(bot.text, "utf-8")
    (talk,) = [arguments for arguments in COMMANDS if arguments[:2] == ["simulate", "wecom"]]
    assert ["serve", "bot.py"] in [arguments[:2] for arguments in COMMANDS]
    with serving(tmp_path / "bot.py") as (_, url):
        assert urlsplit(url).path == urlsplit(talk[2]).path
        ended = end(start(*talk[:2], url, *talk[3:], "--interval", "0.05"))
    assert (ended.status, ended.err) == (0, "")
    assert "│ You said: Hello, bot ✔\n" in ended.out


def test_every_command_line_is_one_that_the_program_accepts(capsys: pytest.CaptureFixture[str]):
    if importlib.util.find_spec("rawbot.cli") is None:
        return  # nothing to check until there is a program
    parser = importlib.import_module("rawbot.cli").build_parser()
    refused = [f"rawbot {shlex.join(arguments)}" for arguments in COMMANDS if not accepts(parser, arguments)]
    assert not refused, capsys.readouterr().err


def accepts(parser: argparse.ArgumentParser, arguments: list[str]) -> bool:
    try:
        parser.parse_args(arguments)
    except SystemExit as end:
        return not end.code  # --help and --version end well, too
    return True


def test_blocks_are_found_with_their_place_language_and_marker():
    markdown = "# A\n\n```python\na = 1\n```\n\n<!-- test: compile -->\n```python\nawait b\n```\n```sh\nc\n```\n"
    assert blocks(markdown, "python") == [
        Block(4, "python", "a = 1\n", fragment=False),
        Block(9, "python", "await b\n", fragment=True),
    ]
    assert blocks(markdown, *SHELLS) == [Block(12, "sh", "c\n", fragment=False)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("rawbot demo", [["demo"]]),
        ("$ python -m rawbot demo --once  # says 0 if it went well", [["demo", "--once"]]),
        ("python3 -m venv .venv && .venv/bin/pip install '.[all]' && .venv/bin/python -m rawbot demo", [["demo"]]),
        ("A='x y' .venv/bin/rawbot serve bot.py \\\n  --port 80 > log &", [["serve", "bot.py", "--port", "80"]]),
        ("rawbot demo; rawbot --help", [["demo"], ["--help"]]),
        ("rawbot doctor wecom --url 'https://a/?b=1&c=2'", [["doctor", "wecom", "--url", "https://a/?b=1&c=2"]]),
        ("cat > bot.py <<'END'\nrawbot demo  # it's Python\nEND\nrawbot serve bot.py", [["serve", "bot.py"]]),
        ("pip install rawbot", []),
        ("git clone https://example.com/rawbot && cd rawbot", []),
        ("# rawbot is not called here", []),
    ],
)
def test_command_lines_are_found_however_rawbot_is_started(script: str, expected: list[list[str]]):
    assert list(command_lines(script)) == expected
