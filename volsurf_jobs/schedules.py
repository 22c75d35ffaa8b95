"""When things run by the clock: once a day, after a market's official snapshot.

Belongs here: schedules. A schedule ticks every day and asks only on sessions of the market.
"""

import dagster as dg

from volsurf_assets.partitions import PLACES
from volsurf_jobs.jobs import COLLECT, END_OF_DAY
from volsurf_resources.calendars import CALENDARS, Market

_ON, _OFF = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED
# Coins are off until switched on: nobody on the net is asked unasked.
_WHEN: dict[Market, tuple[str, str, dg.DefaultScheduleStatus]] = {
    "us": ("30 17 * * *", "17:30 New York on every session; early closes included.", _ON),
    "crypto": ("5 8 * * *", "08:05 UTC on every day.", _OFF),
}


def end_of_day_schedule(market: Market) -> dg.ScheduleDefinition:
    """Return the schedule that asks for a market's session of the day."""
    calendar, (cron, meaning, status) = CALENDARS[market], _WHEN[market]

    @dg.schedule(
        name=f"{PLACES[market].step('end_of_day')}_schedule",
        job_name=END_OF_DAY,
        cron_schedule=cron,
        execution_timezone=str(calendar.timezone),
        default_status=status,
        description=meaning,
    )
    def ask(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.astimezone(calendar.timezone).date()
        if not calendar.is_session(today):
            return dg.SkipReason(f"the exchange is closed on {today}")
        return dg.RunRequest(run_key=str(today), partition_key=str(today))

    return ask


# Off too: `volsurf collect` may be collecting already.
collecting_schedule = dg.ScheduleDefinition(
    name="collecting_schedule",
    job_name=COLLECT,
    cron_schedule="*/15 * * * *",
    execution_timezone="UTC",
    default_status=_OFF,
    description="Every quarter of an hour: a snapshot of each coin that has none of it yet.",
)


def schedules_of(market: Market) -> list[dg.ScheduleDefinition]:
    """Return the schedules of a market."""
    own = [collecting_schedule] if market == "crypto" else []
    return [end_of_day_schedule(market), *own]
