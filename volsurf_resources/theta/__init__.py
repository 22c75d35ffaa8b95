"""Theta Data over its local terminal, version 3: the vendor's words stop inside this package.

`source` is what others use; below it `requests` cuts questions into what the terminal accepts,
`client` sends them, `answers` reads the CSV, `translation` makes our tables of it, `endpoints` and
`reactions` are the vendor's catalogue and its errors.
"""

from volsurf_resources.backoff import Backoff
from volsurf_resources.theta.source import ThetaData

__all__ = ["Backoff", "ThetaData"]
