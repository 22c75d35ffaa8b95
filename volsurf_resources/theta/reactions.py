"""What the Theta Terminal can answer instead of data, and what to do about each.

Belongs here: the vendor's status codes, how often to ask again. Not here: the
asking (`client`). The codes 470-478 and 570-572 are the vendor's own; 400, 403, 410 and 5xx were
observed on version 3. Three symptoms have no code: `refused` (nobody listens), `cut` (the body
ended early) and `stalled` (no byte for too long).
"""

from collections.abc import Mapping

from volsurf_resources.backoff import Reaction
from volsurf_resources.source import NotAllowed, TryLater

HOW_TO_START = (
    "start the Theta Terminal v3 (java -jar ThetaTerminalv3.jar, with THETADATA_API_KEY set), or "
    "set THETA_API_URL to where it listens"
)
_ONE_TERMINAL = (
    "another program uses this account: stop it, restart the one terminal, then run again"
)


class NotInPlan(NotAllowed):
    """The account's plan does not serve this; it may serve the rest."""


def _final(advice: str) -> Reaction:
    return Reaction(error=NotAllowed, advice=advice)


def _again(advice: str, retries: int, base_s: float = 1.0, least_s: float = 0.0) -> Reaction:
    return Reaction(error=TryLater, advice=advice, retries=retries, base_s=base_s, least_s=least_s)


_PARAMETERS = "the request is not one that version 3 allows: check symbol, dates and expiration"
_NOT_IN_PLAN = Reaction(
    error=NotInPlan,
    advice="the subscription does not serve this: set THETA_TIER to the one you have, ask for "
    "later dates, or upgrade",
)
_KEY = "the key was refused: check the terminal's THETADATA_API_KEY (and THETA_API_KEY, if set)"
_UPSTREAM = "the vendor's servers have trouble: try again later"

NO_DATA = 472
DISCONNECTED = 474

REACTIONS: Mapping[int | str, Reaction] = {
    400: _final(_PARAMETERS),
    401: _final(_KEY),
    403: _NOT_IN_PLAN,
    404: _final("this terminal does not know the path: update the Theta Terminal"),
    410: _final("the path or a parameter is of version 2: run the Theta Terminal v3"),
    429: _again("too many requests at once: stop other programs, check THETA_TIER", 6),
    470: _again("the vendor names no cause: try again later", 2),
    471: _NOT_IN_PLAN,
    473: _final(_PARAMETERS),
    474: _again("the terminal has lost the vendor's servers: check its log", 6, 5.0, 5.0),
    475: Reaction(
        error=TryLater,
        advice="the terminal could not read the vendor's answer: update it, try again later",
        retries=2,
        is_split=True,
    ),
    476: _final("use one spelling of the host everywhere: set THETA_API_URL to 127.0.0.1"),
    477: _again("a page has expired: ask again", 2),
    478: _final(_ONE_TERMINAL),
    500: _again(_UPSTREAM, 5),
    570: Reaction(
        error=NotAllowed, advice="too large even for one day and one expiration", is_split=True
    ),
    571: _again("the terminal is still starting", 10, 4.0, 2.0),
    572: _again("the terminal failed inside: see its log, update it", 2),
    "refused": _again(f"nobody listens there: {HOW_TO_START}", 1, 0.5),
    "cut": _again("the answer ended in the middle, more than once: check the terminal", 4),
    "stalled": Reaction(
        error=TryLater,
        advice="no byte for too long: raise THETA_TIMEOUT_S or check the terminal",
        retries=2,
        is_split=True,
    ),
}


def reaction_to(symptom: int | str) -> Reaction:
    """Return the reaction to a status or symptom; an unknown status counts by its class."""
    if symptom in REACTIONS:
        return REACTIONS[symptom]
    is_server_side = isinstance(symptom, int) and symptom >= 500
    return REACTIONS[500 if is_server_side else 400]
