"""Realised volatility by hand, what is no move, and the premium against its own past only."""

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import DAY, alter, bars, put
from tests.assets.pipeline import settings_of
from volsurf_assets.variance import (
    constant_maturity_atm_vol,
    realized_volatility,
    vrp_metrics,
)
from volsurf_resources.exchange_calendar import last_sessions
from volsurf_resources.lake import Lake
from volsurf_tables.market import INDEX_LEVELS
from volsurf_tables.surfaces import FITTED_SURFACES
from volsurf_tables.variance import REALIZED_VOLATILITY

PRICES = ("open", "high", "low", "close")


def lake_at(home):
    settings = settings_of(home)
    return Lake(settings.lake_root), settings


def realised(home, *frames, day=DAY):
    lake, settings = lake_at(home)
    for (date,), rows in pl.concat(frames).group_by("quote_date"):
        lake.replace("underlying_prices", date, rows)
    return realized_volatility.compute(realized_volatility.session(lake, settings, day))


def only(frame):
    (row,) = frame.iter_rows(named=True)
    return row


def walk(n, vol=0.2, steps=40, seed=5):
    """Bars of a driftless random walk that trades all night: no gap but the one of a step."""
    rng = np.random.default_rng(seed)
    moves = rng.standard_normal((n, steps)) * vol / np.sqrt(252.0 * steps)
    path = 100.0 * np.exp(np.cumsum(moves).reshape(n, steps))
    before = np.concatenate([[100.0], path[:-1, -1]])
    whole = np.column_stack([before, path])
    return {"open": before, "high": whole.max(axis=1), "low": whole.min(axis=1),
            "close": path[:, -1]}  # fmt: skip


def walk_bars(n, **named):
    prices = walk(n)
    return bars(prices["close"], **(prices | named))


def test_estimators_equal_their_formulas_on_a_fixture(tmp_path):
    """R026 and R062 to R064, each formula written out here, over the last ten of eleven bars."""
    open_ = np.array([100, 101, 99, 102, 104, 103, 101, 100, 102, 105, 104.0])
    high = np.array([102, 103, 101, 105, 106, 104, 103, 103, 106, 107, 105.0])
    low = np.array([99, 98, 98, 101, 102, 100, 99, 99, 101, 103, 102.0])
    close = np.array([101, 99, 101, 104, 103, 101, 100, 102, 105, 104, 103.0])
    row = only(realised(tmp_path, bars(close, open=open_, high=high, low=low)))
    returns = np.log(close[1:] / close[:-1])
    assert row["rv_10d"] == pytest.approx(np.sqrt(252 * np.mean(returns**2)), rel=1e-12)
    span, body = np.log(high / low)[1:], np.log(close / open_)[1:]
    parkinson = np.mean(span**2) / (4 * np.log(2))
    assert row["parkinson_10d"] == pytest.approx(np.sqrt(252 * parkinson), rel=1e-12)
    gk = np.mean(0.5 * span**2 - (2 * np.log(2) - 1) * body**2)
    assert row["gk_10d"] == pytest.approx(np.sqrt(252 * gk), rel=1e-12)
    assert (row["num_sessions"], row["status"]) == (11, "partial")
    assert row["rv_21d"] is None
    assert row["reason"].startswith("11 sessions of history; not available: rv_21d")


@pytest.fixture(scope="module")
def long_history(tmp_path_factory):
    return only(realised(tmp_path_factory.mktemp("long"), walk_bars(320)))


def test_a_long_history_fills_every_column(long_history):
    assert long_history["status"] == "complete"
    assert long_history["reason"] is None
    assert long_history["num_sessions"] == 320
    assert all(value is not None for name, value in long_history.items() if name != "reason")


def test_a_random_walk_gives_its_volatility_back(long_history):
    """Standard errors: 0.2 / sqrt(2 n) close to close, less from the range; 4 of them."""
    assert long_history["rv_252d"] == pytest.approx(0.2, abs=4 * 0.2 / np.sqrt(504))
    for name in ("parkinson_21d", "gk_21d", "rogers_satchell_21d", "yang_zhang_21d"):
        assert long_history[name] == pytest.approx(0.2, abs=0.06), name
    for name in ("har_forecast_21d", "garch_forecast_21d"):
        assert long_history[name] == pytest.approx(0.2, abs=0.06), name


def test_windows_fill_one_session_at_a_time(tmp_path):
    """A return needs two closes, a range only its own bar."""
    lake, settings = lake_at(tmp_path)
    put(lake, walk_bars(22))
    days = last_sessions(DAY, 22)

    def at(n):
        return only(
            realized_volatility.compute(realized_volatility.session(lake, settings, days[n - 1]))
        )

    assert at(10)["rv_10d"] is None
    assert at(10)["parkinson_10d"] is not None
    assert at(11)["rv_10d"] is not None
    assert at(21)["rv_21d"] is None
    assert at(21)["gk_21d"] is not None
    assert at(22)["rv_21d"] is not None
    assert at(22)["rv_42d"] is None


def spread_out(close):
    """Bars whose high and low lie one per cent around the close, and which open at it."""
    return {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close}


def test_a_split_is_no_move(tmp_path):
    """Seven new shares for one, between two sessions: 700 becomes 100."""
    close = np.where(np.arange(30) < 15, 700.0, 100.0)
    ratio = np.where(np.arange(30) == 15, 7.0, 1.0)
    row = only(realised(tmp_path, bars(close, split_ratio=ratio, **spread_out(close))))
    assert row["rv_10d"] == row["rv_21d"] == pytest.approx(0.0, abs=1e-12)
    one_bar = np.sqrt(252 * np.log(1.01 / 0.99) ** 2 / (4 * np.log(2)))
    assert row["parkinson_21d"] == pytest.approx(one_bar, rel=1e-12)
    unaware = only(realised(tmp_path / "unaware", bars(close, **spread_out(close))))
    assert unaware["rv_21d"] > 5.0


def test_a_reverse_split_and_moves_around_it_are_kept(tmp_path):
    prices = walk(30)
    scale = np.where(np.arange(30) < 15, 1.0, 10.0)  # one new share for ten
    ratio = np.where(np.arange(30) == 15, 0.1, 1.0)
    plain = only(realised(tmp_path / "plain", bars(prices["close"], **prices)))
    scaled = {name: values * scale for name, values in prices.items()}
    split = only(realised(tmp_path, bars(scaled["close"], split_ratio=ratio, **scaled)))
    for name in ("rv_10d", "rv_21d", "parkinson_21d", "gk_10d", "yang_zhang_21d"):
        assert split[name] == pytest.approx(plain[name], rel=1e-12), name


def test_a_dividend_is_no_move(tmp_path):
    close = np.where(np.arange(30) < 20, 100.0, 98.0)
    paid = np.where(np.arange(30) == 20, 2.0, 0.0)
    row = only(realised(tmp_path, bars(close, dividend=paid)))
    assert row["rv_10d"] == row["rv_21d"] == pytest.approx(0.0, abs=1e-12)


def test_unknown_dividends_and_splits_are_none(tmp_path):
    known = only(realised(tmp_path / "known", walk_bars(30)))
    unknown = only(realised(tmp_path, walk_bars(30, dividend=None, split_ratio=None)))
    assert unknown == known


def test_a_session_without_bar_is_missing_and_says_so(tmp_path):
    row = only(realised(tmp_path, walk_bars(30).filter(pl.col("quote_date") < DAY)))
    assert (row["status"], row["reason"]) == ("missing", "no bar of this session")
    assert row["rv_10d"] is None
    assert row["symbol"] == "SPX"


def test_a_gap_inside_a_window_leaves_that_window_empty(tmp_path):
    gap = last_sessions(DAY, 15)[0]
    row = only(realised(tmp_path, walk_bars(60).filter(pl.col("quote_date") != gap)))
    assert row["rv_10d"] is not None
    assert row["rv_21d"] is None
    assert row["parkinson_10d"] is not None
    assert row["parkinson_21d"] is None
    assert (row["status"], row["num_sessions"]) == ("partial", 59)
    expected = f"59 sessions of history, none on {gap}; not available: rv_21d, rv_30d, rv_42d"
    assert row["reason"].startswith(expected)


@pytest.mark.parametrize("bad", [None, 0.0, -1.0, float("nan")])
def test_a_price_that_is_none_spoils_its_windows_only(tmp_path, bad):
    day = last_sessions(DAY, 15)[0]
    row = only(realised(tmp_path, alter(walk_bars(30), pl.col("quote_date") == day, close=bad)))
    assert row["rv_10d"] is not None
    assert row["rv_21d"] is None
    assert row["num_sessions"] == 29


@pytest.mark.parametrize("ratio", [0.0, -1.0, None])
def test_a_split_ratio_that_is_none_is_no_split(tmp_path, ratio):
    day = last_sessions(DAY, 5)[0]
    odd = alter(walk_bars(30), pl.col("quote_date") == day, split_ratio=ratio)
    assert only(realised(tmp_path, odd)) == only(realised(tmp_path / "even", walk_bars(30)))


def test_nothing_after_the_day_is_read(tmp_path):
    frame = walk_bars(40)
    day = last_sessions(DAY, 6)[0]
    everything = realised(tmp_path / "all", frame, day=day)
    truncated = realised(tmp_path / "past", frame.filter(pl.col("quote_date") <= day), day=day)
    assert everything.equals(truncated)


def test_symbols_do_not_mix(tmp_path):
    mine = walk_bars(30)
    other = walk_bars(25, symbol="NDX", split_ratio=2.0)
    both = realised(tmp_path / "both", other, mine)
    assert both.filter(pl.col("symbol") == "SPX").equals(realised(tmp_path / "mine", mine))
    assert both.height == 2


def smiles(day, level, symbol="SPX", days=(7, 25, 45, 100)):
    """Flat fitted smiles whose vols rise by a vol point from one expiry to the next."""
    vol = [level + 0.01 * i for i in range(len(days))]
    vols = {"atm_vol": vol, "svi_a": [v**2 * n / 365.0 for v, n in zip(vol, days, strict=True)]}
    named = {"symbol": symbol, "quote_date": day, "snapshot": "EOD", "root": symbol,
             "model_type": "SVI", "status": "fitted", "svi_b": 0.0, "svi_rho": 0.0, "svi_m": 0.0,
             "svi_sigma": 0.1}  # fmt: skip
    dates = [day + timedelta(days=n) for n in days]
    frame = pl.DataFrame({"tte_years": [n / 365.0 for n in days], "expiration_date": dates} | vols)
    frame = frame.with_columns(pl.lit(value).alias(name) for name, value in named.items())
    return pl.concat([FITTED_SURFACES.schema.to_frame(), frame], how="diagonal_relaxed")


def realised_row(day, symbol="SPX", **named):
    values = {"rv_21d": 0.15, "rv_42d": 0.16, "rv_63d": 0.17} | named
    row = {"symbol": symbol, "quote_date": day, "snapshot": "EOD", "status": "complete"} | values
    return pl.DataFrame([row], schema=REALIZED_VOLATILITY.schema)


def premium_lake(home, days, levels, symbols=("SPX",), **settings):
    """Implied levels and constant realised vols of some sessions, and vrp_metrics over them."""
    in_force = settings_of(home, **settings)
    lake = Lake(in_force.lake_root)
    for day, level in zip(days, levels, strict=True):
        lake.replace("fitted_surfaces", day, pl.concat([smiles(day, level, s) for s in symbols]))
        rows = pl.concat([realised_row(day, s) for s in symbols])
        lake.replace("realized_volatility", day, rows)
        vrp_metrics.refresh(lake, in_force, day)
    return lake


def test_the_premium_is_implied_less_realised_row_by_row(tmp_path):
    row = only(premium_lake(tmp_path, [DAY], [0.20]).read("vrp_metrics"))
    for days, done in ((30, 0.15), (60, 0.16), (90, 0.17)):
        assert row[f"realized_vol_{days}d"] == done
        assert row[f"vrp_{days}d"] == row[f"implied_vol_{days}d"] - done
        assert row[f"implied_vol_{days}d"] == constant_maturity_atm_vol(smiles(DAY, 0.20), days)
    assert (row["status"], row["reason"]) == ("complete", None)
    assert (row["num_history"], row["vrp_zscore"]) == (0, None)


def test_variance_at_constant_maturity_is_linear_in_time():
    rows = smiles(DAY, 0.20)
    w25, w45 = 0.21**2 * 25, 0.22**2 * 45
    truth = np.sqrt((w25 + (w45 - w25) * 5 / 20) / 30)
    assert constant_maturity_atm_vol(rows, 30) == pytest.approx(truth, rel=1e-12)
    assert constant_maturity_atm_vol(rows, 45) == pytest.approx(0.22, rel=1e-12)
    assert constant_maturity_atm_vol(rows.sample(fraction=1.0, shuffle=True, seed=1), 30) == (
        pytest.approx(truth, rel=1e-12)
    )


@pytest.mark.parametrize("tenor", [6, 101])
def test_implied_vol_is_not_extrapolated(tenor):
    assert constant_maturity_atm_vol(smiles(DAY, 0.20), tenor) is None
    assert constant_maturity_atm_vol(smiles(DAY, 0.20).clear(), 30) is None


def test_what_is_not_available_is_named(tmp_path):
    lake, settings = lake_at(tmp_path)
    lake.replace("fitted_surfaces", DAY, smiles(DAY, 0.2, days=(7, 70)))
    lake.replace("realized_volatility", DAY, realised_row(DAY, rv_42d=None))
    row = only(vrp_metrics.compute(vrp_metrics.session(lake, settings, DAY)))
    assert row["status"] == "partial"
    assert row["reason"] == "not available: realized_vol_60d, implied_vol_90d"
    assert row["vrp_30d"] is not None
    assert row["vrp_60d"] is None


def test_a_session_with_only_one_side_of_the_premium_is_missing(tmp_path):
    lake, settings = lake_at(tmp_path)
    lake.replace("fitted_surfaces", DAY, smiles(DAY, 0.2))
    row = only(vrp_metrics.compute(vrp_metrics.session(lake, settings, DAY)))
    assert (row["status"], row["vrp_30d"]) == ("missing", None)
    lake.replace("realized_volatility", DAY, realised_row(DAY))
    lake.replace("fitted_surfaces", DAY, smiles(DAY, 0.2).clear())
    row = only(vrp_metrics.compute(vrp_metrics.session(lake, settings, DAY)))
    assert (row["status"], row["realized_vol_30d"]) == ("missing", 0.15)


DAYS = last_sessions(DAY, 30)
LEVELS = 0.2 + 0.03 * np.random.default_rng(9).standard_normal(30)


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    return premium_lake(tmp_path_factory.mktemp("vrp"), DAYS, LEVELS).read("vrp_metrics")


def test_a_zscore_needs_its_history(history):
    assert history["num_history"].to_list() == list(range(30))
    assert history["vrp_zscore"].is_not_null().to_list() == [n >= 20 for n in range(30)]
    assert (history["vrp_zscore"].is_null() == history["vrp_percentile"].is_null()).all()


def test_a_zscore_is_against_the_past_alone(history):
    premium = history["vrp_30d"].to_numpy()
    for n in range(20, 30):
        past = premium[:n]
        zscore = (premium[n] - past.mean()) / past.std(ddof=1)
        assert history["vrp_zscore"][n] == pytest.approx(zscore, rel=1e-10)
        assert history["vrp_percentile"][n] == pytest.approx((past < premium[n]).mean())


def test_a_truncated_future_changes_no_zscore(history, tmp_path):
    past = premium_lake(tmp_path, DAYS[:25], LEVELS[:25]).read("vrp_metrics")
    assert past.equals(history.head(25))


def test_the_window_of_the_zscore_is_a_setting(tmp_path):
    narrow = premium_lake(tmp_path, DAYS[:15], LEVELS[:15], vrp_window=10, vrp_min_history=5)
    rows = narrow.read("vrp_metrics")
    assert rows["num_history"].to_list() == [*range(10), *[10] * 5]
    assert rows["vrp_zscore"].is_not_null().to_list() == [n >= 5 for n in range(15)]
    premium = rows["vrp_30d"].to_numpy()
    past = premium[4:14]
    zscore = (premium[14] - past.mean()) / past.std(ddof=1)
    assert rows["vrp_zscore"][14] == pytest.approx(zscore, rel=1e-10)


def test_premiums_of_other_symbols_take_no_part(history, tmp_path):
    both = premium_lake(tmp_path, DAYS[:22], LEVELS[:22], symbols=("NDX", "SPX"))
    own = both.read("vrp_metrics", symbols=["SPX"])
    assert own.equals(history.head(22))


def test_coins_are_annualised_by_every_day_of_the_year_and_matched_day_by_day(tmp_path):
    settings = settings_of(tmp_path, volsurf_market="crypto", crypto_symbols="BTC")
    lake = Lake(settings.lake_root, calendar=settings.calendar)
    close = 60_000.0 * np.exp(np.cumsum(np.resize([0.02, -0.02], 92)))
    days = settings.calendar.last_sessions(DAY, close.size)
    one = bars([1.0])
    for day, price in zip(days, close, strict=True):
        own = one.with_columns(
            *(pl.lit(price).alias(name) for name in PRICES), symbol=pl.lit("BTC"),
            quote_date=pl.lit(day),
        )  # fmt: skip
        lake.replace("underlying_prices", day, own)
    found = only(realized_volatility.compute(realized_volatility.session(lake, settings, DAY)))
    for name in ("rv_10d", "rv_30d", "rv_60d", "rv_90d"):
        assert found[name] == pytest.approx(0.02 * np.sqrt(365.0), rel=1e-12)
    realized_volatility.refresh(lake, settings, DAY)
    level = {"index": "DVOL_BTC", "quote_date": DAY, "snapshot": "EOD", "close": 45.0}
    empty = INDEX_LEVELS.schema.to_frame()
    lake.replace("index_levels", DAY, pl.concat([empty, pl.DataFrame(level)], how="diagonal"))
    premium = only(vrp_metrics.compute(vrp_metrics.session(lake, settings, DAY)))
    assert premium["snapshot"] == "EOD"
    assert premium["realized_vol_30d"] == found["rv_30d"]
    assert premium["index_premium_30d"] == pytest.approx(0.45 - found["rv_30d"])
