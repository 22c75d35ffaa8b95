"""Equal content has an equal hash, whatever the order, chunks and bits; other content another."""

import datetime as dt
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.resources.lake_rows import CHAINS, DAY, rows
from volsurf_resources.content import combined_hash, part_hashes
from volsurf_tables.catalogue import table
from volsurf_tables.columns import DATA_SOURCE, INGESTION_TIMESTAMP, SYMBOL, UTC, count, number
from volsurf_tables.columns import QUOTE_DATE as DATE
from volsurf_tables.table import Column, Table

TABLE = Table(
    name="anything",
    group="test",
    meaning="A column of every kind.",
    key=("symbol", "n"),
    columns=(
        SYMBOL,
        DATE,
        count("n", "Place."),
        number("x", "-", "Double."),
        Column(name="word", dtype=pl.String(), unit="-", meaning="Text."),
        Column(name="yes", dtype=pl.Boolean(), unit="-", meaning="Truth."),
        Column(name="time", dtype=UTC, unit="UTC", meaning="Instant."),
        INGESTION_TIMESTAMP,
    ),
)
CELLS = st.fixed_dictionaries(
    {
        "symbol": st.sampled_from(["A", "B", "ÄÖ", ""]),
        "quote_date": st.just(DAY),
        "x": st.none() | st.floats(width=64) | st.sampled_from([0.0, -0.0]),
        "word": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        "yes": st.none() | st.booleans(),
        "time": st.none() | st.datetimes(timezones=st.just(dt.UTC)),
        "ingestion_timestamp": st.none(),
    }
)
FRAMES = st.lists(CELLS, min_size=1, max_size=12).map(
    lambda cells: pl.DataFrame(
        [{**cell, "n": n} for n, cell in enumerate(cells)], schema_overrides=TABLE.schema
    ).select(list(TABLE.schema))
)


def content_hash(frame: pl.DataFrame, contract: Table = TABLE) -> str:
    return combined_hash(part_hashes(frame.sort(contract.key), contract))


@settings(max_examples=30, deadline=None)
@given(frame=FRAMES, seed=st.integers(0, 1000))
def test_order_and_chunks_do_not_matter(frame: pl.DataFrame, seed: int):
    shuffled = frame.sample(fraction=1, shuffle=True, seed=seed)
    chunks = pl.concat([shuffled[i : i + 1] for i in range(frame.height)], rechunk=False)
    sliced = pl.concat([frame, frame])[frame.height :]
    assert content_hash(shuffled) == content_hash(chunks) == content_hash(frame)
    assert content_hash(sliced) == content_hash(frame)


@settings(max_examples=30, deadline=None)
@given(frame=FRAMES, data=st.data())
def test_one_other_cell_is_other_content(frame: pl.DataFrame, data: st.DataObject):
    row = data.draw(st.integers(0, frame.height - 1))
    name, value = data.draw(
        st.sampled_from([("x", 1.25), ("word", "?!?!?!"), ("yes", None), ("time", None), ("n", 99)])
    )
    other = frame.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(pl.lit(value)).otherwise(name).alias(name)
    ).cast(dict(TABLE.schema))
    assert (content_hash(other) == content_hash(frame)) == other.equals(frame)


def test_zero_has_no_sign_and_nan_no_payload():
    bits = pl.Series([0x7FF8000000000001, 0xFFF8000000000000, 0x8000000000000000], dtype=pl.UInt64)
    plain = rows(TABLE, symbols=["A"], n=3).with_columns(
        x=pl.Series([float("nan"), float("nan"), 0.0])
    )
    odd = plain.with_columns(x=bits.reinterpret(signed=False).to_numpy().view("f8"))
    assert odd["x"].to_numpy().tobytes() != plain["x"].to_numpy().tobytes()
    assert content_hash(odd) == content_hash(plain)


def test_null_nan_and_zero_are_three_things():
    base = rows(TABLE, symbols=["A"], n=2)
    values = [[0.0, 1.0], [None, 1.0], [float("nan"), 1.0]]
    assert len({content_hash(base.with_columns(x=pl.Series(v))) for v in values}) == 3
    assert content_hash(base.with_columns(word=pl.Series(["", "a"]))) != content_hash(
        base.with_columns(word=pl.Series([None, "a"]))
    )


def test_text_does_not_run_together():
    base = rows(TABLE, symbols=["A"], n=2)
    one = base.with_columns(word=pl.Series(["ab", "c"]))
    two = base.with_columns(word=pl.Series(["a", "bc"]))
    assert content_hash(one) != content_hash(two)


def test_each_symbol_has_a_hash_of_its_own():
    both = rows(CHAINS, n=4).sort(table(CHAINS).key)
    parts = part_hashes(both, table(CHAINS))
    assert list(parts) == ["QQQ", "SPY"]
    alone = part_hashes(both.filter(symbol="SPY"), table(CHAINS))
    assert alone == {"SPY": parts["SPY"]}


def test_provenance_columns_are_not_content():
    frame = rows(CHAINS, n=4)
    later = frame.with_columns(pl.lit(None, UTC).alias("ingestion_timestamp"))
    assert content_hash(frame, table(CHAINS)) == content_hash(later, table(CHAINS))
    other = frame.with_columns(pl.lit("elsewhere").alias(DATA_SOURCE.name))
    assert content_hash(frame, table(CHAINS)) != content_hash(other, table(CHAINS))


def test_a_renamed_column_goes_by_its_first_name():
    frame = rows(TABLE, symbols=["A"], n=3)
    columns = [
        replace(c, name="level", formerly=("x", "y")) if c.name == "x" else c for c in TABLE.columns
    ]
    renamed = replace(TABLE, columns=tuple(reversed(columns)))
    assert content_hash(frame.rename({"x": "level"}), renamed) == content_hash(frame)


def test_the_hash_stays_the_same_between_releases():
    """Pins behaviour, not truth: another hash would make every stored partition look changed."""
    frame = pl.DataFrame(
        {
            "symbol": ["A", "A"],
            "quote_date": [DAY, DAY],
            "n": [0, 1],
            "x": [1.5, None],
            "word": ["ab", None],
            "yes": [True, False],
            "time": [None, None],
            "ingestion_timestamp": [None, None],
        },
        schema=TABLE.schema,
    )
    assert content_hash(frame) == "5df15ab9649ab96eebc056b566bb9e4c"


@pytest.mark.parametrize("contract", [TABLE, table("market_rates")], ids=lambda t: t.name)
def test_nothing_has_no_parts(contract: Table):
    assert part_hashes(contract.schema.to_frame(), contract) == {}
