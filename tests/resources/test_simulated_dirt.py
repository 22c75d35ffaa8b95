"""Dirt: every kind occurs at its share, is what its name says, and is all that differs."""

from collections import Counter
from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from volsurf_math.implied_vol import ImpliedVolStatus, implied_vol
from volsurf_resources.contracts import is_adjusted_root
from volsurf_resources.simulated import SimulatedMarket
from volsurf_resources.simulated.dirt import ADDED, Dirt

DAY, SHARE = date(2026, 8, 4), 0.04
CLEAN, DIRTY = SimulatedMarket(dirt=0.0), SimulatedMarket(dirt=SHARE)
BOOK = CLEAN.chain("SPY", DAY)


@pytest.fixture(scope="module")
def spoilt() -> pl.DataFrame:
    """Spoilt rows with their kind and their clean quote."""
    clean = BOOK.select("contract_id", clean_bid="bid", clean_ask="ask")
    chain = DIRTY.chain("SPY", DAY).join(DIRTY.dirt_of("SPY", DAY), on="contract_id")
    truth = CLEAN.truth("SPY", DAY).select(
        "expiration_date", "tte_years", "forward", "discount_factor"
    )
    return chain.join(clean, on="contract_id", how="left").join(
        truth, on="expiration_date", how="left"
    )


def of(spoilt: pl.DataFrame, dirt: Dirt) -> pl.DataFrame:
    found = spoilt.filter(pl.col("dirt") == dirt)
    assert found.height > 0
    return found


def test_every_kind_occurs_at_its_share():
    counts: Counter[str] = Counter()
    rows = 0
    for day in (date(2026, 8, 3), DAY, date(2026, 8, 5)):
        rows += CLEAN.chain("SPY", day).height
        counts.update(DIRTY.dirt_of("SPY", day)["dirt"].to_list())
    expected = SHARE * rows / len(Dirt)
    assert set(counts) == set(Dirt)
    assert all(abs(n - expected) <= 4 for n in counts.values()), counts
    assert sum(counts.values()) == pytest.approx(SHARE * rows, rel=0.03)


def test_all_but_the_dirt_is_clean():
    record = DIRTY.dirt_of("SPY", DAY)
    chain = DIRTY.chain("SPY", DAY)
    touched = record["contract_id"].implode()
    order = ["contract_id"]
    assert_frame_equal(
        chain.filter(~pl.col("contract_id").is_in(touched)).sort(order),
        BOOK.filter(~pl.col("contract_id").is_in(touched)).sort(order),
    )
    added = record.filter(pl.col("dirt").is_in(list(ADDED))).height
    assert chain.height == BOOK.height + added


def test_a_market_without_dirt_has_none():
    assert CLEAN.dirt_of("SPY", DAY).is_empty()


def test_prices_without_sense(spoilt):
    assert (of(spoilt, Dirt.NEGATIVE_PRICE)["bid"] < 0.0).all()
    crossed = of(spoilt, Dirt.CROSSED)
    assert (crossed["bid"] > crossed["ask"]).all()
    nothing = of(spoilt, Dirt.NO_QUOTE)
    assert (nothing["bid"] == 0.0).all()
    assert (nothing["ask"] == 0.0).all()


def test_spreads_too_wide(spoilt):
    width = (pl.col("ask") - pl.col("bid")) / (0.5 * (pl.col("ask") + pl.col("bid")))
    wide = of(spoilt, Dirt.WIDE_SPREAD).select(width=width)["width"]
    assert wide.is_between(0.2, 0.5).all()
    assert (of(spoilt, Dirt.VERY_WIDE_SPREAD).select(width=width)["width"] > 0.5).all()


def neighbours(row: dict) -> tuple[dict, dict]:
    same = BOOK.filter(
        (pl.col("expiration_date") == row["expiration_date"])
        & (pl.col("option_type") == row["option_type"])
    ).sort("strike")
    i = int(same["strike"].search_sorted(row["strike"]))
    return same.row(max(i - 1, 0), named=True), same.row(min(i + 1, same.height - 1), named=True)


def test_strikes_out_of_order(spoilt):
    for row in of(spoilt, Dirt.VERTICAL).iter_rows(named=True):
        below, above = neighbours(row)
        dearer = below if row["option_type"] == "CALL" else above
        assert row["bid"] > dearer["ask"]


def test_butterflies_that_pay_at_once(spoilt):
    for row in of(spoilt, Dirt.BUTTERFLY).iter_rows(named=True):
        below, above = neighbours(row)
        weight = (above["strike"] - row["strike"]) / (above["strike"] - below["strike"])
        assert row["bid"] > weight * below["ask"] + (1.0 - weight) * above["ask"]
        assert row["ask"] < max(below["bid"], above["bid"])


def test_calendars_that_pay_at_once(spoilt):
    for row in of(spoilt, Dirt.CALENDAR).iter_rows(named=True):
        later = BOOK.filter(
            (pl.col("expiration_date") > row["expiration_date"])
            & (pl.col("strike") == row["strike"])
            & (pl.col("option_type") == row["option_type"])
        ).sort("expiration_date")
        assert row["bid"] > later["ask"][0]


def test_parity_gaps(spoilt):
    gaps = of(spoilt, Dirt.PARITY_GAP)
    shift = (gaps["bid"] + gaps["ask"] - gaps["clean_bid"] - gaps["clean_ask"]) / 2.0
    assert (shift > 4.0 * (gaps["clean_ask"] - gaps["clean_bid"])).all()
    assert (shift > 0.005 * gaps["underlying_price"]).all()


def mid_vol(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return implied_vol(
        (rows["bid"] + rows["ask"]) / 2.0,
        rows["forward"],
        rows["strike"],
        rows["tte_years"],
        rows["discount_factor"],
        rows["option_type"] == "CALL",
    )


def test_volatilities_out_of_range(spoilt):
    high, _ = mid_vol(of(spoilt, Dirt.VOL_TOO_HIGH))
    low, _ = mid_vol(of(spoilt, Dirt.VOL_TOO_LOW))
    assert (high > 2.0).all()
    assert (low < 0.05).all()


def test_prices_below_intrinsic_value_have_no_volatility(spoilt):
    rows = of(spoilt, Dirt.BELOW_INTRINSIC)
    vol, status = mid_vol(rows)
    assert np.isnan(vol).all()
    assert (status != ImpliedVolStatus.OK).all()


def test_contracts_that_do_not_belong(spoilt):
    assert (of(spoilt, Dirt.STALE)["quote_time"].dt.date() == date(2026, 8, 3)).all()
    assert (of(spoilt, Dirt.EXPIRED)["expiration_date"] < DAY).all()
    adjusted = of(spoilt, Dirt.ADJUSTED)
    assert adjusted["is_adjusted"].all()
    assert all(is_adjusted_root(root, "SPY") for root in adjusted["root"])


def test_duplicates(spoilt):
    chain = DIRTY.chain("SPY", DAY)
    for dirt, distinct in ((Dirt.DUPLICATE, 1), (Dirt.CONFLICTING_DUPLICATE, 2)):
        for name in of(spoilt, dirt)["contract_id"].unique():
            rows = chain.filter(pl.col("contract_id") == name)
            assert rows.height == 2
            assert rows.unique().height == distinct


def test_the_strikes_beside_a_spoilt_one_are_clean(spoilt):
    side = ["expiration_date", "option_type"]
    changed = spoilt.filter(~pl.col("dirt").is_in(list(ADDED)))
    listed = BOOK.sort(*side, "strike").with_columns(
        rank=pl.int_range(pl.len()).over(side, order_by="strike")
    )
    ranks = listed.join(changed.select("contract_id"), on="contract_id", how="semi")
    gaps = ranks.select(pl.col("rank").diff().over(side, order_by="rank"))["rank"].drop_nulls()
    assert gaps.len() > 50
    assert (gaps > 1).all()
