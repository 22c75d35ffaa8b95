"""The two other ways to write a raw SVI slice: natural parameters and jump wings.

Belongs here: the parameter sets, and the formulas that `RawSvi` converts them by.

References
----------
.. [GJ14] Gatheral, Jacquier (2014), "Arbitrage-free SVI volatility surfaces",
   Quantitative Finance 14(1), 59-71, section 3.
"""

import math
from dataclasses import dataclass

Raw = tuple[float, float, float, float, float]  # a, b, rho, m, sigma


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


def natural_of(a: float, b: float, rho: float, m: float, sigma: float) -> NaturalSvi:
    """Return the natural parameters of a raw slice with b > 0."""
    root = math.sqrt(1.0 - rho**2)
    omega = 2.0 * b * sigma / root
    return NaturalSvi(
        delta=a - 0.5 * omega * (1.0 - rho**2),
        mu=m + rho * sigma / root,
        rho=rho,
        omega=omega,
        zeta=root / sigma,
    )


def raw_of_natural(natural: NaturalSvi) -> Raw:
    """Inverse of `natural_of`."""
    root = math.sqrt(1.0 - natural.rho**2)
    a = natural.delta + 0.5 * natural.omega * (1.0 - natural.rho**2)
    b, m = 0.5 * natural.omega * natural.zeta, natural.mu - natural.rho / natural.zeta
    return a, b, natural.rho, m, root / natural.zeta


def raw_of_jump_wings(wings: JumpWings) -> Raw:
    """Return the raw slice of jump wings, which raise where they leave sigma open."""
    root = math.sqrt(wings.v * wings.tte)
    b = 0.5 * root * (wings.c + wings.p)
    rho = 1.0 - wings.p * root / b
    beta = rho - 2.0 * wings.psi * root / b
    if not abs(beta) <= 1.0:
        raise ValueError(f"jump wings need a skew psi between -p/2 and c/2, was {wings}")
    bar = math.sqrt(1.0 - rho**2)
    drop = (wings.v - wings.v_tilde) * wings.tte / b
    if abs(beta) < 1e-12:
        m, spread = 0.0, 1.0 - bar
        sigma = drop / spread if spread > 0.0 else math.nan
    else:
        alpha = math.copysign(1.0, beta) * math.sqrt(1.0 / beta**2 - 1.0)
        spread = -rho + math.copysign(math.sqrt(1.0 + alpha**2), alpha or beta) - alpha * bar
        m = drop / spread if spread != 0.0 else math.nan
        sigma = alpha * m
    if not sigma > 0.0:
        raise ValueError(f"jump wings need to determine sigma > 0, was {wings}")
    return wings.v_tilde * wings.tte - b * sigma * bar, b, rho, m, sigma
