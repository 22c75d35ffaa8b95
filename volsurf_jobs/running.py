"""Running sessions in this process: what the command line calls.

Belongs here: deciding what is missing, running it on the persistent instance, and saying what came
of it. Not here: what a run does (the assets), nor how it is printed (volsurf_app). Runs are
ordinary Dagster runs, with their partitions, so that the UI shows them.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import dagster as dg

from volsurf_assets.graph import RECIPES
from volsurf_assets.intake import Clock, usable_footer
from volsurf_assets.market import MARKET_TABLES, SESSIONS_PER_RUN
from volsurf_assets.partitions import PLACES
from volsurf_assets.settling import stale_partitions
from volsurf_jobs.alerts import tell_of_run
from volsurf_jobs.definitions import definitions_for, lake_of, utc_now
from volsurf_jobs.failures import note_failing, was_interrupted
from volsurf_jobs.home import open_instance, process_tag
from volsurf_jobs.outcomes import OnProgress, Outcome, Steps, Summary
from volsurf_jobs.ranges import neighbours, range_tags
from volsurf_resources.settings import Settings
from volsurf_resources.source import MarketSource
from volsurf_tables.market import RAW_OPTIONS_CHAINS, UNDERLYING_PRICES

_log = logging.getLogger("volsurf.runs")
_FETCHED = tuple(table.name for table in MARKET_TABLES)
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Runner:
    """Runs jobs in this process on one instance. Open one with `open_runner`."""

    def __init__(
        self,
        settings: Settings,
        instance: dg.DagsterInstance,
        *,
        source: MarketSource | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.settings = settings
        self.lake = lake_of(settings)
        self._place = PLACES[settings.volsurf_market]
        self._instance = instance
        self._listen: Callable[[str, date, str | None], None] = lambda table, day, problem: None
        definitions = definitions_for(settings, source=source, clock=clock, progress=self._hear)
        self._jobs = {job.name: job for job in definitions.resolve_all_job_defs()}
        self._clock = clock
        self.run_ids: list[str] = []

    def run_sessions(
        self,
        days: Iterable[date],
        symbols: Sequence[str] = (),
        *,
        tables: Sequence[str] | None = None,
        ingest: bool = True,
        compute: bool = True,
        force: bool = False,
        refetch_chains: bool = False,
        bars_before: int = 0,
        on_progress: OnProgress | None = None,
    ) -> Summary:
        """Bring sessions of some symbols through the tables, doing only what is missing.

        Parameters
        ----------
        days
            Sessions asked for; each has an outcome in the summary.
        symbols
            The settings' own if empty.
        tables
            Computed tables to bring up to date (None: all), with what they are computed from.
        ingest, compute
            Whether to fetch, and whether to compute.
        force
            Fetch and compute again what is there already.
        refetch_chains
            Fetch chains that are there again, beside which a new snapshot may stand by now.
        bars_before
            Sessions before the first one whose bars of the underlying are fetched as well.
        on_progress
            Told after every partition.

        Returns
        -------
        Summary
            What came of each session. What fails outside of them (bars of the past, settling,
            publishing) is a problem of the last session, under the name of the job.

        Raises
        ------
        KeyboardInterrupt
            On Ctrl-C; what was finished is stored, and asking again does the rest.
        """
        outcomes = {day: Outcome(day) for day in sorted(set(days))}
        wanted = tuple(symbols) or self.settings.symbols
        recipes = _needed(tables)
        steps = Steps(on_progress, outcomes)
        self._listen = steps.listen
        try:
            if ingest:
                missing = [d for d in outcomes if force or not self.is_stored(d, wanted)]
                steps.expect(len(missing) * (len(MARKET_TABLES) + len(recipes) * compute))
                self._fetch(missing, wanted, outcomes, force=force)
                if refetch_chains:
                    again = [day for day in outcomes if day not in missing]
                    chains = [RAW_OPTIONS_CHAINS.name]
                    self._fetch(again, wanted, outcomes, force=True, tables=chains)
                self._fetch_bars(outcomes, bars_before, wanted)
            if compute and recipes:
                self._compute(outcomes, wanted, recipes, force=force, steps=steps)
            for day, outcome in outcomes.items():
                if not outcome.problems and not self._has_chain(day, wanted):
                    outcome.problems[RAW_OPTIONS_CHAINS.name] = "not in the lake: ingest it first"
            settled = self._settle(outcomes) if compute else 0
            note_failing(self._run("publish", {}, {}), [*outcomes][-1:], [], outcomes)
            summary = Summary(tuple(outcomes.values()), tuple(self.run_ids), settled)
            _log.log(summary.level, "%s: %s", ", ".join(wanted), summary)
            return summary
        finally:
            self._listen = lambda table, day, problem: None

    def is_stored(self, day: date, symbols: Sequence[str]) -> bool:
        """Whether all of a session's market tables are in the lake, with these symbols' chains."""
        everything = all(usable_footer(self.lake, table.name, day) for table in MARKET_TABLES)
        footer = usable_footer(self.lake, RAW_OPTIONS_CHAINS.name, day)
        return everything and footer is not None and set(symbols) <= set(footer.parts)

    def _settle(self, outcomes: dict[date, Outcome]) -> int:
        """Make again what has become stale; return how many partitions that were."""
        if next(stale_partitions(RECIPES, self.lake, self.settings), None) is None:
            return 0
        made = 0

        def count(table: str, day: date, problem: str | None) -> None:
            nonlocal made
            made += problem is None
            listening(table, day, problem)

        listening, self._listen = self._listen, count
        note_failing(self._run("settle", {}, {}), [*outcomes][-1:], [], outcomes)
        self._listen = listening
        return made

    def publish(self) -> bool:
        """Bring the published copy up to the lake; whether that succeeded."""
        return self._run("publish", {}, {}).success

    def _hear(self, table: str, day: date, problem: str | None) -> None:
        self._listen(table, day, problem)

    def _fetch(
        self, days: Sequence[date], symbols: Sequence[str], outcomes: dict[date, Outcome],
        *, force: bool, tables: Sequence[str] = _FETCHED,
    ) -> None:  # fmt: skip
        days = [day for day in days if self._can_be_partition(day, outcomes)]
        config = {"symbols": list(symbols), "only_missing": not force, "retries": False}
        for chunk in neighbours(days, self.lake.calendar, SESSIONS_PER_RUN):
            result = self._run_range("ingest", chunk, tables, config)
            note_failing(result, chunk, tables, outcomes)
            for day in chunk:
                why_not = outcomes[day].problems.keys() & {RAW_OPTIONS_CHAINS.name, "ingest"}
                outcomes[day].fetched = not why_not

    def _fetch_bars(self, outcomes: dict[date, Outcome], n: int, symbols: Sequence[str]) -> None:
        if not outcomes or n <= 0:
            return
        first = min(outcomes)
        calendar = self.lake.calendar
        earliest = max(self.settings.ingestion_start_date, self._place.first)
        start = max(earliest, calendar.last_sessions(first, n + 1)[0])
        past = [day for day in calendar.sessions(start, first) if day < first]
        missing = [day for day in past if not self._was_asked(day, symbols)]
        config = {"symbols": list(symbols), "only_missing": True, "retries": False}
        for chunk in neighbours(missing, self.lake.calendar):
            result = self._run_range("ingest", chunk, [UNDERLYING_PRICES.name], config)
            note_failing(result, [*outcomes][-1:], [], outcomes)

    def _compute(
        self, outcomes: dict[date, Outcome], symbols: Sequence[str], recipes: Sequence[Any],
        *, force: bool, steps: "Steps",
    ) -> None:  # fmt: skip
        days = [
            day
            for day in outcomes
            if self._has_any_chain(day, symbols)
            and (force or any(self._is_behind(recipe, day, symbols) for recipe in recipes))
        ]
        steps.expect(steps.done + len(days) * len(recipes))
        config = {"symbols": list(symbols), "force": force}
        names = [recipe.table.name for recipe in recipes]
        while days:
            bad: set[date] = set()
            for chunk in neighbours(days, self.lake.calendar):
                result = self._run_range("compute", chunk, names, config)
                failing = note_failing(result, chunk, names, outcomes)
                bad |= failing
                if not failing:
                    for day in chunk:
                        outcomes[day].computed = True
                    days = [day for day in days if day not in chunk]
            days = [day for day in days if day not in bad]

    def _is_behind(self, recipe: Any, day: date, symbols: Sequence[str]) -> bool:
        stale = recipe.stale_symbols(self.lake, self.settings, day)
        return stale is None or bool(set(stale) & set(symbols))

    def _has_any_chain(self, day: date, symbols: Sequence[str]) -> bool:
        footer = usable_footer(self.lake, RAW_OPTIONS_CHAINS.name, day)
        return footer is not None and bool(set(symbols) & set(footer.parts))

    def _has_chain(self, day: date, symbols: Sequence[str]) -> bool:
        footer = usable_footer(self.lake, RAW_OPTIONS_CHAINS.name, day)
        return footer is not None and set(symbols) <= set(footer.parts)

    def _was_asked(self, day: date, symbols: Sequence[str]) -> bool:
        """Whether bars of a session were fetched; a date stored empty was asked for in vain."""
        footer = usable_footer(self.lake, UNDERLYING_PRICES.name, day)
        return footer is not None and (not footer.parts or set(symbols) <= set(footer.parts))

    def _can_be_partition(self, day: date, outcomes: dict[date, Outcome]) -> bool:
        if not self.lake.calendar.is_session(day):
            outcomes[day].problems[RAW_OPTIONS_CHAINS.name] = "the exchange is closed on this day"
            return False
        if day < (first := self._place.first):
            why = f"the tables begin at {first}: there is no partition of an earlier day"
            outcomes[day].problems[RAW_OPTIONS_CHAINS.name] = why
            return False
        if day > self._clock().date():
            outcomes[day].problems[RAW_OPTIONS_CHAINS.name] = "this session is in the future"
            return False
        return True

    def _run_range(
        self, job: str, days: Sequence[date], tables: Sequence[str], config: dict[str, Any]
    ) -> dg.ExecuteInProcessResult:
        ops = {self._place.step(table): {"config": config} for table in tables}
        keys = [self._place.key(table) for table in tables]
        return self._run(job, {"ops": ops}, range_tags(days), keys)

    def _run(
        self, job: str, config: dict[str, Any], tags: dict[str, str],
        selection: Sequence[dg.AssetKey] | None = None,
    ) -> dg.ExecuteInProcessResult:  # fmt: skip
        result = self._jobs[job].execute_in_process(
            run_config=config | _QUIET,
            instance=self._instance,
            tags=tags | process_tag(),
            asset_selection=selection,
            raise_on_error=False,
        )
        self.run_ids.append(result.run_id)
        if run := self._instance.get_run_by_id(result.run_id):
            tell_of_run(self._instance, run, self.settings)
        if was_interrupted(result):
            raise KeyboardInterrupt
        return result


@contextmanager
def open_runner(
    settings: Settings | None = None, *, source: MarketSource | None = None, clock: Clock = utc_now
) -> Iterator[Runner]:
    """Open a runner on the instance of a home (of the settings in force)."""
    chosen = settings or Settings()
    with open_instance(chosen) as instance:
        yield Runner(chosen, instance, source=source, clock=clock)


def run_sessions(
    days: Iterable[date], symbols: Sequence[str] = (), *, settings: Settings | None = None,
    **options: Any,
) -> Summary:  # fmt: skip
    """Open a runner and bring sessions through the tables; see `Runner.run_sessions`."""
    with open_runner(settings) as runner:
        return runner.run_sessions(days, symbols, **options)


def _needed(tables: Sequence[str] | None) -> list[Any]:
    """Return the recipes of some tables and of all that they are computed from, in order."""
    if tables is None:
        return list(RECIPES)
    by_name = {recipe.table.name: recipe for recipe in RECIPES}
    if unknown := set(tables) - set(by_name):
        raise ValueError(f"no computed table {sorted(unknown)}; there are {', '.join(by_name)}")
    needed, new = set[str](), list(tables)
    while new:
        name = new.pop()
        needed.add(name)
        new += [t.name for t in by_name[name].reads if t.name in by_name and t.name not in needed]
    return [recipe for recipe in RECIPES if recipe.table.name in needed]
