"""From the arguments of a row-wise function to the contiguous columns that its kernel reads.

Belongs here: broadcasting, and sharing rows out to threads. Formulas do not.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import config
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
FEWEST_SHARED = 512  # rows: below, starting threads costs more than it saves


def float_columns(*values: ArrayLike) -> tuple[tuple[int, ...], list[FloatArray]]:
    """Return the common shape of `values`, and each as a flat contiguous float64 column.

    Columns are writeable: a kernel is compiled once, not again for arrays that others protect.
    """
    arrays = [np.asarray(value, dtype=np.float64) for value in values]
    shape = np.broadcast_shapes(*[array.shape for array in arrays])
    spread = [np.broadcast_to(a, shape) if a.shape != shape else a for a in arrays]
    return shape, [np.require(array, requirements=("C", "W")).reshape(-1) for array in spread]


def payoff_sign(is_call: ArrayLike) -> FloatArray:
    """Return +1.0 where the option is a call and -1.0 where it is a put."""
    return np.where(np.asarray(is_call, dtype=bool), 1.0, -1.0)


def share_out(work: Callable[[slice], None], n_rows: int) -> None:
    """Call `work` on slices that cover all rows, on a thread per core where there are many rows.

    Rows do not know of each other, so the results are those of one call.
    """
    cores: int = config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    n = cores if n_rows >= FEWEST_SHARED else 1
    if n == 1:
        work(slice(0, n_rows))
        return
    edges = np.linspace(0, n_rows, 4 * n + 1).astype(int).tolist()  # small parts even out the load
    with ThreadPoolExecutor(n) as threads:
        list(threads.map(work, map(slice, edges[:-1], edges[1:])))
