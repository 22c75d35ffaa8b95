from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from tests.assets.tiny import DAYS, LEVELS, MEANS, means, put, tiny_lake, tiny_settings
from volsurf_assets import findings
from volsurf_assets.checks import as_asset_checks, checks_of, contract_checks
from volsurf_assets.computed_assets import as_asset
from volsurf_assets.judgements import JUDGEMENTS, View, coverage, latest_session
from volsurf_assets.partitions import PLACES
from volsurf_resources.exchange_calendar import sessions
from volsurf_resources.lake import Lake
from volsurf_tables.market import RAW_OPTIONS_CHAINS
from volsurf_tables.stochastic_vol import HESTON_SURFACES
from volsurf_tables.surfaces import FITTED_SURFACES

DAY = date(2026, 11, 18)
NOW = datetime(2026, 11, 19, 2, tzinfo=UTC)


def smiles(*rows: tuple[date, float, str, bool]) -> pl.DataFrame:
    schema = {"quote_date": pl.Date, "rmse": pl.Float64, "status": pl.String,
              "passes_no_arbitrage": pl.Boolean}  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row").with_columns(symbol=pl.lit("SPY"))


def test_repeated_and_null_keys_are_named() -> None:
    rows = pl.DataFrame(
        {"symbol": ["SPY", "SPY", None], "quote_date": [DAY] * 3, "snapshot": ["EOD"] * 3}
    )
    assert findings.repeated_keys(rows, LEVELS).rows() == [
        ("SPY", DAY, "EOD"), (None, DAY, "EOD")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("level", "side", "column"),
    [(-0.1, "A", "level"), (100.1, "A", "level"), (float("nan"), "A", "level"), (1.0, "B", "side")],
)
def test_values_beyond_their_limits_are_named(level: float, side: str, column: str) -> None:
    good = ("QQQ", DAY, "EOD", 100.0, "A")
    rows = pl.DataFrame([("SPY", DAY, "EOD", level, side), good], LEVELS.schema, orient="row")
    found = findings.outside_limits(rows, LEVELS)
    assert found.select("symbol", "column").rows() == [("SPY", column)]


def test_null_is_inside_every_limit() -> None:
    rows = pl.DataFrame([("SPY", DAY, "EOD", None, None)], LEVELS.schema, orient="row")
    assert findings.outside_limits(rows, LEVELS).is_empty()


def test_differences_of_a_schema_are_told() -> None:
    stored = pl.Schema({"symbol": pl.String(), "quote_date": pl.String(), "more": pl.Int8()})
    assert findings.schema_differences(stored, LEVELS) == [
        "lacks snapshot", "lacks level", "lacks side", "has more besides",
        "quote_date is String, not Date",
    ]  # fmt: skip


def test_missing_sessions_are_those_between_the_first_and_the_last() -> None:
    calendar = sessions(date(2026, 11, 1), date(2026, 11, 30))
    assert findings.missing_sessions([DAYS[0], DAYS[3]], calendar) == DAYS[1:3]
    assert findings.missing_sessions([], calendar) == []


def test_the_median_error_is_of_fitted_smiles_only() -> None:
    rows = smiles(
        (DAY, 0.1, "fitted", True), (DAY, 0.3, "fitted", True), (DAY, 9.0, "carried", True)
    )
    assert findings.median_error(rows)["measure"].to_list() == [0.2]


def test_the_share_with_arbitrage_is_of_used_smiles() -> None:
    rows = smiles(
        (DAY, 0.1, "fitted", True), (DAY, 0.1, "carried", False), (DAY, 0.1, "skipped", False)
    )
    assert findings.arbitrage_share(rows)["measure"].to_list() == [0.5]


def test_one_noisy_day_is_found_and_the_days_around_it_are_not() -> None:
    days = sessions(date(2026, 9, 1), date(2026, 10, 30))
    noisy = days[30]
    measures = pl.DataFrame(
        {"symbol": "SPY", "quote_date": days,
         "measure": [0.5 if day == noisy else 0.1 + 0.001 * (day.day % 5) for day in days]}
    )  # fmt: skip
    found = findings.degraded(measures, days, factor=2.0, margin=0.05)
    assert found["quote_date"].to_list() == [noisy]
    assert findings.degraded(measures, days[:20], factor=2.0, margin=0.05).is_empty()


def test_a_measure_needs_five_sessions_to_be_compared_with() -> None:
    measures = pl.DataFrame({"symbol": "SPY", "quote_date": DAYS[:6], "measure": [0.1] * 5 + [9.0]})
    assert findings.degraded(measures, DAYS, factor=2.0, margin=0.0).height == 1
    assert findings.degraded(measures[1:], DAYS, factor=2.0, margin=0.0).is_empty()


def test_the_share_of_bad_quotes_counts_contracts_once() -> None:
    of_day = {"symbol": ["SPY"] * 4, "quote_date": [DAY] * 4, "contract_id": ["a", "b", "c", "d"]}
    issues = pl.DataFrame(
        {"symbol": ["SPY"] * 3, "quote_date": [DAY] * 3, "contract_id": ["a", "a", "b"],
         "severity": ["error", "warning", "info"]}
    )  # fmt: skip
    assert findings.issue_share(issues, pl.DataFrame(of_day))["measure"].to_list() == [0.25]


def test_chains_without_a_close_are_found() -> None:
    contracts = pl.DataFrame({"symbol": ["SPY", "QQQ", "QQQ"], "quote_date": [DAY] * 3})
    bars = pl.DataFrame({"symbol": ["SPY", "QQQ"], "quote_date": [DAY] * 2, "close": [1.0, None]})
    assert findings.without_price(contracts, bars).rows() == [("QQQ", DAY)]


@pytest.mark.parametrize(("age", "is_old"), [(0, False), (7, False), (8, True), (None, True)])
def test_curves_are_old_after_a_week(age: int | None, is_old: bool) -> None:
    rows = [] if age is None else [(DAY, DAY - timedelta(days=age))]
    rates = pl.DataFrame(rows, {"quote_date": pl.Date, "curve_date": pl.Date}, orient="row")
    assert (findings.old_curves(rates, [DAY], 7).height == 1) is is_old


def test_fits_that_failed_as_computations_are_found_even_if_carried() -> None:
    rows = pl.DataFrame(
        {"symbol": "SPY", "quote_date": DAY, "snapshot": "EOD", "root": "SPY",
         "expiration_date": DAY, "model_type": "SVI",
         "status": ["fitted", "skipped", "carried", "carried", "failed"],
         "reason": [None, "too few", "no convergence: x", "100 % of rows unusable", "singular"]}
    )  # fmt: skip
    assert findings.numerical_failures(rows, FITTED_SURFACES)["reason"].to_list() == [
        "no convergence: x",
        "singular",
    ]


def chain_of(lake: Lake, *days: date) -> None:
    for day in days:
        lake.replace(RAW_OPTIONS_CHAINS.name, day, RAW_OPTIONS_CHAINS.schema.to_frame())


def view_of(lake: Lake, folder: Path, now: datetime, *days: date) -> View:
    return View(lake, days, tiny_settings(folder), lambda: now)


def test_coverage_is_counted_against_the_exchange_calendar(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    month = sessions(date(2026, 10, 1), date(2026, 11, 6))
    chain_of(lake, *month[:-2], month[-1])
    now = datetime(2026, 11, 7, tzinfo=UTC)
    finding = coverage(view_of(lake, tmp_path, now, month[0]))
    assert finding.dates == (month[-2],)
    assert finding.is_true  # 26 of 27
    lake.path(RAW_OPTIONS_CHAINS.name, month[1]).unlink()
    assert not coverage(view_of(lake, tmp_path, now, month[0])).is_true


def test_the_latest_closed_session_is_asked_for(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    chain_of(lake, date(2026, 11, 25))
    on_thanksgiving = datetime(2026, 11, 26, 23, tzinfo=UTC)
    after_friday = datetime(2026, 11, 27, 18, 1, tzinfo=UTC)  # an early close
    assert latest_session(view_of(lake, tmp_path, on_thanksgiving)).is_true
    found = latest_session(view_of(lake, tmp_path, after_friday))
    assert found.dates == (date(2026, 11, 27),)


def test_every_judgement_passes_or_warns_on_an_empty_lake(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    view = view_of(lake, tmp_path, datetime(2026, 11, 20, tzinfo=UTC), DAY)
    for check in JUDGEMENTS:
        assert isinstance(check.look(view).is_true, bool), check.name
    assert len(checks_of(RAW_OPTIONS_CHAINS)) == 5


def test_a_damaged_schema_is_seen_in_the_file(tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path)
    put(lake, DAYS[0], SPY=1.0)
    put(lake, DAYS[1], SPY=1.0)
    path = lake.path("levels", DAYS[1])
    said = pl.read_parquet_metadata(path)
    words = {key: value for key, value in said.items() if key.startswith("volsurf.")}
    pl.read_parquet(path).with_columns(level=pl.lit("x")).write_parquet(path, metadata=words)
    schema = next(check for check in contract_checks(LEVELS) if check.name == "schema_matches")
    now = datetime(2026, 11, 20, tzinfo=UTC)
    finding = schema.look(view_of(lake, tmp_path, now, *DAYS[:2]))
    assert finding.dates == (DAYS[1],)
    assert "level is String, not Float64" in finding.details[0]


def test_a_range_gives_one_result_that_names_its_bad_days(tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path)
    for day in DAYS[:4]:
        put(lake, day, SPY=-9.0 if day == DAYS[2] else 1.0)
    checks = dg.Definitions(
        assets=[as_asset(means, PLACES["us"])],
        asset_checks=[as_asset_checks(MEANS, PLACES["us"])],
        jobs=[dg.define_asset_job("all", "*")],
        resources={
            "lake": lake,
            "settings": tiny_settings(tmp_path),
            "clock": dg.ResourceDefinition.hardcoded_resource(lambda: datetime.now(UTC)),
            "progress": dg.ResourceDefinition.hardcoded_resource(lambda *said: None),
        },
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = checks.resolve_job_def("all").execute_in_process(
            instance=instance,
            tags={
                "dagster/asset_partition_range_start": str(DAYS[0]),
                "dagster/asset_partition_range_end": str(DAYS[3]),
            },
        )
    found = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert {name: e.passed for name, e in found.items()} == {
        "key_is_unique": True, "schema_matches": True, "values_within_limits": False
    }  # fmt: skip
    limits = found["values_within_limits"]
    assert limits.severity is dg.AssetCheckSeverity.WARN
    assert limits.metadata["dates"].value == [str(DAYS[2]), str(DAYS[3])]
    assert "mean, -2.33" in limits.metadata["offending"].value[0]


PARAMETERS = ("kappa", "rho")


def calibrations(**moved: dict[int, float]) -> pl.DataFrame:
    """Thirty sessions of parameters that wobble, and `moved` by so much from a session on."""
    days = sessions(date(2026, 9, 1), date(2026, 10, 30))[:30]
    wobble = np.random.default_rng(3).normal(0.0, 0.01, (2, 30))
    columns = {"symbol": "SPY", "quote_date": days, "snapshot": "EOD", "status": "fitted"}
    for name, level, noise in zip(PARAMETERS, (2.0, -0.7), wobble, strict=True):
        steps = [sum(m for n, m in moved.get(name, {}).items() if n <= i) for i in range(30)]
        columns |= {name: level + noise + steps, f"{name}_std_error": 0.005}
    return pl.DataFrame(columns)


def jumps(rows: pl.DataFrame) -> list[tuple[object, ...]]:
    values = findings.parameter_values(rows, HESTON_SURFACES, PARAMETERS)
    found = findings.jumps(values, rows["quote_date"].to_list(), 4.0)
    return found.select("quote_date", "parameter", "before", "now").rows()


def test_a_parameter_that_wobbles_has_not_jumped() -> None:
    assert jumps(calibrations()) == []


def test_a_jump_of_one_parameter_is_found_once_with_its_old_and_new_value() -> None:
    """R287: rho moves by 0.2 where its changes had a deviation of about 0.016."""
    rows = calibrations(rho={20: 0.2})
    rho, days = rows["rho"], rows["quote_date"]
    assert jumps(rows) == [(days[20], "rho", rho[19], rho[20])]


def test_a_jump_needs_ten_changes_before_it_and_takes_no_part_in_its_own_deviation() -> None:
    assert jumps(calibrations(rho={10: 0.2})) == []
    assert len(jumps(calibrations(rho={11: 0.2}))) == 1
    there_and_back = calibrations(kappa={11: -0.2, 12: 0.2})
    assert len(jumps(there_and_back)) == 1  # such moves are usual by then


def test_a_carried_row_is_no_move_and_an_uncertain_one_no_jump() -> None:
    rows = calibrations(rho={20: 0.2})
    at = pl.col("quote_date") == rows["quote_date"][20]
    carried = rows.with_columns(status=pl.when(at).then(pl.lit("carried")).otherwise("status"))
    assert [row[0] for row in jumps(carried)] == [rows["quote_date"][21]]
    vague = rows.with_columns(
        rho_std_error=pl.when(pl.col("quote_date") >= rows["quote_date"][20])
        .then(0.1)
        .otherwise("rho_std_error")
    )
    assert jumps(vague) == []


def heston_lake(folder: Path, rows: pl.DataFrame) -> tuple[Lake, list[date]]:
    lake = Lake(folder / "lake")
    full = pl.concat([HESTON_SURFACES.schema.to_frame(), rows], how="diagonal_relaxed")
    for (day,), part in full.group_by("quote_date", maintain_order=True):
        lake.replace("heston_surfaces", day, part)  # type: ignore[arg-type]
    return lake, lake.days("heston_surfaces")


def test_the_jump_of_a_session_is_told_by_its_check(tmp_path: Path) -> None:
    lake, days = heston_lake(tmp_path, calibrations(rho={20: 0.2}))
    (check,) = (c for c in checks_of(HESTON_SURFACES) if c.name == "parameters_have_not_jumped")

    def finding(*those: date):
        return check.look(View(lake, those, tiny_settings(tmp_path), lambda: NOW))

    assert finding(*days[18:20]).is_true
    found = finding(*days[18:23])
    assert found.dates == (days[20],)
    (detail,) = found.details
    told = detail.split(", ")
    assert told[3] == "rho"
    assert float(told[4]) == pytest.approx(-0.7, abs=0.05)
    assert float(told[5]) == pytest.approx(-0.5, abs=0.05)


def test_an_error_of_hestons_fit_beyond_the_limit_is_told(tmp_path: Path) -> None:
    """R250, the limit a setting."""
    errors = [1.0] * 29 + [5.1]
    lake, days = heston_lake(tmp_path, calibrations().with_columns(rmse=pl.Series(errors)))
    (check,) = (c for c in checks_of(HESTON_SURFACES) if c.name == "fit_error_is_small")
    usual = View(lake, tuple(days), tiny_settings(tmp_path), lambda: NOW)
    assert check.look(usual).dates == (days[-1],)
    lenient = tiny_settings(tmp_path, max_heston_rmse_vol_points=6.0)
    assert check.look(View(lake, tuple(days), lenient, lambda: NOW)).is_true
