"""The kernels of a session can be compiled ahead, in a process of its own."""

import subprocess
import sys

from volsurf_math.warming import is_warm, warm_up


def test_after_warming_up_kernels_lie_in_the_cache():
    warm_up()
    assert is_warm()


def test_it_runs_as_a_module():
    command = [sys.executable, "-W", "error", "-m", "volsurf_math.warming"]
    assert subprocess.run(command, check=False).returncode == 0
