"""Shape off a grid against raw SVI, whose shape is known in closed form or by root search."""

import math

import numpy as np
import pytest

from volsurf_math.smiles.grid_shape import grid_shape
from volsurf_math.smiles.sabr import Sabr
from volsurf_math.smiles.svi import RawSvi
from volsurf_math.smiles.svi_quantities import smile_quantities

SMILE, TTE = RawSvi(a=0.005, b=0.05, rho=-0.5, m=0.02, sigma=0.1), 0.25
# Gatheral, Jacquier (2014), example 3.1 (Axel Vogt): g is negative between 0.64 and 1.26
VOGT = RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)


def test_vols_are_those_of_the_closed_form():
    p = np.array([[SMILE.a, SMILE.b, SMILE.rho, SMILE.m, SMILE.sigma]])
    exact = smile_quantities(p, np.full((1, 5, 5), np.nan), np.array([TTE]))
    shape = grid_shape(SMILE.total_variance, TTE)
    assert shape.atm_vol == pytest.approx(exact.atm_vol[0], abs=1e-14)
    assert shape.skew_25delta == pytest.approx(exact.skew_25delta[0], abs=1e-5)
    assert shape.butterfly_25delta == pytest.approx(exact.butterfly_25delta[0], abs=1e-5)


def test_density_factor_is_that_of_exact_derivatives():
    shape = grid_shape(SMILE.total_variance, TTE)
    k = math.sqrt(SMILE.total_variance(np.zeros(1))[0]) * np.linspace(-6.0, 6.0, 241)
    assert shape.min_durrleman_g == pytest.approx(SMILE.durrleman_g(k[1:-1]).min(), abs=2e-3)
    assert shape.n_negative == 0
    assert (shape.sound_k_min, shape.sound_k_max) == (-math.inf, math.inf)


def test_negative_density_is_found_where_it_begins():
    shape = grid_shape(VOGT.total_variance, 1.0)
    assert shape.n_negative > 10
    end = 6.0 * math.sqrt(VOGT.total_variance(np.zeros(1))[0])  # before the minimum
    assert shape.min_durrleman_g == pytest.approx(VOGT.durrleman_g(np.array([end]))[0], abs=1e-3)
    assert shape.sound_k_max == pytest.approx(0.6424, abs=2e-3)
    assert shape.sound_k_min == -math.inf


def test_where_hagans_formula_breaks_is_where_its_own_search_finds_it():
    smile = Sabr(alpha=4.0, beta=0.5, rho=-0.2, nu=0.9).at(100.0, 3.0)
    low, high = smile.sound_range()
    shape = grid_shape(smile.total_variance, smile.tte)
    assert shape.sound_k_min == pytest.approx(math.log(low / 100.0), rel=0.01)
    assert (shape.sound_k_max == math.inf) == (high == math.inf)


def test_a_kink_counts_as_negative_density():
    shape = grid_shape(lambda k: 0.04 - 0.05 * np.clip(k, 0.1, 0.2), 1.0)
    assert shape.n_negative > 0


def test_a_flat_smile_has_neither_skew_nor_butterfly():
    shape = grid_shape(lambda k: np.full_like(k, 0.04), 1.0)
    assert shape.skew_25delta == pytest.approx(0.0, abs=1e-14)
    assert shape.butterfly_25delta == pytest.approx(0.0, abs=1e-14)
    assert shape.min_durrleman_g == pytest.approx(1.0)


@pytest.mark.parametrize(("w", "tte"), [(0.0, 1.0), (-1.0, 1.0), (np.nan, 1.0), (0.04, 0.0)])
def test_no_variance_or_time_is_a_bad_call(w, tte):
    with pytest.raises(ValueError, match=r"needs w\(0\) > 0 and tte > 0"):
        grid_shape(lambda k: np.full_like(k, w), tte)
