"""Certificates of stored surfaces say what an independent search of the same surfaces finds."""

from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import DAY, in_days
from tests.assets.pipeline import settings_of, simulated_lake
from volsurf_assets.certificates import surface_certificates
from volsurf_math.smiles.svi import RawSvi
from volsurf_resources.lake import Lake
from volsurf_tables.surfaces import FITTED_SURFACES

TABLES = ["implied_forwards", "option_quotes", "fitted_surfaces", "surface_certificates"]
SURFACE = ["symbol", "quote_date", "model_type"]
LINE = np.sinh(np.linspace(-6.0, 6.0, 4001))
# Gatheral's smile by Vogt, and where it has arbitrage: tests/reference/svi.json
VOGT = {"svi_a": -0.0410, "svi_b": 0.1331, "svi_rho": 0.3060, "svi_m": 0.3586, "svi_sigma": 0.4153}


def slice_of(days, *, level=0.04, model="SVI", status="fitted", **named):
    """One row of fitted_surfaces: a convex smile whose variance is `level` per year."""
    tte = days / 365.0
    smile = {"svi_a": 0.5 * level * tte, "svi_b": 0.5 * level * tte / 0.3, "svi_rho": -0.3,
             "svi_m": 0.0, "svi_sigma": 0.3}  # fmt: skip
    return {
        "symbol": "SPX", "quote_date": DAY, "snapshot": "EOD", "root": "SPX",
        "expiration_date": in_days(days), "model_type": model, "tte_years": tte, "forward": 100.0,
        "k_min": -0.3, "k_max": 0.3, "num_points": 20, "atm_vol_std_error": 1e-3,
        "status": status, **smile,
    } | named  # fmt: skip


def certified(home, *slices):
    settings = settings_of(home)
    lake = Lake(settings.lake_root)
    lake.replace("fitted_surfaces", DAY, pl.DataFrame(slices, schema=FITTED_SURFACES.schema))
    surface_certificates.refresh(lake, settings, DAY)
    return lake.read("surface_certificates")


@pytest.mark.parametrize("model", ["SVI", "SSVI"])
def test_a_clean_surface(tmp_path, model):
    (row,) = certified(tmp_path, *(slice_of(n, model=model) for n in (30, 60, 90))).iter_rows(
        named=True
    )
    assert row["status"] == "certified"
    assert row["reason"] is None
    assert row["is_clean"]
    assert row["is_clean_everywhere"]
    assert (row["num_slices"], row["num_carried"]) == (3, 0)
    assert row["min_density_factor"] > 0.0
    assert row["min_calendar_slope"] > 0.0
    assert row["max_wing_slope"] == pytest.approx(0.5 * 0.04 * 90 / 365 / 0.3 * 1.3)
    assert row["tolerance"] > 0.0
    assert row["grid_points"] > 200


def test_slices_that_cross_beyond_the_quotes_are_clean_as_svi_only(tmp_path):
    """Decision 0007: SVI is judged where both expiries are quoted, a joint fit everywhere."""
    steep = {"svi_b": 0.02, "svi_a": 0.5 * 0.04 * 30 / 365 - 0.004}
    slices = [
        part | {"model_type": model}
        for model in ("SVI", "SSVI")
        for part in (slice_of(30, k_min=-0.05, k_max=0.05, **steep), slice_of(60))
    ]
    found = certified(tmp_path, *slices).rows_by_key("model_type", named=True, unique=True)
    for row in found.values():
        assert (row["calendar_violations"], row["quoted_calendar_violations"]) == (1, 0)
        assert not row["is_clean_everywhere"]
        assert row["min_calendar_slope"] < 0.0 < row["min_quoted_calendar_slope"]
    assert found["SVI"]["is_clean"]
    assert found["SVI"]["calendar_scope"] == "quoted strikes"
    assert not found["SSVI"]["is_clean"]
    assert found["SSVI"]["calendar_scope"] == "whole line"


def test_slices_that_cross_where_quoted_are_not_clean(tmp_path):
    (row,) = certified(tmp_path, slice_of(30), slice_of(60, level=0.01)).iter_rows(named=True)
    assert not row["is_clean"]
    assert row["quoted_calendar_violations"] == 1
    assert row["tte_of_min_calendar"] == pytest.approx(60 / 365)


def test_vogt_s_smile_is_named_with_its_place(tmp_path):
    (row,) = certified(tmp_path, slice_of(365, **VOGT)).iter_rows(named=True)
    assert not row["is_clean"]
    assert row["butterfly_violations"] == 1
    assert row["min_density_factor"] == pytest.approx(-0.03286, abs=1e-5)
    assert 0.6424 < row["k_of_min_density"] < 1.2569
    assert row["min_calendar_slope"] is None  # one expiry has no neighbour


def test_carried_slices_are_checked_as_they_are_read(tmp_path):
    stale = slice_of(31, level=0.01, status="carried")
    (row,) = certified(tmp_path, slice_of(30), stale, slice_of(60)).iter_rows(named=True)
    assert (row["num_slices"], row["num_carried"]) == (3, 1)
    assert not row["is_clean"]


def test_without_smiles_there_is_no_surface(tmp_path):
    empty = dict.fromkeys(VOGT) | {"status": "skipped"}
    (row,) = certified(tmp_path, slice_of(30, **empty)).iter_rows(named=True)
    assert (row["status"], row["is_clean"]) == ("no surface", None)
    assert row["reason"] == "no smile was fitted or carried"


def test_a_session_without_rows_has_no_certificates(tmp_path):
    assert certified(tmp_path).is_empty()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    home = tmp_path_factory.mktemp("simulated")
    return simulated_lake(home, [date(2025, 8, 6), date(2025, 12, 17)], only=TABLES)[0]


def test_every_stored_surface_is_certified_and_clean(simulated):
    certificates, smiles = (simulated.read(t) for t in ("surface_certificates", "fitted_surfaces"))
    assert certificates.select(SURFACE).equals(smiles.select(SURFACE).unique().sort(SURFACE))
    assert certificates["is_clean"].all()
    joint = certificates.filter(pl.col("model_type") == "SSVI")
    assert joint["is_clean_everywhere"].all()
    assert (joint["calendar_violations"] + joint["butterfly_violations"] == 0).all()


def test_what_is_certified_is_what_a_fine_grid_finds(simulated):
    smiles = simulated.read("fitted_surfaces").filter(pl.col("status") == "fitted")
    certificates = simulated.read("surface_certificates")
    for row in certificates.filter(pl.col("status") == "certified").iter_rows(named=True):
        own = smiles.filter(pl.col(name) == row[name] for name in SURFACE).sort("tte_years")
        slices = [
            RawSvi(**{name[4:]: part[name] for name in VOGT}) for part in own.iter_rows(named=True)
        ]
        assert row["num_slices"] == len(slices)
        density = min(float(s.durrleman_g(s.m + s.sigma * LINE).min()) for s in slices)
        assert row["min_density_factor"] <= density + 1e-9
        wings = max(max(s.left_slope, s.right_slope) for s in slices)
        assert row["max_wing_slope"] == pytest.approx(wings)
        years = np.diff(own["tte_years"].to_numpy())
        found = [
            least_gap(*pair) / apart for pair, apart in zip(pairwise(slices), years, strict=True)
        ]
        assert row["min_calendar_slope"] <= min(found) + 1e-9
        assert row["min_calendar_slope"] >= min(found) - 1e-3


def least_gap(near, far):
    """Least growth of variance within 200 widths of either vertex."""
    gaps = [
        (far.total_variance(k) - near.total_variance(k)).min()
        for k in (part.m + part.sigma * LINE for part in (near, far))
    ]
    return min(gaps)
