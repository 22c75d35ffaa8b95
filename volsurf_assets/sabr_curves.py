"""SABR at any maturity between the listed ones, from stored rows.

Belongs here: reading the smooth curves of `sabr_smiles`. Not here: fitting them (maths, `sabr`).
"""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from volsurf_assets.smile_points import Array

if TYPE_CHECKING:
    from volsurf_math.smiles.sabr_term_structure import SabrTermStructure


def term_structure_of(rows: pl.DataFrame) -> "SabrTermStructure | None":
    """Return the curves of one root's rows of a session; None if it has none.

    The curves are lines in ln T after transformation, so the stored values determine them.
    """
    from volsurf_math.smiles.sabr_term_structure import SabrTermStructure

    known = rows.filter(pl.col("term_alpha").is_not_null()).sort("tte_years")
    if known.height < 2:
        return None
    tte, alpha, rho, nu = (
        known[name].to_numpy() for name in ("tte_years", "term_alpha", "term_rho", "term_nu")
    )
    target = np.column_stack((np.log(alpha), rho / np.sqrt(1.0 - rho * rho), np.log(nu)))
    return SabrTermStructure(
        beta=float(known["beta"][0]),
        coefficients=np.polynomial.polynomial.polyfit(np.log(tte), target, 1).T,
        tte_min=float(tte[0]),
        tte_max=float(tte[-1]),
    )


def sabr_vol(rows: pl.DataFrame, k: Array, tte: float) -> Array:
    """Return Hagan's volatility at log-moneyness `k` and any `tte` between the listed expiries.

    `rows` are those of one root and session in `sabr_smiles`; forwards are interpolated linearly
    in log. NaN outside the expiries of the curves: nothing is extrapolated.
    """
    k = np.asarray(k, dtype=np.float64)
    curves = term_structure_of(rows)
    if curves is None:
        return np.full(k.shape, np.nan)
    listed = rows.filter(pl.col("term_alpha").is_not_null()).sort("tte_years")
    logs = np.interp(tte, listed["tte_years"].to_numpy(), np.log(listed["forward"].to_numpy()))
    forward = float(np.exp(logs))
    return curves.implied_vol(forward * np.exp(k), forward, tte)
