"""What a figure is worth nothing without: the machine, the Python, the versions. One JSON line per benchmark."""

import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import orjson

import rawbot

PACKAGES = ("rawbot", "h11", "orjson", "pycryptodome")


@dataclass(frozen=True, slots=True)
class Result:
    """What a benchmark found: lines for the reader, figures for the record, and what must not be so."""

    name: str
    lines: list[str]
    figures: dict[str, object]
    faults: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    """Of packages that took part beside rawbot and its own."""
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """What was written of a benchmark."""

    benchmark: str
    at: str
    machine: dict[str, object]
    versions: dict[str, str]
    figures: dict[str, Any]

    @property
    def tables(self) -> dict[str, Any]:
        """Return the figures by number of connections. Raises `ValueError` when there are none."""
        tables = self.figures.get("connections")
        if not isinstance(tables, dict):
            raise ValueError(f"the record of {self.benchmark} has no figures by number of connections")  # noqa: TRY004
        return tables


def describe_machine() -> dict[str, object]:
    """Return CPU model, cores that this process may use, system and Python."""
    return {
        "cpu": _cpu_model(),
        "cores": len(usable_cores()) or os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def describe_versions() -> dict[str, str]:
    """Return the version of each package that takes part; rawbot's from the checkout when it is not installed."""
    return {package: _version(package) for package in PACKAGES}


def encode_record(result: Result, *, rounds: int, seconds: float) -> bytes:
    """Return the JSON line of one benchmark, newline included."""
    record = {
        "benchmark": result.name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "versions": result.versions | describe_versions(),
        "rounds": rounds,
        "seconds": seconds,
        "figures": result.figures,
    }
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def decode_record(line: bytes) -> Record:
    """Return what `encode_record` has made. Raises `ValueError` when it has not."""
    try:
        said = orjson.loads(line)
        return Record(said["benchmark"], said["at"], said["machine"], said["versions"], said["figures"])
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"no record of a benchmark: {error}") from None


def read_records(file: Path) -> list[Record]:
    """Return all records of a file in their order. Raises `ValueError` when it cannot be read."""
    try:
        return [decode_record(line) for line in file.read_bytes().splitlines() if line.strip()]
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None


def usable_cores() -> list[int]:
    """Return the numbers of the cores that this process may use; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return f"{rawbot.__version__} (checkout)" if package == "rawbot" else "none"
