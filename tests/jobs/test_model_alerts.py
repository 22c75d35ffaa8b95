"""Alerts of models, from quotes to what is sent: a parameter jumps, a surface is missed."""

import json

import dagster as dg
import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import DAY, RATE, expiry, flat_curve, in_days, put
from tests.assets.pipeline import LATER, make, settings_of
from tests.resources.test_alerting import posts
from volsurf_assets.checks import as_asset_checks
from volsurf_assets.computed_assets import as_asset
from volsurf_assets.partitions import PLACES
from volsurf_assets.stochastic_vol import heston_surfaces
from volsurf_jobs.alerts import tell_of_run
from volsurf_math.heston import Heston
from volsurf_resources.exchange_calendar import last_sessions
from volsurf_resources.lake import Lake
from volsurf_tables.stochastic_vol import HESTON_SURFACES

__all__ = ["posts"]

DAYS = last_sessions(DAY, 14)
STRIKES = np.arange(76.0, 126.0, 4.0)
US = PLACES["us"]
QUOTED = ["implied_forwards", "option_quotes"]


def chain(day, rho):
    """Quotes of a law, each moved by about 0.2 %."""
    law = Heston(kappa=2.5, theta=0.05, sigma=0.6, rho=rho, v0=0.03)

    def price(strike, tte, forward, vol, is_call):
        return np.exp(-RATE * tte) * law.undiscounted_price(forward, strike, tte, is_call)

    exact = pl.concat(
        expiry(in_days(n, day), strikes=STRIKES, day=day, price=price) for n in (60, 240, 600)
    )
    noise = 1.0 + 0.002 * np.random.default_rng(day.toordinal()).standard_normal(exact.height)
    return exact.with_columns(pl.col(side) * noise for side in ("bid", "ask"))


def frown(day):
    """Vols that fall on both sides of the money, by a third: a law gives them within 7 points."""
    return pl.concat(
        expiry(in_days(n, day), lambda k: 0.5 - 6.0 * k**2, day=day, half_share=0.05)
        for n in (60, 120, 240)
    )


def told(home, port, received, chains):
    """Make all but the last session, then that one as a run with its checks; what was posted."""
    settings = settings_of(home, alert_webhook_url=f"http://127.0.0.1:{port}/")
    lake = Lake(settings.lake_root)
    days = [rows["quote_date"][0] for rows in chains]
    put(lake, *chains, *(flat_curve(day=day) for day in days))
    make(lake, settings, days, QUOTED)
    make(lake, settings, days[:-1], ["heston_surfaces"])
    resources = {
        "lake": lake,
        "settings": settings,
        "clock": lambda: LATER,
        "progress": lambda *said: None,
    }
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [as_asset(heston_surfaces, US), as_asset_checks(HESTON_SURFACES, US)],
            instance=instance,
            partition_key=str(days[-1]),
            resources={
                name: dg.ResourceDefinition.hardcoded_resource(value)
                for name, value in resources.items()
            },
        )
        run = instance.get_run_by_id(result.run_id)
        assert tell_of_run(instance, run, settings) == len(received)
        assert tell_of_run(instance, run, settings) == 0
    return lake.read("heston_surfaces"), received


@pytest.fixture
def steady():
    """Correlations of the sessions before the last: they wobble by a hundredth."""
    return -0.6 + np.random.default_rng(4).normal(0.0, 0.01, len(DAYS) - 1)


def test_a_jump_of_rho_raises_one_alert_with_its_old_and_new_value(tmp_path, posts, steady):
    """R287."""
    port, received, _ = posts
    chains = [chain(day, rho) for day, rho in zip(DAYS, [*steady, -0.4], strict=True)]
    rows, (alert,) = told(tmp_path, port, received, chains)
    assert alert["id"] == f"check/heston_surfaces/parameters_have_not_jumped/{DAY}"
    assert alert["severity"] == "warning"
    (offending,) = json.loads(alert["detail"])["offending"]
    before, now = rows["rho"][-2:]
    assert offending.startswith(f"{DAY}, SPX, EOD, rho, {before}, {now}, ")
    assert (before, now) == pytest.approx((steady[-1], -0.4), abs=0.02)


def test_an_ordinary_session_raises_none(tmp_path, posts, steady):
    port, received, _ = posts
    chains = [chain(day, rho) for day, rho in zip(DAYS, [*steady, -0.61], strict=True)]
    assert told(tmp_path, port, received, chains)[1] == []


def test_a_surface_that_the_model_misses_by_5_points_raises_one_alert(tmp_path, posts):
    """R250."""
    port, received, _ = posts
    rows, (alert,) = told(tmp_path, port, received, [frown(DAY)])
    assert alert["id"] == f"check/heston_surfaces/fit_error_is_small/{DAY}"
    assert alert["severity"] == "warning"
    assert str(rows["rmse"][0]) in alert["detail"]
    assert rows["rmse"][0] > 5.0
