"""The public surface: small, sorted, documented, and keyword-only from the second argument on."""

import ast
import dataclasses
import inspect
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import rawbot

EXPORTS: list[str] = list(getattr(rawbot, "__all__", ()))
FACADE = Path(rawbot.__file__)

POSITIONAL = {
    # callable: why more than its first argument may be given by position
    "ASGIApp.__call__": "the ASGI specification calls it with (scope, receive, send)",
    **dict.fromkeys(
        ("AccessLog.answered", "AccessLog.refused", "Observer.answered", "Observer.refused", "Observer.handled"),
        "called by the shell for every request, where keywords would cost",
    ),
    **dict.fromkeys(
        ("Files.receive", "Liveness.receive", "MetricsEndpoint.receive", "Readiness.receive"),
        "request and now, as in Endpoint",
    ),
    "ActionError": "retcode and message, as a response has them",
    "App.add": "path and endpoint: a route reads like a line of a table",
    "Attachment": "kind and url are what it is",
    "Channel.closed": "code and now: what came in, and time last, as everywhere inside",
    "Channel.receive": "message and now, the same",
    "Decoder": "a protocol: nobody makes one",
    "Endpoint.receive": "request and now: what came in, and time last, as everywhere inside",
    "EventReply": "made by the endpoint, given to handlers",
    "MissingExtraError": "raised inside only: the extra, and what needs it",
    "OneBot.mount": "app and path: where it is put, as in App.add",
    "OutgoingPolicy.locate": "a URL and what it is relative to, the other way round than urljoin",
    "Pending": "made by endpoints for the shell: event, deadline and how to respond",
    "Server": "made by serve()",
    "Source.receive": "request, response and now: what came in, and time last, as everywhere inside",
    "Stream": "made by the endpoint, given to handlers",
    "start_tls": "transport, protocol and what comes between: loop.start_tls has them in this order",
    "WeComEndpoint": "token and encoding_aes_key: the pair that the console shows",
    "WeComEndpoint.receive": "request and now, as in Endpoint",
}

each_export = pytest.mark.parametrize("name", EXPORTS)


def exported_callables() -> Iterator[tuple[str, object, bool]]:
    """Yield each exported function, each exported class for its constructor, and its public methods.

    With each comes whether a `self` or `cls` stands in front of its arguments.
    """
    for name in EXPORTS:
        value = getattr(rawbot, name, None)
        if inspect.isfunction(value):
            yield name, value, False
        if not inspect.isclass(value):
            continue
        if not is_plain_value(value):
            yield name, value, False
        for method, member in vars(value).items():
            if (method == "__call__" or not method.startswith("_")) and callable(getattr(value, method)):
                yield f"{name}.{method}", getattr(value, method), inspect.isfunction(member)


def is_plain_value(value: type) -> bool:
    """Tell whether the constructor only takes fields: a dataclass, or an exception without its own."""
    own_constructor = any("__init__" in vars(base) for base in value.__mro__ if base.__module__.startswith("rawbot"))
    return dataclasses.is_dataclass(value) or not own_constructor


def positional_parameters(value: object, *, bound_later: bool) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in inspect.signature(value).parameters.values() if p.kind in kinds]
    return names[1:] if bound_later else names


CALLABLES = list(exported_callables())


def test_all_is_sorted_and_names_nothing_twice():
    assert sorted(set(EXPORTS), key=lambda name: (not name.isupper(), name)) == EXPORTS  # the order that ruff keeps


def test_what_the_facade_binds_is_exported_and_nothing_is_exported_by_accident():
    later = {name for names in rawbot._LATER.values() for name in names}
    bound = {
        name
        for name, value in vars(rawbot).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType) and name != "TYPE_CHECKING"
    }
    assert bound | later == {name for name in EXPORTS if not name.startswith("_")}
    assert not bound & later


def test_what_is_loaded_later_is_what_type_checkers_are_told():
    told = {
        (statement.module, alias.name)
        for condition in ast.parse(FACADE.read_bytes()).body
        if isinstance(condition, ast.If)
        for statement in condition.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert told == {(module, name) for module, names in rawbot._LATER.items() for name in names}


def test_a_name_that_the_facade_does_not_have_is_told_as_of_any_module():
    with pytest.raises(AttributeError, match="module 'rawbot' has no attribute 'Framework'"):
        _ = rawbot.Framework


def test_the_facade_holds_imports_and_nothing_else():
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr, ast.If)
    *statements, later = ast.parse(FACADE.read_bytes()).body[1:]  # behind the docstring
    assert all(isinstance(statement, allowed) for statement in statements)
    assert isinstance(later, ast.FunctionDef)
    assert later.name == "__getattr__"


@each_export
def test_an_exported_name_resolves(name: str):
    assert hasattr(rawbot, name)


@each_export
def test_an_exported_name_is_documented(name: str):
    value = getattr(rawbot, name)
    documented = inspect.isclass(value) or inspect.isfunction(value)
    assert name == "__version__" or (value.__doc__ if documented else docstring_of_assignment(name))


def docstring_of_assignment(name: str) -> str | None:
    """Return the string below an alias or a constant, in the file from which the facade takes it."""
    for statement in ast.walk(ast.parse(FACADE.read_bytes())):
        if isinstance(statement, ast.ImportFrom) and name in [alias.asname or alias.name for alias in statement.names]:
            path = FACADE.parents[1] / (statement.module or "").replace(".", "/")
            source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
            return string_below(ast.parse(source.read_bytes()), name)
    return None


def string_below(tree: ast.Module, name: str) -> str | None:
    for statement, below in zip(tree.body, tree.body[1:], strict=False):
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        named = any(isinstance(target, ast.Name) and target.id == name for target in targets)
        if named and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            return str(below.value.value)
    return None


@pytest.mark.parametrize(("name", "value", "bound_later"), CALLABLES, ids=[name for name, _, _ in CALLABLES])
def test_a_public_callable_and_its_arguments(name: str, value: object, bound_later: bool):  # noqa: FBT001 - a parameter of the table
    assert value.__doc__
    positional = positional_parameters(value, bound_later=bound_later)
    assert len(positional) <= 1 or name in POSITIONAL, f"{name}({', '.join(positional)}): put a * behind the first"


def test_no_exception_from_the_rule_is_left_over():
    needed = {name for name, value, later in CALLABLES if len(positional_parameters(value, bound_later=later)) > 1}
    present = {name for name in POSITIONAL if name.split(".")[0] in EXPORTS}
    assert present <= needed


def test_a_string_below_an_assignment_documents_it():
    tree = ast.parse('A = 1\n"""Doc."""\nB: int = 2\nC: int = 3\n"""Other."""\n')
    assert (string_below(tree, "A"), string_below(tree, "B"), string_below(tree, "C")) == ("Doc.", None, "Other.")
