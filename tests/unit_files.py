"""README.md's files for nginx and systemd, and a process that is started as a unit says, without systemd.

Run as a program it becomes that service, for `.ci/deployment`; the tests read the files only.
"""

import ctypes
import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

NGINX = "/etc/nginx/conf.d/rawbot.conf"
SOCKET, SERVICE = "/etc/systemd/system/rawbot.socket", "/etc/systemd/system/rawbot.service"

_FILE = re.compile(r"^<!-- file: (\S+) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NO_NEW_PRIVS, _MDWE = 38, 65  # linux/prctl.h
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM  # seccomp.h


def documented_files(markdown: str) -> dict[str, str]:
    """Return the blocks behind `<!-- file: /path -->` by their path."""
    return dict(_FILE.findall(markdown))


Directive = tuple[list[str], list[Any]]
"""Of nginx: its words, and the directives in its braces."""


def directives(text: str) -> list[Directive]:
    """Return nginx's directives, each with what stands in its braces. Comments are left out."""
    tokens = re.findall(r'"[^"]*"|[{};]|[^\s{};"]+', re.sub(r"#[^\n]*", "", text))
    stack: list[list[Directive]] = [[]]
    words: list[str] = []
    for token in tokens:
        if token == "}":
            assert not words
            stack.pop()
        elif token in ";{":
            assert words
            stack[-1].append((words, inside := []))
            words = []
            stack += [inside] * (token == "{")
        else:
            words.append(token)
    assert (len(stack), words) == (1, [])
    return stack[0]


def values(tree: list[Directive]) -> dict[str, str]:
    """Return the values of all directives on every level, those of proxy_set_header by the field's name."""
    found: dict[str, str] = {}
    for words, inside in tree:
        size = 2 if words[0] == "proxy_set_header" else 1
        if words[size:]:
            found[" ".join(words[:size])] = " ".join(words[size:])
        found |= values(inside)
    return found


def settings(unit: str) -> dict[str, list[str]]:
    """Return the values of a unit by name, in their order."""
    found: dict[str, list[str]] = {}
    for line in unit.replace("\\\n", " ").splitlines():
        name, mark, value = line.partition("=")
        if mark:
            found.setdefault(name, []).append(value.strip())
    return found


def let_through(filters: list[str]) -> list[str]:
    """Return the names of the system calls that SystemCallFilter allows."""
    sets: dict[str, list[str]] = {}
    members: list[str] = []
    command = ["systemd-analyze", "syscall-filter", "--no-pager"]
    told = subprocess.run(command, capture_output=True, check=True, text=True)
    for line in told.stdout.splitlines():
        if line.startswith("@"):
            sets[line.strip()] = members = []
        elif line.startswith(" ") and "#" not in line:
            members.append(line.strip())

    def names(name: str) -> set[str]:
        return set().union(*map(names, sets[name])) if name.startswith("@") else {name}

    allowed: set[str] = set()
    for text in filters:
        meant = set().union(*map(names, text.lstrip("~").split()))
        allowed = allowed - meant if text.startswith("~") else allowed | meant
    return sorted(allowed)


def enter(descriptor: str, unit: str, calls: str, *command: str) -> None:
    """Become the service, as systemd does between fork and exec: as far as a process can do that to itself."""
    wanted = settings(Path(unit).read_text("utf-8"))
    os.dup2(int(descriptor), 3)
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.umask(int(wanted["UMask"][0], 8))
    limit = min(int(wanted["LimitNOFILE"][0]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    libc = ctypes.CDLL(None)
    assert libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    libc.prctl(_MDWE, 1, 0, 0, 0)  # the kernel's own MemoryDenyWriteExecute, since Linux 6.3
    if calls:
        confine(calls.split(","))
    os.execv(command[0], command)


def confine(calls: list[str]) -> None:
    """Let these system calls through and answer all others with EPERM."""
    seccomp = ctypes.CDLL("libseccomp.so.2")  # systemd's own
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(_REFUSE))
    for number in [seccomp.seccomp_syscall_resolve_name(name.encode()) for name in calls]:
        if number >= 0:  # others are of other machines
            seccomp.seccomp_rule_add(context, _ALLOW, number, 0)
    assert seccomp.seccomp_load(context) == 0


if __name__ == "__main__":
    enter(*sys.argv[1:])
