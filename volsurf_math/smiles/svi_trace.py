"""Where the search of one raw SVI smile began and where each beginning led.

Belongs here: the diary of a fit, by the same compiled steps, for those who doubt it. Not here: the
fit (`svi_fit`), whose re-weighting and repair come after what is told here.
"""

from dataclasses import dataclass

import numpy as np

from volsurf_math.broadcasting import FloatArray
from volsurf_math.smiles.svi import RawSvi
from volsurf_math.smiles.svi_fit import _search_box
from volsurf_math.smiles.svi_least_squares import raw
from volsurf_math.smiles.svi_projection import N_STARTS, coarse_starts, search, unproject


@dataclass(frozen=True, kw_only=True)
class Descent:
    """One start of the search, and the smile that Levenberg-Marquardt reached from it.

    `cost` is the weighted sum of squared errors in total variance, of all quotes at the end and of
    a thinned sample at the start, where m and sigma are a point of the coarse grid.
    """

    start_m: float
    start_sigma: float
    start_cost: float
    cost: float
    evaluations: int
    smile: RawSvi


def descents(k: FloatArray, w: FloatArray, weight: FloatArray) -> list[Descent]:
    """Search from every start that the fit takes, cheapest first; none for fewer than 5 quotes."""
    if np.unique(k).size < 5:
        return []
    k, w, weight = (np.ascontiguousarray(column, dtype=np.float64) for column in (k, w, weight))
    sums, here, trial, p = np.empty(18), np.empty(9), np.empty(9), np.empty(5)
    starts, box = np.empty((N_STARTS, 3)), _search_box(k)
    coarse_starts(k, w, weight, sums, here, starts)
    found = []
    for cost, m, log_sigma in starts[np.isfinite(starts[:, 0])]:
        at_m, at_log_sigma, used = search(k, w, weight, m, log_sigma, box, sums, here, trial)
        unproject(here, at_m, at_log_sigma, p)
        a, b, rho, vertex, sigma = raw(p)
        found.append(
            Descent(
                start_m=float(m),
                start_sigma=float(np.exp(log_sigma)),
                start_cost=float(cost),
                cost=float(here[0]),
                evaluations=int(used),
                smile=RawSvi(a=a, b=b, rho=rho, m=vertex, sigma=sigma),
            )
        )
    return found
