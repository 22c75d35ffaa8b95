"""A Theta Terminal on loopback that speaks version 3's wire format over real HTTP.

It serves a small market of its own (`market.py`) under the vendor's rules (365 days, one day of
greeks, no `*` for today, tiers, 472 for nothing), or, for a path, whatever a test has scripted.
To try the platform on it: `python -m tests.resources.theta.fake_terminal`, VOLSURF_SOURCE=theta.
"""

import threading
from datetime import date

from tests.resources.loopback import Answer, Call, LoopbackVendor
from tests.resources.theta import market


class FakeTerminal(LoopbackVendor):
    prefix = "/v3"
    content_type = "text/csv"

    def __init__(
        self, *, today: date | None = None, tier: str = "pro", hold_s: float = 0.0, port: int = 0
    ):
        super().__init__(hold_s=hold_s, port=port)
        self.market = market.Market(today=today, tier=tier)

    def reply(self, call: Call) -> Answer:
        status, body = self.market.answer(call.path, call.params)
        return Answer(status=status, body=body)


if __name__ == "__main__":
    with FakeTerminal(port=25503):
        threading.Event().wait()
