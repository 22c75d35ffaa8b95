"""What the exchange can answer instead of data, and what to do about each.

Belongs here: the codes of its JSON-RPC errors and how often to ask again. Not here: the asking
(`client`). The error in the body decides, whatever the HTTP status. Three symptoms have no code:
`refused` (nobody listens), `cut` (the body ended early or is no JSON), `stalled` (no byte for too
long). Limits are counted in credits per address; one breach may last a minute.
"""

from collections.abc import Mapping

from volsurf_resources.backoff import Reaction
from volsurf_resources.source import NoData, NotAllowed, SourceError, TryLater


def _final(advice: str, error: type[SourceError] = NotAllowed) -> Reaction:
    return Reaction(error=error, advice=advice)


def _again(advice: str, retries: int, base_s: float = 1.0, least_s: float = 0.0) -> Reaction:
    return Reaction(error=TryLater, advice=advice, retries=retries, base_s=base_s, least_s=least_s)


_REQUEST = "the exchange does not know such a request: check the symbol"
_PRIVATE = "the exchange wants a login for this, which public data never need"
_BUSY = "the exchange has trouble: try again later"
_TOO_MANY = _again("too many requests from this address: stop other programs", 12, 1.0, 2.0)

TOO_MANY = (10028, 429)

REACTIONS: Mapping[int | str, Reaction] = {
    -32600: _final(_REQUEST),
    -32601: _final(_REQUEST),
    -32602: _final(_REQUEST),
    -32700: _final(_REQUEST),
    10004: _final("there is no such instrument", NoData),
    10028: _TOO_MANY,
    10040: _again(_BUSY, 5),
    13004: _final(_PRIVATE),
    13009: _final(_PRIVATE),
    13020: _final("there is no such instrument", NoData),
    13021: _final(_PRIVATE),
    13028: _again(_BUSY, 5),
    13778: _final(_PRIVATE),
    13888: _again(_BUSY, 5),
    400: _final(_REQUEST),
    401: _final(_PRIVATE),
    403: _final("the address is not let in: check the network, and where the exchange serves"),
    404: _final("there is no such path: does DERIBIT_URL name the exchange?"),
    429: _TOO_MANY,
    500: _again(_BUSY, 5),
    "refused": _again("nobody listens there: check the network, and DERIBIT_URL", 3, 0.5),
    "cut": _again("the answer ended in the middle, more than once: check the network", 4, 0.5),
    "stalled": _again("no byte for too long: raise DERIBIT_TIMEOUT_S or check the network", 2),
}


def reaction_to(symptom: int | str) -> Reaction:
    """Return the reaction to an error code, HTTP status or symptom; unknown ones are final.

    An unknown HTTP status from 500 up counts as the exchange's trouble.
    """
    if symptom in REACTIONS:
        return REACTIONS[symptom]
    is_server_side = isinstance(symptom, int) and 500 <= symptom < 600
    return REACTIONS[500 if is_server_side else 400]
