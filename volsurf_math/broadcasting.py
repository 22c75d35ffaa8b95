"""From the arguments of a row-wise function to the contiguous columns that its kernel reads.

Formulas do not belong here.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


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
