"""How a client answers a failure: how often it asks again, after which pauses, which error ends it.

Belongs here: what every vendor's client shares. Not here: any vendor's codes.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from volsurf_resources.source import SourceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """How often to ask again, after which pauses, and which error ends it.

    The n-th pause is drawn from `least_s` + uniform(0, min(cap, `base_s` * 2^n)). `is_split` asks
    for smaller pieces instead, where the request can be cut.
    """

    error: type[SourceError]
    advice: str
    retries: int = 0
    base_s: float = 1.0
    least_s: float = 0.0
    is_split: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential pauses with full jitter, capped; `scale` shortens them all, for tests."""

    cap_s: float = 30.0
    scale: float = 1.0
    jitter: Callable[[float], float] = lambda most: random.uniform(0.0, most)

    def pause_s(self, reaction: Reaction, attempt: int) -> float:
        """Return the seconds to wait after failure number `attempt`, counted from 0."""
        drawn = self.jitter(min(self.cap_s, reaction.base_s * 2.0**attempt))
        return self.scale * (reaction.least_s + drawn)
