"""Questions as they come over the wire: query parameters and bodies.

Belongs here: names, types and meanings of parameters. What contradicts itself is refused by
`volsurf_app.questions`, here as in Python.
"""

from datetime import date as Date
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from volsurf_app.client import GridSpec
from volsurf_app.finding_surfaces import MODELS
from volsurf_app.surface import Which

_MODELS: dict[str, Any] = {"enum": list(MODELS)}
Number = Annotated[float, Field(allow_inf_nan=False)]
Strike = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Tenor = Annotated[str, Field(max_length=20, examples=["30d", "4w", "1y"])]


class Chosen(BaseModel):
    """Which surface: session, model, snapshot, and as known when."""

    model_config = ConfigDict(extra="forbid")

    date: Date | None = Field(None, description="Session. Default: the last one stored.")
    model: str = Field(MODELS[0], max_length=20, json_schema_extra=_MODELS)
    snapshot: str = Field("EOD", pattern=r"^(EOD|\d{4})$", description="EOD, or HHMM in UTC.")
    known_at: AwareDatetime | None = Field(None, description="The surface as known at that time.")

    def which(self) -> Which:
        """Return the choice as keywords of `surface.at`."""
        return {
            "on": self.date,
            "model": self.model,
            "snapshot": self.snapshot,
            "known_at": self.known_at,
        }


class Time(BaseModel):
    """When: exactly one of tenor, tte and expiry."""

    model_config = ConfigDict(extra="forbid")

    tenor: Tenor | None = Field(None, description="Calendar days, weeks or years: 30d, 4w, 1y.")
    tte: Strike | None = Field(None, description="Years to expiry.")
    expiry: Date | None = Field(None, description="Listed expiry: its own smile.")
    root: str | None = Field(None, max_length=10, description="Of several roots of an expiry.")


class Point(Time):
    """When, and where: exactly one of log_moneyness, delta and strike."""

    log_moneyness: Number | None = Field(None, description="ln(strike / forward).")
    delta: Number | None = Field(None, description="Undiscounted forward delta; puts negative.")
    strike: Strike | None = Field(None, description="USD.")


class PointQuestion(Point, Chosen):
    """A point of one surface."""

    def point(self) -> dict[str, Any]:
        """Return when and where as keywords of `surface.at`."""
        return self.model_dump(include=set(Point.model_fields))


class ImpliedVolQuestion(Chosen):
    """A strike and a time."""

    T: str = Field(max_length=40, description="Years, or a listed expiry's date.")
    K: Strike = Field(description="Strike, USD.")

    def when(self) -> dict[str, Any]:
        """Return `T` as keyword of `surface.at`: years if it is a number, else a listed expiry."""
        try:
            return {"tte": float(self.T)}
        except ValueError:
            return {"expiry": self.T}


class OptionQuestion(Time, Chosen):
    """An option at the surface's vol."""

    strike: Strike = Field(description="USD.")
    option_type: str = Field(max_length=10, json_schema_extra={"enum": ["CALL", "PUT"]})

    def option(self) -> dict[str, Any]:
        """Return the option as keywords of `contract_greeks.greeks`."""
        return self.model_dump(include={*Time.model_fields, "strike", "option_type"})


class HistoryQuestion(Point):
    """A point through the sessions of a range."""

    start: Date = Field(description="First day.")
    end: Date = Field(description="Last day.")
    model: str = Field(MODELS[0], max_length=20, json_schema_extra=_MODELS)
    snapshot: str = Field("EOD", pattern=r"^(EOD|\d{4})$", description="EOD, or HHMM in UTC.")


class Grid(Chosen):
    """Times of one kind and places of one kind."""

    tenors: list[Tenor] = Field([], description="30d, 4w, 1y.")
    ttes: list[Strike] = Field([], description="Years.")
    expiries: list[Date] = Field([], description="Listed expiries.")
    log_moneyness: list[Number] = Field([], description="ln(strike / forward).")
    deltas: list[Number] = Field([], description="Undiscounted forward deltas; puts negative.")
    strikes: list[Strike] = Field([], description="USD.")

    def spec(self) -> GridSpec:
        """Return the grid that is asked for."""
        return GridSpec(**self.model_dump(exclude=set(Chosen.model_fields)))


class Points(Chosen):
    """Many points of one surface."""

    points: list[Point] = Field(min_length=1)
