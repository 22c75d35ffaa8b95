"""Bad rows are data for every formula and every registered smile: no exception, no warning."""

import numpy as np
import pytest

from volsurf_math.american import american_price, european_equivalent
from volsurf_math.arbitrage import butterfly_test, vertical_test
from volsurf_math.arbitrage_repair import repair_quotes
from volsurf_math.bates import Bates
from volsurf_math.black import undiscounted_price
from volsurf_math.greeks import black_greeks
from volsurf_math.heston import Heston
from volsurf_math.implied_vol import ImpliedVolStatus, implied_vol
from volsurf_math.parity import ParityStatus, fit_forward
from volsurf_math.smiles import SMILES
from volsurf_math.smiles.base import FitStatus
from volsurf_math.smiles.sabr import hagan_vol

HALF_A_MINUTE = 30.0 / (365.0 * 86_400.0)
HESTON = Heston(kappa=2.0, theta=0.05, sigma=0.5, rho=-0.6, v0=0.04)
BATES = Bates(
    kappa=2.0, theta=0.05, sigma=0.5, rho=-0.6, v0=0.04,
    jump_intensity=0.5, jump_mean=-0.1, jump_sd=0.1,
)  # fmt: skip
BY_CONTRACT = {  # each of forward, strike and years to expiry
    "black": lambda f, x, t: undiscounted_price(f, x, 0.04 * np.asarray(t), True),
    "greeks": lambda f, x, t: black_greeks(f, x, t, 0.2, 1.0, True).price,
    "implied_vol": lambda f, x, t: implied_vol(4.0, f, x, t, 1.0, True)[0],
    "hagan": lambda f, x, t: hagan_vol(x, f, t, 2.0, 0.5, -0.3, 0.4),
    "heston": lambda f, x, t: HESTON.undiscounted_price(f, x, t, True),
    "bates": lambda f, x, t: BATES.undiscounted_price(f, x, t, True),
    "american": lambda f, x, t: american_price(100.0, x, t, 0.03, f, 0.2, True),
    "equivalent": lambda f, x, t: european_equivalent(4.0, 100.0, x, t, 0.03, f, True)[2],
}


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("formula", BY_CONTRACT.values(), ids=BY_CONTRACT)
def test_an_impossible_contract_is_nan_and_its_neighbour_stands(formula, bad, position):
    row = [np.array([100.0, 100.0]), np.array([105.0, 105.0]), np.array([0.5, 0.5])]
    clean = formula(*row)[1]
    row[position][0] = bad
    found = formula(*row)
    assert found[1] == clean
    is_limit = position == 2 and bad in (0.0, np.inf)  # of total variance, where prices exist
    if not (is_limit and formula is BY_CONTRACT["black"]):
        assert np.isnan(found[0])


@pytest.mark.parametrize("bad", [0.0, -0.2, np.nan, np.inf])
def test_an_impossible_volatility_is_nan_and_its_neighbour_stands(bad):
    vol = np.array([bad, 0.2])
    for formula in (
        lambda v: black_greeks(100.0, 105.0, 0.5, v, 1.0, True).vega,
        lambda v: american_price(100.0, 105.0, 0.5, 0.03, 101.0, v, False),
    ):
        found = formula(vol)
        assert np.isnan(found[0])
        assert found[1] == formula(vol[1:])[0]


OUT_OF_BOUNDS = {  # price of a call on 100 struck at 90, and of a put struck at 110
    0.0: ImpliedVolStatus.NO_TIME_VALUE,
    -1.0: ImpliedVolStatus.NO_TIME_VALUE,
    9.99: ImpliedVolStatus.NO_TIME_VALUE,
    150.0: ImpliedVolStatus.ABOVE_MAXIMUM,
    np.nan: ImpliedVolStatus.NOT_FINITE,
}


@pytest.mark.parametrize(("strike", "is_call"), [(90.0, True), (110.0, False)])
@pytest.mark.parametrize(("bad", "status"), OUT_OF_BOUNDS.items())
def test_a_price_out_of_bounds_says_so_and_its_neighbour_stands(bad, status, strike, is_call):
    price = np.array([bad, 14.0])
    vol, found = implied_vol(price, 100.0, strike, 0.5, 1.0, is_call)
    assert found.tolist() == [status, ImpliedVolStatus.OK]
    assert np.isnan(vol[0])
    assert vol[1] > 0.0
    *columns, found = european_equivalent(price, 100.0, strike, 0.5, 0.0, 100.0, is_call)
    assert found.tolist() == [status, ImpliedVolStatus.OK]
    assert np.isnan(columns)[:, 0].all()
    assert np.isfinite(columns)[:, 1].all()


def test_a_chain_of_puts_has_no_forward_but_can_be_tested_and_repaired():
    strike, nothing = np.linspace(80.0, 120.0, 21), np.full(21, np.nan)
    put, half = undiscounted_price(100.0, strike, 0.02, False), np.full(21, 0.02)
    assert fit_forward(strike, nothing, put, nothing, half).status is ParityStatus.TOO_FEW_PAIRS
    put[7] += 1.0
    is_call, group = np.zeros(21, bool), np.zeros(21, int)
    bid, ask = put - half, put + half
    assert vertical_test(strike, bid, ask, is_call=is_call, group=group).is_executable.any()
    assert butterfly_test(strike, bid, ask, is_call=is_call, group=group).is_executable[7]
    repaired = repair_quotes(strike, bid, ask, is_call=is_call, group=group, forward=100.0)
    slope = np.diff(repaired.price) / np.diff(strike)
    assert (np.diff(slope) > -1e-9).all()


@pytest.mark.parametrize("strike", [99.99, 100.0, 100.01])
def test_an_expiry_in_seconds_has_prices_and_volatilities(strike):
    w = 0.04 * HALF_A_MINUTE
    price = undiscounted_price(100.0, strike, w, strike >= 100.0)
    found, status = implied_vol(price, 100.0, strike, HALF_A_MINUTE, 1.0, strike >= 100.0)
    assert status == ImpliedVolStatus.OK
    assert found == pytest.approx(0.2, rel=1e-9)
    greeks = black_greeks(100.0, strike, HALF_A_MINUTE, 0.2, 1.0, strike >= 100.0)
    assert np.isfinite(greeks).all()
    heston = HESTON.undiscounted_price(100.0, strike, HALF_A_MINUTE, strike >= 100.0)
    assert heston == pytest.approx(price, abs=1e-4)  # variance has had no time to move
    hagan = hagan_vol(strike, 100.0, HALF_A_MINUTE, 2.0, 0.5, -0.3, 0.4)
    assert hagan == pytest.approx(0.2, rel=1e-3)


@pytest.mark.parametrize("model", SMILES.values(), ids=SMILES)
class TestEverySmile:
    def test_an_expiry_in_seconds_is_fitted(self, model):
        z = np.linspace(-2.0, 1.5, 25)
        vol = 0.2 - 0.02 * z + 0.01 * z * z
        root = np.sqrt(HALF_A_MINUTE)
        fit = model.fit(0.2 * root * z, (vol * root) ** 2, (2.0 * vol * root * 0.001 * root) ** -2)
        assert fit.status is FitStatus.CONVERGED
        found = np.sqrt(fit.smile.total_variance(0.2 * root * z)) / root
        np.testing.assert_allclose(found, vol, atol=0.01)

    @pytest.mark.parametrize("n", [0, 1, 2, 3])
    def test_hardly_any_strikes_end_with_a_status(self, model, n):
        k = np.linspace(-0.1, 0.1, n)
        fit = model.fit(k, np.full(n, 0.04), np.ones(n))
        assert (fit.smile is None) == (fit.status is not FitStatus.CONVERGED)

    def test_quotes_without_weight_are_too_few(self, model):
        k = np.linspace(-0.3, 0.3, 9)
        for weight in (np.full(9, np.nan), np.zeros(9), -np.ones(9)):
            fit = model.fit(k, np.full(9, 0.04), weight)
            assert fit.status is FitStatus.TOO_FEW_POINTS
            assert fit.smile is None

    def test_equal_strikes_count_once(self, model):
        fit = model.fit(np.full(20, 0.1), np.full(20, 0.04), np.ones(20))
        assert fit.status is FitStatus.TOO_FEW_POINTS
        k = np.repeat(np.linspace(-0.3, 0.3, 15), 2)
        w = 0.04 + 0.02 * k * k
        fit = model.fit(k, w, np.full(30, 1e6))
        assert fit.status is FitStatus.CONVERGED
        np.testing.assert_allclose(fit.smile.total_variance(k), w, atol=1e-3)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
    @pytest.mark.parametrize("column", [1, 2])
    def test_an_impossible_quote_takes_no_part(self, model, bad, column):
        k = np.linspace(-0.3, 0.3, 21)
        columns = [k, 0.04 - 0.01 * k + 0.05 * k * k, np.full(21, 1e6)]
        without = model.fit(*(np.delete(x, 4) for x in columns)).smile.total_variance(k)
        columns[column][4] = bad
        found = model.fit(*columns).smile.total_variance(k)
        np.testing.assert_allclose(found, without, rtol=1e-9)

    def test_unequal_shapes_are_a_wrong_call(self, model):
        with pytest.raises(ValueError, match="need one shape"):
            model.fit(np.zeros(9), np.full(8, 0.04), np.ones(9))
