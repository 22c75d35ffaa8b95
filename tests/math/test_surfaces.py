"""Surfaces between expiries and over time (R067)."""

from dataclasses import astuple, fields

import numpy as np
import pytest
from scipy.special import ndtr

from volsurf_math.smiles.svi import RawSvi
from volsurf_math.surfaces.comparison import compare_surfaces
from volsurf_math.surfaces.interpolation import PointStatus, Surface

SMILES = [
    RawSvi(a=0.001, b=0.020, rho=-0.6, m=0.01, sigma=0.05),
    RawSvi(a=0.004, b=0.050, rho=-0.6, m=0.02, sigma=0.10),
    RawSvi(a=0.012, b=0.100, rho=-0.6, m=0.03, sigma=0.20),
]
TTE = np.array([0.05, 0.2, 0.6])
TENORS = np.array([30.0, 60.0, 90.0]) / 365.0


def surface(scale=(1.0, 1.0, 1.0, 1.0, 1.0), forward=100.0, smiles=SMILES):
    return Surface(
        tte=TTE,
        forward=forward * np.exp(0.03 * TTE),
        parameters=np.array([astuple(smile) for smile in smiles]) * scale,
        k_min=np.array([-0.3, -0.5, -0.8]),
        k_max=np.array([0.2, 0.3, 0.5]),
        std_error=np.array([0.001, 0.002, 0.004]),
    )


class TestInterpolation:
    def test_at_an_expiry_it_is_that_expiry(self):
        k = np.linspace(-0.25, 0.15, 5)
        for i, smile in enumerate(SMILES):
            points = surface().implied_vol(TTE[i], k=k)
            np.testing.assert_allclose(
                points.implied_vol, np.sqrt(smile.total_variance(k) / TTE[i]), rtol=1e-13
            )
            np.testing.assert_allclose(points.std_error, [0.001, 0.002, 0.004][i], rtol=1e-12)
            np.testing.assert_allclose(points.forward, surface().forward[i], rtol=1e-13)

    def test_total_variance_is_linear_in_time_at_equal_k(self):
        k, tte = np.array([-0.2, 0.0, 0.1]), 0.11
        theta = (tte - 0.05) / 0.15
        w = (1 - theta) * SMILES[0].total_variance(k) + theta * SMILES[1].total_variance(k)
        points = surface().implied_vol(tte, k=k)
        np.testing.assert_allclose(points.implied_vol, np.sqrt(w / tte), rtol=1e-13)

    def test_forward_is_log_linear_in_time(self):
        points = surface().at_the_money(np.array([0.1, 0.4]))
        np.testing.assert_allclose(points.forward, 100.0 * np.exp(0.03 * np.array([0.1, 0.4])))

    def test_nothing_is_extrapolated_in_time(self):
        points = surface().at_the_money(np.array([0.049, 0.05, 0.6, 0.601, np.nan]))
        expected = [PointStatus.OUTSIDE_EXPIRIES] + 2 * [PointStatus.SUPPORTED]
        expected += 2 * [PointStatus.OUTSIDE_EXPIRIES]
        assert points.status.tolist() == expected
        assert np.isnan(points.implied_vol).tolist() == [True, False, False, True, True]
        assert np.isnan(points.std_error).tolist() == [True, False, False, True, True]

    def test_nothing_outside_the_strikes_of_either_bracketing_expiry(self):
        points = surface().implied_vol(0.1, k=np.array([-0.31, -0.29, 0.19, 0.21, np.nan]))
        assert points.status.tolist() == [2, 0, 0, 2, 2]
        assert np.isnan(points.implied_vol).tolist() == [True, False, False, True, True]

    def test_strike_and_log_moneyness_agree(self):
        k = np.array([-0.1, 0.0, 0.1])
        forward = surface().at_the_money(np.array(0.3)).forward
        by_k, by_strike = (
            surface().implied_vol(0.3, k=k),
            surface().implied_vol(0.3, strike=forward * np.exp(k)),
        )
        np.testing.assert_allclose(by_strike.implied_vol, by_k.implied_vol, rtol=1e-12)
        assert surface().implied_vol(0.3, strike=np.array(-5.0)).status == 2

    @pytest.mark.parametrize("delta", [-0.4, -0.25, 0.25, 0.5])
    def test_delta_gives_back_itself(self, delta):
        points = surface().implied_vol(TENORS, delta=np.full(3, delta))
        root = points.implied_vol * np.sqrt(TENORS)
        n_d1 = ndtr(-points.k / root + 0.5 * root)
        np.testing.assert_allclose(n_d1 - (delta < 0), delta, atol=1e-12)

    def test_delta_at_an_expiry_equals_the_smiles_own(self):
        points = surface().implied_vol(TTE, delta=np.full(3, -0.25))
        own = [s.quantities(t).vol_25delta_put[0] for s, t in zip(SMILES, TTE, strict=True)]
        np.testing.assert_allclose(points.implied_vol, own, rtol=1e-12)

    @pytest.mark.parametrize("delta", [0.0, 1.0, -1.0, 1.5, np.nan, 0.001])
    def test_a_delta_that_is_none_or_not_quoted_has_no_value(self, delta):
        assert surface().implied_vol(0.1, delta=np.array(delta)).status == 2

    def test_one_expiry_answers_at_itself_only(self):
        one = Surface(
            tte=TTE[:1],
            forward=np.array([100.0]),
            parameters=np.array([astuple(SMILES[0])]),
            k_min=np.array([-0.3]),
            k_max=np.array([0.2]),
            std_error=np.array([0.001]),
        )
        assert one.at_the_money(np.array([0.04, 0.05, 0.06])).status.tolist() == [1, 0, 1]

    def test_error_bars_of_two_expiries_combine(self):
        # by finite differences: independent vol errors of the slices, through w linear in time
        tte, theta = 0.125, 0.5
        points = surface().at_the_money(np.array([tte]))
        vols = [
            np.sqrt(s.total_variance(np.zeros(1)) / t) for s, t in zip(SMILES, TTE, strict=True)
        ]

        def mixed(near, far):
            return np.sqrt(((1 - theta) * near**2 * 0.05 + theta * far**2 * 0.2) / tte)

        parts = (
            mixed(vols[0] + 1e-6, vols[1]) - mixed(vols[0] - 1e-6, vols[1]),
            mixed(vols[0], vols[1] + 1e-6) - mixed(vols[0], vols[1] - 1e-6),
        )
        expected = np.hypot(parts[0] / 2e-6 * 0.001, parts[1] / 2e-6 * 0.002)
        np.testing.assert_allclose(points.std_error, expected, rtol=1e-6)

    def test_wrong_calls_are_refused(self):
        with pytest.raises(ValueError, match="one of k, strike, delta"):
            surface().implied_vol(0.1, k=np.zeros(1), delta=np.zeros(1))
        with pytest.raises(ValueError, match="strictly rising tte"):
            Surface(
                tte=TTE[::-1],
                forward=TTE,
                parameters=np.ones((3, 5)),
                k_min=TTE,
                k_max=TTE,
                std_error=TTE,
            )
        with pytest.raises(ValueError, match="vectors of one length"):
            Surface(
                tte=TTE,
                forward=TTE,
                parameters=np.ones((2, 5)),
                k_min=TTE,
                k_max=TTE,
                std_error=TTE,
            )


class TestComparison:
    def test_a_surface_does_not_differ_from_itself(self):
        same = compare_surfaces(surface(), surface(), TENORS)
        for field in fields(same):
            if field.name != "tte":
                np.testing.assert_allclose(getattr(same, field.name), 0.0, atol=1e-15)

    def test_rmse_does_not_depend_on_the_order(self):
        other = surface(scale=(1.2, 1.1, 1.05, 1.0, 1.0), forward=97.0)
        there = compare_surfaces(surface(), other, TENORS)
        back = compare_surfaces(other, surface(), TENORS)
        np.testing.assert_allclose(there.rmse, back.rmse, rtol=1e-12)
        assert there.grid_rmse == pytest.approx(back.grid_rmse, rel=1e-12)
        np.testing.assert_allclose(there.atm_vol_change, -back.atm_vol_change)
        np.testing.assert_allclose(there.skew_25delta_change, -back.skew_25delta_change)
        np.testing.assert_allclose(there.parameter_change, -back.parameter_change)

    def test_parts_add_up_to_the_move_of_that_strike(self):
        before, after = surface(), surface(scale=(1.3, 1.1, 1.1, 1.0, 0.9), forward=97.0)
        ours = compare_surfaces(before, after, TENORS)
        sd = before.at_the_money(TENORS).implied_vol * np.sqrt(TENORS)
        strike = after.at_the_money(TENORS).forward * np.exp(-sd)
        move = (
            after.implied_vol(TENORS, strike=strike).implied_vol
            - before.implied_vol(TENORS, strike=strike).implied_vol
        )
        np.testing.assert_allclose(ours.move, move, atol=1e-14)

    def test_a_forward_move_alone_is_all_spot(self):
        ours = compare_surfaces(surface(), surface(forward=98.0), TENORS)
        np.testing.assert_allclose(ours.spot_part, ours.move, atol=1e-15)
        assert (np.abs(ours.move) > 1e-3).all()

    def test_a_parallel_move_of_variance_is_level_and_term(self):
        # a constant added to w shifts vol by a different amount per tenor: level plus term
        added = [RawSvi(a=s.a + 0.001 * t, b=s.b, rho=s.rho, m=s.m, sigma=s.sigma)
                 for s, t in zip(SMILES, TTE, strict=True)]  # fmt: skip
        ours = compare_surfaces(surface(), surface(smiles=added), TENORS)
        np.testing.assert_allclose(ours.spot_part, 0.0, atol=1e-15)
        np.testing.assert_allclose(ours.level_part + ours.term_part, ours.atm_vol_change)
        assert ours.term_part.sum() == pytest.approx(0.0, abs=1e-15)

    def test_a_tilt_is_skew(self):
        tilted = [RawSvi(a=s.a, b=s.b, rho=s.rho - 0.1, m=s.m, sigma=s.sigma) for s in SMILES]
        ours = compare_surfaces(surface(), surface(smiles=tilted), TENORS)
        assert (ours.skew_part > np.abs(ours.curvature_part)).all()
        assert (ours.skew_25delta_change > 0.0).all()

    def test_tenors_without_support_have_no_value_and_do_not_spoil_the_others(self):
        ours = compare_surfaces(
            surface(), surface(scale=(1.1, 1.1, 1, 1, 1)), np.array([0.01, 0.1, 2.0])
        )
        for name in ("move", "atm_vol_change", "level_part", "rmse"):
            assert np.isnan(getattr(ours, name)).tolist() == [True, False, True]
        assert np.isfinite(ours.grid_rmse)
