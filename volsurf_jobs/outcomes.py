"""What came of running sessions: step by step, session by session, and in sum.

Belongs here: values that the runner fills and the command line prints. Not here: running anything.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True, slots=True)
class Step:
    """One partition of one table is done; `problem` says why not. `total` is an estimate."""

    table: str
    day: date
    problem: str | None
    done: int
    total: int


OnProgress = Callable[[Step], None]


@dataclass(slots=True)
class Outcome:
    """What came of one session."""

    day: date
    fetched: bool = False
    computed: bool = False
    problems: dict[str, str] = field(default_factory=dict)  # by table, or job

    @property
    def status(self) -> str:
        """Return done, skipped (all was there already) or failed."""
        if self.problems:
            return "failed"
        return "done" if self.fetched or self.computed else "skipped"

    @property
    def reason(self) -> str:
        """Return why it failed or was skipped; empty if done."""
        if self.problems:
            return "; ".join(f"{', '.join(names)}: {why}" for why, names in self._by_reason())
        return "" if self.status == "done" else "already in the lake"

    def _by_reason(self) -> Iterator[tuple[str, list[str]]]:
        names: dict[str, list[str]] = {}
        for name, why in self.problems.items():
            names.setdefault(why, []).append(name)
        yield from names.items()


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a request, session by session."""

    outcomes: tuple[Outcome, ...]
    run_ids: tuple[str, ...]
    settled: int = 0  # partitions outside the request that were made again

    def of(self, status: str) -> list[Outcome]:
        """Return the sessions that are done, skipped or failed."""
        return [outcome for outcome in self.outcomes if outcome.status == status]

    def __str__(self) -> str:
        """Say in a line how many sessions came to what, and the first reason of a failure."""
        counts = {status: len(self.of(status)) for status in ("done", "skipped", "failed")}
        told = ", ".join(f"{n} {status}" for status, n in counts.items() if n) or "nothing to do"
        failed = self.of("failed")
        return told + (f"; {failed[0].day}: {failed[0].reason}" if failed else "")

    @property
    def level(self) -> int:
        """How the log should take it."""
        return logging.INFO if self.is_good else logging.WARNING

    @property
    def is_good(self) -> bool:
        """Whether nothing failed."""
        return not self.of("failed")


class Steps:
    """Counts partitions and notes their problems."""

    def __init__(self, on_progress: OnProgress | None, outcomes: dict[date, Outcome]) -> None:
        self._tell, self._outcomes = on_progress, outcomes
        self.done, self._total = 0, 0

    def expect(self, total: int) -> None:
        """Say how many partitions there will be, as far as is known."""
        self._total = total

    def listen(self, table: str, day: date, problem: str | None) -> None:
        """Count a partition that is done, and note its problem or that it is solved."""
        self.done += 1
        self._total = max(self._total, self.done)
        if day in self._outcomes:
            if problem is not None:
                self._outcomes[day].problems[table] = problem
            else:
                self._outcomes[day].problems.pop(table, None)
        if self._tell is not None:
            self._tell(Step(table, day, problem, self.done, self._total))
