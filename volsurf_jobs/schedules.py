"""When things run by the clock: once a day, after the close in New York.

Belongs here: schedules. A schedule ticks every day and asks only on sessions of the exchange.
"""

import dagster as dg

from volsurf_jobs.jobs import end_of_day
from volsurf_resources.exchange_calendar import NEW_YORK, is_session


@dg.schedule(
    job=end_of_day,
    cron_schedule="30 17 * * *",
    execution_timezone=str(NEW_YORK),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="17:30 New York on every session; early closes included.",
)
def end_of_day_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Ask for today's session."""
    today = context.scheduled_execution_time.astimezone(NEW_YORK).date()
    if not is_session(today):
        return dg.SkipReason(f"the exchange is closed on {today}")
    return dg.RunRequest(run_key=str(today), partition_key=str(today))
