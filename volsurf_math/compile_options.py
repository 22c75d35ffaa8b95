"""How every kernel of the option formulas is compiled, in one place.

``error_model="numpy"`` lets a bad row become NaN instead of an exception, and ``contract`` lets a
multiply and an add fuse; ``nogil`` lets threads share rows out. Nothing here reorders sums:
``reassoc`` would delete the rounding trick of :func:`volsurf_math.normal.fast_exp`.
"""

from typing import Any, Final

KERNEL: Final[dict[str, Any]] = {
    "cache": True,
    "nogil": True,
    "forceinline": True,
    "error_model": "numpy",
    "fastmath": {"contract"},
}
