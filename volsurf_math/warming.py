"""Every kernel of a session called once, so that its machine code lies in the cache.

Belongs here: smallest inputs that reach each kernel. `python -m volsurf_math.warming` does it in a
process of its own, beside other work.
"""

from pathlib import Path

import numpy as np
from numba import config


def is_warm() -> bool:
    """Whether kernels of these sources have been compiled before."""
    kept = str(getattr(config, "CACHE_DIR", ""))
    return not kept or any(Path(kept).rglob("*.nbi"))


def warm_up() -> None:
    """Compile what a session needs, in the order in which it is needed."""
    from volsurf_math.american import european_equivalent
    from volsurf_math.greeks import black_greeks
    from volsurf_math.heston import Heston
    from volsurf_math.heston_quotes import Quoted
    from volsurf_math.implied_vol import implied_vol
    from volsurf_math.smiles import sabr_slices
    from volsurf_math.smiles.sabr import Sabr
    from volsurf_math.smiles.svi import fit_slices
    from volsurf_math.smiles.svi_fit import Loss
    from volsurf_math.surfaces.essvi import fit_essvi
    from volsurf_math.volatility_forecast import garch_forecast

    strike = np.linspace(90.0, 110.0, 12)
    is_call = strike > 100.0
    tte, rate, spot = np.full(12, 0.25), np.full(12, 0.03), np.full(12, 100.0)
    discount_factor = np.exp(-rate * tte)
    forward, vol = spot / discount_factor, np.full(12, 0.2)
    price = black_greeks(forward, strike, tte, vol, discount_factor, is_call).price
    dividend = np.array([0.1]), np.array([0.5])
    european_equivalent(price, spot, strike, tte, rate, forward, is_call, *dividend)
    implied_vol(price, forward, strike, tte, discount_factor, is_call)
    k = np.log(strike / forward)
    w = 0.01 + 0.02 * k**2
    offsets = np.array([0, 12, 24])
    two = np.tile(k, 2), np.concatenate([w, 0.9 * w]), np.ones(24)
    fits = fit_slices(*two, offsets, loss=Loss.SOFT_L1, is_calendar_free=True)
    fits.quantities(np.array([0.25, 0.3]))
    fit_essvi(*two, offsets)
    sabr_slices.fit_slices(*two, offsets, np.full(2, 100.0), np.array([0.25, 0.3]), loss_scale=1.0)
    sabr = Sabr(alpha=2.0, beta=0.5, rho=-0.3, nu=1.0)
    sabr.at(100.0, 0.25).total_variance(k)
    sabr.implied_vol(strike, forward, tte)
    quotes = forward, strike, tte, vol + 0.1 * k, is_call
    Heston.calibrate(*quotes, quoted=Quoted.IMPLIED_VOL)
    garch_forecast(np.random.default_rng(0).normal(0.0, 0.01, 300))


if __name__ == "__main__":
    warm_up()
