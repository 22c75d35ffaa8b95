"""The chain of a coin at an instant: true prices in coin, the quotes around them, some of it bad.

Belongs here: from the world and the listings to numbers, as a frame. Not here: the exchange's rows.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from math import sqrt

import numpy as np
import polars as pl

from volsurf_math.bates import Bates
from volsurf_resources.deribit.names import Option, option_name
from volsurf_resources.simulated.chain import LEAN, TASTES, taste
from volsurf_resources.simulated.coin_listings import expiries, expiry_of, settles, strikes
from volsurf_resources.simulated.coin_world import CoinWorld, FloatArray, step_of
from volsurf_resources.simulated.listings import Expiry
from volsurf_resources.simulated.pricing import YEAR_SECONDS, Term, european_calls
from volsurf_resources.simulated.streams import Purpose, stream

SMALL_TICK, TICK, TICK_CHANGE = 0.0001, 0.0005, 0.005  # coins
DIGITS = 4
AGEING_DAYS, TURNOVER_DAYS = 6.0, 12.0  # of open interest
DEEP = 2.0  # deviations in the money from which sides go missing
NO_BID, NO_ASK = 0.25, 0.1  # how often they do
CROSSED, OUTSIDE = "crossed", "mark_outside_quote"  # what is done to rows, as findings name it
EXPIRED = "expired"
SPOILT = {CROSSED: 1, OUTSIDE: 3}  # rows of each chain


def coin_chain(world: CoinWorld, seed: int, symbol: str, at: datetime) -> pl.DataFrame:
    """Return one row per option listed at an instant, and two that have just expired.

    Columns: instrument_name, expiration_date, horizon (days), strike, is_call, forward (USD), tte
    (years), vol (Black's of the true price; the nearest strike's where a price carries none),
    price, mark, bid, ask (in coin; 0 where nobody quotes), volume, open_interest, last, and
    spoilt: what was done to the row, null for most.
    """
    law = world.law(step_of(at))
    listed = pl.concat(_priced(world, law, seed, symbol, at, expiry) for expiry in expiries(at))
    quoted = listed.with_columns(**_quotes(listed, seed, symbol, at))
    traded = quoted.with_columns(**_trading(quoted, world, seed, symbol, at))
    rng = stream(seed, Purpose.DIRT, symbol, _minute(at))
    return pl.concat([_spoil(traded, rng), _expired(world, symbol, at)], how="diagonal")


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60


def _names(symbol: str, expiry: Expiry, strike: FloatArray, side: str) -> list[str]:
    def named(k: float) -> str:
        option = Option(root=symbol, expiration_date=expiry.day, option_type=side, strike=k)
        return option_name(option)

    return list(map(named, strike.tolist()))


def _priced(
    world: CoinWorld, law: Bates, seed: int, symbol: str, at: datetime, expiry: Expiry
) -> pl.DataFrame:
    """Name and price the calls, then the puts, of one expiry."""
    tte = (settles(expiry.day) - at).total_seconds() / YEAR_SECONDS
    forward = round(float(world.forward(step_of(at), np.array(tte))), DIGITS)
    term = Term(expiry=expiry, tte=tte, forward=forward, discount_factor=1.0, zero_rate=0.0)
    strike = strikes(world, expiry, at)
    dollars, vol = european_calls(law, term, strike)
    is_known = np.isfinite(vol)
    nearest = np.interp(strike, strike[is_known], vol[is_known]) if is_known.any() else sqrt(law.v0)
    call, intrinsic = dollars / forward, 1.0 - strike / forward
    prices = {"CALL": np.maximum(call, intrinsic), "PUT": np.maximum(call - intrinsic, 0.0)}
    tastes = taste(seed, symbol, expiry.day)[strike.astype(np.int64) % TASTES].T
    return pl.concat(
        pl.DataFrame(
            {
                "instrument_name": _names(symbol, expiry, strike, side),
                "strike": strike,
                "price": np.maximum(prices[side], 0.0),
                "vol": np.broadcast_to(nearest, strike.shape),
                "liked": liked,
            }
        ).with_columns(
            expiration_date=expiry.day,
            horizon=pl.lit(expiry.horizon, pl.Int32),
            is_call=side == "CALL",
            forward=forward,
            tte=tte,
        )
        for side, liked in zip(prices, tastes, strict=True)
    )


def _columns(chain: pl.DataFrame, *names: str) -> list[FloatArray]:
    return [chain[name].to_numpy() for name in names]


def _distance(chain: pl.DataFrame) -> FloatArray:
    """Deviations out of the money, negative in the money."""
    strike, forward, vol, tte = _columns(chain, "strike", "forward", "vol", "tte")
    sign = np.where(chain["is_call"].to_numpy(), 1.0, -1.0)
    return np.asarray(sign * np.log(strike / forward) / (vol * np.sqrt(tte)))


def _quotes(chain: pl.DataFrame, seed: int, symbol: str, at: datetime) -> dict[str, FloatArray]:
    """Bid, ask and mark; the true price lies between bid and ask, which stand on ticks.

    Half the width is half a tick and what the market maker risks: 0.25 vol points at the money,
    more for short expiries and far strikes, and 4 bp of a coin's worth that lies in the money.
    """
    rng = stream(seed, Purpose.QUOTES, symbol, _minute(at))
    price, tte, strike, forward = _columns(chain, "price", "tte", "strike", "forward")
    distance = _distance(chain)
    sign = np.where(chain["is_call"].to_numpy(), 1.0, -1.0)
    intrinsic = np.maximum(sign * (1.0 - strike / forward), 0.0)
    vega = np.sqrt(tte / (2.0 * np.pi)) * np.exp(-0.5 * distance**2)
    vol_half = (0.0025 + 0.0003 / np.sqrt(tte)) * (1.0 + 0.3 * distance**2)
    half = 0.5 * _tick(price) + vega * vol_half + 0.0004 * intrinsic
    middle = price + rng.uniform(-LEAN, LEAN, price.size) * half
    bid, ask = _on_ticks(middle - half, np.floor), _on_ticks(middle + half, np.ceil)
    chances = rng.random((2, price.size))
    is_deep = distance < -DEEP
    return {
        "mark": price.round(DIGITS),
        "bid": np.where(is_deep & (chances[0] < NO_BID), 0.0, np.maximum(bid, 0.0)),
        "ask": np.where(is_deep & (chances[1] < NO_ASK), 0.0, np.maximum(ask, SMALL_TICK)),
    }


def _tick(price: FloatArray) -> FloatArray:
    return np.where(price > TICK_CHANGE, TICK, SMALL_TICK)


def _on_ticks(price: FloatArray, rounded: Callable[[FloatArray], FloatArray]) -> FloatArray:
    tick = _tick(price)
    return np.asarray((rounded((price / tick).round(6)) * tick).round(DIGITS))


def _trading(
    chain: pl.DataFrame, world: CoinWorld, seed: int, symbol: str, at: datetime
) -> dict[str, FloatArray]:
    """Volume of 24 hours, open interest and last price; all gather near the money."""
    rng = stream(seed, Purpose.ACTIVITY, symbol, _minute(at))
    tte, strike, liked, bid, ask = _columns(chain, "tte", "strike", "liked", "bid", "ask")
    out_of_money = _distance(chain)
    near = np.exp(-0.5 * (out_of_money / 1.3) ** 2) * np.where(out_of_money < 0.0, 0.4, 1.0)
    is_round = strike % (10.0 * world.coin.strike_step) == 0.0
    busy = world.coin.turnover * liked * near * (1.0 + is_round) * (1.0 + tte / 0.1) ** -0.5
    age = chain["horizon"].to_numpy() - 365.0 * tte
    trades = busy * np.exp(0.8 * rng.standard_normal(tte.size))
    last = _on_ticks(bid + rng.random(tte.size) * (ask - bid), np.round)
    return {
        "volume": trades.round(1),
        "open_interest": (busy * TURNOVER_DAYS * -np.expm1(-age / AGEING_DAYS)).round(1),
        "last": np.where((trades > 1.0) & (bid > 0.0) & (ask > 0.0), last, np.nan),
    }


def _spoil(chain: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Cross some quotes, and put some marks above the offer."""
    is_good = (pl.col("bid") > TICK_CHANGE) & (pl.col("ask") > 0.0)
    good = chain.with_row_index("row").filter(is_good)["row"].to_numpy()
    rows = rng.choice(good, sum(SPOILT.values()), replace=False)
    kinds = [kind for kind, n in SPOILT.items() for _ in range(n)]
    spoilt = dict(zip(rows.tolist(), kinds, strict=True))
    marked = chain.with_columns(
        spoilt=pl.Series([spoilt.get(n) for n in range(chain.height)], dtype=pl.String)
    )
    above = (pl.col("ask") + 4 * TICK).round(DIGITS)
    return marked.with_columns(
        bid=pl.when(pl.col("spoilt") == CROSSED).then(above).otherwise("bid"),
        mark=pl.when(pl.col("spoilt") == OUTSIDE).then(above).otherwise("mark"),
    )


def _expired(world: CoinWorld, symbol: str, at: datetime) -> pl.DataFrame:
    """Call and put at the money of the expiry that settled last: still told, quoted by nobody."""
    today = expiry_of(at.date())
    last = today if settles(today.day) <= at else expiry_of(at.date() - timedelta(days=1))
    spot = float(world.spot[step_of(settles(last.day))])
    strike = round(spot / world.coin.strike_step) * world.coin.strike_step
    rows = {"CALL": 1.0 - strike / spot, "PUT": strike / spot - 1.0}
    return pl.DataFrame(
        {
            "instrument_name": [
                name for side in rows for name in _names(symbol, last, np.array([strike]), side)
            ],
            "expiration_date": last.day,
            "horizon": last.horizon,
            "strike": strike,
            "is_call": [side == "CALL" for side in rows],
            "forward": spot,
            "mark": [round(max(worth, 0.0), DIGITS) for worth in rows.values()],
            "spoilt": EXPIRED,
        },
        schema_overrides={"horizon": pl.Int32},
    )
