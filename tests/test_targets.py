"""rawbot/targets.py: what a command line names, and what it says when there is no app."""

import sys
from pathlib import Path

import pytest

import rawbot
from rawbot.aio.importing import demand_no_import
from rawbot.errors import ConfigError
from rawbot.targets import load_app

HINT = "; a file is named with its ending, path/to/file.py"
APP = "import rawbot\nbot = rawbot.Bot()\napp = rawbot.App(bot)\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Work in an empty folder, and forget what is imported from it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def reason(target: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_app(target)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("target", ["t_bot", "t_bot:app", "t_bot:other", "t_bot.py", "t_bot.py:app", "t_bot.py:other"])
def test_an_app_is_found_in_a_module_or_a_file(folder: Path, target: str):
    (folder / "t_bot.py").write_text(APP + "other = rawbot.App(bot)\n")
    app = load_app(target)
    assert isinstance(app, rawbot.App)
    assert app is getattr(sys.modules["t_bot"], target.partition(":")[2] or "app")


def test_a_package_has_its_modules(folder: Path):
    (folder / "t_package").mkdir()
    (folder / "t_package" / "bot.py").write_text(APP)
    assert isinstance(load_app("t_package.bot:app"), rawbot.App)
    assert reason("t_package.nothing") == f"no module named 't_package.nothing'{HINT}"
    assert reason("t_package.bot.deeper") == f"no module named 't_package.bot.deeper'{HINT}"


@pytest.mark.parametrize("elsewhere", ["sub", "my bots", "with:colon"])
def test_a_file_elsewhere_finds_its_neighbours(folder: Path, elsewhere: str):
    (folder / elsewhere).mkdir()
    (folder / elsewhere / "t_neighbour.py").write_text(APP)
    (folder / elsewhere / "t_main.py").write_text("from t_neighbour import app\n")
    for place in (f"{elsewhere}/t_main.py", str(folder / elsewhere / "t_main.py")):
        assert load_app(place) is load_app(f"{place}:app") is sys.modules["t_neighbour"].app


def test_a_module_finds_its_neighbours_in_the_working_directory(folder: Path):
    (folder / "t_neighbour.py").write_text(APP)
    (folder / "t_main.py").write_text("from t_neighbour import app\n")
    assert isinstance(load_app("t_main"), rawbot.App)
    assert sys.path.count(str(folder)) == 1
    assert isinstance(load_app("t_main"), rawbot.App)
    assert sys.path.count(str(folder)) == 1


def test_the_app_may_be_made_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RAWBOT_WECOM_TOKEN", raising=False)
    assert reason("rawbot.demo") == reason("rawbot.demo:app")
    assert reason("rawbot.demo").startswith("set RAWBOT_WECOM_TOKEN and RAWBOT_WECOM_ENCODING_AES_KEY")
    monkeypatch.setenv("RAWBOT_WECOM_TOKEN", "token")
    monkeypatch.setenv("RAWBOT_WECOM_ENCODING_AES_KEY", "A" * 43)
    assert isinstance(load_app("rawbot.demo"), rawbot.App)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("t_nothing", f"no module named 't_nothing'{HINT}"),
        ("t_nothing.deeper:app", f"no module named 't_nothing'{HINT}"),
        ("t_nothing.txt", f"no module named 't_nothing'{HINT}"),
        ("t_nothing.py", "no file t_nothing.py"),
        ("sub/t_nothing.py:app", "no file sub/t_nothing.py"),
        ("rawbot.demo:nothing", "rawbot.demo has no attribute 'nothing'"),
        ("rawbot.demo:make_bot", "rawbot.demo:make_bot is no App but of type function"),
        ("json", "json has no attribute 'app'"),
    ],
)
def test_what_is_missing_is_named(target: str, expected: str):
    assert reason(target) == expected


def test_a_bot_is_no_app(folder: Path):
    (folder / "t_bot.py").write_text(APP)
    assert reason("t_bot:bot") == "t_bot:bot is no App but of type Bot"
    assert reason("t_bot.py:bot") == "t_bot.py:bot is no App but of type Bot"


@pytest.mark.parametrize("target", ["t_bot.txt", "t_bot.txt:app", "t_bot"])
def test_a_file_that_is_no_python_is_told_so(folder: Path, target: str):
    place = target.partition(":")[0]
    (folder / place).write_text(APP)
    assert reason(target) == f"{place} is no Python file: its name does not end in .py"


def test_a_folder_is_no_file(folder: Path):
    (folder / "t_folder.py").mkdir()
    assert reason("t_folder.py") == "no file t_folder.py"


@pytest.mark.parametrize("target", ["", ":app", "t_bot:", "t_bot:a.b", "t bot", "./t_bot", ".t_bot", "a..b", "a:b:c"])
def test_what_is_no_target_is_told_what_one_is(target: str):
    assert reason(target) == f"a target is module:attribute or path/to/file.py[:attribute], not {target!r}"


@pytest.mark.parametrize("target", ["t_fault", "t_fault.py"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("def (\n", SyntaxError),
        ("raise ValueError('mine')\n", ValueError),
        ("raise TypeError('mine')\n", TypeError),
        ("raise AttributeError('mine')\n", AttributeError),
        ("open('t_missing')\n", FileNotFoundError),
        ("import t_missing_dependency\n", ModuleNotFoundError),
        ("import rawbot\nrawbot.WeComEndpoint('token', 'short')\n", ConfigError),
    ],
)
def test_what_a_module_raises_is_left_as_it_is(folder: Path, target: str, fault: str, error: type[Exception]):
    (folder / "t_fault.py").write_text(fault)
    with pytest.raises(error) as caught:
        load_app(target)
    assert type(caught.value) is error
    assert caught.traceback[-1].path != Path(__file__)


@pytest.mark.parametrize("target", ["t_bot", "t_bot.py", "t_outer.py"])
@pytest.mark.parametrize("call", ["rawbot.run(app, port=0)", "run(app, port=0)", "(lambda: run(app, port=0))()"])
def test_a_module_that_serves_while_it_is_imported_is_told_to_guard_that(
    folder: Path, monkeypatch: pytest.MonkeyPatch, target: str, call: str
):
    for name in ("run", "Runner"):  # which it must not come to
        monkeypatch.setattr(f"asyncio.{name}", None)
    (folder / "t_bot.py").write_text(f"{APP}from rawbot import run\n{call}\n")
    (folder / "t_outer.py").write_text("from t_bot import app\n")
    assert reason(target) == (
        f'{target} calls rawbot.run while it is imported; put the call below `if __name__ == "__main__":`'
    )


def test_a_guarded_module_is_imported_and_may_run_later(folder: Path):
    (folder / "t_bot.py").write_text(f"{APP}if __name__ == '__main__':\n    rawbot.run(app, port=0)\n")
    assert isinstance(load_app("t_bot.py"), rawbot.App)
    demand_no_import()


def test_a_file_that_cannot_be_read_is_told_of_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "secret.py"
    path.touch()

    def refuse(*_: object):
        raise PermissionError(13, "Permission denied")  # root, as whom tests may run, is let in everywhere

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"cannot read .*secret\.py: Permission denied"):
        load_app(str(path))
