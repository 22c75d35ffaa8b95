"""The numbers behind a smile's picture: equal to the tables, and honest about their range."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from tests.app.conftest import DAYS
from volsurf_app import queries, surface
from volsurf_resources.lake import Lake

DAY = DAYS[1]


@pytest.fixture(scope="module")
def lake(filled_home):
    return Lake(filled_home / "lake")


@pytest.fixture(scope="module", params=["SVI", "SSVI"])
def model(request):
    return request.param


@pytest.fixture(scope="module")
def pictures(lake, model):
    return queries.smile_pictures(lake, "SPY", DAY, model_type=model, statuses=("fitted",))


def test_there_is_one_picture_per_fitted_expiry_with_its_row(lake, pictures, model):
    rows = lake.read("fitted_surfaces", [DAY], symbols=["SPY"])
    rows = rows.filter(pl.col("status") == "fitted", pl.col("model_type") == model)
    assert rows.height > 10
    assert [p.smile for p in pictures] == rows.sort("expiration_date").to_dicts()


def test_the_curve_gives_back_the_stored_errors(pictures):
    for picture in pictures:
        used = picture.quotes.filter("is_used")
        error = used["error_vol_points"].to_numpy()
        assert used.height == picture.smile["num_points"]
        assert np.sqrt(np.mean(error**2)) == pytest.approx(picture.smile["rmse"], rel=1e-9)
        assert np.abs(error).max() == pytest.approx(picture.smile["max_error"], rel=1e-9)
        is_inside = pl.col("model_vol").is_between("iv_bid", "iv_ask")
        share = used.filter(is_inside).height / used.height
        assert share == pytest.approx(picture.smile["inside_spread_share"])
        assert 0.0 < picture.rmse_half_spreads < 5.0


def test_every_contract_of_the_expiry_keeps_its_own_vols(lake, pictures):
    quotes = lake.read("option_quotes", [DAY], symbols=["SPY"])
    for picture in pictures:
        own = quotes.filter(
            pl.col("expiration_date") == picture.smile["expiration_date"],
            pl.col("root") == picture.smile["root"],
        )
        columns = ["contract_id", "iv_bid", "iv_mid", "iv_ask"]
        shown = picture.quotes.select(columns).sort("contract_id")
        assert shown.equals(own.select(columns).sort("contract_id"))


def test_the_quoted_range_is_the_middle_half_and_the_rest_is_flagged(pictures):
    for picture in pictures:
        smile, curve = picture.smile, picture.curve
        observed = curve.filter(~pl.col("is_extrapolated"))["log_moneyness"]
        assert (observed[0], observed[-1]) == (smile["k_min"], smile["k_max"])
        width = observed[-1] - observed[0]
        assert curve["log_moneyness"][-1] - curve["log_moneyness"][0] == pytest.approx(2 * width)
        assert curve["log_moneyness"].is_sorted()
        assert curve.filter("is_extrapolated")["low"].is_null().all()
        band = curve.filter(~pl.col("is_extrapolated")).select(pl.col("high") - pl.col("low"))
        assert band["high"].to_numpy() == pytest.approx(2 * smile["atm_vol_std_error"])


def test_the_curve_passes_through_the_stored_vol_at_the_forward(pictures):
    for picture in pictures:
        smile, curve = picture.smile, picture.curve
        at = np.interp(0.0, curve["log_moneyness"], curve["implied_vol"])
        assert at == pytest.approx(smile["atm_vol"], abs=2e-4)
        at = np.interp(smile["forward"], curve["strike"], curve["implied_vol"])
        assert at == pytest.approx(smile["atm_vol"], abs=2e-4)


def test_what_is_drawn_is_what_is_answered(lake, pictures, model):
    for picture in pictures:
        smile = picture.smile
        inside = picture.curve.filter(~pl.col("is_extrapolated"))[1:-1:20]
        for strike, vol, low, high in inside.select("strike", "implied_vol", "low", "high").rows():
            terms = {"expiry": smile["expiration_date"], "root": smile["root"], "strike": strike}
            point = surface.at("SPY", **terms, on=DAY, model=model, lake=lake)
            assert point.implied_vol == pytest.approx(vol, rel=1e-12)
            assert point.std_error == pytest.approx(0.5 * (high - low), rel=1e-9)
        beyond = picture.curve.filter("is_extrapolated")["strike"][-1]
        terms["strike"] = beyond
        assert surface.at("SPY", **terms, on=DAY, model=model, lake=lake).implied_vol is None


def test_the_quotes_are_of_a_time_before_the_close(pictures):
    for picture in pictures:
        assert picture.quote_time.date() == DAY
        assert picture.days == (picture.smile["expiration_date"] - DAY).days


def test_a_skipped_expiry_shows_its_quotes_without_a_curve(lake):
    skipped = queries.smile_pictures(lake, "SPY", DAY, statuses=("skipped",))
    assert all(p.curve.is_empty() and p.rmse_half_spreads is None for p in skipped)
    assert any(p.quotes.height for p in skipped)


def test_what_is_not_there_is_said_with_what_is(lake):
    last = queries.smile_pictures(lake, "SPY", DAY, statuses=("fitted",))[-1]
    known = last.smile["expiration_date"]
    with pytest.raises(queries.NotStored, match=str(known)):
        queries.smile_picture(lake, "SPY", DAY, date(2001, 1, 1))
    with pytest.raises(queries.NotStored, match="none is stored"):
        queries.smile_picture(lake, "ZZZZ", DAY, known)
    with pytest.raises(queries.NotStored, match="none is stored"):
        queries.smile_picture(lake, "SPY", DAYS[2], known)
    assert queries.smile_picture(lake, "SPY", DAY, known).smile == last.smile


def test_every_picture_of_a_session_comes_without_choosing(filled_home):
    lake = Lake(filled_home / "lake")
    rows = lake.read("fitted_surfaces", [DAYS[-2]], symbols=["SPY"]).filter(model_type="SVI")
    with_smile = rows.filter(pl.col("status").is_in(["fitted", "skipped", "failed", "carried"]))
    assert len(queries.smile_pictures(lake, "SPY", DAYS[-2])) == with_smile.height
