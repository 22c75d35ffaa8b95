from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from tests.assets.tiny import tiny_settings
from volsurf_assets.intake import Intake, SessionFailed, numbered_duplicates
from volsurf_assets.market import MARKET_TABLES, market_assets
from volsurf_assets.partitions import PLACES
from volsurf_resources.exchange_calendar import session_close, sessions
from volsurf_resources.lake import Lake
from volsurf_resources.source import NoData, TryLater
from volsurf_tables.market import RAW_OPTIONS_CHAINS, UNDERLYING_PRICES

DAYS = sessions(date(2026, 11, 2), date(2026, 11, 6))
NOW = datetime(2026, 11, 9, 12, tzinfo=UTC)


@dataclass
class Shelf:
    """A source that serves one contract and one bar, and refuses what it is told to."""

    refuse: dict[tuple[str, date], Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    has_bars: bool = True
    has_rates: bool = True
    bid: float = 1.0
    name: str = "shelf"

    def chain(self, symbol: str, session: date) -> pl.DataFrame:
        self.asked.append(f"chain {symbol} {session}")
        if (symbol, session) in self.refuse:
            raise self.refuse[symbol, session]
        row = {
            "symbol": symbol, "quote_date": session, "snapshot": "EOD", "root": symbol,
            "contract_id": f"{symbol:<6}261218C00100000", "expiration_date": date(2026, 12, 18),
            "strike": 100.0, "option_type": "CALL", "bid": self.bid, "ask": 1.2,
            "price_unit": "USD", "data_source": self.name,
        }  # fmt: skip
        schema = {k: v for k, v in RAW_OPTIONS_CHAINS.schema.items() if k != "ingestion_timestamp"}
        return pl.DataFrame([row], schema=schema)

    def underlying(self, symbol: str, start: date, end: date) -> pl.DataFrame:
        self.asked.append(f"bars {symbol} {start}..{end}")
        schema = {k: v for k, v in UNDERLYING_PRICES.schema.items() if k != "ingestion_timestamp"}
        rows = [
            {"symbol": symbol, "quote_date": day, "snapshot": "EOD", "close": 100.0}
            for day in sessions(start, end)
            if self.has_bars
        ]
        return pl.DataFrame(rows, schema=schema)

    def rates(self, session: date) -> pl.DataFrame:
        if not self.has_rates:
            raise NoData("no curve")
        row = {"quote_date": session, "snapshot": "EOD", "tenor_years": 1.0, "zero_rate": 0.04,
               "source": "shelf", "curve_date": session}  # fmt: skip
        return pl.DataFrame([row])

    def index_levels(self, start: date, end: date) -> pl.DataFrame:
        raise NoData("no indices")

    def sessions(self, symbol: str, start: date, end: date) -> Sequence[date]:
        return sessions(start, end)


def an_intake(folder: Path, source: Shelf, **changed: object) -> Intake:
    options: dict[str, object] = {"symbols": ("SPY", "QQQ"), "clock": lambda: NOW} | changed
    return Intake(
        lake=Lake(folder / "lake"), source=source, settings=tiny_settings(folder),
        **options,  # type: ignore[arg-type]
    )  # fmt: skip


def run(
    folder: Path, instance: dg.DagsterInstance, source: Shelf, days: Sequence[date], **config: bool
) -> dg.ExecuteInProcessResult:
    tags = {
        "dagster/asset_partition_range_start": str(days[0]),
        "dagster/asset_partition_range_end": str(days[-1]),
    }
    settings = tiny_settings(folder, volsurf_symbols="SPY,QQQ")
    return dg.materialize(
        market_assets(PLACES["us"]),
        instance=instance,
        tags=tags,
        raise_on_error=False,
        run_config={"ops": {table.name: {"config": config} for table in MARKET_TABLES}},
        resources={
            "lake": Lake(folder / "lake"),
            "source": dg.ResourceDefinition.hardcoded_resource(source),
            "settings": settings,
            "clock": dg.ResourceDefinition.hardcoded_resource(lambda: NOW),
            "progress": dg.ResourceDefinition.hardcoded_resource(lambda *said: None),
        },
    )


def test_a_symbol_that_fails_does_not_cost_the_others(tmp_path: Path) -> None:
    intake = an_intake(tmp_path, Shelf({("QQQ", DAYS[0]): NoData("QQQ did not trade")}))
    with pytest.raises(SessionFailed, match="QQQ: NoData: QQQ did not trade") as failed:
        intake.chains(DAYS[0])
    assert not failed.value.may_retry
    assert intake.lake.read("raw_options_chains", [DAYS[0]])["symbol"].to_list() == ["SPY"]


def test_what_may_succeed_later_may_be_retried(tmp_path: Path) -> None:
    intake = an_intake(tmp_path, Shelf({("SPY", DAYS[0]): TryLater("busy")}))
    with pytest.raises(SessionFailed) as failed:
        intake.chains(DAYS[0])
    assert failed.value.may_retry


def test_nothing_never_replaces_something(tmp_path: Path) -> None:
    source = Shelf()
    intake = an_intake(tmp_path, source)
    intake.underlying(DAYS[0], DAYS)
    intake.rates(DAYS[0])
    before = {
        t: intake.lake.content_hash(t, DAYS[0]) for t in ("underlying_prices", "market_rates")
    }
    source.has_bars = source.has_rates = False
    again = an_intake(tmp_path, source)
    assert again.underlying(DAYS[0], DAYS).missing == ("SPY", "QQQ")
    again.rates(DAYS[0])
    assert before == {t: again.lake.content_hash(t, DAYS[0]) for t in before}


def test_a_source_without_bars_and_curves_leaves_empty_partitions(tmp_path: Path) -> None:
    intake = an_intake(tmp_path, Shelf(has_bars=False, has_rates=False))
    assert intake.underlying(DAYS[0], DAYS).missing == ("SPY", "QQQ")
    assert intake.rates(DAYS[0]).missing == ("market_rates",)
    assert intake.indices(DAYS[0], DAYS).missing == ("index_levels",)
    for table in ("underlying_prices", "market_rates", "index_levels"):
        assert intake.lake.days(table) == [DAYS[0]]
        assert intake.lake.read(table).is_empty()


def test_bars_are_asked_for_once_per_run(tmp_path: Path) -> None:
    source = Shelf()
    intake = an_intake(tmp_path, source)
    for day in DAYS:
        intake.underlying(day, DAYS)
    assert source.asked == [f"bars {symbol} {DAYS[0]}..{DAYS[-1]}" for symbol in ("SPY", "QQQ")]


@pytest.mark.parametrize("after", [False, True])
def test_an_unclosed_session_is_refused_to_the_second(tmp_path: Path, after: bool) -> None:
    thanksgiving_friday = date(2026, 11, 27)  # closes at 13:00, 18:00 UTC
    close = session_close(thanksgiving_friday)
    assert close == datetime(2026, 11, 27, 18, tzinfo=UTC)
    now = close if after else close.replace(hour=17, minute=59, second=59)
    intake = an_intake(tmp_path, Shelf(), clock=lambda: now)
    if after:
        assert intake.chains(thanksgiving_friday).fetched == ("SPY", "QQQ")
    else:
        with pytest.raises(SessionFailed, match="has not closed"):
            intake.chains(thanksgiving_friday)


def test_sessions_before_the_first_wanted_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SessionFailed, match="INGESTION_START_DATE is 2020-01-01"):
        an_intake(tmp_path, Shelf()).chains(date(2019, 12, 31))


@pytest.mark.parametrize(
    ("first", "then", "is_refused"),
    [("simulated", "theta", True), ("archive", "simulated", True), ("archive", "theta", False)],
)
def test_simulated_and_real_prices_never_stand_in_one_lake(
    tmp_path: Path, first: str, then: str, is_refused: bool
) -> None:
    an_intake(tmp_path, Shelf(name=first)).underlying(DAYS[0], DAYS)
    later = an_intake(tmp_path, Shelf(name=then))
    before = later.lake.days("raw_options_chains")
    if is_refused:
        with pytest.raises(SessionFailed, match=f"data of the source {first}.*VOLSURF_HOME"):
            later.chains(DAYS[1])
        assert later.lake.days("raw_options_chains") == before
    else:
        assert later.chains(DAYS[1]).fetched == ("SPY", "QQQ")


def test_an_unchanged_answer_writes_nothing(tmp_path: Path) -> None:
    an_intake(tmp_path, Shelf()).chains(DAYS[0])
    later = an_intake(tmp_path, Shelf(), clock=lambda: NOW.replace(hour=13))
    written = later.chains(DAYS[0]).written
    assert written is not None
    assert not written.changed


def test_only_missing_asks_for_nothing_that_is_stored(tmp_path: Path) -> None:
    an_intake(tmp_path, Shelf(), symbols=("SPY",)).chains(DAYS[0])
    source = Shelf()
    an_intake(tmp_path, source, only_missing=True).chains(DAYS[0])
    assert source.asked == [f"chain QQQ {DAYS[0]}"]


def test_a_contract_that_comes_twice_is_numbered_and_exact_copies_are_dropped() -> None:
    chain = pl.DataFrame(
        {"symbol": ["SPY"] * 4, "snapshot": ["EOD"] * 4, "contract_id": ["a", "b", "a", "a"],
         "bid": [1.0, 2.0, 1.0, 3.0]}
    )  # fmt: skip
    assert numbered_duplicates(chain).rows() == [
        ("SPY", "EOD", "a", 1.0), ("SPY", "EOD", "b", 2.0), ("SPY", "EOD", "a#2", 3.0)
    ]  # fmt: skip


def test_one_bad_day_of_a_range_fails_alone(tmp_path: Path) -> None:
    source = Shelf({("SPY", DAYS[2]): NoData("a gap"), ("QQQ", DAYS[2]): NoData("a gap")})
    with dg.DagsterInstance.ephemeral() as instance:
        result = run(tmp_path, instance, source, DAYS)
        assert not result.success
        assets = market_assets(PLACES["us"])
        key = assets[0].key
        good = {str(day) for day in DAYS} - {str(DAYS[2])}
        assert instance.get_materialized_partitions(key) == good
        assert all(
            instance.get_materialized_partitions(asset.key) == {str(day) for day in DAYS}
            for asset in assets[1:]
        )
        (failure,) = [e for e in result.all_events if e.is_step_failure]
        data = failure.step_failure_data.user_failure_data
        assert data is not None
        assert data.metadata["failed_days"].value == {
            str(DAYS[2]): "SPY: NoData: a gap; QQQ: NoData: a gap"
        }
        source.refuse.clear()
        assert run(tmp_path, instance, source, [DAYS[2]], only_missing=True).success
        assert instance.get_materialized_partitions(key) == {str(day) for day in DAYS}


def test_a_run_fails_at_once_where_asking_again_is_no_use(tmp_path: Path) -> None:
    source = Shelf({("SPY", DAYS[0]): NoData("a gap")})
    with dg.DagsterInstance.ephemeral() as instance:
        run(tmp_path, instance, source, DAYS[:1])
    assert source.asked.count(f"chain SPY {DAYS[0]}") == 1


def test_materialising_again_takes_a_corrected_chain(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run(tmp_path, instance, Shelf(), DAYS[:1])
        run(tmp_path, instance, Shelf(bid=1.1), DAYS[:1])
    lake = Lake(tmp_path / "lake")
    assert lake.read("raw_options_chains")["bid"].to_list() == [1.1, 1.1]


def test_an_unreachable_source_leaves_the_lake_as_it_was(tmp_path: Path) -> None:
    an_intake(tmp_path, Shelf()).chains(DAYS[0])
    before = Lake(tmp_path / "lake").content_hash("raw_options_chains", DAYS[0])
    broken = Shelf({(s, DAYS[0]): RuntimeError("socket") for s in ("SPY", "QQQ")})
    with pytest.raises(RuntimeError):
        an_intake(tmp_path, broken).chains(DAYS[0])
    assert Lake(tmp_path / "lake").content_hash("raw_options_chains", DAYS[0]) == before
