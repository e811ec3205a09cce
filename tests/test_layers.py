"""The layer rule of the house, read from the imports: deferred and type-only ones count like all others.

The tables below are the rule; what follows them only looks whether the files keep it. A new file finds its room by its
folder or, on the ground floor, by its name; without a room in the table it is refused.
"""

import ast
import io
import sys
import tokenize
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

LAYER_0 = ("errors",)
LAYER_1 = ("media", "expiring", "lanes", "event", "exchange")
BELOW = LAYER_0 + LAYER_1
HALL = (*BELOW, "bot")
CODECS = ("wecom.crypto", "wecom.envelope", "wecom.messages", "wecom.media", "wecom.cards")
PARTS_OF_CLI = ("demonstration", "serve_options", "serving", "targets", "terminal")
ASSEMBLIES = ("onebot_server", "onebot_gateway", "onebot_loopback")
"""A wing and the engine room put together."""
PROGRAMS = ("demo", "demo_echo", "cli", "__main__", "supervisor", "reloader", *ASSEMBLIES, *PARTS_OF_CLI)
"""What runs the library from a command line."""

ROOMS: dict[str, tuple[int, tuple[str, ...]]] = {
    # room: (layer, what of ours it may import besides itself)
    "errors": (0, ()),
    "media": (1, LAYER_0),
    "expiring": (1, LAYER_0),
    "lanes": (1, LAYER_0),
    "event": (1, (*LAYER_0, "media", "lanes")),
    "exchange": (1, (*LAYER_0, "event")),
    "crew": (1, LAYER_0),  # for programs only
    "bot": (2, BELOW),
    "http": (2, BELOW),
    "websocket": (2, BELOW),
    "wecom": (3, HALL),  # a wing never knows another wing, nor the engine room
    "onebot": (3, (*HALL, "websocket")),
    "vk": (3, HALL),
    "web": (3, HALL),
    "aio": (3, (*HALL, "http", "websocket")),  # the engine room never knows a platform
    "stores": (3, BELOW),
    "simulate": (3, (*HALL, "http", "websocket", *CODECS)),  # the platforms' side: never the engine room
    "rawbot": (4, ("*",)),  # the facade
    **dict.fromkeys(PROGRAMS, (4, ("*",))),
}

THIRD_PARTY = {
    # package: where it may be imported
    "h11": ("http", "simulate"),
    "orjson": ("wecom", "onebot", "vk", "web", "aio", "stores", "simulate", *PROGRAMS),
    "ormsgpack": ("onebot.codec",),  # behind the extra `msgpack`
    "Crypto": ("wecom",),  # the simulator goes through wecom.crypto and wecom.media
    "httpx": ("aio.outgoing.client",),  # behind the extra `client`, in one file
    "httpcore": ("aio.outgoing.client",),  # the part of httpx that opens connections
    "prometheus_client": (
        "aio.watching.exposition",
        "aio.watching.families",
        "aio.watching.metrics",
    ),  # behind the extra `metrics`
    "watchfiles": ("reloader",),  # behind the extra `reload`
    "websockets": ("websocket",),  # behind the extra `websocket`; what of it is a function of bytes
}

WITH_IO = ("aio", "stores", "simulate", "rawbot", *PROGRAMS)
"""The rooms that may wait, look at the clock and open files; the facade loads late. All others are functions of what
came in."""

BANNED = {
    # outside of WITH_IO: what it would bring in
    "tasks, loops and threads": ("asyncio", "concurrent", "multiprocessing", "signal", "subprocess", "threading"),
    "the network": ("http.client", "http.server", "select", "selectors", "socket", "ssl", "urllib.request"),
    "the clock": ("time",),
    "chance": ("random", "secrets", "uuid"),
    "log lines": ("logging", "warnings"),
    "files": ("io", "pathlib", "shutil", "sqlite3", "tempfile"),
    "imports that this test cannot read": ("importlib", "pkgutil", "runpy"),
}
BANNED_CALLS = ("open", "print", "input", "exec", "eval", "__import__")
OF_OS = ("urandom",)
"""What of `os` is no IO: chance, as the default of an argument."""

FACADE_USERS = ("demo", "cli", "__main__")
"""Who inside may say `import rawbot`: they are written as a user would write them."""

NOT_COUNTED = ("simulate", *PROGRAMS)
"""Rooms left out of the share of code that is free of IO: they are programs around the library."""

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40
MAX_NESTING = 3
MIN_SHARE_WITHOUT_IO = 0.75

PACKAGE = Path(__file__).resolve().parents[1] / "rawbot"
FILES = sorted(PACKAGE.rglob("*.py"))


@dataclass(frozen=True)
class Import:
    """One imported name, or module."""

    line: int
    target: str

    def inside(self, *packages: str) -> bool:
        return any(self.target == package or self.target.startswith(package + ".") for package in packages)


def module_name(path: Path) -> str:
    """Name a file as the tables do: "wecom.crypto", "aio" for its __init__, "rawbot" for the facade."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "rawbot"


MODULES = {module_name(path): path for path in FILES}


def room_of(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_bytes())


def read_imports(tree: ast.Module) -> list[Import]:
    """List what is imported anywhere in a file. `from a import b` gives a.b, which may be a name or a module."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Import(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            found += [Import(node.lineno, f"{start}.{alias.name}") for alias in node.names]
    return found


@cache
def imports_of(module: str) -> list[Import]:
    return read_imports(tree_of(module))


def is_facade(imported: Import) -> bool:
    """Tell whether this takes something from the facade: `import rawbot`, or `from rawbot import` what is no module."""
    parts = imported.target.split(".")
    return parts[0] == "rawbot" and (len(parts) == 1 or parts[1] not in {room_of(module) for module in MODULES})


def resolve(imported: Import) -> str | None:
    """Return the module of ours that an import reaches, or None for everybody else's."""
    if not imported.inside("rawbot"):
        return None
    if is_facade(imported):
        return "rawbot"
    name = imported.target.removeprefix("rawbot.")
    return name if name in MODULES else name.rpartition(".")[0]


def ours(module: str) -> set[str]:
    return {target for imported in imports_of(module) if (target := resolve(imported)) is not None}


def may_import(module: str, target: str) -> bool:
    room = room_of(module)
    allowed = (room, *ROOMS[room][1])
    return any(name in ("*", target) or target.startswith(name + ".") for name in allowed)


def free_of_io(module: str) -> bool:
    return room_of(module) not in WITH_IO


def places(module: str, found: list[tuple[int, str]]) -> str:
    return "\n".join(f"rawbot/{MODULES[module].relative_to(PACKAGE)}:{line} {what}" for line, what in sorted(found))


each_module = pytest.mark.parametrize("module", MODULES)
each_pure_module = pytest.mark.parametrize("module", [module for module in MODULES if free_of_io(module)])


@each_module
def test_every_file_has_a_room(module: str):
    assert room_of(module) in ROOMS, "give it a room in the table of this test, and say there what it may import"


@each_module
def test_a_file_imports_only_what_its_room_may(module: str):
    found = [(i.line, i.target) for i in imports_of(module) if (to := resolve(i)) and not may_import(module, to)]
    assert not found, places(module, found)


@each_module
def test_imports_are_written_in_full(module: str):
    found = [(i.line, i.target) for i in imports_of(module) if i.target.startswith(".") or i.target.endswith(".*")]
    assert not found, places(module, found)


@each_module
def test_nobody_inside_imports_the_facade(module: str):
    found = [(i.line, i.target) for i in imports_of(module) if is_facade(i)]
    assert not found or module in FACADE_USERS, places(module, found)


@each_module
def test_third_parties_stay_where_the_table_puts_them(module: str):
    found = []
    for imported in imports_of(module):
        package = imported.target.split(".")[0]
        if package == "rawbot" or package in sys.stdlib_module_names:
            continue
        if not any(name in (module, room_of(module)) for name in THIRD_PARTY.get(package, ())):
            found.append((imported.line, imported.target))
    assert not found, places(module, found)


@each_pure_module
def test_a_pure_file_imports_nothing_that_waits_looks_at_clocks_or_does_io(module: str):
    found = banned_imports(module)
    assert not found, places(module, found)


def banned_imports(module: str) -> list[tuple[int, str]]:
    return [
        (imported.line, f"{imported.target} brings in {what}")
        for imported in imports_of(module)
        for what, packages in BANNED.items()
        if imported.inside(*packages)
    ]


@each_pure_module
def test_a_pure_file_takes_only_chance_from_os(module: str):
    found = [
        (imported.line, imported.target)
        for imported in imports_of(module)
        if imported.inside("os") and imported.target not in ("os", *(f"os.{name}" for name in OF_OS))
    ]
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            found += [] if node.attr in OF_OS else [(node.lineno, f"os.{node.attr}")]
    assert not found, places(module, found)


@each_pure_module
def test_a_pure_file_opens_and_prints_nothing(module: str):
    calls = [node for node in ast.walk(tree_of(module)) if isinstance(node, ast.Call)]
    names = [(call.lineno, call.func.id) for call in calls if isinstance(call.func, ast.Name)]
    found = [(line, name) for line, name in names if name in BANNED_CALLS]
    assert not found, places(module, found)


def test_no_module_is_reached_by_its_own_imports():
    graph = {module: sorted(ours(module) - {module}) for module in MODULES}
    assert find_cycle(graph) is None


def find_cycle(graph: dict[str, list[str]]) -> list[str] | None:
    """Return some way from a module back to itself."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> list[str] | None:
        if module in way:
            return [*way[way.index(module) :], module]
        if module in done:
            return None
        for target in graph.get(module, ()):
            if cycle := walk(target, [*way, module]):
                return cycle
        done.add(module)
        return None

    return next((cycle for module in graph if (cycle := walk(module, []))), None)


@each_module
def test_a_file_opens_by_saying_which_room_it_is(module: str):
    assert ast.get_docstring(tree_of(module))


@each_module
def test_a_file_is_not_too_long(module: str):
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= MAX_FILE_LINES


@each_module
def test_a_function_is_not_too_long(module: str):
    found = [
        (node.lineno, f"{node.name}: {length} lines")
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]
    assert not found, places(module, found)


@each_module
def test_a_function_is_not_nested_too_deeply(module: str):
    functions = [n for n in ast.walk(tree_of(module)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = [(n.lineno, f"{n.name}: {depth} levels") for n in functions if (depth := nesting(n)) > MAX_NESTING]
    assert not found, places(module, found)


BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def nesting(node: ast.AST) -> int:
    """Return how many blocks stand inside each other at the deepest place; an `elif` is no deeper than its `if`."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, SCOPES):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        deepest = max(deepest, nesting(child) + (isinstance(child, BLOCKS) and not is_elif))
    return deepest


def test_most_of_the_code_is_free_of_io():
    counted = {module: count_code(MODULES[module]) for module in MODULES if room_of(module) not in NOT_COUNTED}
    pure = sum(lines for module, lines in counted.items() if not banned_imports(module))  # in the engine room, too
    total = sum(counted.values())
    assert pure >= MIN_SHARE_WITHOUT_IO * total, f"{pure} lines of {total}: {pure / total:.1%}"


def count_code(path: Path) -> int:
    """Count the lines that hold code: neither blank, nor comment, nor a docstring."""
    tree = ast.parse(path.read_bytes())
    said: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            said.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type not in layout:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(code - said)


def test_the_reader_sees_deferred_and_type_only_imports():
    source = """
import a.b, c as d
from e import f
if TYPE_CHECKING:
    from g.h import i
def function():
    try:
        import j
    except ImportError:
        from . import k
"""
    targets = [imported.target for imported in read_imports(ast.parse(source))]
    assert sorted(targets) == ["..k", "a.b", "c", "e.f", "g.h.i", "j"]


def test_an_elif_is_not_counted_as_nesting():
    source = "if a:\n  for b in c:\n    pass\nelif d:\n  pass\nelif e:\n  while f:\n    if g:\n      pass\n"
    assert nesting(ast.parse(source)) == 3


def test_the_rule_can_fail():
    assert may_import("wecom.endpoint", "exchange")
    assert not may_import("wecom.endpoint", "aio.server")
    assert not may_import("aio.server", "wecom.endpoint")
    assert not may_import("simulate.wecom", "wecom.endpoint")
    assert may_import("simulate.wecom", "wecom.crypto")
    assert not may_import("http.connection", "bot")
    assert not may_import("errors", "exchange")
    assert resolve(Import(1, "rawbot.wecom.crypto.pad")) == "wecom.crypto"
    assert resolve(Import(1, "rawbot.errors")) == "errors"
    assert resolve(Import(1, "rawbot.Bot")) == resolve(Import(1, "rawbot")) == "rawbot"
    assert resolve(Import(1, "rawboter.errors")) is None
    assert find_cycle({"a": ["b"], "b": ["c"], "c": ["b"]}) == ["b", "c", "b"]
    assert find_cycle({"a": ["b", "c"], "b": ["c"], "c": []}) is None
