"""Which version of rawbot is installed.

Engine room: the facade knows it too, and nobody inside imports that.
"""

from importlib.metadata import PackageNotFoundError, version


def read_version() -> str:
    """Return the installed version, "unknown" when rawbot runs from a folder."""
    try:
        return version("rawbot")
    except PackageNotFoundError:
        return "unknown"
