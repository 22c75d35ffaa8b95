"""The service in this process: stored rows as they are, greeks against Black written out."""

import math
from datetime import timedelta

import polars as pl
import pytest
from scipy.stats import norm

from tests.assets.handmade import DAY
from tests.assets.test_surfaces import smiles
from volsurf_app.client import STANDARD_GRID, GridSpec, LocalClient
from volsurf_app.contract_greeks import greeks
from volsurf_app.questions import BadQuestion, NotStored
from volsurf_resources.lake import Lake
from volsurf_tables.quotes import IMPLIED_FORWARDS

SPOT, RATE, CARRY = 100.0, 0.04, 0.03
EXPIRY = DAY + timedelta(days=60)


def forwards(rows):
    known = rows.with_columns(
        exercise_style=pl.lit("european"),
        spot=SPOT,
        discount_factor=(-RATE * pl.col("tte_years")).exp(),
        implied_rate=RATE,
        implied_carry=CARRY,
        status=pl.lit("estimated"),
    )
    schema = IMPLIED_FORWARDS.schema
    return pl.concat([schema.to_frame(), known], how="diagonal_relaxed").select(schema.names())


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.replace("fitted_surfaces", DAY, smiles())
    lake.replace("implied_forwards", DAY, forwards(smiles().drop("reason")))
    return lake


@pytest.fixture
def client(lake):
    return LocalClient(lake)


def test_svi_params_are_the_stored_rows(client, lake):
    found = client.get_svi_params("SPX", DAY)
    rows = lake.read("fitted_surfaces", [DAY]).sort("expiration_date").rows(named=True)
    assert len(found.slices) == len(rows)
    for one, row in zip(found.slices, rows, strict=True):
        for name in ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma", "status", "model_version"):
            assert getattr(one, name) == row[name]
    assert found.content_hash == lake.content_hash("fitted_surfaces", DAY, "SPX")
    assert found.units["k_min"] == "log-moneyness"


@pytest.mark.parametrize("strike", [90.0, 100.0, 108.0])
@pytest.mark.parametrize("side", ["CALL", "PUT"])
def test_greeks_are_blacks_at_the_served_vol(client, strike, side):
    point = client.get_implied_vol("SPX", DAY, EXPIRY, strike)
    found = client.get_greeks("SPX", DAY, EXPIRY, strike, side)
    assert found.implied_vol == point.implied_vol

    def price(spot, tte, vol, rate):
        forward, df = spot * math.exp((CARRY + rate - RATE) * tte), math.exp(-rate * tte)
        root = vol * math.sqrt(tte)
        d1 = math.log(forward / strike) / root + root / 2
        sign = 1 if side == "CALL" else -1
        return df * sign * (forward * norm.cdf(sign * d1) - strike * norm.cdf(sign * (d1 - root)))

    at, h = (SPOT, found.tte_years, found.implied_vol, RATE), 1e-4

    def slope(i):
        up, down = (tuple(x + s * h * (j == i) for j, x in enumerate(at)) for s in (1, -1))
        return (price(*up) - price(*down)) / (2 * h)

    assert found.price == pytest.approx(price(*at), abs=1e-12)
    assert found.delta == pytest.approx(slope(0), abs=1e-6)
    assert found.theta == pytest.approx(-slope(1), rel=1e-5)
    assert found.vega == pytest.approx(slope(2), rel=1e-5)
    assert found.rho == pytest.approx(slope(3), rel=1e-5)
    assert found.units["vega"] == "USD per 1.00 vol"


def test_between_expiries_the_rate_is_linear_in_time(client, lake):
    found = greeks("SPX", tenor="90d", strike=100.0, option_type="C", lake=lake)
    point = client.get_implied_vol("SPX", DAY, 90 / 365, 100.0)
    assert found.implied_vol == point.implied_vol
    assert (found.forward, found.expiration_date) == (point.forward, None)
    assert found.discount_factor == pytest.approx(math.exp(-RATE * 90 / 365), rel=1e-12)
    assert found.implied_carry == pytest.approx(CARRY, rel=1e-12)
    put = greeks("SPX", tenor="90d", strike=100.0, option_type="P", lake=lake)
    parity = found.discount_factor * (found.forward - 100.0)
    assert found.price - put.price == pytest.approx(parity, abs=1e-12)


def test_contract_beyond_the_quotes_has_no_greeks(client, lake):
    found = client.get_greeks("SPX", DAY, EXPIRY, 300.0, "C")
    assert (found.price, found.delta, found.status) == (None, None, "outside_strikes")
    lake.replace("implied_forwards", DAY, forwards(smiles().drop("reason")).clear())
    found = client.get_greeks("SPX", DAY, EXPIRY, 100.0, "C")
    assert (found.price, found.status) == (None, "no_forward")
    with pytest.raises(BadQuestion, match="CALL or PUT"):
        client.get_greeks("SPX", DAY, EXPIRY, 100.0, "straddle")
    with pytest.raises(NotStored, match="nearest"):
        client.get_greeks("SPX", DAY, EXPIRY + timedelta(days=1), 100.0, "C")


def test_standard_grid_and_bad_ones(client):
    grid = client.get_surface("SPX", None)
    assert len(grid.implied_vol) == len(STANDARD_GRID.tenors)
    assert grid.status[0] == ["outside_expiries"] * len(STANDARD_GRID.log_moneyness)
    assert STANDARD_GRID.size == 110
    for bad in (
        GridSpec(),
        GridSpec(tenors=(30,)),
        GridSpec(tenors=(30,), ttes=(0.1,), deltas=(0.5,)),
        GridSpec(tenors=(30,), deltas=(0.5,), strikes=(1.0,)),
        GridSpec(tenors=(-30,), deltas=(0.5,)),
    ):
        with pytest.raises(BadQuestion):
            client.get_surface("SPX", DAY, bad)
