"""Settings looked at when an object is made: what cannot work is refused by its name, not met at a message.

Layer 3, pure. NaN needs a look of its own, since every comparison with it is false. Tokens and keys are not repeated.
"""

import math
from collections.abc import Callable, Sequence

from rawbot.errors import ConfigError


def demand_seconds(name: str, value: float, *, below: float) -> float:
    """Return a number of seconds from 0 on. Raises `ConfigError` for another, for NaN and for what is no number."""
    if not _is_number(value) or not 0 <= value < below:
        raise ConfigError(f"{name} is a number of seconds, at least 0 and below {below:g}")
    return value


def demand_lifetime(name: str, value: float) -> float:
    """Return a number of seconds above 0, infinity included. Raises `ConfigError`."""
    if not _is_number(value) or not value > 0:
        raise ConfigError(f"{name} is a number of seconds above 0")
    return value


def demand_count(name: str, value: int, *, least: int = 1, why: str = "") -> int:
    """Return a whole number from `least` on. Raises `ConfigError`, which says `why`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} is a whole number, at least {least}{why and f': {why}'}")
    return value


def demand_text(name: str, value: str) -> str:
    """Return a text. Raises `ConfigError`: None, for one, is what an unset environment variable gives."""
    if not isinstance(value, str):
        raise ConfigError(f"{name} is a text, not {type(value).__name__}")
    return value


def demand_pairs(previous: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return pairs of token and key. Raises `ConfigError`."""
    if not isinstance(previous, Sequence) or not all(_is_pair(pair) for pair in previous):
        raise ConfigError("previous is a list of pairs: [(token, encoding_aes_key), …]")
    return [(token, key) for token, key in previous]


def draw(entropy: Callable[[int], bytes], count: int) -> bytes:
    """Return so many random bytes. Raises `ConfigError` when this is no source of them."""
    if not callable(entropy):
        raise ConfigError("entropy is a function: entropy(n) returns n random bytes")
    drawn = entropy(count)
    if not isinstance(drawn, bytes) or len(drawn) != count:
        raise ConfigError("entropy(n) must return n random bytes")
    return drawn


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_pair(value: object) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2  # noqa: PLR2004 - a pair has two parts
