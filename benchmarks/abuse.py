"""`abuse`: a minute of everything that clients do wrong, beside normal traffic that must not notice.

After a warm-up of the same kind come, in this order: normal traffic alone; `rounds` of abuse beside it, which together
take the `seconds`, with a look at what the server holds when all time-outs are over; a crowd above `max_connections`
against a server of its own; each abuser alone, for what it costs. Not a figure but a fault, and an exit status of 1: a
normal request that was not answered rightly, an answer that is not among the right ones for its abuser, an error in the
log, a connection or descriptor that is left, memory that is.

`TOLERANCE`: pages that malloc cannot give back, since something small and lasting lies in them, and what Python keeps
of a size that it once needed (free lists, the tables of dicts and sets). Measured were 3 MB more after the first round
than after the warm-up, and 0.1 MB more after the second. It comes to a stand: a leak does not, so rounds are compared.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.abused import State, Terms
from benchmarks.abusers import ABUSERS, CROWD
from benchmarks.abusing import Outcome
from benchmarks.bystanders import Seen
from benchmarks.link import CLOSED, KEPT, LEFT, REFUSED, RESET, Tally
from benchmarks.measuring import Progress
from benchmarks.record import Result
from benchmarks.siege import Footprint, Siege, besieged, forget_peak, read_memory, short
from rawbot import Capacity, Timeouts

ROUNDS = 2
SECONDS = 60.0

TERMS = Terms(short(2.0, keep_alive=5.0))
PLACES = 64
"""Connections that the crowd's server takes on."""
TOLERANCE = 6 * 1024 * 1024
GROWTH = 1024 * 1024
"""Bytes that a further round may add to what the one before it left."""
LONG_HOLD = 0.05
"""Seconds for which one kind of abuser may keep all others from their turn before it is pointed out."""

_ALONE = 1.5
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Judged(Result):
    """A result that can be a failure."""

    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Round:
    """What one stretch of abuse came to; memory and descriptors before and after it, `state` at its end."""

    seen: Seen
    outcome: Outcome
    state: State
    before: Footprint
    after: Footprint


@dataclass(frozen=True, slots=True)
class Cost:
    """What one kind of abuser costs when it is alone: CPU time in seconds, memory in bytes."""

    tally: Tally
    cpu: float
    held: float
    peak: int
    log_lines: int


@dataclass(frozen=True, slots=True)
class Found:
    """All that a run has found, and `idle`, the server's state after normal traffic alone."""

    quiet: Seen
    idle: State
    taken: Sequence[Round]
    crowd: Round
    costs: dict[str, Cost]


def run(*, rounds: int = ROUNDS, seconds: float = SECONDS, progress: Progress) -> Judged:
    """Besiege a server; `seconds` is how long it is abused, all rounds together."""
    share = seconds / rounds
    with besieged(TERMS) as siege:
        progress("warming up")
        run_round(siege, share / 5, seed=-1)
        progress("normal traffic alone")
        quiet = siege.stand_by(share / 3)
        idle = siege.look()
        taken = []
        for number in range(rounds):
            progress(f"abuse, round {number + 1} of {rounds}")
            taken.append(run_round(siege, share, seed=number))
        alone = min(_ALONE, seconds / 20)
        costs = {name: _try_alone(siege, name, alone, progress) for name in ABUSERS}
        errors = siege.look().errors
    progress("crowd")
    crowd = run_crowd(min(share / 2, 10.0))
    faults = [*judge_seen("quiet", quiet), *judge_rounds(taken), *judge_round("crowd", crowd)]
    faults += [f"logged: {error}" for error in errors if error not in taken[-1].state.errors]
    return report(Found(quiet, idle, taken, crowd, costs), tuple(faults))


def run_round(
    siege: Siege,
    seconds: float,
    *,
    seed: int = 0,
    widths: dict[str, int] | None = None,
    nonsense: tuple[bytes, ...] = (),
) -> Round:
    """Abuse the server, and wait until it should be as before."""
    before = siege.settle()
    siege.look()
    seen, outcome = siege.assail(seconds, list(ABUSERS), seed=seed, widths=widths, nonsense=nonsense)
    state = siege.look()
    return Round(seen, outcome, state, before, siege.settle())


def run_crowd(seconds: float, timeouts: Timeouts = TERMS.timeouts) -> Round:
    """Let many more come than there are places, while those who were there before go on, and others afterwards."""
    with besieged(Terms(timeouts, Capacity(max_connections=PLACES))) as siege:
        siege.stand_by(0.3)
        before = siege.settle()
        seen, outcome = siege.assail(seconds, list(CROWD), widths=dict.fromkeys(CROWD, 2 * PLACES), users=0, comers=0)
        state = siege.look()
        after = siege.settle()
        seen.add(siege.stand_by(0.3))
    return Round(seen, outcome, state, before, after)


def judge_seen(when: str, seen: Seen) -> list[str]:
    """Return what normal clients have to complain about."""
    return [f"{when}: {seen.lost} of {seen.sent} normal requests lost: {seen.wrong}"] if seen.lost else []


def judge_round(when: str, taken: Round) -> list[str]:
    """Return what must not have happened."""
    faults = judge_seen(when, taken.seen)
    for name, tally in taken.outcome.tallies.items():
        abuser = ABUSERS[name] if name in ABUSERS else CROWD[name]
        if wrong := sorted(set(tally.statuses) - abuser.told):
            faults.append(f"{when}: {name} was told {wrong}")
        if tally.ends[REFUSED]:
            faults.append(f"{when}: {name} was refused {tally.ends[REFUSED]} connections")
    before, after = taken.before, taken.after
    if after.connections:
        faults.append(f"{when}: {after.connections} connections are left")
    if after.descriptors != before.descriptors:
        faults.append(f"{when}: {before.descriptors} descriptors before, {after.descriptors} after")
    if after.unsent:
        faults.append(f"{when}: the kernel holds {after.unsent / _MB:.1f} MB for connections that were cut off")
    if after.memory > before.memory + TOLERANCE:
        faults.append(f"{when}: {before.memory / _MB:.1f} MB before, {after.memory / _MB:.1f} MB after")
    return faults + [f"{when}: logged: {error}" for error in taken.state.errors]


def judge_rounds(taken: Sequence[Round]) -> list[str]:
    """Return what must not have happened in any of them, and whether the last ones still grew."""
    faults = [fault for number, each in enumerate(taken, 1) for fault in judge_round(f"round {number}", each)]
    for number, each in enumerate(taken[1:], 2):
        if each.after.memory > each.before.memory + GROWTH:
            grown = each.after.memory - each.before.memory
            faults.append(f"round {number}: memory has grown further, by {grown / _MB:.1f} MB")
    return faults


def _try_alone(siege: Siege, name: str, seconds: float, progress: Progress) -> Cost:
    progress(f"alone: {name}")
    footprint = siege.settle()
    before = siege.look()
    forget_peak(siege.pid)
    tally = siege.try_alone(name, seconds).tallies[name]
    after = siege.look()
    peak = max(0, read_memory(siege.pid, peak=True) - footprint.memory)
    return Cost(tally, after.cpu - before.cpu, after.held, peak, after.log_lines - before.log_lines)


# What is printed


def report(found: Found, faults: tuple[str, ...]) -> Judged:
    """Put it into words and figures."""
    quiet, crowd, taken = found.quiet, found.crowd, found.taken
    together = Seen()
    tallies: dict[str, Tally] = {}
    for each in taken:
        together.add(each.seen)
        for name, tally in each.outcome.tallies.items():
            tallies.setdefault(name, Tally()).add(tally)
    lines = [
        f"{'':18}{'sent':>7}{'lost':>6}{'p50 ms':>9}{'p99 ms':>9}{'longest':>9}   WeCom: p50 ms   p99 ms",
        *(_seen_line(name, seen) for name, seen in (("normal, quiet", quiet), ("under abuse", together))),
        _seen_line("in the crowd", crowd.seen),
        _hold_line(found),
        "",
        *_tally_lines(tallies | crowd.outcome.tallies),
        "",
        *_footprint_lines([*taken, crowd]),
        "",
        *_cost_lines(found.costs),
        "",
        *(faults or ("nothing lost, nothing left",)),
    ]
    figures: dict[str, object] = {
        "quiet": _to_json(quiet), "abused": _to_json(together), "crowd": _to_json(crowd.seen),
        "memory": [[each.before.memory, each.after.memory] for each in taken],
        "held": {name: cost.held for name, cost in found.costs.items()},
        "cpu_us_per_kb": {name: _per_kb(cost) for name, cost in found.costs.items()},
        "faults": list(faults),
    }  # fmt: skip
    return Judged("abuse", lines, figures, faults)


def _seen_line(name: str, seen: Seen) -> str:
    p50, p99, longest = (f"{1e3 * seconds:.1f}" for seconds in quantiles(seen.times))
    first50, first99, _ = (f"{1e3 * seconds:.1f}" for seconds in quantiles(seen.first_words))
    return f"{name:18}{seen.sent:7}{seen.lost:6}{p50:>9}{p99:>9}{longest:>9}{first50:>16}{first99:>9}"


def _hold_line(found: Found) -> str:
    quiet, crowd = found.idle.held * 1e3, found.crowd.state.held * 1e3
    abused = max(each.state.held for each in found.taken) * 1e3
    return f"the loop's longest turn: quiet {quiet:.0f} ms, under abuse {abused:.0f} ms, in the crowd {crowd:.0f} ms"


def quantiles(times: Sequence[float]) -> tuple[float, float, float]:
    """Return median, 99th percentile and the longest; 0 of nothing."""
    if not times:
        return 0.0, 0.0, 0.0
    ordered = sorted(times)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100], ordered[-1]


def _tally_lines(tallies: dict[str, Tally]) -> list[str]:
    head = f"{'abuser':18}{'connections':>12}{'MB sent':>9}{'received':>9}{'longest s':>10}  {'ended':40}answers"
    lines = [head]
    for name, tally in tallies.items():
        ends = ", ".join(f"{end} {tally.ends[end]}" for end in (CLOSED, RESET, LEFT, KEPT) if tally.ends[end])
        answers = ", ".join(f"{status}: {count}" for status, count in sorted(tally.statuses.items()))
        sent, received = tally.sent / _MB, tally.received / _MB
        lines.append(
            f"{name:18}{tally.connections:12}{sent:9.2f}{received:9.2f}{tally.longest:10.1f}  {ends:40}{answers or '-'}"
        )
    total: Counter[int] = sum((tally.statuses for tally in tallies.values()), Counter())
    return [*lines, "in all " + ", ".join(f"{status}: {count}" for status, count in sorted(total.items()))]


def _footprint_lines(taken: Sequence[Round]) -> list[str]:
    names = [*(f"round {number}" for number in range(1, len(taken))), "crowd"]
    lines = [
        f"{'held':18}{'MB before':>10}{'MB after':>10}{'files':>8}{'files':>8}{'connections':>13}{'MB unsent':>11}"
    ]
    for name, each in zip(names, taken, strict=True):
        before, after = each.before, each.after
        lines.append(
            f"{name:18}{before.memory / _MB:10.2f}{after.memory / _MB:10.2f}{before.descriptors:8}{after.descriptors:8}"
            f"{after.connections:13}{after.unsent / _MB:11.2f}"
        )
    return lines


def _cost_lines(costs: dict[str, Cost]) -> list[str]:
    columns = f"{'connections':>12}{'KB sent':>9}{'CPU s':>8}{'µs/KB':>10}{'µs/connection':>15}"
    lines = [f"{'alone, by CPU/KB':18}{columns}{'held ms':>9}{'peak MB':>9}{'log lines':>11}"]
    for name, cost in sorted(costs.items(), key=lambda item: -_per_kb(item[1])):
        tally = cost.tally
        lines.append(
            f"{name:18}{tally.connections:12}{tally.sent / 1024:9.0f}{cost.cpu:8.2f}{_per_kb(cost):10.0f}"
            f"{cost.cpu * 1e6 / max(tally.connections, 1):15.0f}{cost.held * 1e3:9.1f}{cost.peak / _MB:9.1f}"
            f"{cost.log_lines:11}{'  holds the loop' if cost.held > LONG_HOLD else ''}"
        )
    return lines


def _to_json(seen: Seen) -> dict[str, float]:
    p50, p99, longest = quantiles(seen.times)
    return {"sent": seen.sent, "lost": seen.lost, "p50_ms": p50 * 1e3, "p99_ms": p99 * 1e3, "longest_ms": longest * 1e3}


def _per_kb(cost: Cost) -> float:
    return cost.cpu * 1e6 / max(cost.tally.sent / 1024, 1.0)
