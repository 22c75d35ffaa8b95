"""Heston's model of each session: one law for the liquid quotes of all expiries.

Belongs here: from quotes to one row per underlying. Not here: which options of thousands
(`option_sample`), or the fit itself.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.option_sample import held_out, options_to_fit, spread_out
from volsurf_assets.pictures import sparkline
from volsurf_assets.session import Session
from volsurf_assets.smile_outcomes import CARRY_SESSIONS
from volsurf_assets.table_asset import table_asset
from volsurf_assets.variance import OWN_INDEX
from volsurf_resources.settings import Settings
from volsurf_tables.market import INDEX_LEVELS
from volsurf_tables.quotes import OPTION_QUOTES
from volsurf_tables.stochastic_vol import HESTON_PARAMETERS, HESTON_SURFACES

LEAST_SPREAD = 1e-4  # of vol: flatter surfaces leave nothing to explain
FEWEST_EXPIRIES = 2  # one smile does not tell how fast variance reverts

_log = logging.getLogger("volsurf.assets")


@table_asset(
    HESTON_SURFACES,
    reads=[OPTION_QUOTES, INDEX_LEVELS],
    code_version="2",
    picture=lambda rows: sparkline(rows["rmse"]),
)
def heston_surfaces(session: Session) -> pl.DataFrame:
    """Calibrate each underlying's surface; where that fails, the last parameters stand."""
    settings = session.settings
    past = session.before(HESTON_SURFACES, CARRY_SESSIONS).filter(pl.col("status") == "fitted")
    levels = session.window(INDEX_LEVELS, CARRY_SESSIONS + 1).drop_nulls("close")
    rows = []
    for (symbol, snapshot), quotes in session.read(OPTION_QUOTES).group_by(
        "symbol", "snapshot", maintain_order=True
    ):
        own = past.filter(pl.col("symbol") == symbol)
        last = own.row(-1, named=True) if own.height else None
        identity = {"symbol": symbol, "snapshot": snapshot, "quote_date": session.day}
        index = OWN_INDEX.get(str(symbol), "VIX")
        closes = levels.filter(pl.col("index") == index).select("quote_date", "close")
        start = decide(last, dict(closes.iter_rows()), session.day, settings, index)
        row = identity | _fit(quotes, start, settings)
        rows.append(_or_carried(row, last))
        _tell(rows[-1])
    return pl.DataFrame(rows, schema=HESTON_SURFACES.schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a search begins: at `parameters`, or anew where there are none; and why."""

    parameters: dict[str, float] | None
    reason: str
    vix_change_pct: float | None = None


def decide(
    last: dict[str, Any] | None,
    levels: dict[date, float],
    day: date,
    settings: Settings,
    index: str = "VIX",
) -> Start:
    """Begin at the last parameters if the index has hardly moved since; else, or not known, anew.

    Parameters
    ----------
    last
        The last fitted row of the sessions before, if any.
    levels
        Closing levels of the volatility index by session.
    index
        Its name: the underlying's own, as DVOL_BTC, or else VIX.
    """
    if last is None:
        return Start(parameters=None, reason="no parameters to begin at")
    unknown = [str(known) for known in (last["quote_date"], day) if known not in levels]
    if unknown:
        reason = f"no level of {index} is known of {', '.join(unknown)}"
        return Start(parameters=None, reason=reason)
    change = 100.0 * (levels[day] / levels[last["quote_date"]] - 1.0)
    reason = f"{index} moved by {change:+.1f} % since {last['quote_date']}"
    is_calm = abs(change) < settings.heston_warm_start_vix_pct
    own = {name: last[name] for name in HESTON_PARAMETERS} if is_calm else None
    return Start(parameters=own, reason=reason, vix_change_pct=change)


def _fit(quotes: pl.DataFrame, start: Start, settings: Settings) -> dict[str, Any]:
    """Fit, judge by every liquid quote, and by every fifth strike where that was left out."""
    liquid = options_to_fit(quotes, settings)
    chosen = spread_out(liquid, settings.heston_max_options)
    expiries = chosen["tte_years"].n_unique()
    row: dict[str, Any] = {
        "n_options": chosen.height,
        "n_quotes": liquid.height,
        "n_expiries": expiries,
        "objective": settings.heston_objective,
        "start": "full" if start.parameters is None else "warm",
        "start_reason": start.reason,
        "vix_change_pct": start.vix_change_pct,
    }
    needed = settings.min_strikes_per_fit
    if chosen.height < needed or expiries < FEWEST_EXPIRIES:
        reason = (
            f"{chosen.height} options of {expiries} expiries to fit, "
            f"needs {needed} of {FEWEST_EXPIRIES}"
        )
        return row | {"status": "skipped", "reason": reason}
    found = _search(chosen, start, settings)
    errors = _errors(found.best.model, liquid)
    why = found.diagnosis if not found.is_settled else _hopeless(errors, settings)
    if why is not None:
        return row | {"status": "failed", "reason": f"no convergence: {why}"}
    if start.parameters is not None and not found.is_warm:
        row |= {"start": "full", "start_reason": f"{start.reason}, but the fit from there was poor"}
    is_out = held_out(liquid)
    without = spread_out(liquid.filter(~is_out), settings.heston_max_options)
    part = _calibrate(without, found.best.model, settings).model
    return row | {
        "status": "fitted",
        "reason": found.diagnosis,
        **_described(found),
        **errors,
        "holdout_rmse": _errors(part, liquid.filter(is_out))["rmse"],
    }


@dataclass(frozen=True, slots=True)
class Found:
    """The best of several calibrations."""

    best: Any
    n_iterations: int
    is_warm: bool = False
    is_global: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether the search ended at a minimum that another contour confirms."""
        return _is_settled(self.best)

    @property
    def diagnosis(self) -> str | None:
        """What is to be said of the end of the search; None if nothing."""
        from volsurf_math.heston_fit import CalibrationStatus as Status

        return {
            Status.CONVERGED: None,
            Status.AT_BOUND: "a parameter stands at its bound",
            Status.NOT_CONVERGED: f"errors still fell after {self.n_iterations} steps",
            Status.CONTOURS_DISAGREE: f"prices differ by {self.best.largest_difference:.1g} of the "
            "forward between two contours",
            Status.TOO_FEW_QUOTES: f"{self.best.n_quotes} quotes have a price",
        }[self.best.status]


def _is_settled(calibration: Any) -> bool:
    from volsurf_math.heston_fit import CalibrationStatus as Status

    return calibration.status in (Status.CONVERGED, Status.AT_BOUND)


def _search(options: pl.DataFrame, start: Start, settings: Settings) -> Found:
    """Search from the last parameters if these shall do, and elsewhere if they do not.

    Anew means from what the smiles suggest; where that ends above `heston_global_rmse_vol_points`,
    from the start of the settings too; and where both do, by differential evolution.
    """

    def is_good(calibration: Any) -> bool:
        limit = settings.heston_global_rmse_vol_points
        return _is_settled(calibration) and 100.0 * calibration.rmse <= limit

    if start.parameters is not None:
        warm = _calibrate(options, _heston(start.parameters.values()), settings)
        if is_good(warm):
            return Found(warm, warm.n_evaluations, is_warm=True)
    found = [_calibrate(options, None, settings)]
    if not is_good(found[0]):
        found.append(_calibrate(options, _heston(settings.heston_start), settings))
    is_global = not any(map(is_good, found))
    if is_global:
        found.append(_calibrate(options, None, settings, is_global=True))
    best = min(found, key=lambda calibration: (not _is_settled(calibration), calibration.rmse))
    steps = sum(calibration.n_evaluations for calibration in found)
    return Found(best, steps, is_global=is_global)


def _calibrate(
    options: pl.DataFrame, start: Any, settings: Settings, *, is_global: bool = False
) -> Any:
    from volsurf_math.heston import Heston
    from volsurf_math.heston_fit import Objective
    from volsurf_math.heston_quotes import Quoted

    columns = ("forward", "strike", "tte_years", "iv_mid")
    forward, strike, tte, quoted_vol = (options[name].to_numpy() for name in columns)
    return Heston.calibrate(
        forward,
        strike,
        tte,
        quoted_vol,
        (options["option_type"] == "CALL").to_numpy(),
        quoted=Quoted.IMPLIED_VOL,
        objective=Objective[settings.heston_objective.upper()],
        start=start,
        bounds=(_heston(settings.heston_lower), _heston(settings.heston_upper)),
        feller_penalty=settings.heston_feller_penalty,
        noise_floor=0.0 if is_global else np.inf,
    )


def _heston(parameters: Iterable[float]) -> Any:
    from volsurf_math.heston import Heston

    return Heston(**dict(zip(HESTON_PARAMETERS, parameters, strict=True)))


def _described(found: Found) -> dict[str, Any]:
    model, errors = found.best.model, found.best.standard_errors
    known = [float(error) if np.isfinite(error) else None for error in errors]
    return {
        **{name: getattr(model, name) for name in HESTON_PARAMETERS},
        **{f"{name}_std_error": e for name, e in zip(HESTON_PARAMETERS, known, strict=True)},
        "feller_ratio": model.feller_ratio,
        "is_feller": model.feller_ratio >= 1.0,
        "n_iterations": found.n_iterations,
        "is_global": found.is_global,
    }


def _errors(model: Any, options: pl.DataFrame) -> dict[str, float | None]:
    """Return the errors of a model's vols and prices; a price of nothing has a vol of 0."""
    from volsurf_math.black import undiscounted_price
    from volsurf_math.implied_vol import implied_vol

    columns = ("forward", "strike", "tte_years", "iv_mid")
    forward, strike, tte, quoted = (options[name].to_numpy() for name in columns)
    is_call = (options["option_type"] == "CALL").to_numpy()
    if not options.height:
        return dict.fromkeys(("rmse", "r_squared", "within_2_pct_share"))
    price = model.undiscounted_price(forward, strike, tte, is_call)
    market = undiscounted_price(forward, strike, quoted**2 * tte, is_call)
    vol, _ = implied_vol(price, forward, strike, tte, 1.0, is_call)
    mean_square = float(np.mean((np.nan_to_num(vol) - quoted) ** 2))
    spread = float(np.var(quoted))
    return {
        "rmse": 100.0 * float(np.sqrt(mean_square)),
        "r_squared": 1.0 - mean_square / spread if spread > LEAST_SPREAD**2 else None,
        "within_2_pct_share": float(np.mean(np.abs(price - market) <= 0.02 * market)),
    }


def _hopeless(errors: dict[str, float | None], settings: Settings) -> str | None:
    """Say why a minimum is no fit: it is poor, and one vol for all options would be no worse."""
    rmse, r_squared = errors["rmse"], errors["r_squared"]
    is_poor = rmse is not None and rmse > settings.heston_global_rmse_vol_points
    if not is_poor or r_squared is None or r_squared > 0.0:
        return None
    return f"an error of {rmse:.1f} vol points, no better than one vol for all"


def _or_carried(row: dict[str, Any], last: dict[str, Any] | None) -> dict[str, Any]:
    """Put the last parameters, as they were fitted, where today's quotes give none."""
    today = {"quote_date": row["quote_date"], "status": row["status"], "reason": row["reason"]}
    if row["status"] == "fitted":
        return row | {"parameters_date": row["quote_date"]}
    if last is None:
        return row | {"reason": f"{row['reason']}; nothing to carry"}
    return last | today | {"status": "carried"}


def _tell(row: dict[str, Any]) -> None:
    """Log how a search began and ended."""
    _log.info(
        "%s %s %s: Heston %s; %s start: %s; Feller ratio %s; rmse %s vol points; %s",
        *(row["symbol"], row["quote_date"], row["snapshot"], row["status"], row["start"]),
        *(row["start_reason"], *map(_shown, (row.get("feller_ratio"), row.get("rmse")))),
        row["reason"] or "nothing to remark",
    )


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"
