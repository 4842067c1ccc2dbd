"""The bench's results as a table, as verdicts against the targets, and as docs/performance.md."""

import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.measure import KILL_AT, KILL_JOBS, KILL_SLEEP, KILL_WAIT_SECONDS, Round
from bench.processes import ROOT

if TYPE_CHECKING:
    from bench.queue import Result

_HEAD = (
    "",
    "drain jobs/s",
    "enqueue single /s",
    "enqueue bulk /s",
    "idle pick-up p50 / p95 ms",
    "kill -9 of everything",
)


@dataclass(frozen=True)
class Target:
    """`limit`: at least so much of `measure`; at most when `is_ceiling`. `of`: relative to this contestant's."""

    contestant: str
    measure: str
    limit: float
    of: str = ""
    is_ceiling: bool = False


TARGETS = (
    Target("ours_per_job", "drain", 0.75, of="raw_per_job"),
    Target("ours_per_job", "drain", 4, of="django_q"),
    Target("ours_per_job", "drain", 1.9, of="pgqueuer"),
    Target("ours_per_job", "drain", 2.8, of="celery"),
    Target("ours_per_job", "drain", 5, of="procrastinate"),
    Target("ours_per_job", "drain", 1, of="huey"),
    Target("ours_batch", "drain", 0.65, of="raw_batch"),
    Target("ours_batch", "drain", 10_000),
    Target("ours_set_based", "drain", 30_000),
    Target("ours_per_job", "bulk", 100_000),
    Target("ours_per_job", "pickup_p50_ms", 5, is_ceiling=True),
    Target("ours_per_job", "pickup_p95_ms", 10, is_ceiling=True),
)


def one_line(measured: Round) -> str:
    return ", ".join(f"{name} {value:,.1f}" for name, value in vars(measured).items() if value is not None)


def median(result: "Result", measure: str) -> float | None:
    """The median of the rounds; None where it was not measured."""
    values = [value for one in result.rounds if (value := getattr(one, measure)) is not None]
    return statistics.median(values) if values else None


def table(results: Sequence["Result"]) -> str:
    """One row a contestant, as Markdown."""
    rows = [_HEAD, tuple("---" for _ in _HEAD), *(_row(result) for result in results)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(result: "Result") -> tuple[str, ...]:
    if not result.rounds:
        return (result.contestant.title, result.failure or "not run", "", "", "", "")
    p50, p95 = median(result, "pickup_p50_ms"), median(result, "pickup_p95_ms")
    return (
        result.contestant.title,
        _drain(result),
        _number(median(result, "single")),
        _number(median(result, "bulk")),
        f"{p50:.1f} / {p95:.1f}" if p50 is not None and p95 is not None else "",
        _kill(result),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _drain(result: "Result") -> str:
    values = [one.drain for one in result.rounds if one.drain is not None]
    spread = f" ({min(values):,.0f} to {max(values):,.0f})" if len(values) > 1 else ""
    return f"**{_number(median(result, 'drain'))}**{spread}"


def _kill(result: "Result") -> str:
    if result.kill is None:
        return result.failure
    kill = result.kill
    if kill.lost:
        return f"**{kill.lost} of {KILL_JOBS} not done** after {KILL_WAIT_SECONDS:.0f} s, {kill.doubled} doubled"
    doubled = f"**{kill.doubled} doubled**" if kill.doubled else "0 doubled"
    return f"0 lost, {doubled}, all done after {kill.seconds:.0f} s"


def verdicts(results: Sequence["Result"]) -> str:
    """The targets, what was measured, and whether it is enough; as Markdown."""
    by_name = {result.contestant.name: result for result in results}
    lines = ["| target | measured | | the raw ceiling itself |", "| --- | --- | --- | --- |"]
    for target in TARGETS:
        value = _measured(by_name, target)
        if value is not None:
            is_met = value <= target.limit if target.is_ceiling else value >= target.limit
            lines.append(
                f"| {_wanted(by_name, target)} | {_shown(target, value)} | {'met' if is_met else '**not met**'} "
                f"| {_at_the_ceiling(by_name, target)} |"
            )
    return "\n".join(lines)


def _measured(by_name: Mapping[str, "Result"], target: Target) -> float | None:
    if target.contestant not in by_name or (target.of and target.of not in by_name):
        return None
    value = median(by_name[target.contestant], target.measure)
    if value is None or not target.of:
        return value
    other = median(by_name[target.of], target.measure)
    return value / other if other else None


def _at_the_ceiling(by_name: Mapping[str, "Result"], target: Target) -> str:
    """What the tight loop would show beside the same peer: no queue that commits the same rows can be expected to show more."""
    if not target.of or by_name[target.of].contestant.name.startswith("raw_"):
        return ""
    value = _measured(by_name, replace(target, contestant="raw_per_job"))
    return "" if value is None else f"{value:.2f} times"


def _wanted(by_name: Mapping[str, "Result"], target: Target) -> str:
    what = {
        "drain": "drain",
        "bulk": "bulk enqueue",
        "pickup_p50_ms": "idle pick-up p50",
        "pickup_p95_ms": "idle pick-up p95",
    }
    name = by_name[target.contestant].contestant.title
    sign = "≤" if target.is_ceiling else "≥"
    if target.of:
        return f"{name}: {what[target.measure]} {sign} {target.limit:g} times {by_name[target.of].contestant.title}"
    unit = {"drain": " jobs/s", "bulk": " rows/s"}.get(target.measure, " ms")
    return f"{name}: {what[target.measure]} {sign} {target.limit:,g}{unit}"


def _shown(target: Target, value: float) -> str:
    if target.of:
        return f"{value:.2f} times"
    return f"{value:.1f} ms" if target.is_ceiling else f"{value:,.0f}"


def document(
    results: Sequence["Result"], facts: Mapping[str, str], *, rounds: int, share: float, busy: float, minutes: float
) -> str:
    """docs/performance.md. `busy`: the load average before the run."""
    template = (Path(__file__).parent / "performance.md").read_text()
    values: dict[str, Callable[[], str]] = {
        "table": lambda: table(results),
        "verdicts": lambda: verdicts(results),
        "machine": machine,
        "server": lambda: ", ".join(f"{name} {value}" for name, value in facts.items()),
        "versions": versions,
        "load": lambda: _load(busy, share),
        "remarks": lambda: _remarks(results),
        "rounds": lambda: str(rounds),
        "minutes": lambda: f"{minutes:.0f}",
        "kill_jobs": lambda: str(KILL_JOBS),
        "kill_sleep": lambda: f"{KILL_SLEEP * 1000:.0f}",
        "kill_at": lambda: str(KILL_AT),
        "kill_wait": lambda: f"{KILL_WAIT_SECONDS:.0f}",
    }
    for name, value in values.items():
        template = template.replace("{" + name + "}", value())
    return template


def _load(busy: float, share: float) -> str:
    """What weakens the numbers of this run, in the open."""
    said = f" Load average of the five minutes before the run: {busy:.1f}"
    said += " (0 is a quiet machine; above 1 the figures are those of a busy one)."
    return said if share == 1 else f"{said} Only {share:.0%} of the usual number of jobs."


def machine() -> str:
    """Cores, memory and the processor's name: what a reader needs to compare."""
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{psutil.cpu_count()} cores ({_processor()}), {memory:.0f} GB, {system}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def versions() -> str:
    """The pins of the peers, and of what the product itself stands on."""
    pins = [line for line in (ROOT / "requirements-bench.txt").read_text().splitlines() if "==" in line]
    return (
        f"product: Django {metadata.version('Django')}, psycopg {metadata.version('psycopg')}; peers: {', '.join(pins)}"
    )


def _remarks(results: Sequence["Result"]) -> str:
    said = [f"- {one.contestant.title}: {one.contestant.remark}" for one in results if one.contestant.remark]
    return "\n".join(said)
