"""Model-free variance of chains made by hand: against exact variance, Cboe's steps, and damage."""

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import RATE, alter, bars, expiry, in_days, lake_of, years_to
from volsurf_math.heston import Heston

STRIKES = np.arange(60.0, 151.0, 1.0)
DAYS = (23, 37)
LAW = Heston(kappa=3.0, theta=0.05, sigma=0.7, rho=-0.7, v0=0.03)
MONTH = 30 / 365


def chain(vol=0.2, days=DAYS, strikes=STRIKES, **named):
    return pl.concat([expiry(in_days(n), vol, strikes=strikes, **named) for n in days])


def by_law(strike, tte, forward, vol, is_call):
    discounted = np.exp(-RATE * tte)
    return discounted * LAW.undiscounted_price(forward, strike, tte, is_call)


def row_of(home, rows, *others, **settings):
    lake, _ = lake_of(home, rows, *others, settings=settings)
    (row,) = lake.read("vrp_metrics").iter_rows(named=True)
    return row


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    moves = 100.0 + np.arange(23.0) % 3
    return row_of(tmp_path_factory.mktemp("flat"), chain(), bars(moves))


def test_a_flat_smile_gives_its_variance_back(flat):
    """A strike per fifth of a standard deviation: the sum overshoots by 0.05 points."""
    assert flat["model_free_method"] == "cboe_strip"
    assert flat["model_free_vol_30d"] == pytest.approx(0.2, abs=6e-4)
    assert flat["model_free_variance_30d"] == pytest.approx(flat["model_free_vol_30d"] ** 2)
    assert flat["model_free_reach"] > 5.0


def test_the_premium_is_in_units_of_variance(flat):
    """R065 and C12: implied less realised variance, over the same 21 sessions as the spread."""
    premium = flat["model_free_variance_30d"] - flat["realized_vol_30d"] ** 2
    assert flat["variance_premium_30d"] == pytest.approx(premium, rel=1e-12)
    assert flat["vrp_30d"] != pytest.approx(premium, rel=0.1)


def test_a_skewed_law_gives_its_exact_variance(tmp_path):
    """Heston's mean variance to T is known; the sum over whole dollars errs by under 0.1 point."""
    row = row_of(tmp_path, chain(price=by_law))
    near, far = (years_to(in_days(n)) for n in DAYS)
    total = np.interp(MONTH, [near, far], LAW.diffusive_variance([near, far]))
    assert row["model_free_method"] == "cboe_strip"
    assert row["model_free_vol_30d"] == pytest.approx(np.sqrt(total / MONTH), abs=1e-3)
    assert row["model_free_vol_30d"] > row["implied_vol_30d"] + 0.002


def cboe(rows):
    """The white paper's steps on mid prices of one expiry, one strike after the other."""
    tte, forward = years_to(rows["expiration_date"][0]), rows["forward"][0]
    prices = {
        (kind, strike): 0.5 * (bid + ask)
        for kind, strike, bid, ask in rows.select("option_type", "strike", "bid", "ask").iter_rows()
    }
    strikes = sorted({strike for _, strike in prices})
    split = max(strike for strike in strikes if strike <= forward)
    total = 0.0
    for i, strike in enumerate(strikes):
        low, high = strikes[max(i - 1, 0)], strikes[min(i + 1, len(strikes) - 1)]
        width = (high - low) / (1 if i in (0, len(strikes) - 1) else 2)
        put, call = prices["PUT", strike], prices["CALL", strike]
        price = put if strike < split else call if strike > split else 0.5 * (put + call)
        total += width / strike**2 * price / rows["discount_factor"][0]
    return tte, 2.0 / tte * total - (forward / split - 1.0) ** 2 / tte


def test_both_terms_are_cboes(tmp_path):
    lake, _ = lake_of(tmp_path, chain(price=by_law))
    quotes = lake.read("option_quotes")
    (near, low), (far, high) = (
        cboe(rows) for (_,), rows in quotes.group_by("expiration_date", maintain_order=True)
    )
    in_minutes = (near * low * (far - MONTH) + far * high * (MONTH - near)) / (far - near) / MONTH
    stored = lake.read("vrp_metrics")["model_free_variance_30d"][0]
    assert stored == pytest.approx(in_minutes, rel=1e-9)


def test_a_short_strip_gives_way_to_the_smile(tmp_path):
    """Strikes that end at one standard deviation: the sum would fall short, the smile does not."""
    row = row_of(tmp_path, chain(strikes=np.arange(93.0, 108.0)))
    assert row["model_free_method"] == "smile_integral"
    assert row["model_free_vol_30d"] == pytest.approx(0.2, abs=1e-3)
    assert row["model_free_reach"] is None


def test_an_expiry_whose_strip_is_short_gives_way_to_the_next(tmp_path):
    rows = pl.concat([chain(days=(16, 37)), chain(days=(25,), strikes=np.arange(93.0, 108.0))])
    row = row_of(tmp_path, rows)
    assert row["model_free_method"] == "cboe_strip"
    assert row["model_free_vol_30d"] == pytest.approx(0.2, abs=6e-4)


def test_a_maturity_outside_the_expiries_has_none_and_says_so(tmp_path):
    row = row_of(tmp_path, chain(days=(37, 60)), bars(100.0 + np.arange(80.0) % 3))
    assert row["model_free_variance_30d"] is None
    assert row["model_free_method"] is None
    assert row["variance_premium_30d"] is None
    assert "model_free_variance_30d" in row["reason"]


WRONG = {
    "crossed": {"bid": 9.0, "ask": 8.0},
    "negative": {"bid": -1.0, "ask": 3.0},
    "an arbitrage": {"bid": 30.0, "ask": 30.1},
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_one_wrong_quote_stands_in_no_strip(tmp_path, flat, wrong):
    """The strikes beside it make up for it; taken as it stands it would add a vol point or more."""
    at = (pl.col("strike") == 93.0) & (pl.col("option_type") == "PUT")
    row = row_of(tmp_path, alter(chain(), at, **wrong))
    assert row["model_free_method"] == "cboe_strip"
    assert row["model_free_vol_30d"] == pytest.approx(flat["model_free_vol_30d"], abs=1e-3)


def test_two_options_without_a_bid_end_the_strip(tmp_path, flat):
    """Cboe's rule: what lies beyond two zero bids in a row is left out, however it is quoted."""
    dead = pl.col("strike").is_in([84.0, 85.0]) & (pl.col("option_type") == "PUT")
    beyond = (pl.col("strike") < 84.0) & (pl.col("option_type") == "PUT")
    ended = row_of(tmp_path / "ended", alter(chain(), dead, bid=0.0))
    assert ended["model_free_reach"] == pytest.approx(
        np.log(100.0 / 86.0) / (0.2 * np.sqrt(years_to(in_days(DAYS[1])))), rel=0.03
    )
    missing = row_of(tmp_path / "missing", chain().filter(~dead & ~beyond))
    assert ended["model_free_variance_30d"] == pytest.approx(
        missing["model_free_variance_30d"], rel=1e-9
    )
    assert ended["model_free_variance_30d"] < flat["model_free_variance_30d"]


def test_wide_quotes_far_out_count(tmp_path, flat):
    """A bid of a cent below an offer of three is no error where options cost two cents."""
    far = (pl.col("strike") < 88.0) & (pl.col("option_type") == "PUT")
    wide = alter(chain(), far, bid=pl.col("bid") * 0.6, ask=pl.col("ask") * 1.4)
    row = row_of(tmp_path, wide)
    assert row["model_free_vol_30d"] == pytest.approx(flat["model_free_vol_30d"], abs=2e-5)
