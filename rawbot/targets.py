"""Finds the app that a command line names.

Layer 4. A target is `module:attribute` or `path/to/file.py[:attribute]`; the attribute is `app` when it is left out.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from rawbot.aio.app import App
from rawbot.aio.importing import importing
from rawbot.errors import ConfigError


def load_app(target: str) -> App:
    """Import the target and return its app.

    Raises `ConfigError` in one line for a target that is not there or no app, and for a module that serves by itself
    while it is imported. What the module raises otherwise is left as it is, since its traceback shows the fault.
    """
    place, attribute = _split(target)
    with importing(place):
        module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    try:
        found = getattr(module, attribute)
    except AttributeError:
        raise ConfigError(f"{place} has no attribute {attribute!r}") from None
    if not isinstance(found, App):
        raise ConfigError(f"{place}:{attribute} is no App but of type {type(found).__name__}")
    return found


def _split(target: str) -> tuple[str, str]:
    place, colon, attribute = target.rpartition(":")
    if not colon or attribute.endswith(".py"):
        place, attribute = target, "app"
    named = place.endswith(".py") or all(part.isidentifier() for part in place.split("."))
    if not named or not attribute.isidentifier():
        raise ConfigError(f"a target is module:attribute or path/to/file.py[:attribute], not {target!r}")
    return place, attribute


def _load_module(name: str) -> ModuleType:
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(_missing(name, error.name)) from None
        raise


def _missing(name: str, missing: str) -> str:
    if Path(name).is_file():
        return f"{name} is no Python file: its name does not end in .py"
    return f"no module named {missing!r}; a file is named with its ending, path/to/file.py"


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"no file {path}")
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
