"""Fitted smiles: raw SVI on the liquid quotes of every expiry, free of static arbitrage.

Belongs here: choosing the quotes of a fit, the diagnostics of a fit, and what stands in its place
where there is none. Not here: the fit itself (volsurf_math), or tables of fitted smiles (surfaces).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.pictures import sparkline
from volsurf_assets.quality import chain_rules
from volsurf_assets.session import Session
from volsurf_assets.table_asset import table_asset
from volsurf_resources.settings import Settings
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES
from volsurf_tables.surfaces import FITTED_SURFACES

MODEL_VERSION = "svi-1"
CARRY_SESSIONS = 5  # how old carried parameters may be
MAX_UNUSABLE_SHARE = 0.5  # of an expiry's rows: beyond it the chain is corrupt, not thin
MIN_HALF_SPREAD = 2.5e-4  # of vol: closer quotes are not better known than this
HOLDOUT = 5  # every fifth strike is left out to judge the fit
SMILE = ["root", "expiration_date"]
PARAMETERS = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")

Array = np.ndarray[Any, np.dtype[np.float64]]


@table_asset(
    FITTED_SURFACES,
    reads=[OPTION_QUOTES, IMPLIED_FORWARDS],
    code_version="1",
    picture=lambda rows: sparkline(_smile_near_30_days(rows)),
)
def fitted_surfaces(session: Session) -> pl.DataFrame:
    """Fit every expiry; say why where there is no fit."""
    quotes = session.read(OPTION_QUOTES)
    past = session.before(FITTED_SURFACES, CARRY_SESSIONS).filter(pl.col("status") == "fitted")
    forwards = session.read(IMPLIED_FORWARDS)
    frames = [
        _fit_root(rows, forwards, past, session.settings)
        for rows in quotes.partition_by("symbol", "snapshot", "root", maintain_order=True)
    ]
    if not frames:
        return FITTED_SURFACES.schema.to_frame()
    return pl.concat(frames).select(FITTED_SURFACES.schema.names())


def _smile_near_30_days(rows: pl.DataFrame) -> pl.Series:
    """Fitted vols over the quoted strikes of the expiry nearest to 30 days, for the event log."""
    fitted = rows.filter(pl.col("status") == "fitted").sort((pl.col("tte_years") - 30 / 365).abs())
    if fitted.is_empty():
        return pl.Series([], dtype=pl.Float64)
    smile = fitted.row(0, named=True)
    k = np.linspace(smile["k_min"], smile["k_max"], 24)
    w = _variance(k, np.array([smile[name] for name in PARAMETERS]))
    return pl.Series(np.sqrt(w / smile["tte_years"]))


@dataclass(frozen=True, slots=True)
class Points:
    """Quotes to fit, slice after slice in order of expiry, each sorted by k."""

    k: Array
    vol: Array
    low: Array
    high: Array
    tte: Array  # one per quote
    weight: Array  # of squared errors in total variance
    offsets: np.ndarray[Any, np.dtype[np.int64]]

    def without(self, is_out: np.ndarray[Any, np.dtype[np.bool_]]) -> "Points":
        """Leave some quotes out by giving them no weight."""
        return Points(
            self.k, self.vol, self.low, self.high, self.tte,
            np.where(is_out, 0.0, self.weight), self.offsets,
        )  # fmt: skip


def points_to_fit(rows: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Choose the quotes of one root's fits: liquid, on the wanted side, within the cap.

    Adds `atm_guess`, the vol of the quotes nearest the forward, which sets the cap's scale.
    """
    side = {
        "OTM": pl.col("is_out_of_the_money"),
        "CALLS": pl.col("option_type") == "CALL",
        "PUTS": pl.col("option_type") == "PUT",
    }[settings.fit_side]
    solved = rows.filter("is_liquid", side, pl.col("iv_mid") > 0.0)
    nearest = pl.col("iv_mid").sort_by(pl.col("log_moneyness").abs()).head(4).median()
    scaled = solved.with_columns(atm_guess=nearest.over("expiration_date"))
    reach = settings.fit_cap_std_devs * pl.col("atm_guess") * pl.col("tte_years").sqrt()
    return scaled.filter(pl.col("log_moneyness").abs() <= reach).sort(
        "tte_years", "expiration_date", "log_moneyness"
    )


def _points(chosen: pl.DataFrame, expiries: pl.Series, settings: Settings) -> Points:
    """Arrays of the chosen quotes; `expiries` in order, those without quotes as empty slices."""
    k, vol, low, high, tte, interest = (
        chosen[name].cast(pl.Float64).to_numpy()
        for name in (
            "log_moneyness", "iv_mid", "iv_bid", "iv_ask", "tte_years", "open_interest",
        )
    )  # fmt: skip
    slope = 2.0 * vol * tte  # d total variance / d vol
    half = np.maximum(
        0.5 * (high - np.where(np.isfinite(low), low, 2.0 * vol - high)), MIN_HALF_SPREAD
    )
    in_vol = {
        "vega": 1.0 / half**2,
        "equal": np.full(k.size, 1e6),
        "open_interest": np.nan_to_num(interest, nan=1.0) * 1e3,
    }[settings.fit_weighting]
    counts = dict(chosen.group_by("expiration_date").len().iter_rows())
    sizes = [counts.get(expiry, 0) for expiry in expiries]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Points(k, vol, low, high, tte, in_vol / slope**2, offsets)


def _fit_root(
    rows: pl.DataFrame, forwards: pl.DataFrame, past: pl.DataFrame, settings: Settings
) -> pl.DataFrame:
    """Fit all expiries of one root together, so that none undercuts the one before."""
    from volsurf_math.smiles.svi import Loss, fit_slices

    same_root = rows.select("symbol", "quote_date", "snapshot", "root").unique()
    expiries = forwards.join(same_root, on=same_root.columns).sort("expiration_date")
    chosen = points_to_fit(rows, settings)
    points = _points(chosen, expiries["expiration_date"], settings)

    def fit(points: Points, min_points: int) -> Any:
        w = points.vol**2 * points.tte
        return fit_slices(
            points.k, w, points.weight, points.offsets,
            loss=Loss.SOFT_L1, is_calendar_free=False, min_points=min_points,
        )  # fmt: skip

    fits = fit(points, settings.min_strikes_per_fit)
    is_out = _every_fifth(points)
    held_out = fit(points.without(is_out), settings.min_strikes_per_fit * (HOLDOUT - 1) // HOLDOUT)
    tte = expiries["tte_years"].to_numpy()
    described = pl.concat(
        [
            expiries.select(*same_root.columns, "expiration_date", "tte_years", "forward"),
            _shapes(fits, tte),
            _errors(points, fits.parameters, held_out.parameters, is_out),
            _calendar(points, fits.parameters, tte),
        ],
        how="horizontal",
    ).with_columns(
        model_type=pl.lit("SVI"),
        cap_std_devs=pl.lit(settings.fit_cap_std_devs),
        side=pl.lit(settings.fit_side),
        weighting=pl.lit(settings.fit_weighting),
        model_version=pl.lit(MODEL_VERSION),
    )
    return _with_outcome(described, rows, past, settings)


def _every_fifth(points: Points) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Mark every fifth strike of each slice, never the outermost ones."""
    starts, ends = np.repeat(points.offsets[:-1], np.diff(points.offsets)), points.offsets[1:]
    place = np.arange(points.k.size) - starts
    last = np.repeat(ends - points.offsets[:-1] - 1, np.diff(points.offsets))
    return (place % HOLDOUT == HOLDOUT // 2) & (place > 0) & (place < last)


def _shapes(fits: Any, tte: Array) -> pl.DataFrame:
    """What the parameters say: shape, standard errors, butterfly test. One row per slice."""
    from volsurf_math.smiles.base import FitStatus

    shape = fits.quantities(tte)
    b, rho = fits.parameters[:, 1], fits.parameters[:, 2]
    columns = dict(zip(PARAMETERS, fits.parameters.T, strict=True)) | {
        "atm_vol": shape.atm_vol,
        "atm_vol_std_error": shape.atm_vol_std_error,
        "skew_25delta": shape.skew_25delta,
        "skew_25delta_std_error": shape.skew_25delta_std_error,
        "butterfly_25delta": shape.butterfly_25delta,
        "min_durrleman_g": fits.min_durrleman_g,
        "left_wing_slope": b * (1.0 - rho),
        "right_wing_slope": b * (1.0 + rho),
    }
    return pl.DataFrame({name: _nullable(values) for name, values in columns.items()}).with_columns(
        num_points=pl.Series(fits.n_points, dtype=pl.Int32),
        fit_status=pl.Series([FitStatus(s).name.lower() for s in fits.status.tolist()]),
        butterfly_arbitrage_violations=pl.Series(
            [_negative_densities(row) for row in fits.parameters], dtype=pl.Int32
        ),
    )


def _negative_densities(parameters: Array) -> int | None:
    """Count the grid points over the whole line where the density is negative."""
    from volsurf_math.smiles.svi import RawSvi

    if not np.isfinite(parameters).all():
        return None
    smile = RawSvi(**dict(zip(("a", "b", "rho", "m", "sigma"), parameters.tolist(), strict=True)))
    k = smile.m + smile.sigma * np.sinh(np.linspace(-8.0, 8.0, 401))
    return int((smile.durrleman_g(k) < 0.0).sum())


def _errors(points: Points, parameters: Array, held_out: Array, is_out: Any) -> pl.DataFrame:
    """Errors of each slice against its own quotes, in vol points."""
    rows = []
    for i in range(points.offsets.size - 1):
        part = slice(points.offsets[i], points.offsets[i + 1])
        if not np.isfinite(parameters[i]).all():
            rows.append({"rmse": None})
            continue
        k, tte, vol = points.k[part], points.tte[part], points.vol[part]
        model = np.sqrt(_variance(k, parameters[i]) / tte)
        error = 100.0 * (model - vol)
        inside = (model >= np.nan_to_num(points.low[part])) & (model <= points.high[part])
        out = is_out[part]
        blind = 100.0 * (np.sqrt(_variance(k[out], held_out[i]) / tte[out]) - vol[out])
        rows.append(
            {
                "rmse": float(np.sqrt(np.mean(error**2))),
                "mae": float(np.abs(error).mean()),
                "max_error": float(np.abs(error).max()),
                "inside_spread_share": float(inside.mean()),
                "holdout_rmse": float(np.sqrt(np.mean(blind**2))) if out.any() else None,
                "k_min": float(k[0]),
                "k_max": float(k[-1]),
            }
        )
    names = ("rmse", "mae", "max_error", "inside_spread_share", "holdout_rmse", "k_min", "k_max")
    frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64))
    return frame.with_columns(pl.col("holdout_rmse").fill_nan(None))


def _calendar(points: Points, parameters: Array, tte: Array) -> pl.DataFrame:
    """Compare each slice with the fitted one before it, at equal k where either was quoted."""
    violations, slopes, before = [], [], None
    for i in range(tte.size):
        count, slope = None, None
        if np.isfinite(parameters[i]).all():
            if before is not None:
                ends = [
                    points.k[j]
                    for n in (before, i)
                    for j in (points.offsets[n], points.offsets[n + 1] - 1)
                ]
                k = np.linspace(min(ends), max(ends), 201)
                rise = _variance(k, parameters[i]) - _variance(k, parameters[before])
                slope = float(rise.min() / (tte[i] - tte[before]))
                count = int((rise < -1e-10).sum())
            before = i
        violations.append(count)
        slopes.append(slope)
    return pl.DataFrame(
        {"calendar_arbitrage_violations": violations, "min_calendar_slope": slopes},
        schema={"calendar_arbitrage_violations": pl.Int32, "min_calendar_slope": pl.Float64},
    )


def _variance(k: Array, parameters: Array) -> Array:
    a, b, rho, m, sigma = parameters
    return a + b * (rho * (k - m) + np.hypot(k - m, sigma))  # type: ignore[no-any-return]


def _nullable(values: Array) -> pl.Series:
    return pl.Series(np.asarray(values, dtype=np.float64)).fill_nan(None)


def _with_outcome(
    described: pl.DataFrame, rows: pl.DataFrame, past: pl.DataFrame, settings: Settings
) -> pl.DataFrame:
    """Add status and reason; put yesterday's smile where today's chain is corrupt or diverged."""
    errors = [rule.name for rule in chain_rules(settings) if rule.severity == "error"]
    is_unusable = pl.col("reject_reason").str.contains_any(errors).fill_null(False)
    quality = rows.group_by("expiration_date").agg(unusable=is_unusable.mean())
    at_money = rows.group_by("expiration_date").map_groups(_atm_of_quotes)
    outcome = described.join(quality, on="expiration_date", how="left").join(
        at_money, on="expiration_date", how="left"
    )
    too_few, corrupt = (
        pl.col("fit_status") == "too_few_points",
        pl.col("unusable") > MAX_UNUSABLE_SHARE,
    )
    few = pl.format(
        "{} strikes to fit, needs {}", "num_points", pl.lit(settings.min_strikes_per_fit)
    )
    share = pl.format("{} % of rows unusable", (100.0 * pl.col("unusable")).round(0).cast(pl.Int32))
    is_fitted = pl.col("fit_status") == "converged"
    fitted = outcome.with_columns(
        status=pl.when(is_fitted).then(pl.lit("fitted"))
        .when(too_few & ~corrupt.fill_null(False)).then(pl.lit("skipped"))
        .otherwise(pl.lit("failed")),
        reason=pl.when(is_fitted).then(None).when(too_few & corrupt).then(share)
        .when(too_few).then(few).otherwise(pl.lit("no convergence: ") + pl.col("fit_status")),
        atm_method=pl.when(is_fitted).then(pl.lit("model"))
        .when(pl.col("atm_of_quotes").is_not_null()).then(pl.lit("quotes")),
        atm_vol=pl.coalesce("atm_vol", "atm_of_quotes"),
        parameters_date=pl.when(is_fitted).then("quote_date"),
        passes_no_arbitrage=(pl.col("butterfly_arbitrage_violations") == 0)
        & (pl.col("min_durrleman_g") >= 0.0)
        & (pl.col("calendar_arbitrage_violations").fill_null(0) == 0),
    )  # fmt: skip
    return _carry(fitted, past)


def _atm_of_quotes(rows: pl.DataFrame) -> pl.DataFrame:
    """At-the-money vol from the solved quotes on both sides of the forward; null without both."""
    solved = rows.filter(pl.col("iv_mid") > 0.0, pl.col("is_tradable")).sort("log_moneyness")
    k, w = solved["log_moneyness"].to_numpy(), solved["total_variance"].to_numpy()
    vol = None
    if k.size and k[0] <= 0.0 <= k[-1]:
        vol = float(np.sqrt(np.interp(0.0, k, w) / float(solved["tte_years"].median() or 1.0)))  # type: ignore[arg-type]
    return pl.DataFrame(
        {"expiration_date": rows["expiration_date"][0], "atm_of_quotes": vol},
        schema={"expiration_date": pl.Date, "atm_of_quotes": pl.Float64},
    )


def _carry(fitted: pl.DataFrame, past: pl.DataFrame) -> pl.DataFrame:
    """Replace failed slices by the last fitted row of the same expiry, marked as carried."""
    schema = FITTED_SURFACES.schema
    rows = fitted.select(
        pl.col(name).cast(dtype) for name, dtype in schema.items() if name in fitted.columns
    )
    identity = ["symbol", "snapshot", "root", "expiration_date", "model_type"]
    last = (
        past.sort("quote_date").unique(identity, keep="last").drop("quote_date", "status", "reason")
    )
    failed = rows.filter(pl.col("status") == "failed")
    carried = failed.select(*identity, "quote_date", "reason").join(last, on=identity)
    carried = carried.with_columns(status=pl.lit("carried")).select(schema.names())
    left = rows.join(carried.select(identity), on=identity, how="anti")
    nothing = pl.when(pl.col("status") == "failed").then(pl.col("reason") + "; nothing to carry")
    left = left.with_columns(reason=nothing.otherwise("reason"))
    return pl.concat([left.select(schema.names()), carried])
