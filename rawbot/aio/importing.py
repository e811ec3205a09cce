"""Whether an app's module is being imported to be served: it must not serve by itself then.

Engine room, pure. `rawbot serve bot.py` imports bot.py. A `rawbot.run(app)` at its bottom without a guard would serve
inside of that import, with none of the command line's options, and the import would end when that server does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rawbot.errors import ConfigError

_target: ContextVar[str] = ContextVar("rawbot_import_target", default="")


@contextmanager
def importing(target: str) -> Iterator[None]:
    """Let `demand_no_import` refuse within this block."""
    token = _target.set(target)
    try:
        yield
    finally:
        _target.reset(token)


def demand_no_import() -> None:
    """Raise `ConfigError` while a target is being imported, saying what its module lacks."""
    if target := _target.get():
        raise ConfigError(
            f'{target} calls rawbot.run while it is imported; put the call below `if __name__ == "__main__":`'
        )
