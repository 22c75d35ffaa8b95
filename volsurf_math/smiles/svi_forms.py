"""The two other ways to write a raw SVI slice: natural parameters and jump wings.

Belongs here: the parameter sets. The conversions stand on `RawSvi`.

References
----------
.. [GJ14] Gatheral, Jacquier (2014), "Arbitrage-free SVI volatility surfaces",
   Quantitative Finance 14(1), 59-71, section 3.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NaturalSvi:
    """w = delta + omega/2 (1 + zeta rho (k - mu) + sqrt((zeta (k - mu) + rho)^2 + 1 - rho^2))."""

    delta: float
    mu: float
    rho: float
    omega: float
    zeta: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpWings:
    """Quantities that traders read off a smile at `tte` years.

    Attributes
    ----------
    v, v_tilde : float
        At-the-money and minimum implied variance (annualised).
    psi : float
        At-the-money skew, d sqrt(w) / dk.
    p, c : float
        Slopes of the put and the call wing, over sqrt(w) at the money.
    """

    v: float
    psi: float
    p: float
    c: float
    v_tilde: float
    tte: float
