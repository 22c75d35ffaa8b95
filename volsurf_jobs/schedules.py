"""When things run by the clock: once a day, after the close in New York.

Belongs here: schedules. The partitions know weekends and holidays, so the schedule skips them.
"""

import dagster as dg

from volsurf_jobs.jobs import end_of_day

end_of_day_schedule = dg.build_schedule_from_partitioned_job(
    end_of_day,
    name="end_of_day_schedule",
    hour_of_day=17,
    minute_of_hour=30,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="17:30 New York on every session; early closes included.",
)
