"""The recorded snapshot of 880 BTC options, end to end: what a reference tool fits, fitted better.

The numbers that it is held against are the exchange's own: `mark_iv`, its greeks, its underlyings.
"""

import os
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.assets.coins import coin_settings, fill_coins
from volsurf_app import queries
from volsurf_assets.smile_quality import PARAMETERS, variance
from volsurf_math.black import undiscounted_price
from volsurf_math.greeks import black_greeks
from volsurf_tables.surfaces import IS_STANDARD

pytestmark = pytest.mark.skipif(
    "VOLSURF_REAL_DATA" not in os.environ, reason="VOLSURF_REAL_DATA names no folder of real data"
)
DAY = date(2026, 2, 20)
CLOSE_ENOUGH = 0.30  # vol points, to `mark_iv` within two standard deviations


def recorded_lake(home, price_source):
    """Every table of the recorded snapshot, made of quotes or of marks."""
    file = Path(os.environ["VOLSURF_REAL_DATA"]) / "deribit_btc_20260220.json"
    settings = coin_settings(home, price_source=price_source, deribit_recordings=file)
    return fill_coins(settings, [DAY])[0]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return recorded_lake(tmp_path_factory.mktemp("quotes"), "quotes")


@pytest.fixture(scope="module")
def lake_of_marks(tmp_path_factory):
    return recorded_lake(tmp_path_factory.mktemp("marks"), "marks")


def quotes_of(lake):
    """Quotes with what the exchange says of them."""
    raw = lake.read("raw_options_chains", [DAY])
    theirs = ("contract_id", "underlying_price", "price_unit", "mark")
    vendor = [name for name in raw.columns if name.startswith("vendor_")]
    return lake.read("option_quotes", [DAY]).join(raw.select(*theirs, *vendor), on="contract_id")


def smiles_of(lake):
    """Fitted SVI smiles, in order of expiry."""
    rows = lake.read("fitted_surfaces", [DAY]).filter(IS_STANDARD)
    return rows.sort("expiration_date")


@pytest.fixture(scope="module")
def quotes(lake):
    return quotes_of(lake)


@pytest.fixture(scope="module")
def smiles(lake):
    return smiles_of(lake)


def errors(quotes, smiles):
    """RMSE per expiry of smiles against `mark_iv`, out of the money within two deviations."""
    found = []
    expiries = smiles.select("expiration_date", "tte_years").rows()
    for (expiration, tte), own in zip(expiries, smiles.select(PARAMETERS).to_numpy(), strict=True):
        rows = quotes.filter(
            pl.col("expiration_date") == expiration, "is_out_of_the_money", pl.col("vendor_iv") > 0
        )
        k = rows["log_moneyness"].to_numpy()
        vol = np.sqrt(variance(k, own) / tte)
        is_near = np.abs(k) <= 2.0 * np.sqrt(variance(np.zeros(1), own))
        miss = 100.0 * (vol - rows["vendor_iv"].to_numpy())[is_near]
        found.append(float(np.sqrt(np.mean(miss**2))))
    return np.array(found)


def test_every_expiry_is_fitted_without_arbitrage(smiles, lake):
    assert smiles["status"].to_list() == ["fitted"] * 12
    assert smiles["passes_no_arbitrage"].all()
    assert smiles["min_durrleman_g"].min() >= 0.0
    assert smiles["rmse"].median() < 0.30
    assert smiles["rmse"].max() < 0.70  # of the options that expire in 18 hours
    assert smiles["inside_spread_share"].min() > 0.85
    forwards = lake.read("implied_forwards", [DAY])
    assert set(forwards["status"]) == {"estimated"}
    assert forwards["forward_std_error"].max() < 15.0  # USD, of 67000


def test_smiles_are_as_near_to_the_marks_as_the_quotes_themselves(quotes, smiles):
    """A fit to quotes cannot be nearer to the exchange's marks than what is quoted.

    Mids of a coarse tick lie 0.1 to 1.1 vol points from the marks: where they lie within 0.35, so
    does the smile.
    """
    rmse = errors(quotes, smiles)
    reach = 2.0 * pl.col("atm_vol") * pl.col("years").sqrt()
    near = quotes.join(
        smiles.select("expiration_date", "atm_vol", years="tte_years"), on="expiration_date"
    ).filter("is_out_of_the_money", pl.col("vendor_iv") > 0, pl.col("log_moneyness").abs() <= reach)
    apart = 100.0 * (pl.col("iv_mid") - pl.col("vendor_iv"))
    of_mids = near.group_by("expiration_date").agg(rmse=(apart**2).mean().sqrt())
    noise = of_mids.sort("expiration_date")["rmse"].to_numpy()
    assert (rmse <= CLOSE_ENOUGH).sum() >= 5
    assert rmse.max() < 1.0
    assert (rmse < noise + 0.2).all()


def gaps_at_the_money(quotes):
    """Call less put vol of each expiry's pairs quoted on both sides, in vol points, as `gap`.

    The mean over strikes within half a deviation of the forward, weighted by how narrow they are.
    `rounding` is the standard deviation that four quotes in whole ticks leave to the mean of such
    gaps: of each quote tick / sqrt(12), of a mid less a mid the same.
    """
    sides = [quotes.filter(pl.col("option_type") == side, "is_liquid") for side in ("CALL", "PUT")]
    both = sides[0].join(sides[1], on=["expiration_date", "strike"], suffix="_put")
    reach = 0.5 * pl.col("iv_mid") * pl.col("tte_years").sqrt()
    wide = (pl.col("iv_ask") - pl.col("iv_bid")) ** 2
    wide_put = (pl.col("iv_ask_put") - pl.col("iv_bid_put")) ** 2
    gap = 100.0 * (pl.col("iv_mid") - pl.col("iv_mid_put"))
    weight = 1.0 / (wide + wide_put)
    coins = pl.max_horizontal("ask", "ask_put").min()
    tick = pl.when(coins > 0.005).then(0.0005).otherwise(0.0001)
    vega = pl.col("forward").first() * np.sqrt(pl.col("tte_years").first() / (2.0 * np.pi)) / 100.0
    return (
        both.filter(pl.col("log_moneyness").abs() <= reach, pl.col("iv_bid").is_not_null())
        .group_by("expiration_date")
        .agg(
            gap=(gap * weight).sum() / weight.sum(),
            rounding=tick * pl.col("forward").first() / vega / (12.0 * pl.len()).sqrt(),
        )
        .sort("expiration_date")
    )


def test_puts_and_calls_have_one_vol_at_the_money(quotes):
    """Within a tenth of a vol point, or within what quotes in whole ticks can tell."""
    gaps = gaps_at_the_money(quotes)
    assert gaps.height == 12
    assert (gaps["gap"].abs() <= 0.10).sum() >= 10
    assert (gaps["gap"].abs() <= gaps["rounding"].clip(lower_bound=0.10)).all()
    assert gaps["gap"].abs().max() < 0.25  # where the narrowest quote is 1.3 points wide
    assert gaps["gap"].abs().median() < 0.03


def test_made_of_marks_the_lake_is_the_exchanges_own(lake_of_marks):
    """PRICE_SOURCE=marks, end to end: forwards, vols and smiles of the tables.

    Marks come in ticks of 0.0001 coins, up to half a vol point of an option of a day, and trail
    the underlying beside them by seconds: single pairs are up to a vol point apart.
    """
    quotes, smiles = quotes_of(lake_of_marks), smiles_of(lake_of_marks)
    tables = lake_of_marks.tables
    empty = {t.name for t in tables if not lake_of_marks.read(t.name, [DAY], snapshot=None).height}
    assert empty <= {"index_levels"}
    assert set(quotes["price_source"]) == set(smiles["price_source"]) == {"marks"}
    assert (quotes["price"] == quotes["mark"]).all()
    without = quotes.filter("is_tradable", pl.col("mark") <= 0.0)
    assert set(without["iv_status"]) <= {"no_mark"}
    assert smiles["status"].to_list() == ["fitted"] * 12
    assert smiles["passes_no_arbitrage"].all()
    assert smiles["min_durrleman_g"].min() >= 0.0
    rmse = errors(quotes, smiles)
    assert (rmse <= CLOSE_ENOUGH).sum() >= 10
    assert (rmse <= 0.35).sum() >= 11
    assert rmse.max() < 0.45
    distances = queries.vendor_differences(lake_of_marks, "BTC", DAY)
    assert distances["vol_distance"].max() < 0.3
    assert (
        distances.filter(pl.col("expiration_date") > date(2026, 3, 1))["vol_distance"].max() < 0.1
    )
    gaps = gaps_at_the_money(quotes)["gap"].abs()
    assert gaps.len() == 12
    assert gaps.max() <= 0.10
    assert lake_of_marks.read("implied_forwards", [DAY])["forward_std_error"].max() < 5.0  # USD


def test_greeks_are_the_vendors_within_its_rounding(quotes):
    """Black on the mark's vol, the expiry's own underlying and the quote's own time.

    Theta is the rate of decay for a day, or for what is left of one, at most the premium.
    """
    rows = quotes.filter(pl.col("vendor_iv") > 0.0)
    columns = ("underlying_price", "strike", "tte_years", "vendor_iv")
    forward, strike, tte, vol = (rows[name].to_numpy() for name in columns)
    is_call = (rows["option_type"] == "CALL").to_numpy()
    ours = black_greeks(forward, strike, tte, vol, np.ones(vol.size), is_call)
    assert np.abs(ours.delta - rows["vendor_delta"].to_numpy()).max() < 6e-5
    assert np.abs(ours.gamma - rows["vendor_gamma"].to_numpy()).max() < 1e-5
    assert np.abs(ours.vega - rows["vendor_vega"].to_numpy()).max() / 100.0 < 0.03
    assert np.abs(ours.rho - rows["vendor_rho"].to_numpy()).max() / 100.0 < 0.015
    premium = undiscounted_price(forward, strike, vol * vol * tte, is_call)
    decay = ours.theta * np.minimum(tte, 1 / 365)
    theirs = rows["vendor_theta"].to_numpy() / 365.0
    is_capped = decay < -premium
    assert is_capped.sum() > 20
    assert np.abs(decay - theirs)[~is_capped].max() < 0.06  # USD per day, of up to 330
    assert np.abs(premium + theirs)[is_capped].max() < 1.2  # they move with the underlying


def test_the_report_of_differences_is_small(lake):
    found = queries.vendor_differences(lake, "BTC", DAY)
    assert found.height == 12
    assert found["vol_distance"].max() < 1.2
    assert found["delta_distance"].max() < 0.012
    later = found.filter(pl.col("expiration_date") > date(2026, 3, 1))
    beyond = later.filter(pl.col("vol_distance") >= 0.35)
    assert beyond["expiration_date"].to_list() == [date(2026, 3, 6)]  # decision 0016
    assert beyond["vol_distance"].max() < 0.37
    assert later["vol_distance"].median() < 0.15
    assert later["vega_distance"].max() < 0.6
    assert later["theta_distance"].max() < 1.0  # USD per day, of up to 90
    assert later["rho_distance"].max() < 0.3  # USD per 1 %, of up to 2000


def test_every_table_of_the_snapshot_is_filled(lake):
    empty = {t.name for t in lake.tables if not lake.read(t.name, [DAY], snapshot=None).height}
    assert empty <= {"index_levels"}  # the file brings none
    heston = lake.read("heston_surfaces", [DAY]).row(0, named=True)
    assert (heston["status"], heston["n_expiries"]) == ("fitted", 12)
    assert heston["rmse"] < 4.0
    assert lake.read("model_scores", [DAY]).height >= 5
    assert lake.read("term_structure_params", [DAY])["status"].to_list() == ["fitted"]
