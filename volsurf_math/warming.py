"""Every kernel of a session called once, so that its machine code lies in the cache.

Belongs here: smallest inputs that reach each kernel. `python -m volsurf_math.warming` does it in
two processes of its own, beside other work.
"""

from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numba import config


def is_warm() -> bool:
    """Whether kernels of these sources have been compiled before."""
    kept = str(getattr(config, "CACHE_DIR", ""))
    return not kept or any(Path(kept).rglob("*.nbi"))


def warm_up() -> None:
    """Compile what a session needs, half of it in another process."""
    smiles = get_context("spawn").Process(target=_warm_smiles)
    smiles.start()
    _warm_quotes()
    _warm_surfaces()
    smiles.join()


def _warm_quotes() -> None:
    """Compile what a session needs first: greeks, European equivalents, implied volatility."""
    from volsurf_math.american import european_equivalent
    from volsurf_math.greeks import black_greeks
    from volsurf_math.implied_vol import implied_vol

    strike, tte = np.linspace(90.0, 110.0, 12), np.full(12, 0.25)
    rate, spot, is_call = np.full(12, 0.03), np.full(12, 100.0), strike > 100.0
    discount_factor = np.exp(-rate * tte)
    forward, vol = spot / discount_factor, np.full(12, 0.2)
    price = black_greeks(forward, strike, tte, vol, discount_factor, is_call).price
    dividend = np.array([0.1]), np.array([0.5])
    european_equivalent(price, spot, strike, tte, rate, forward, is_call, *dividend)
    implied_vol(price, forward, strike, tte, discount_factor, is_call)


def _warm_surfaces() -> None:
    """Compile what joins expiries, and forecasts."""
    from volsurf_math.heston import Heston
    from volsurf_math.heston_quotes import Quoted
    from volsurf_math.surfaces.essvi import fit_essvi
    from volsurf_math.volatility_forecast import garch_forecast

    fit_essvi(*_TWO_SLICES)
    strike, one = 100.0 * np.exp(_K), np.ones(_K.size)
    quotes = 100.0 * one, strike, 0.25 * one, 0.3 + 0.1 * _K, strike > 100.0
    Heston.calibrate(*quotes, quoted=Quoted.IMPLIED_VOL)
    garch_forecast(np.random.default_rng(0).normal(0.0, 0.01, 300))


def _warm_smiles() -> None:
    """Compile the fits of single smiles."""
    from volsurf_math.smiles import sabr_slices
    from volsurf_math.smiles.sabr import Sabr
    from volsurf_math.smiles.svi_fit import Loss
    from volsurf_math.smiles.svi_slices import fit_slices

    tte = np.array([0.25, 0.3])
    fit_slices(*_TWO_SLICES, loss=Loss.SOFT_L1, is_calendar_free=True).quantities(tte)
    sabr_slices.fit_slices(*_TWO_SLICES, np.full(2, 100.0), tte, loss_scale=1.0)
    sabr = Sabr(alpha=2.0, beta=0.5, rho=-0.3, nu=1.0)
    sabr.at(100.0, 0.25).total_variance(_K)
    sabr.implied_vol(100.0 * np.exp(_K), 100.0, 0.25)


_K = np.linspace(-0.1, 0.1, 12)
_W = 0.01 + 0.02 * _K**2
_TWO_SLICES = np.tile(_K, 2), np.concatenate([_W, 0.9 * _W]), np.ones(24), np.array([0, 12, 24])


if __name__ == "__main__":
    warm_up()
