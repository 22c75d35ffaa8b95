"""What is behind a number: against stored rows, and against what the assets themselves chose."""

import dataclasses
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter

from tests.app.conftest import DAYS
from tests.app.handmade_session import handmade_session
from tests.app.server import serving
from tests.assets.handmade import DAY as HANDMADE
from volsurf_app.finding_surfaces import MODELS
from volsurf_app.queries.why import as_plain, why
from volsurf_app.questions import NotStored, when, where
from volsurf_assets.forwards import AT_THE_MONEY, MAX_AMERICAN, _expiries, with_expiry
from volsurf_assets.price_units import with_underlying
from volsurf_assets.quality import is_usable
from volsurf_assets.smile_points import points_to_fit
from volsurf_resources.lake import Lake, Provenance
from volsurf_resources.settings import Settings
from volsurf_tables.models import table_of

DAY = DAYS[1]


@pytest.fixture
def lake(filled_home):
    return Lake(filled_home / "lake")


@pytest.fixture
def fitted(lake):
    rows = lake.read("fitted_surfaces", [DAY], symbols=["SPY"])
    return rows.filter(status="fitted", model_type="SVI").sort("tte_years").row(4, named=True)


def test_quotes_used_are_those_that_were_fitted(lake, fitted):
    found = why("SPY", when(expiry=fitted["expiration_date"]), where(strike=650.0), lake=lake)
    (smile,) = found.smiles
    used = smile.quotes.filter(verdict="used")
    assert used.height == fitted["num_points"]
    quotes = lake.read("option_quotes", [DAY]).filter(root=fitted["root"])
    chosen = points_to_fit(quotes, Settings()).filter(expiration_date=fitted["expiration_date"])
    assert sorted(used["contract_id"]) == sorted(chosen["contract_id"])
    assert [side.implied_vol for side in found.greeks] == [found.point.implied_vol] * 2
    assert found.point.content_hash == lake.content_hash("fitted_surfaces", DAY, "SPY")


def test_each_rejected_quote_has_its_rule(lake, fitted):
    (smile,) = why("SPY", when(expiry=fitted["expiration_date"]), lake=lake).smiles
    rejected = smile.quotes.filter(verdict="rejected")
    assert rejected["reject_reason"].null_count() == 0
    assert rejected.height > 0
    assert smile.quotes.filter(pl.col("verdict") != "rejected")["reject_reason"].is_null().all()
    flagged = dict(
        smile.issues.filter(rule="spread_unusable").select("contract_id", "value").rows()
    )
    for contract, reason in rejected.select("contract_id", "reject_reason").rows():
        if "spread_unusable" in reason:
            assert flagged[contract] > Settings().wide_spread_pct


def test_pairs_are_those_of_the_forward(lake, fitted):
    expiry = fitted["expiration_date"]
    (smile,) = why("SPY", when(expiry=expiry), lake=lake).smiles
    chain = with_underlying(with_expiry(lake.read("raw_options_chains", [DAY])))
    (theirs,) = (
        e for e in _expiries(chain, is_usable(Settings()))
        if (e.key["root"], e.key["expiration_date"]) == (fitted["root"], expiry)
    )  # fmt: skip
    chosen = theirs.pairs.within(AT_THE_MONEY, MAX_AMERICAN)
    assert smile.forward["n_pairs"] + smile.forward["n_left_out"] == chosen.strike.size
    assert smile.pairs["strike"].to_list() == chosen.strike.tolist()
    gap = (smile.pairs["pair_forward"] - smile.forward["forward"]).abs().median()
    assert gap < 3.0 * smile.forward["forward_std_error"] + 0.05


def test_origins_reach_the_chain_and_hold_its_hash(lake, fitted):
    found = why("SPY", when(expiry=fitted["expiration_date"]), lake=lake)
    of_day = {o.table: o for o in found.origins if o.quote_date == str(DAY)}
    for name in ("fitted_surfaces", "option_quotes", "implied_forwards", "raw_options_chains"):
        assert of_day[name].content_hash == lake.content_hash(name, DAY)
        assert of_day[name].is_unchanged
        assert of_day[name].known_at
    assert of_day["raw_options_chains"].source == "simulated"
    windows = [o for o in found.origins if ".." in o.quote_date]
    assert {o.table for o in windows} == {"underlying_prices"}


FITTED_MODELS = [model for model in MODELS if model != "CONVEX"]  # which takes long to fit


@pytest.mark.parametrize("model", FITTED_MODELS)
def test_every_model_is_told_of(lake, fitted, model):
    """All models are fitted to the quotes that SVI is."""
    place = where(log_moneyness=-0.02)
    found = why("SPY", when(expiry=fitted["expiration_date"]), place, model=model, lake=lake)
    (smile,) = found.smiles
    assert found.point.status == "supported"
    used = smile.quotes.filter(verdict="used")
    assert used.height == fitted["num_points"]
    near = (used["strike"] / found.point.forward).log()
    curve = np.interp(-0.02, near, used["model_vol"])
    assert curve == pytest.approx(found.point.implied_vol, abs=2e-4)
    assert smile.quotes.filter(verdict="rejected")["reject_reason"].null_count() == 0
    assert smile.pairs.height == smile.forward["n_pairs"] + smile.forward["n_left_out"]
    table = table_of(model)
    stored = lake.read(table.name, [DAY], symbols=["SPY"])
    keys = {name: smile.fit[name] for name in table.key}
    assert stored.filter(**keys).row(0, named=True).items() <= smile.fit.items()
    assert found.origins[0].table == table.name
    assert found.origins[0].content_hash == lake.content_hash(table.name, DAY)
    assert {"fitted_surfaces", "raw_options_chains"} <= {o.table for o in found.origins}


@pytest.mark.parametrize("place", [{"delta": -0.3}, {"log_moneyness": 0.01}, {"strike": 655.0}])
def test_greeks_are_told_wherever_the_point_is(lake, fitted, place):
    for time in (when(expiry=fitted["expiration_date"]), when(tenor="30d")):
        found = why("SPY", time, where(**place), lake=lake)
        call, put = found.greeks
        assert (call.option_type, put.option_type) == ("CALL", "PUT")
        assert call.strike == put.strike == found.point.strike
        assert call.implied_vol == pytest.approx(found.point.implied_vol, rel=1e-12)
        parity = call.discount_factor * (call.forward - call.strike)
        assert call.price - put.price == pytest.approx(parity, abs=1e-9)


def test_what_was_known_before_is_told_as_it_was(tmp_path):
    """An earlier version of the smiles, of a snapshot in the day, with the quotes of that time."""
    lake, then = Lake(tmp_path), datetime(2026, 1, 1, tzinfo=UTC)
    for table, rows in handmade_session("1500").items():
        lake.replace(table, HANDMADE, rows, provenance=Provenance(known_at=then))
    later = handmade_session("1500", level=0.25)
    lake.replace("fitted_surfaces", HANDMADE, later["fitted_surfaces"])
    asked = {"on": HANDMADE, "snapshot": "1500", "lake": lake}
    time, place = when(tenor="30d"), where(log_moneyness=0.0)
    now, before = (why("SPX", time, place, known_at=at, **asked) for at in (None, then))
    assert before.point.implied_vol < now.point.implied_vol
    assert before.point.known_at == then
    for found in (now, before):
        assert [smile.fit["svi_a"] for smile in found.smiles] == [
            row["svi_a"]
            for row in lake.read("fitted_surfaces", [HANDMADE], snapshot="1500",
                                 known_at=found.point.known_at).rows(named=True)
            if row["expiration_date"] in [s.fit["expiration_date"] for s in found.smiles]
        ]  # fmt: skip
        assert found.smiles[0].quotes.height == 4
        assert found.origins[0].content_hash == lake.versions(
            "fitted_surfaces", [HANDMADE], found.point.known_at)[0][1].content_hash  # fmt: skip
    with pytest.raises(NotStored, match="no SVI surface"):
        why("SPX", time, place, on=HANDMADE, snapshot="1600", lake=lake)
    with pytest.raises(NotStored, match="was known at"):
        why("SPX", time, place, known_at=then - timedelta(days=1), **asked)


def test_certificate_is_that_of_the_smiles_read(lake, fitted):
    found = why("SPY", when(expiry=fitted["expiration_date"]), where(strike=650.0), lake=lake)
    (stored,) = lake.read("surface_certificates", [DAY]).filter(
        model_type="SVI"
    ).rows(named=True)  # fmt: skip
    assert found.certificate == stored
    told = found.point.certificate
    for name in ("is_clean", "min_density_factor", "grid_points", "calendar_scope", "status"):
        assert getattr(told, name) == stored[name]


def test_between_expiries_both_smiles_are_told_of(lake, fitted):
    tte = fitted["tte_years"] + 1e-4
    found = why("SPY", when(tte=tte), where(log_moneyness=0.0), lake=lake)
    assert len(found.smiles) == 2
    assert [s.fit["expiration_date"] for s in found.smiles] == [
        s.expiration_date for s in found.point.slices
    ]


def test_expiry_that_was_not_fitted_tells_its_quotes_too(lake):
    rows = lake.read("fitted_surfaces", [DAY], symbols=["SPY"])
    skipped = rows.filter(status="skipped", model_type="SVI").row(-1, named=True)
    time = when(expiry=skipped["expiration_date"], root=skipped["root"])
    found = why("SPY", time, where(strike=650.0), lake=lake)
    assert found.point.status == "no_smile"
    (smile,) = found.smiles
    assert smile.quotes.filter(verdict="used").is_empty()
    with pytest.raises(NotStored):
        why("SPY", when(expiry="2031-01-01"), lake=lake)
    with pytest.raises(NotStored, match="the fitted expiries reach from"):
        why("SPY", when(tenor="20y"), lake=lake)


def test_whole_answer_is_plain_json(lake, fitted):
    found = why("SPY", when(expiry=fitted["expiration_date"]), where(strike=650.0), lake=lake)
    told = json.loads(TypeAdapter(dict).dump_json(as_plain(found)))
    assert told["point"]["implied_vol"] == found.point.implied_vol
    assert len(told["smiles"][0]["quotes"]) == found.smiles[0].quotes.height
    assert told["origins"][0] == json.loads(
        TypeAdapter(dict).dump_json(dataclasses.asdict(found.origins[0]))
    )


@pytest.mark.parametrize("model", ["SVI", "sabr", "HESTON", "gvv"])
def test_server_tells_the_same(filled_home, lake, fitted, model):
    expiry = fitted["expiration_date"]
    path = f"/v1/SPY/why?expiry={expiry}&strike=650&date={DAY}&model={model}"
    with serving(Settings(volsurf_home=filled_home)) as server:
        status, told, _ = server.ask(path)
        asked = f"start={DAYS[0]}&end={DAY}"
        _, vrp, _ = server.ask(f"/v1/SPY/history/vrp_metrics/vrp_30d?{asked}")
    found = why("SPY", when(expiry=expiry), where(strike=650.0), model=model, lake=lake)
    assert status == 200
    assert told == json.loads(TypeAdapter(dict).dump_json(as_plain(found)))
    stored = lake.read("vrp_metrics", DAYS[:2], symbols=["SPY"])
    assert (vrp["dates"], vrp["values"]) == (
        [str(day) for day in stored["quote_date"]],
        stored["vrp_30d"].to_list(),
    )
