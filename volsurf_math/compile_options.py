"""How every kernel is compiled, in one place.

``error_model="numpy"`` lets a bad row become NaN instead of an exception, ``contract`` lets a
multiply and an add fuse, and ``nogil`` lets threads share rows out. One set of options for nearly
all means that numba compiles what they use of NumPy once, and nobody calls them from C.
"""

from typing import Any, Final

ROUTINE: Final[dict[str, Any]] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract"},
    "no_cfunc_wrapper": True,
}
"""A search, or a loop over quotes."""

KERNEL: Final[dict[str, Any]] = ROUTINE | {"forceinline": True}
"""A formula of numbers, inlined into the loop that fills vector lanes with it.

Nothing here reorders sums: ``reassoc`` would delete the rounding trick of
:func:`volsurf_math.normal.fast_exp`.
"""

SUMS: Final[dict[str, Any]] = ROUTINE | {"fastmath": {"contract", "reassoc", "nsz", "arcp"}}
"""A loop whose sums may be taken in any order, and so in vector lanes."""
