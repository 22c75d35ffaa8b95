"""Every setting of the platform: name, default, meaning. Read once, at the composition root.

Belongs here: what a user may choose through the environment or a `.env` file. Not here: the
constants of a formula. The environment overrides `.env`, which overrides the default.
"""

import hashlib
import json
import os
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from volsurf_resources.calendars import CALENDARS, Calendar, Market

ENV_FILE = ".env"

# What a market sets otherwise unless told: listings of every day, wide wings, prices in coin.
DEFAULTS_OF: dict[Market, dict[str, Any]] = {
    "us": {},
    "crypto": {
        "min_dte": 0,
        "min_open_interest": -1.0,
        "min_volume": -1.0,
        "min_moneyness": 0.2,
        "max_moneyness": 5.0,
        "max_iv": 5.0,
        "max_spread_pct": 60.0,  # a tick is a tenth of a cheap option
        "wide_spread_pct": 100.0,
        "min_strikes_per_fit": 6,
        "heston_upper": (30.0, 2.0, 6.0, 0.99, 4.0),
        "parity_tolerance": 5.0,  # of coins at thousands of dollars
    },
}

# What is asked for, where things lie, who is told, and how a source is reached do not change what
# is computed: a second symbol does not outdate the first.
_NOT_COMPUTING = (
    "volsurf_home",
    "volsurf_archive",
    "volsurf_symbols",
    "crypto_symbols",
    "default_symbol",
    "ingestion_start",
    "max_fit_rmse",
    "max_heston_rmse",
    "duckdb",
    "history",
    "log",
    "alert",
    "smtp",
    "streamlit",
    "theta",
    "deribit",
    "serve",
)

# Pairs that leave nothing between them where the first is above the second.
_IN_ORDER = (
    ("min_dte", "max_dte"),
    ("min_moneyness", "max_moneyness"),
    ("min_iv", "max_iv"),
    ("vrp_min_history", "vrp_window"),
)

Five = Annotated[tuple[float, float, float, float, float], NoDecode]


class Settings(BaseSettings):
    """What is in force. Field names are the names of the environment variables, in lower case."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE, env_ignore_empty=True, frozen=True, extra="ignore"
    )

    volsurf_home: Path = Field(
        Path("data"), description="Folder of lake, history, Dagster instance, cache and logs."
    )
    volsurf_source: Literal["simulated", "theta", "archive"] = Field(
        "simulated", description="Where market data come from."
    )
    volsurf_symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        ("SPY",), min_length=1, description="Symbols to ingest, separated by commas."
    )
    volsurf_market: Market = Field(
        "us",
        description="Market of a command: us (sessions of New York) or crypto (days of UTC).",
    )
    crypto_symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        ("BTC", "ETH"), min_length=1, description="Coins to collect, separated by commas."
    )
    default_symbol: str = Field("SPY", description="Symbol that commands use unless told.")
    ingestion_start_date: date = Field(
        date(2020, 1, 1), description="First date that can be ingested."
    )
    duckdb_path: Path | None = Field(
        None, description="Published DuckDB file; empty for volsurf.duckdb in VOLSURF_HOME."
    )
    history_retention_days: int | None = Field(
        None, ge=0, description="Days to keep replaced versions; empty keeps them for ever."
    )

    volsurf_archive: Path | None = Field(None, description="Folder of the archive's files.")
    volsurf_archive_mapping: str | None = Field(
        None, description="Mapping: a shipped name or a TOML file; empty to detect it."
    )
    simulated_seed: int = Field(7, ge=0, description="Seed of the simulated market.")
    simulated_dirt: float = Field(
        0.01, ge=0.0, le=0.5, description="Share of dirty quotes in the simulated market."
    )
    theta_api_key: SecretStr | None = Field(
        None,
        description="Bearer token for a gateway in front of the terminal; a local one needs none.",
    )
    theta_api_url: str = Field(
        "http://127.0.0.1:25503", description="Address of the Theta Terminal."
    )
    theta_tier: Literal["free", "value", "standard", "pro"] = Field(
        "value", description="Subscription tier: bounds concurrency, history and endpoints."
    )
    theta_timeout_s: float = Field(
        30.0, gt=0.0, description="Seconds without a byte before a retry."
    )
    theta_cache: bool = Field(False, description="Keep the terminal's answers on disk.")
    theta_snapshot_time: str | None = Field(
        None,
        pattern=r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d$",
        description="New York time of a synchronous chain, as 15:45:00; empty for the end of day.",
    )

    deribit_url: str = Field("https://www.deribit.com", description="Address of Deribit's API.")
    deribit_timeout_s: float = Field(
        30.0, gt=0.0, description="Seconds without a byte before a retry."
    )
    deribit_recordings: Path | None = Field(
        None,
        description="Recorded snapshots: a file or a folder; empty for snapshots in VOLSURF_HOME.",
    )

    max_spread_pct: float = Field(20.0, gt=0.0, description="Liquid below this spread, % of mid.")
    wide_spread_pct: float = Field(
        50.0, gt=0.0, description="Unusable above this spread, % of mid."
    )
    min_open_interest: float = Field(
        50.0, ge=-1.0, description="Liquid above this open interest; -1 for any."
    )
    min_volume: float = Field(0.0, ge=-1.0, description="Liquid above this volume; -1 for any.")
    min_dte: int = Field(7, ge=0, description="Fewest calendar days to expiry of a liquid quote.")
    max_dte: int = Field(730, ge=1, description="Most calendar days to expiry of a liquid quote.")
    min_moneyness: float = Field(0.7, gt=0.0, description="Liquid above this spot / strike.")
    max_moneyness: float = Field(1.3, gt=0.0, description="Liquid below this spot / strike.")
    min_iv: float = Field(0.05, ge=0.0, description="Lowest plausible implied vol.")
    max_iv: float = Field(2.0, gt=0.0, description="Highest plausible implied vol.")
    parity_tolerance: float = Field(
        0.05, ge=0.0, description="Allowed put-call parity gap beyond the spread, USD."
    )

    price_source: Literal["quotes", "marks"] = Field(
        "quotes",
        description="What vols and forwards are of: mids of quotes, or the vendor's marks.",
    )
    svi_max_iterations: int = Field(1000, ge=1, description="Most solver steps for one smile.")
    svi_tolerance: float = Field(1e-8, gt=0.0, description="Relative decrease that ends a fit.")
    min_strikes_per_fit: int = Field(10, ge=5, description="Fewest strikes for a smile.")
    fit_cap_std_devs: float = Field(
        3.0, gt=0.0, description="Quotes further from the forward are left out of fits."
    )
    fit_side: Literal["OTM", "CALLS", "PUTS"] = Field("OTM", description="Quotes to fit.")
    fit_weighting: Literal["vega", "equal", "open_interest"] = Field(
        "vega", description="Weights of the quotes in a fit."
    )
    sabr_beta: float = Field(
        0.5, ge=0.0, le=1.0, description="Exponent of the forward in SABR smiles."
    )
    smile_models: Annotated[tuple[str, ...], NoDecode] = Field(
        ("gamma_vanna_volga", "polynomial"),
        description="Registered smile models to fit besides SVI, SSVI, SABR and Heston.",
    )
    max_fit_rmse_vol_points: float = Field(
        1.0, gt=0.0, description="A session's median fit error above this raises an alert."
    )
    heston_lower: Five = Field(
        (0.1, 0.01, 0.01, -0.99, 0.01), description="Least kappa, theta, sigma, rho, v0 of Heston."
    )
    heston_upper: Five = Field(
        (10.0, 1.0, 2.0, 0.99, 1.0), description="Largest kappa, theta, sigma, rho, v0 of Heston."
    )
    heston_start: Five = Field(
        (2.0, 0.04, 0.3, -0.7, 0.04),
        description="Where a full search goes on if what the smiles suggest leads nowhere.",
    )
    heston_objective: Literal["volatility", "relative_price"] = Field(
        "volatility", description="Errors that Heston's fit makes small."
    )
    heston_feller_penalty: float = Field(
        0.0, ge=0.0, description="Weight of ln(sigma^2 / 2 kappa theta)^2 where it is above 0."
    )
    heston_max_options: int = Field(200, ge=10, description="Most options of one Heston fit.")
    heston_warm_start_vix_pct: float = Field(
        5.0,
        ge=0.0,
        description="Begin at the last parameters if VIX, or a coin's DVOL, moved less, in %.",
    )
    heston_global_rmse_vol_points: float = Field(
        2.0, ge=0.0, description="A search that ends above this error begins anew elsewhere."
    )
    max_heston_rmse_vol_points: float = Field(
        5.0, gt=0.0, description="An error of Heston's fit above this raises an alert."
    )
    vrp_window: int = Field(252, ge=2, description="Past sessions of VRP z-score and percentile.")
    vrp_min_history: int = Field(20, ge=2, description="Fewest past sessions for a z-score.")

    alert_webhook_url: SecretStr | None = Field(
        None, description="Where alerts are posted as JSON."
    )
    alert_email_to: str | None = Field(None, description="Address that alerts are mailed to.")
    alert_email_from: str = Field("volsurf@localhost", description="Sender of alert mails.")
    smtp_host: str = Field("localhost", description="Mail server.")
    smtp_port: int = Field(25, ge=1, le=65535, description="Its port.")
    smtp_user: str | None = Field(None, description="User at the mail server; empty for none.")
    smtp_password: SecretStr | None = Field(None, description="Password at the mail server.")

    streamlit_port: int = Field(8501, ge=1, le=65535, description="Port of the web pages.")

    serve_host: str = Field("127.0.0.1", description="Address of the surface server.")
    serve_port: int = Field(8000, ge=1, le=65535, description="Port of the surface server.")
    serve_token: SecretStr | None = Field(
        None, description="Bearer token that callers must send; needed beyond this machine."
    )
    serve_rate_per_s: float = Field(
        5000.0, gt=0.0, description="Requests a second that one address may make."
    )
    serve_max_at_once: int = Field(500, ge=1, description="Requests that are answered at once.")
    serve_max_points: int = Field(20_000, ge=1, description="Points that one request may ask for.")
    serve_max_body_bytes: int = Field(
        1_000_000, ge=1, description="Bytes that the body of a request may have."
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least severity that is logged."
    )
    log_file: Path | None = Field(
        None,
        description="Log file, a day's date added to its name; empty for logs/volsurf.log in "
        "VOLSURF_HOME.",
    )

    @model_validator(mode="before")
    @classmethod
    def _as_the_market_has_it(cls, values: dict[str, Any]) -> dict[str, Any]:
        return DEFAULTS_OF.get(values.get("volsurf_market", "us"), {}) | values

    @field_validator(
        *("volsurf_symbols", "crypto_symbols", "heston_lower", "heston_upper", "heston_start"),
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(symbol.strip().upper() for symbol in value.split(",") if symbol.strip())
        return value

    @field_validator("default_symbol")
    @classmethod
    def _in_capitals(cls, symbol: str) -> str:
        return symbol.strip().upper()

    @field_validator("smile_models", mode="before")
    @classmethod
    def _split_models(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name.strip().lower() for name in value.split(",") if name.strip())
        return value

    @field_validator(
        "volsurf_home", "volsurf_archive", "deribit_recordings", "duckdb_path", "log_file"
    )
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().resolve()

    @field_validator("deribit_url", "theta_api_url")
    @classmethod
    def _has_a_scheme(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError("an address needs http:// or https:// before it")
        return url

    @field_validator("heston_lower", "heston_upper", "heston_start")
    @classmethod
    def _is_possible(cls, parameters: Five) -> Five:
        kappa, theta, sigma, rho, v0 = parameters
        if not (min(kappa, theta, sigma, v0) > 0.0 and abs(rho) < 1.0):
            raise ValueError(
                f"Heston needs kappa, theta, sigma, v0 > 0 and |rho| < 1, was {parameters}"
            )
        return parameters

    @model_validator(mode="after")
    def _has_bounds_in_order(self) -> "Settings":
        if not all(map(float.__lt__, self.heston_lower, self.heston_upper)):
            raise ValueError(
                "HESTON_LOWER needs to be below HESTON_UPPER in every parameter, was "
                f"{self.heston_lower} and {self.heston_upper}"
            )
        for low, high in _IN_ORDER:
            if getattr(self, low) > getattr(self, high):
                raise ValueError(
                    f"{low.upper()} may not be above {high.upper()}, was {getattr(self, low)} "
                    f"and {getattr(self, high)}"
                )
        return self

    def for_market(self, market: Market) -> "Settings":
        """Return the settings of another market of the same home."""
        if market == self.volsurf_market:
            return self
        own = DEFAULTS_OF[self.volsurf_market]
        chosen = {name: getattr(self, name) for name in self.model_fields_set}
        kept = {name: value for name, value in chosen.items() if own.get(name) != value}
        return type(self)(**kept | {"volsurf_market": market})

    def market_of(self, symbol: str) -> Market:
        """Return the market that a symbol trades on; one that nobody named is on this one."""
        if symbol in self.crypto_symbols:
            return "crypto"
        of_new_york = (*self.volsurf_symbols, self.default_symbol)
        return "us" if symbol in of_new_york else self.volsurf_market

    @property
    def calendar(self) -> Calendar:
        """Days, closes and official snapshots of the market."""
        return CALENDARS[self.volsurf_market]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols to ingest on the market."""
        return self.crypto_symbols if self.volsurf_market == "crypto" else self.volsurf_symbols

    @property
    def market_root(self) -> Path:
        """Folder of what belongs to one market."""
        home = self.volsurf_home
        return home if self.volsurf_market == "us" else home / self.volsurf_market

    @property
    def lake_root(self) -> Path:
        """Folder of the current partitions."""
        return self.market_root / "lake"

    @property
    def history_root(self) -> Path:
        """Folder of the replaced versions."""
        return self.market_root / "history"

    @property
    def dagster_home(self) -> Path:
        """Folder of the Dagster instance."""
        return self.volsurf_home / "dagster"

    @property
    def cache_root(self) -> Path:
        """Folder of cached answers."""
        return self.volsurf_home / "cache"

    @property
    def recordings_path(self) -> Path:
        """Folder (or file) of recorded snapshots."""
        return self.deribit_recordings or self.volsurf_home / "snapshots"

    @property
    def published_path(self) -> Path:
        """The DuckDB file that readers open."""
        path = self.duckdb_path or self.volsurf_home / "volsurf.duckdb"
        is_first = self.volsurf_market == "us"
        return path if is_first else path.with_stem(f"{path.stem}_{self.volsurf_market}")

    @property
    def log_path(self) -> Path:
        """The log file."""
        return self.log_file or self.volsurf_home / "logs" / "volsurf.log"

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the settings that change what is computed; stored with every partition."""
        computing = {
            name: value
            for name, value in self.model_dump(mode="json").items()
            if not name.startswith(_NOT_COMPUTING)
        }
        return hashlib.sha256(json.dumps(computing, sort_keys=True).encode()).hexdigest()[:16]

    def origin(self, name: str) -> str:
        """Say where a setting comes from: environment, .env or default."""
        if any(key.lower() == name and value != "" for key, value in os.environ.items()):
            return "environment"
        is_default = getattr(self, name) == DEFAULTS_OF[self.volsurf_market].get(name, ENV_FILE)
        return ENV_FILE if name in self.model_fields_set and not is_default else "default"
