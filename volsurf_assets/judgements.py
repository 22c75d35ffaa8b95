"""The checks that need judgement: what is compared with what, and which limit applies.

Belongs here: looks at the lake, one finding each, and the list of them by table. Not here: the
rules (`findings`), what a contract implies (`checks`), or Dagster.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from volsurf_assets import findings
from volsurf_assets.intake import Clock
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_tables.market import MARKET_RATES, RAW_OPTIONS_CHAINS, UNDERLYING_PRICES
from volsurf_tables.models import SABR_SMILES, SMILE_MODELS
from volsurf_tables.quotes import QUOTE_ISSUES
from volsurf_tables.stochastic_vol import HESTON_PARAMETERS, HESTON_SURFACES
from volsurf_tables.surfaces import FITTED_SURFACES, IS_STANDARD
from volsurf_tables.table import Table

MIN_COVERAGE = 0.95
MAX_ARBITRAGE_SHARE = 0.01
MAX_CURVE_AGE_DAYS = 7
MAX_JUMP_DEVIATIONS = 4.0
_SHOWN = 10  # offending rows in the metadata


@dataclass(frozen=True, slots=True)
class View:
    """What a check may look at: the lake, the sessions of the run, the settings, the time."""

    lake: Lake
    days: tuple[date, ...]
    settings: Settings
    clock: Clock

    def rows(self, table: Table, days: Sequence[date], *columns: str) -> pl.DataFrame:
        """Return rows of every snapshot."""
        return self.lake.read(table.name, days, columns=columns or None, snapshot=None)

    def symbols(self, table: Table) -> pl.DataFrame:
        """Return symbol and quote_date of what the sessions of the run hold."""
        found = [
            (symbol, day)
            for day in self.days
            if (footer := self.lake.footer(table.name, day)) is not None
            for symbol in footer.parts
        ]
        return pl.DataFrame(found, {"symbol": pl.String, "quote_date": pl.Date}, orient="row")

    def with_past(self, table: Table) -> list[date]:
        """Return the sessions of the run, and those before that a measure is compared with."""
        past = self.lake.window(table.name, min(self.days), findings.TRAILING + 1)
        return sorted({*past, *self.days})


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: the sessions where its sentence is not true, and details."""

    dates: tuple[date, ...] = ()
    details: tuple[str, ...] = ()
    measures: tuple[tuple[str, float], ...] = ()
    passed: bool | None = None  # by default: no dates

    @property
    def is_true(self) -> bool:
        """Whether the check's sentence is true."""
        return not self.dates if self.passed is None else self.passed


@dataclass(frozen=True, slots=True)
class Check:
    """One sentence about one table."""

    name: str
    table: Table
    meaning: str
    look: Callable[[View], Finding]
    is_blocking: bool = False


def dates_of(rows: pl.DataFrame) -> tuple[date, ...]:
    """Return the sessions of some rows."""
    return tuple(rows["quote_date"].unique().sort()) if rows.height else ()


def shown(frames: Iterable[pl.DataFrame]) -> tuple[str, ...]:
    """Return the first rows as text."""
    shown: list[str] = []
    for rows in frames:
        first = rows.head(_SHOWN - len(shown)).iter_rows()
        shown.extend(", ".join(str(value) for value in row) for row in first)
    return tuple(shown)


def coverage(view: View) -> Finding:
    """Compare the sessions stored with the exchange's, between the first and the last."""
    stored = view.lake.days(RAW_OPTIONS_CHAINS.name)
    if not stored:
        return Finding(passed=False, details=("no session is stored",))
    calendar = view.lake.calendar.sessions(stored[0], stored[-1])
    missing = findings.missing_sessions(stored, calendar)
    share = 1.0 - len(missing) / len(calendar)
    return Finding(tuple(missing), measures=(("coverage", share),), passed=share > MIN_COVERAGE)


def latest_session(view: View) -> Finding:
    """Ask for the last session whose bell has rung."""
    latest = view.lake.calendar.latest_closed_session(view.clock())
    if view.lake.footer(RAW_OPTIONS_CHAINS.name, latest) is not None:
        return Finding()
    return Finding((latest,), (f"the latest closed session is {latest}",))


def _beyond(measures: pl.DataFrame, limit: float) -> Finding:
    wrong = measures.filter(pl.col("measure") > limit).sort("quote_date")
    return Finding(dates_of(wrong), shown([wrong]), (("limit", limit),))


def fit_error(view: View) -> Finding:
    """Compare each session's median fit error with the limit of the settings."""
    smiles = _standard_errors(view, view.days)
    return _beyond(findings.median_error(smiles), view.settings.max_fit_rmse_vol_points)


def _standard_errors(view: View, days: Sequence[date]) -> pl.DataFrame:
    columns = ("symbol", "quote_date", "status", "rmse")
    rows = view.rows(FITTED_SURFACES, days, *columns, "model_type")
    return rows.filter(IS_STANDARD).select(columns)


def arbitrage(view: View) -> Finding:
    """Compare the share of smiles with arbitrage, over the run, with 1 %."""
    columns = ("symbol", "quote_date", "status", "passes_no_arbitrage")
    smiles = view.rows(FITTED_SURFACES, view.days, *columns)
    used = smiles.filter(pl.col("status").is_in(findings.USED))
    share = 1.0 - float(used["passes_no_arbitrage"].mean() or 0.0) if used.height else 0.0  # type: ignore[arg-type]
    wrong = findings.arbitrage_share(smiles).filter(pl.col("measure") > MAX_ARBITRAGE_SHARE)
    return Finding(
        dates_of(wrong), shown([wrong]), (("share", share),), passed=share < MAX_ARBITRAGE_SHARE
    )


def fit_quality(view: View) -> Finding:
    """Compare each session's median fit error with what was usual before."""
    smiles = _standard_errors(view, view.with_past(FITTED_SURFACES))
    wrong = findings.degraded(findings.median_error(smiles), view.days, factor=2.0, margin=0.05)
    return Finding(dates_of(wrong), shown([wrong]))


def quote_quality(view: View) -> Finding:
    """Compare each session's share of bad quotes with what was usual before."""
    identity = ("symbol", "quote_date", "contract_id")
    shares = pl.concat(
        findings.issue_share(
            view.rows(QUOTE_ISSUES, [day], *identity, "severity"),
            view.rows(RAW_OPTIONS_CHAINS, [day], *identity),
        )
        for day in view.with_past(QUOTE_ISSUES)
    )
    wrong = findings.degraded(shares, view.days, factor=1.5, margin=0.02)
    return Finding(dates_of(wrong), shown([wrong]))


def _numbers(view: View, table: Table) -> Finding:
    """Look for fits that failed as computations."""
    wrong = findings.numerical_failures(view.rows(table, view.days), table)
    return Finding(dates_of(wrong), shown([wrong]))


def heston_error(view: View) -> Finding:
    """Compare each session's error of Heston's fit with the limit of the settings."""
    fits = view.rows(HESTON_SURFACES, view.days, "symbol", "quote_date", "status", "rmse")
    return _beyond(findings.median_error(fits), view.settings.max_heston_rmse_vol_points)


def _jumps(view: View, table: Table, parameters: Sequence[str]) -> Finding:
    """Compare each change of a parameter with its own changes before."""
    fits = view.rows(table, view.with_past(table))
    values = findings.parameter_values(fits, table, parameters)
    wrong = findings.jumps(values, view.days, MAX_JUMP_DEVIATIONS)
    return Finding(dates_of(wrong), shown([wrong]))


def underlying(view: View) -> Finding:
    """Look for chains whose underlying has no close."""
    contracts = view.symbols(RAW_OPTIONS_CHAINS)
    bars = view.rows(UNDERLYING_PRICES, view.days, "symbol", "quote_date", "close")
    wrong = findings.without_price(contracts, bars)
    return Finding(dates_of(wrong), shown([wrong]))


def curve(view: View) -> Finding:
    """Look for sessions whose curve is absent or old."""
    rates = view.rows(MARKET_RATES, view.days, "quote_date", "curve_date")
    wrong = findings.old_curves(rates, view.days, MAX_CURVE_AGE_DAYS)
    return Finding(dates_of(wrong), shown([wrong]))


JUDGEMENTS: tuple[Check, ...] = (
    Check("coverage_above_95_percent", RAW_OPTIONS_CHAINS,
          "Of the sessions between the first and the last, more than 95 % are stored.", coverage),
    Check("latest_closed_session_is_loaded", RAW_OPTIONS_CHAINS,
          "The last session whose bell has rung is stored.", latest_session),
    Check("underlying_is_present", UNDERLYING_PRICES,
          "Every chain's underlying has a close.", underlying),
    Check("curve_is_fresh", MARKET_RATES,
          f"Every session has a curve of the last {MAX_CURVE_AGE_DAYS} days.", curve),
    Check("quote_quality_has_not_degraded", QUOTE_ISSUES,
          "The share of bad quotes is not far beyond its trailing median.", quote_quality),
    Check("fit_error_is_small", FITTED_SURFACES,
          "The median fit error is below MAX_FIT_RMSE_VOL_POINTS.", fit_error),
    Check("fit_quality_has_not_degraded", FITTED_SURFACES,
          "The median fit error is not far beyond its trailing median.", fit_quality),
    Check("arbitrage_share_below_1_percent", FITTED_SURFACES,
          "Fewer than 1 % of the smiles allow arbitrage.", arbitrage),
    Check("no_numerical_failures", FITTED_SURFACES,
          "No fit failed as a computation.", lambda view: _numbers(view, FITTED_SURFACES)),
    Check("no_numerical_failures", SABR_SMILES,
          "No fit failed as a computation.", lambda view: _numbers(view, SABR_SMILES)),
    Check("no_numerical_failures", SMILE_MODELS,
          "No fit failed as a computation.", lambda view: _numbers(view, SMILE_MODELS)),
    Check("no_numerical_failures", HESTON_SURFACES,
          "No calibration failed as a computation.", lambda view: _numbers(view, HESTON_SURFACES)),
    Check("fit_error_is_small", HESTON_SURFACES,
          "The fit error is below MAX_HESTON_RMSE_VOL_POINTS.", heston_error),
    Check("parameters_have_not_jumped", HESTON_SURFACES,
          f"No parameter moved by over {MAX_JUMP_DEVIATIONS:g} of its usual deviations.",
          lambda view: _jumps(view, HESTON_SURFACES, HESTON_PARAMETERS)),
    Check("parameters_have_not_jumped", FITTED_SURFACES,
          f"No smile's level or skew moved by over {MAX_JUMP_DEVIATIONS:g} usual deviations.",
          lambda view: _jumps(view, FITTED_SURFACES, ("atm_vol", "skew_25delta"))),
)  # fmt: skip
