"""The command `replay`: computes a session again and compares.

Belongs here: printing the differences. Not here: the comparison (volsurf_jobs).
"""

import typer


def replay() -> None:
    """Compute a session again and report any difference."""
    raise typer.Exit(1)
