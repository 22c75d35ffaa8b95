"""Random markets of raw SVI slices, free of butterfly arbitrage, quoted with a half-spread."""

from dataclasses import dataclass

import numpy as np

from volsurf_math.smiles.svi import RawSvi


@dataclass(frozen=True)
class Market:
    k: np.ndarray
    w: np.ndarray
    weight: np.ndarray
    offsets: np.ndarray
    tte: np.ndarray
    truth: list[RawSvi]


def random_smile(rng, sd):
    """One slice around an at-the-money standard deviation `sd`, or None."""
    rho, m = rng.uniform(-0.95, 0.5), sd * rng.uniform(-0.6, 0.6)
    sigma = sd * np.exp(rng.uniform(np.log(0.15), np.log(2.5)))
    b = rng.uniform(0.1, 1.2) * sd
    smile = RawSvi(a=sd**2 - b * (np.hypot(m, sigma) - rho * m), b=b, rho=rho, m=m, sigma=sigma)
    if smile.min_total_variance < 0.05 * sd**2 or not smile.is_butterfly_free:
        return None
    return smile


def random_market(n_slices, seed, noise=0.7):
    """3 days to 2 years, 15 to 150 strikes; noise in half-spreads of volatility, uniform."""
    rng = np.random.default_rng(seed)
    parts, truth, tte = [], [], []
    while len(truth) < n_slices:
        years = np.exp(rng.uniform(np.log(3 / 365), np.log(2.0)))
        sd = rng.uniform(0.1, 0.8) * np.sqrt(years)
        smile = random_smile(rng, sd)
        if smile is None:
            continue
        n = int(rng.integers(15, 150))
        k = np.sort(rng.uniform(-rng.uniform(1.5, 4.0), rng.uniform(1.0, 3.0), n)) * sd
        vol = np.sqrt(smile.total_variance(k) / years)
        half_spread = rng.uniform(0.001, 0.006) * (1.0 + 0.5 * np.abs(k / sd))
        quote = vol + noise * half_spread * rng.uniform(-1.0, 1.0, n)
        parts.append((k, quote**2 * years, (2.0 * vol * years * half_spread) ** -2))
        truth.append(smile)
        tte.append(years)
    k, w, weight = (np.concatenate(x) for x in zip(*parts, strict=True))
    offsets = np.cumsum([0, *(part[0].size for part in parts)])
    return Market(k=k, w=w, weight=weight, offsets=offsets, tte=np.array(tte), truth=truth)
