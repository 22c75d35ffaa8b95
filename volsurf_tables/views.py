"""The mission's own names for tables that the lake holds once: SQL views over the tables.

Belongs here: the column sets that the mission's text spells out where ours differ. They live in the
schema `mission`, because `option_quotes` and `raw_options_chains` are tables of ours as well; the
names that no table has (`market_prices`, `model_parameters`) can be used without the schema too.
"""

from dataclasses import asdict, dataclass
from string import Template

from volsurf_tables.columns import (
    DATA_SOURCE,
    EXPIRATION_DATE,
    INGESTION_TIMESTAMP,
    OPTION_TYPE,
    QUOTE_DATE,
    STRIKE,
    SYMBOL,
    instant,
    number,
    word,
    yes_no,
)
from volsurf_tables.table import Column

SCHEMA = "mission"

_SESSION_END = """CASE WHEN {0}.snapshot = 'EOD'
    THEN timezone('$zone', {0}.quote_date + TIME '$end')
    ELSE timezone('UTC', {0}.quote_date + CAST(strptime({0}.snapshot, '%H%M') AS TIME)) END"""
_IDENTITY = "symbol, quote_date, snapshot, contract_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """What the dates of a market stand for: the end of a day, the official snapshot of its chains.

    `month` counts the days of a month, as the calendar of the market does.
    """

    zone: str
    end: str
    official: str
    month: int


DAYS = {
    days.zone: days
    for days in (
        Days(zone="America/New_York", end="16:00:00", official="raw.snapshot = 'EOD'", month=21),
        Days(
            zone="UTC",
            end="08:00:00",
            official="""raw.snapshot = (
    SELECT coalesce(max(snapshot) FILTER (WHERE snapshot = 'EOD'),
        max(snapshot) FILTER (WHERE snapshot < '0800'), min(snapshot))
    FROM main.raw_options_chains AS same
    WHERE same.symbol = raw.symbol AND same.quote_date = raw.quote_date)""",
            month=30,
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One second name: its columns in order, the tables it reads, and its query.

    The query may speak of a market's `Days`: $zone, $end, $official, $month.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    reads: tuple[str, ...]
    query: str


RAW_OPTIONS_CHAINS = View(
    name="raw_options_chains",
    meaning="Official chain of a day, the vendor's greeks, the mid, whether a fit may use it.",
    columns=(
        word("chain_id", "Names the row: the contract and its session."),
        SYMBOL,
        QUOTE_DATE,
        EXPIRATION_DATE,
        STRIKE,
        OPTION_TYPE,
        number("bid", "price_unit", "Best bid, as received."),
        number("ask", "price_unit", "Best offer, as received."),
        number("mid", "price_unit", "(bid + ask) / 2 where both sides are quoted."),
        number("last", "price_unit", "Last trade."),
        number("volume", "contracts", "Contracts traded in the session."),
        number("open_interest", "contracts", "Open interest."),
        number("delta", "-", "The vendor's delta."),
        number("gamma", "1/USD", "The vendor's gamma."),
        number("theta", "USD per year", "The vendor's theta."),
        number("vega", "USD per 1.00 vol", "The vendor's vega."),
        number("rho", "USD per 1.00 rate", "The vendor's rho."),
        number("implied_volatility", "decimal", "The vendor's implied volatility."),
        number("underlying_price", "USD", "Underlying as the source pairs it with the quote."),
        yes_no("is_liquid", "Passes every limit for fitting; null before it has been judged."),
        DATA_SOURCE,
        INGESTION_TIMESTAMP,
    ),
    reads=("raw_options_chains", "option_quotes"),
    query=f"""
SELECT concat_ws(':', raw.symbol, raw.contract_id, raw.quote_date) AS chain_id,
    raw.symbol, raw.quote_date, raw.expiration_date, raw.strike, raw.option_type, raw.bid, raw.ask,
    CASE WHEN raw.bid > 0 AND raw.ask > 0 THEN (raw.bid + raw.ask) / 2 END AS mid,
    raw.last, raw.volume, raw.open_interest, raw.vendor_delta AS delta, raw.vendor_gamma AS gamma,
    raw.vendor_theta AS theta, raw.vendor_vega AS vega, raw.vendor_rho AS rho,
    raw.vendor_iv AS implied_volatility, raw.underlying_price, quotes.is_liquid,
    raw.data_source, raw.ingestion_timestamp
FROM main.raw_options_chains AS raw
LEFT JOIN main.option_quotes AS quotes USING ({_IDENTITY})
WHERE $official""",
)

MARKET_PRICES = View(
    name="market_prices",
    meaning="Price and volume of the underlyings at the end of each session or snapshot.",
    columns=(
        instant(
            "time", "End of the session, 16:00 New York or, of coins, 08:00 UTC; or the snapshot."
        ),
        SYMBOL,
        number("price", "USD", "Close, as traded."),
        number("volume", "shares", "Shares traded in the session."),
    ),
    reads=("underlying_prices",),
    query=f"""
SELECT {_SESSION_END.format("bars")} AS "time", symbol, close AS price, volume
FROM main.underlying_prices AS bars""",
)

OPTION_QUOTES = View(
    name="option_quotes",
    meaning="Quotes of every snapshot with our own implied volatility and greeks.",
    columns=(
        instant("time", "When the quote was true."),
        word("underlying", "Ticker of the underlying."),
        Column(
            name="expiration",
            dtype=EXPIRATION_DATE.dtype,
            unit=EXPIRATION_DATE.unit,
            meaning=EXPIRATION_DATE.meaning,
        ),
        STRIKE,
        word("type", "CALL or PUT.", "CALL", "PUT"),
        number("bid", "price_unit", "Best bid, as received."),
        number("ask", "price_unit", "Best offer, as received."),
        number("IV", "decimal", "Our implied vol of the mid."),
        number("delta", "per USD of spot", "Our spot delta."),
        number("gamma", "per USD^2 of spot", "Our gamma."),
        number("vega", "USD per 1.00 vol", "Our vega."),
    ),
    reads=("option_quotes", "raw_options_chains"),
    query=f"""
SELECT coalesce(raw.quote_time, {_SESSION_END.format("quotes")}) AS "time",
    quotes.symbol AS underlying, quotes.expiration_date AS expiration, quotes.strike,
    quotes.option_type AS "type", quotes.bid, quotes.ask, quotes.iv_mid AS "IV",
    quotes.delta, quotes.gamma, quotes.vega
FROM main.option_quotes AS quotes
LEFT JOIN main.raw_options_chains AS raw USING ({_IDENTITY})""",
)

MODEL_PARAMETERS = View(
    name="model_parameters",
    meaning="Parameters of every fitted model, one row per fit.",
    columns=(
        instant("time", "End of the session, or the snapshot, whose quotes were fitted."),
        word(
            "model_type",
            "SVI, SSVI, SABR or a model of SMILE_MODELS for a smile; power_law and HESTON for a "
            "surface.",
        ),
        word("underlying", "Ticker of the underlying."),
        Column(
            name="maturity",
            dtype=EXPIRATION_DATE.dtype,
            unit=EXPIRATION_DATE.unit,
            meaning="Expiry date; null for models of the whole surface.",
        ),
        word("parameters", "JSON object of the parameters by name."),
        number("fit_quality", "vol points", "Root mean squared error of the fit."),
    ),
    reads=(
        *("fitted_surfaces", "sabr_smiles", "smile_models"),
        *("heston_surfaces", "term_structure_params"),
    ),
    query=f"""
SELECT {_SESSION_END.format("smiles")} AS "time", model_type, symbol AS underlying,
    expiration_date AS maturity,
    json_object('root', root, 'a', svi_a, 'b', svi_b, 'rho', svi_rho, 'm', svi_m,
        'sigma', svi_sigma) AS parameters,
    rmse AS fit_quality
FROM main.fitted_surfaces AS smiles WHERE svi_a IS NOT NULL
UNION ALL
SELECT {_SESSION_END.format("sabr")}, 'SABR', symbol, expiration_date,
    json_object('root', root, 'alpha', alpha, 'beta', beta, 'rho', rho, 'nu', nu), rmse
FROM main.sabr_smiles AS sabr WHERE alpha IS NOT NULL
UNION ALL
SELECT {_SESSION_END.format("others")}, model_type, symbol, expiration_date,
    json_merge_patch(json_object('root', root), parameters), rmse
FROM main.smile_models AS others WHERE parameters IS NOT NULL
UNION ALL
SELECT {_SESSION_END.format("terms")}, model_type, symbol, CAST(NULL AS DATE),
    json_object('atm_term_a', atm_term_a, 'atm_term_b', atm_term_b,
        'skew_term_a', skew_term_a, 'skew_term_b', skew_term_b),
    atm_term_rmse
FROM main.term_structure_params AS terms WHERE atm_term_a IS NOT NULL
UNION ALL
SELECT {_SESSION_END.format("laws")}, 'HESTON', symbol, CAST(NULL AS DATE),
    json_object('kappa', kappa, 'theta', theta, 'sigma', sigma, 'rho', rho, 'v0', v0), rmse
FROM main.heston_surfaces AS laws WHERE kappa IS NOT NULL""",
)

VRP_EX_POST = View(
    name="vrp_ex_post",
    meaning="Implied volatility minus what was then realised, once a month of sessions has passed.",
    columns=(
        SYMBOL,
        QUOTE_DATE,
        number("implied_vol_30d", "decimal", "ATM implied vol at 30 calendar days."),
        number(
            "realized_vol_next_30d",
            "decimal",
            "Realised over the 21 sessions that followed, or 30 round the clock.",
        ),
        number("ex_post_vrp_30d", "decimal", "Implied minus realised afterwards."),
        number("ex_post_variance_premium_30d", "decimal^2", "Model-free minus realised variance."),
        Column(
            name="known_on",
            dtype=QUOTE_DATE.dtype,
            unit=QUOTE_DATE.unit,
            meaning="Session at whose end it could be known.",
        ),
    ),
    reads=("vrp_metrics", "realized_volatility"),
    query="""
SELECT symbol, quote_date, implied_vol_30d, realised.vol AS realized_vol_next_30d,
    implied_vol_30d - realised.vol AS ex_post_vrp_30d,
    model_free_variance_30d - realised.vol * realised.vol AS ex_post_variance_premium_30d,
    realised.known_on
FROM main.vrp_metrics
JOIN (SELECT symbol, snapshot, rv_${month}d AS vol, quote_date AS known_on,
        lag(quote_date, $month)
            OVER (PARTITION BY symbol, snapshot ORDER BY quote_date) AS quote_date
    FROM main.realized_volatility) AS realised USING (symbol, snapshot, quote_date)
WHERE realised.vol IS NOT NULL AND implied_vol_30d IS NOT NULL
    AND realised.known_on - quote_date <= 35  -- else sessions in between were not computed""",
)

VIEWS = (RAW_OPTIONS_CHAINS, MARKET_PRICES, OPTION_QUOTES, MODEL_PARAMETERS, VRP_EX_POST)


def create_views(tables: frozenset[str], zone: str) -> list[str]:
    """Return the statements that create every view whose tables are among `tables`.

    `zone` is the time zone of the market's dates: America/New_York or UTC.
    """
    statements = [f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"]
    for view in VIEWS:
        if tables.issuperset(view.reads):
            query = Template(view.query).substitute(asdict(DAYS[zone]))
            statements.append(f"CREATE VIEW {SCHEMA}.{view.name} AS {query}")
            if view.name not in tables:
                statements.append(f"CREATE VIEW {view.name} AS FROM {SCHEMA}.{view.name}")
    return statements
