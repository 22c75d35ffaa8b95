"""The certificate: clean surfaces, known violations at known places, one expiry."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.math.surfaces_of import surface_of
from tests.math.test_essvi import random_market
from volsurf_math.surfaces.certificate import certify
from volsurf_math.surfaces.essvi import fit_essvi

REFERENCE = json.loads((Path(__file__).parent.parent / "reference" / "essvi.json").read_text())
VOGT = np.array([-0.041, 0.1331, 0.306, 0.3586, 0.4153])
PLAIN = np.array([0.006, 0.118, -0.72, 0.05, 0.22])


def test_fitted_essvi_is_clean():
    rng = np.random.default_rng(1)
    for _ in range(10):
        market = random_market(rng, noise=0.01, level_noise=0.1)
        fit = fit_essvi(market.k, market.w, market.weight, market.offsets)
        certificate = certify(surface_of(fit.surface.raw_svi(), market.tte), tolerance=0.0)
        assert certificate.is_clean
        assert certificate.min_density_factor > 0.0
        assert certificate.min_density_factor_between > 0.0
        assert certificate.min_calendar_slope >= 0.0
        assert certificate.min_wing_gap >= 0.0


def test_vogt_is_named_with_its_place():
    """Minimum -0.03286, between 0.6424 and 1.2569: tests/reference/svi.json."""
    rows = np.stack((PLAIN, VOGT, 3.0 ** np.array([1, 1, 0, 0, 0]) * PLAIN))
    certificate = certify(surface_of(rows, np.array([0.5, 1.0, 1.5])))
    assert certificate.n_butterfly_violations == 1
    assert not certificate.is_clean
    np.testing.assert_allclose(certificate.min_density_factor, -0.03286, atol=1e-5)
    assert 0.6424 < certificate.k_of_min_density < 1.2569
    assert certificate.tte_of_min_density == 1.0


@pytest.mark.parametrize("pair", REFERENCE["essvi_pairs"])
def test_crossings_of_the_reference(pair):
    rows = []
    for name in ("s1", "s2"):
        theta, rho, phi = (pair[name][x] for x in ("theta", "rho", "phi"))
        bar = np.sqrt(1.0 - rho**2)
        rows.append([0.5 * theta * bar**2, 0.5 * theta * phi, rho, -rho / phi, bar / phi])
    certificate = certify(surface_of(np.array(rows), np.array([1.0, 2.0])))
    assert certificate.n_calendar_violations == int(not pair["no_calendar_arb"])
    assert (certificate.min_wing_gap >= 0.0) == pair["wing_condition"]


def test_a_crossing_outside_the_quotes_is_told_apart():
    far = PLAIN + np.array([0.004, -0.01, 0.0, 0.0, 0.0])  # higher, but with flatter wings
    surface = surface_of(np.stack((PLAIN, far)), np.array([0.5, 1.0]), reach=0.1)
    certificate = certify(surface)
    assert certificate.n_calendar_violations == 1
    assert certificate.n_quoted_calendar_violations == 0
    assert certificate.is_clean_where_quoted
    assert not certificate.is_clean
    assert certificate.min_wing_gap < 0.0 < certificate.min_quoted_calendar_slope


def test_a_narrow_dip_between_grid_points_is_found():
    """The later slice touches the earlier at one point only, moved below it by 1e-7."""
    k = np.linspace(-3.0, 3.0, 600_001)
    near, far = PLAIN, PLAIN + np.array([0.0, 0.05, 0.1, 0.03, 0.05])

    def variance(p):
        return p[0] + p[1] * (p[2] * (k - p[3]) + np.hypot(k - p[3], p[4]))

    shift = float(np.min(variance(far) - variance(near))) + 1e-7
    touching = far - np.array([shift, 0.0, 0.0, 0.0, 0.0])
    certificate = certify(surface_of(np.stack((near, touching)), np.array([0.5, 1.0])))
    assert certificate.n_calendar_violations == 1
    np.testing.assert_allclose(certificate.min_calendar_slope, -2e-7, rtol=1e-3)


def test_lee_s_bound():
    steep = np.array([0.04, 1.5, 0.5, 0.0, 0.2])
    certificate = certify(surface_of(steep[None, :], np.array([1.0])))
    assert certificate.n_wing_violations == 1
    assert certificate.max_wing_slope == 2.25


def test_one_expiry_has_nothing_between():
    certificate = certify(surface_of(PLAIN[None, :], np.array([0.5])))
    assert certificate.is_clean
    assert certificate.min_calendar_slope == np.inf
    assert certificate.n_slices == 1
