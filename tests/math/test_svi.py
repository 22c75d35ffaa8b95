"""Raw SVI against published and high-precision values, its own inverses, and SciPy."""

import json
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from volsurf_math.smiles.base import FitStatus
from volsurf_math.smiles.svi import RawSvi

TRUTH = json.loads((Path(__file__).parents[1] / "reference" / "svi.json").read_text())
SLICES = {row["name"]: row for row in TRUTH["slices"]}


def smile_of(row):
    return RawSvi(**row["raw"])


@pytest.fixture(params=SLICES.values(), ids=SLICES)
def row(request):
    return request.param


class TestAgainstHighPrecision:
    def test_variance_slope_and_curvature(self, row):
        k, w, w1, w2, g = (
            np.array([point[name] for point in row["curve"]])
            for name in ("k", "w", "w1", "w2", "g")
        )
        smile = smile_of(row)
        np.testing.assert_allclose(smile.total_variance(k), w, rtol=1e-13)
        np.testing.assert_allclose(smile.slope(k), w1, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(smile.curvature(k), w2, rtol=1e-13)
        np.testing.assert_allclose(smile.durrleman_g(k), g, rtol=1e-11)

    def test_lowest_variance_and_wings(self, row):
        smile = smile_of(row)
        assert smile.min_total_variance == pytest.approx(row["min_w"], rel=1e-13)
        assert smile.left_slope == pytest.approx(row["lee_slopes"]["left"], rel=1e-13)
        assert smile.right_slope == pytest.approx(row["lee_slopes"]["right"], rel=1e-13)

    def test_natural_parameters_and_back(self, row):
        smile, natural = smile_of(row), row["natural"]
        ours = smile.to_natural()
        np.testing.assert_allclose(
            [ours.delta, ours.mu, ours.rho, ours.omega, ours.zeta],
            [natural[x] for x in ("Delta", "mu", "rho", "omega", "zeta")],
            atol=1e-13,
        )
        np.testing.assert_allclose(
            astuple(RawSvi.from_natural(ours)), astuple(smile), rtol=1e-10, atol=1e-12
        )

    def test_jump_wings(self, row):
        ours = smile_of(row).to_jump_wings(row["T"])
        np.testing.assert_allclose(
            [ours.v, ours.psi, ours.p, ours.c, ours.v_tilde],
            [row["jw"][x] for x in ("v", "psi", "p", "c", "vt")],
            rtol=1e-12,
            atol=1e-14,
        )

    def test_butterfly_verdict(self, row):
        assert smile_of(row).is_butterfly_free is row["butterfly_free"]

    @pytest.mark.parametrize("name", ["vogt", "spx_1y", "steep_wing"])
    def test_lowest_density_factor(self, name):
        assert smile_of(SLICES[name]).min_durrleman_g() == pytest.approx(
            SLICES[name]["g_min"], abs=1e-12
        )

    @pytest.mark.parametrize("name", ["spx_1y", "symmetric", "steep_wing"])
    def test_butterfly_arbitrage_begins_at_sigma_star(self, name):
        # Martini & Mingone (2022): at fixed (a, m)/sigma, free of arbitrage iff sigma >= sigma*
        star = SLICES[name]["martini_mingone_sigma_star"]
        raw = SLICES[name]["raw"]
        for factor, is_free in ((1.0001, True), (0.99, False)):
            scale = factor * star / raw["sigma"]
            smile = RawSvi(
                a=raw["a"] * scale,
                b=raw["b"],
                rho=raw["rho"],
                m=raw["m"] * scale,
                sigma=factor * star,
            )
            assert smile.is_butterfly_free is is_free

    @pytest.mark.parametrize("name", [n for n, r in SLICES.items() if "delta_skew" in r])
    def test_volatility_at_25_delta(self, name):
        row, truth = SLICES[name], SLICES[name]["delta_skew"]
        ours = smile_of(row).quantities(row["T"])
        assert ours.atm_vol[0] == pytest.approx(truth["atmf_vol"], rel=1e-13)
        assert ours.vol_25delta_put[0] == pytest.approx(truth["vol_25p"], rel=1e-12)
        assert ours.vol_25delta_call[0] == pytest.approx(truth["vol_25c"], rel=1e-12)
        assert ours.skew_25delta[0] == pytest.approx(truth["skew25_put_minus_call"], rel=1e-11)
        assert ours.butterfly_25delta[0] == pytest.approx(truth["bf25"], rel=1e-11)
        assert ours.atm_slope[0] == pytest.approx(truth["atm_skew_dvol_dk"], abs=1e-13)


class TestJumpWings:
    @settings(max_examples=200, deadline=None)
    @given(
        b=st.floats(0.02, 0.5),
        rho=st.floats(-0.95, 0.95),
        m=st.floats(-0.3, 0.3).filter(lambda x: abs(x) > 1e-3),
        sigma=st.floats(0.05, 0.5),
        tte=st.floats(0.01, 5.0),
    )
    def test_round_trip(self, b, rho, m, sigma, tte):
        # where the minimum lies at the money the five wings leave sigma open
        if abs(rho - m / np.hypot(m, sigma)) < 0.05:
            return
        smile = RawSvi(a=0.02, b=b, rho=rho, m=m, sigma=sigma)
        back = RawSvi.from_jump_wings(smile.to_jump_wings(tte))
        k = np.linspace(-1.0, 1.0, 11)
        np.testing.assert_allclose(back.total_variance(k), smile.total_variance(k), rtol=1e-8)

    def test_round_trip_of_the_reference_slices_is_exact(self):
        for name in ("vogt", "spx_1y", "steep_wing"):
            smile = smile_of(SLICES[name])
            back = RawSvi.from_jump_wings(smile.to_jump_wings(SLICES[name]["T"]))
            np.testing.assert_allclose(astuple(back), astuple(smile), rtol=1e-10)

    def test_branch_of_a_centred_smile(self):
        smile = RawSvi(a=0.01, b=0.1, rho=-0.4, m=0.0, sigma=0.2)
        back = RawSvi.from_jump_wings(smile.to_jump_wings(0.5))
        np.testing.assert_allclose(astuple(back), astuple(smile), rtol=1e-12, atol=1e-14)

    def test_symmetric_wings_do_not_determine_sigma(self):
        with pytest.raises(ValueError, match="determine sigma"):
            RawSvi.from_jump_wings(smile_of(SLICES["symmetric"]).to_jump_wings(0.5))

    def test_published_repair_of_vogt(self):
        # Gatheral & Jacquier (2014), section 5.1: c' = p + 2 psi, vt' = v 4 p c' / (p + c')^2
        fix = TRUTH["vogt_fix"]["jw_ssvi_guaranteed_fix"]
        wings = smile_of(SLICES["vogt"]).to_jump_wings(1.0)
        c = wings.p + 2.0 * wings.psi
        assert c == pytest.approx(fix["published_c"], abs=5e-8)
        repaired = RawSvi(**dict(zip(("a", "b", "rho", "m", "sigma"), fix["raw"], strict=True)))
        assert repaired.is_butterfly_free
        assert repaired.to_jump_wings(1.0).c == pytest.approx(c, rel=1e-10)


@pytest.mark.parametrize(
    "wrong", [{"rho": 1.0}, {"sigma": 0.0}, {"b": -0.1}, {"sigma": float("nan")}]
)
def test_what_is_no_svi_is_refused_with_its_values(wrong):
    good = {"a": 0.01, "b": 0.1, "rho": 0.0, "m": 0.0, "sigma": 0.1}
    with pytest.raises(ValueError, match=r"raw SVI needs b >= 0, sigma > 0 and \|rho\| < 1, was"):
        RawSvi(**good | wrong)


def test_variance_touching_zero_is_no_smile_without_arbitrage():
    smile = RawSvi(a=-0.02, b=0.1, rho=0.0, m=0.0, sigma=0.2)
    assert smile.min_total_variance == pytest.approx(0.0, abs=1e-17)
    assert not smile.is_butterfly_free


def test_four_points_are_too_few():
    k = np.linspace(-0.1, 0.1, 4)
    fit = RawSvi.fit(k, 0.04 + k**2, np.ones(4))
    assert fit.status is FitStatus.TOO_FEW_POINTS
    assert np.isnan(fit.covariance).all()


def test_a_well_of_density_between_two_points_of_the_grid_is_found():
    """Two wells beside each other, the deeper one between grid points: fitted to a simulated SPY.

    Both stand at zeros of 1 - k w'/2w; the truth is g on 200,001 points around them.
    """
    smile = RawSvi(
        a=-0.00012229169796418917,
        b=0.012962498788657965,
        rho=-0.9933404936013361,
        m=-0.10715399820316274,
        sigma=0.09162914944936752,
    )
    truth = smile.durrleman_g(np.linspace(1.0, 1.6, 200_001)).min()
    assert truth < -5e-6
    assert smile.min_durrleman_g() == pytest.approx(truth, abs=1e-10)
    assert not smile.is_butterfly_free
