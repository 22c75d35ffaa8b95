"""What is behind a vol of a real session of SPY, as the command prints it."""

import json
import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tests.app.conftest import caller, own_logging, set_home
from tests.assets.pipeline import fill, make, settings_of
from volsurf_resources.archive import Archive
from volsurf_resources.lake import Lake

pytestmark = pytest.mark.skipif(
    "VOLSURF_REAL_DATA" not in os.environ, reason="VOLSURF_REAL_DATA names no folder of real data"
)
DAY = date(2026, 8, 12)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("spy")
    settings = settings_of(home)
    lake, source = Lake(settings.lake_root), Archive(Path(os.environ["VOLSURF_REAL_DATA"]))
    fill(lake, source, settings, [DAY], ["SPY"], history=260)
    make(lake, settings, [DAY])
    return home


@pytest.fixture
def volsurf(home, monkeypatch, capsys):
    set_home(monkeypatch, home)
    with own_logging():
        yield caller(capsys)


@pytest.fixture
def fitted(home):
    rows = Lake(home / "lake").read("fitted_surfaces", [DAY]).filter(status="fitted")
    return rows.filter(model_type="SVI").sort("num_points").row(-1, named=True)


@pytest.mark.parametrize("model", ["svi", "sabr", "heston"])
def test_quotes_rules_pairs_fit_certificate_and_hashes_are_told(home, volsurf, fitted, model):
    lake, expiry = Lake(home / "lake"), fitted["expiration_date"]
    words = ("SPY", "--expiry", expiry, "--delta", "-0.25", "--model", model)
    code, said, errors = volsurf("why", *words)
    assert (code, errors) == (0, "")
    here = {"root": fitted["root"], "expiration_date": expiry}
    quotes = lake.read("option_quotes", [DAY]).filter(**here)
    rejected = quotes.filter(~pl.col("is_liquid"))
    assert rejected.height > 0
    for contract, rules in rejected.select("contract_id", "reject_reason").rows():
        (line,) = (line for line in said.splitlines() if contract in line)
        assert all(rule in line for rule in rules.split(","))
    forward = lake.read("implied_forwards", [DAY]).filter(**here).row(0, named=True)
    assert f"forward {forward['forward']:.4f}" in said
    assert f"{forward['n_pairs']} pairs" in said
    assert ("certificate of the surface" in said) == (model == "svi")
    for table in ("option_quotes", "implied_forwards", "raw_options_chains", "fitted_surfaces"):
        assert lake.content_hash(table, DAY)[:12] in said
    told = json.loads(volsurf("why", *words, "--json")[1])
    verdicts = [quote["verdict"] for quote in told["smiles"][0]["quotes"]]
    assert len(verdicts) == quotes.height
    assert verdicts.count("used") == fitted["num_points"]
    assert len(told["smiles"][0]["pairs"]) == forward["n_pairs"] + forward["n_left_out"]
    assert [side["implied_vol"] for side in told["greeks"]] == pytest.approx(
        [told["point"]["implied_vol"]] * 2, rel=1e-12
    )
