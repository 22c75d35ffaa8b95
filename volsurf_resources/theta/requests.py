"""How a question becomes requests that the terminal accepts: windows, halves, single expirations.

Belongs here: the limits on ranges, today's exception, what may be kept. Not here: HTTP (`client`).
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import polars as pl

from volsurf_resources.theta.answers import empty
from volsurf_resources.theta.client import ThetaClient, TooLarge
from volsurf_resources.theta.endpoints import (
    OPTION_CONTRACTS,
    OPTION_EXPIRATIONS,
    Endpoint,
    Tier,
)
from volsurf_resources.theta.reactions import NotInPlan

log = logging.getLogger("volsurf.theta")

EVERY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One endpoint over `start` to `end`, both included; of every expiration, or of one."""

    endpoint: Endpoint
    symbol: str
    start: date
    end: date
    expiration: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, str]:
        """The query string."""
        span = {"start_date": self.start.isoformat(), "end_date": self.end.isoformat()}
        chain = {"expiration": self.expiration} if self.expiration else {}
        return {"symbol": self.symbol, **chain, **span, **self.extra, "format": "csv"}

    def windows(self) -> list["Question"]:
        """Cut into ranges that the endpoint accepts."""
        step = timedelta(days=self.endpoint.window_days)
        starts = [self.start]
        while starts[-1] + step <= self.end:
            starts.append(starts[-1] + step)
        ends = [start - timedelta(days=1) for start in starts[1:]] + [self.end]
        return [replace(self, start=a, end=b) for a, b in zip(starts, ends, strict=True)]

    def halves(self) -> list["Question"]:
        """Cut the range in two."""
        middle = self.start + (self.end - self.start) // 2
        return [replace(self, end=middle), replace(self, start=middle + timedelta(days=1))]

    @property
    def is_divisible(self) -> bool:
        """Whether it can be cut any further."""
        return self.start < self.end or self.expiration == EVERY


class Asker:
    """Answers questions over a client, for an account of `tier`; `today` is New York's date."""

    def __init__(self, client: ThetaClient, tier: Tier, today: date) -> None:
        self._client = client
        self.tier = tier
        self._today = today

    async def rows(self, question: Question) -> pl.DataFrame:
        """Return all rows of a question, of however many requests; from the tier's first date."""
        first = question.endpoint.first_date(self.tier)
        if question.start < first:
            log.info("tier %s starts on %s: %s is cut", self.tier.name, first, question.params)
            question = replace(question, start=first)
        if question.start > question.end:
            return empty(question.endpoint.columns)
        pieces = [piece for window in question.windows() for piece in self._around_today(window)]
        return pl.concat(await together(*(self._piece(piece) for piece in pieces)))

    async def rows_in_plan(self, question: Question) -> pl.DataFrame:
        """Return the rows of a question that is welcome but not needed: none outside the plan."""
        try:
            return await self.rows(question)
        except NotInPlan as refusal:
            log.warning("going on without %s: %s", question.symbol, refusal)
            return empty(question.endpoint.columns)

    async def listed(self, endpoint: Endpoint, symbol: str, **params: str) -> pl.DataFrame:
        """Return the rows of a list endpoint."""
        query = {"symbol": symbol, **params, "format": "csv"}
        return await self._client.get(endpoint.path, query, endpoint.columns)

    def _around_today(self, question: Question) -> list[Question]:
        """Keep today apart: it cannot be asked with every expiration at once."""
        if question.expiration != EVERY or not question.start < self._today <= question.end:
            return [question]
        return [
            replace(question, end=self._today - timedelta(days=1)),
            replace(question, start=self._today),
        ]

    async def _piece(self, question: Question) -> pl.DataFrame:
        if question.expiration == EVERY and question.end >= self._today:
            return await self._by_expiration(question)
        endpoint = question.endpoint
        try:
            return await self._client.get(
                endpoint.path,
                question.params,
                endpoint.columns,
                is_final=self._is_final(question),
                can_split=question.is_divisible,
            )
        except TooLarge:
            if question.start == question.end:
                return await self._by_expiration(question)
        return pl.concat(await together(*(self._piece(half) for half in question.halves())))

    async def _by_expiration(self, question: Question) -> pl.DataFrame:
        day = question.start.isoformat()
        if self.tier >= OPTION_CONTRACTS.tier:
            listed = await self.listed(OPTION_CONTRACTS, question.symbol, date=day)
        else:
            listed = await self.listed(OPTION_EXPIRATIONS, question.symbol)
        alive = listed["expiration"].filter(listed["expiration"] >= question.start)
        pieces = [
            replace(question, expiration=expiration.isoformat())
            for expiration in alive.unique().sort()
        ]
        if not pieces:
            return empty(question.endpoint.columns)
        return pl.concat(await together(*(self._piece(piece) for piece in pieces)))

    def _is_final(self, question: Question) -> bool:
        days = question.endpoint.final_after_days
        return days is not None and question.end + timedelta(days=days) <= self._today


async def together(
    *work: Coroutine[Any, Any, pl.DataFrame],
) -> Sequence[pl.DataFrame]:
    """Wait for all; the first failure stops the others."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
