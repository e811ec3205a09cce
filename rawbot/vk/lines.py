"""Calls in their order: within a dialog the next begins when the one before is answered, and dialogs do not wait.

Layer 3, pure. The API client has several calls under way at once, and repeats those that were turned away: without
this, the second half of an answer could arrive before the first.
"""

from collections import deque
from collections.abc import Callable

Done = Callable[[], None]

Job = Callable[[Done], None]
"""Does something, and calls what it is given when that is over: once, maybe in this very call. It raises nothing."""

Dialog = tuple[int, int]
"""The community and the peer."""


class Lines:
    """The jobs of all dialogs. A dialog without a job takes no room."""

    __slots__ = ("_lines",)

    def __init__(self) -> None:
        self._lines: dict[Dialog, _Line] = {}

    def __len__(self) -> int:
        """Count the dialogs in which something is under way."""
        return len(self._lines)

    def is_idle(self, dialog: Dialog) -> bool:
        """Tell whether a job of this dialog's would begin at once."""
        return dialog not in self._lines

    def add(self, dialog: Dialog, job: Job) -> None:
        """Do this when all that was added for the dialog before is over."""
        line = self._lines.get(dialog)
        if line is None:
            line = self._lines[dialog] = _Line()
        line.jobs.append(job)
        self._go_on(dialog, line)

    def _go_on(self, dialog: Dialog, line: "_Line") -> None:
        """Begin jobs as long as they are over at once: in a loop, since a thousand of them must not nest."""
        if line.beginning:
            return
        line.beginning = True
        while line.jobs and not line.busy:
            line.busy = True
            line.jobs.popleft()(lambda: self._end(dialog, line))
        line.beginning = False
        if not line.busy:
            del self._lines[dialog]

    def _end(self, dialog: Dialog, line: "_Line") -> None:
        line.busy = False
        self._go_on(dialog, line)


class _Line:
    __slots__ = ("beginning", "busy", "jobs")

    def __init__(self) -> None:
        self.jobs: deque[Job] = deque()
        self.busy = False
        self.beginning = False
        """Whether a job is being begun: one that ends in that call lets the next begin there."""
