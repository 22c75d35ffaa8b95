"""Formulas and solvers: arrays in, arrays out.

Belongs here: nothing but where compiled kernels are kept. Numba knows a kernel by the file that it
stands in, not by the files of the kernels that it calls, so after an upgrade it would go on running
old machine code. The cache therefore lies in a folder named by a digest of all our sources.
"""

import hashlib
import shutil
from pathlib import Path

from numba import config


def _keep_kernels_by_source() -> None:
    room = Path(__file__).parent
    stamps = (f"{path.name}{path.stat().st_mtime_ns}" for path in sorted(room.rglob("*.py")))
    digest = hashlib.blake2b("".join(stamps).encode(), digest_size=8).hexdigest()
    cache = room / "__pycache__" / f"kernels-{digest}"
    try:
        if not cache.exists():  # the sources are new: machine code of older ones is of no use
            for old in cache.parent.glob("kernels-*"):
                shutil.rmtree(old, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:  # an installation that is not ours to write: numba finds a place of its own
        return
    if not getattr(config, "CACHE_DIR", ""):
        config.CACHE_DIR = str(cache)  # type: ignore[attr-defined]


_keep_kernels_by_source()
