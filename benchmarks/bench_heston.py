"""Heston prices and calibration, Bates, Ornstein-Uhlenbeck: `python benchmarks/bench_heston.py`.

Ours beside QuantLib where it is installed, and beside what one would write with SciPy: a fixed
Gauss-Laguerre rule, and differential evolution followed by a trust region. The error reached stands
beside each time: of prices over the forward against our precise mode on another contour, of a
calibration as root mean square difference of volatilities.
"""

from importlib.util import find_spec

import numpy as np
from scipy.optimize import differential_evolution, least_squares, minimize
from side_by_side import Goal, machine, report

from volsurf_math import ou
from volsurf_math.affine_model import price_columns
from volsurf_math.bates import Bates
from volsurf_math.heston import Heston

INDEX = Heston(kappa=2.0, theta=0.06, sigma=0.8, rho=-0.75, v0=0.03)
JUMPS = Bates(
    kappa=2.0, theta=0.05, sigma=0.6, rho=-0.7, v0=0.02,
    jump_intensity=0.5, jump_mean=-0.1, jump_sd=0.1,
)  # fmt: skip
NAMES = ("kappa", "theta", "sigma", "rho", "v0")
FEW = (1 / 12, 0.25, 0.5, 1.0, 2.0)
MANY = (0.04, 1 / 12, 0.15, 0.25, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0)
NODES, WEIGHTS = np.polynomial.laguerre.laggauss(96)


def surface(law, expiries, n_strikes):
    """Out-of-the-money options from -2 to 1.5 standard deviations, with exact prices."""
    tte = np.repeat(expiries, n_strikes)
    z = np.tile(np.linspace(-2.0, 1.5, n_strikes), len(expiries))
    strike = 100.0 * np.exp(z * np.sqrt(law.diffusive_variance(tte)))
    is_call = strike >= 100.0
    price = law.undiscounted_price(100.0, strike, tte, is_call, is_precise=True)
    return strike, tte, is_call, price


def laguerre_price(parameters, strike, tte, is_call):
    """Lewis's integral with a fixed rule: NumPy on whole arrays, one expiry after the other."""
    kappa, theta, sigma, rho, v0 = parameters
    out = np.empty(strike.size)
    a, q = 1j * NODES + 0.5, NODES**2 + 0.25
    xi = kappa - sigma * rho * a
    d = np.sqrt(xi * xi + sigma**2 * q)
    for t in np.unique(tte):
        rows = tte == t
        decay = np.exp(-d * t)
        bottom = xi * (1.0 - decay) + d * (1.0 + decay)
        drift = -(sigma**2) * q * t / (xi + d) - 2.0 * np.log(bottom / (2.0 * d))
        exponent = kappa * theta / sigma**2 * drift - v0 * q * (1.0 - decay) / bottom
        value = np.exp(exponent + NODES) * WEIGHTS / q
        x = np.log(100.0 / strike[rows])
        integral = (np.exp(1j * np.multiply.outer(x, NODES)) @ value).real
        call = 100.0 - 100.0 * np.exp(-0.5 * x) / np.pi * integral
        out[rows] = np.where(is_call[rows], call, call - 100.0 + strike[rows])
    return out


def quantlib_options(strike, tte, is_call):
    import QuantLib as ql

    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    kinds = (ql.Option.Put, ql.Option.Call)
    return today, [
        ql.VanillaOption(
            ql.PlainVanillaPayoff(kinds[call], k),
            ql.EuropeanExercise(today + max(round(365 * t), 1)),
        )
        for k, t, call in zip(strike.tolist(), tte.tolist(), is_call.tolist(), strict=True)
    ]


def quantlib_model(today, law):
    import QuantLib as ql

    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, ql.Actual365Fixed()))
    spot = ql.QuoteHandle(ql.SimpleQuote(100.0))
    process = ql.HestonProcess(flat, flat, spot, law.v0, law.kappa, law.theta, law.sigma, law.rho)
    return ql.HestonModel(process)


def quantlib_prices(law, strike, tte, is_call):
    """Return a function that prices all options anew with QuantLib's exponential fitting."""
    import QuantLib as ql

    today, options = quantlib_options(strike, tte, is_call)
    model = quantlib_model(today, law)

    def work():
        engine = ql.ExponentialFittingHestonEngine(model)
        for option in options:
            option.setPricingEngine(engine)
        return np.array([option.NPV() for option in options])

    return work


def quantlib_calibration(strike, tte, vol, start):
    """Return a function that calibrates with QuantLib's Levenberg-Marquardt."""
    import QuantLib as ql

    def work():
        today = ql.Date(2, 1, 2026)
        ql.Settings.instance().evaluationDate = today
        model = quantlib_model(today, start)
        engine = ql.ExponentialFittingHestonEngine(model)
        flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, ql.Actual365Fixed()))
        helpers = []
        for k, t, v in zip(strike.tolist(), tte.tolist(), vol.tolist(), strict=True):
            helper = ql.HestonModelHelper(
                ql.Period(max(round(365 * t), 1), ql.Days), ql.NullCalendar(), 100.0, k,
                ql.QuoteHandle(ql.SimpleQuote(v)), flat, flat,
                ql.BlackCalibrationHelper.ImpliedVolError,
            )  # fmt: skip
            helper.setPricingEngine(engine)
            helpers.append(helper)
        end = ql.EndCriteria(500, 50, 1e-8, 1e-8, 1e-8)
        model.calibrate(helpers, ql.LevenbergMarquardt(), end)
        theta, kappa, sigma, rho, v0 = model.params()
        return Heston(kappa=kappa, theta=theta, sigma=sigma, rho=rho, v0=v0)

    return work


def whole_days(tte):
    return np.maximum(np.round(365.0 * np.asarray(tte)), 1.0) / 365.0


def bench_prices():
    strike, tte, is_call, _ = surface(INDEX, whole_days(MANY), 40)
    columns = [np.full(400, 100.0), strike, tte, np.where(is_call, 1.0, -1.0)]
    truth, _ = price_columns(INDEX.parameters, columns, 0, 1e-12, scale=0.42, step=0.2)

    def worth(price):
        return f"largest error {np.max(np.abs(price - truth)) / 100.0:.0e} of the forward"

    def ours(is_precise):
        return INDEX.price_and_gradient(100.0, strike, tte, is_call, is_precise=is_precise)

    ways = {
        "volsurf, with gradient": (lambda: ours(False), 400, worth(ours(False)[0])),
        "volsurf, with gradient, precise": (lambda: ours(True), 400, worth(ours(True)[0])),
        "NumPy, Laguerre 96, price only": (
            lambda: laguerre_price(INDEX.parameters, strike, tte, is_call),
            400,
            worth(laguerre_price(INDEX.parameters, strike, tte, is_call)),
        ),
    }
    if find_spec("QuantLib"):
        peer = quantlib_prices(INDEX, strike, tte, is_call)
        ways["QuantLib, exponential fitting, price only"] = (peer, 400, worth(peer()))
    return report("Heston price with gradient", ways, "us", Goal(most=5.0))


def bench_calibration(n_strikes, expiries, most):
    strike, tte, is_call, price = surface(INDEX, whole_days(expiries), n_strikes)
    vol = INDEX.implied_vol(100.0, strike, tte)
    start = Heston(kappa=1.2, theta=0.1, sigma=0.3, rho=-0.5, v0=0.08)

    def worth(law):
        difference = law.implied_vol(100.0, strike, tte) - vol
        return f"rmse {1e4 * np.sqrt(np.nanmean(difference**2)):.1e} basis points of volatility"

    def ours():
        return Heston.calibrate(100.0, strike, tte, price, is_call).model

    def residual(p):
        return (laguerre_price(p, strike, tte, is_call) - price) / (100.0 * np.sqrt(tte))

    low, high = (np.array(x) for x in ((0.1, 0.01, 0.05, -0.99, 0.01), (10, 1, 2, 0.99, 1)))

    def global_then_local():
        box = list(zip(low, high, strict=True))
        found = differential_evolution(
            lambda p: float(np.sum(residual(p) ** 2)), box, maxiter=60, popsize=15, rng=1,
            polish=False,
        )  # fmt: skip
        local = least_squares(residual, found.x, bounds=(low, high), x_scale="jac")
        return Heston(**dict(zip(NAMES, local.x.tolist(), strict=True)))

    ways = {"volsurf": (lambda: [ours() for _ in range(10)], 10, worth(ours()))}
    if find_spec("QuantLib"):
        peer = quantlib_calibration(strike, tte, vol, start)
        ways["QuantLib, LM, exponential fitting"] = (peer, 1, worth(peer()))
    if strike.size <= 50:
        ways["SciPy, evolution + trust region"] = (global_then_local, 1, worth(global_then_local()))
    ratios = {("QuantLib",): 25.0}
    if strike.size <= 50:
        ratios[("SciPy, evolution",)] = 25.0
    goal = Goal(most=most, ratios=ratios)
    return report(f"Heston calibration, {strike.size} options", ways, "ms", goal)


def success_rate():
    """Print on how many of 100 random surfaces one start finds every price."""
    rng, found = np.random.default_rng(4), 0
    for _ in range(100):
        truth = Heston(
            kappa=rng.uniform(0.5, 6.0), theta=rng.uniform(0.02, 0.15),
            sigma=rng.uniform(0.2, 1.2), rho=rng.uniform(-0.9, 0.1), v0=rng.uniform(0.01, 0.2),
        )  # fmt: skip
        strike, tte, is_call, price = surface(truth, FEW, 10)
        found += Heston.calibrate(100.0, strike, tte, price, is_call).rmse < 1e-7
    print(f"\n{found} of 100 random surfaces recovered from one start")


def bench_bates():
    strike, tte, is_call, _ = surface(JUMPS, MANY, 20)
    price = JUMPS.undiscounted_price(100.0, strike, tte, is_call, is_precise=True)
    found = Bates.calibrate(100.0, strike, tte, price, is_call)
    report(
        "Bates, 200 options",
        {
            "calibration": (
                lambda: Bates.calibrate(100.0, strike, tte, price, is_call),
                1,
                f"rmse {1e4 * found.rmse:.1e} basis points of volatility",
            ),
            "prices with gradient": (
                lambda: JUMPS.price_and_gradient(100.0, strike, tte, is_call), 1, "",
            ),
        },
        "ms",
    )  # fmt: skip


def bench_ou():
    rng, dt = np.random.default_rng(1), 1 / 252
    x = np.empty(1000)
    x[0] = 0.0
    for i in range(1, x.size):
        x[i] = 0.95 * x[i - 1] + rng.standard_normal()
    found = ou.fit(x, dt)

    def closed_form():
        b, a = np.polyfit(x[:-1], x[1:], 1)
        s2 = np.mean((x[1:] - a - b * x[:-1]) ** 2)
        mu = -np.log(b) / dt
        return a / (1.0 - b), mu, np.sqrt(2.0 * mu * s2 / (1.0 - b * b))

    def optimiser():
        def loss(q):
            law = ou.Ou(theta=q[0], mu=np.exp(q[1]), sigma=np.exp(q[2]))
            return -ou.log_likelihood(x, dt, law)

        return minimize(loss, [0.1, 2.0, 3.0], method="Nelder-Mead", options={"maxiter": 400})

    many = 200

    def repeat(work):
        return lambda: [work() for _ in range(many)]

    law = found.process
    gap = abs(closed_form()[1] / law.mu - 1.0)
    report(
        "Ornstein-Uhlenbeck, 1000 points",
        {
            "volsurf, with error bars and verdict": (repeat(lambda: ou.fit(x, dt)), many, ""),
            "NumPy, least squares": (repeat(closed_form), many, f"speed differs by {gap:.0e}"),
            "SciPy, Nelder-Mead": (optimiser, 1, ""),
        },
        "us",
    )


def speed_table():
    yield bench_calibration(10, FEW, 5.0)
    yield bench_calibration(20, MANY, 10.0)
    yield bench_prices()


def main() -> None:
    print(machine())
    list(speed_table())
    success_rate()
    bench_bates()
    bench_ou()


if __name__ == "__main__":
    main()
