"""Settings: what overrides what, and that every one of them can be set and is heard."""

from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from volsurf_resources.settings import ENV_FILE, Settings

# Another value for every setting, as a user would write it, and what must come of it.
OTHERS = {
    "volsurf_home": ("/elsewhere/lake", Path("/elsewhere/lake")),
    "volsurf_source": ("archive", "archive"),
    "volsurf_symbols": ("spy, qqq,,iwm", ("SPY", "QQQ", "IWM")),
    "default_symbol": (" qqq", "QQQ"),
    "ingestion_start_date": ("2015-06-01", date(2015, 6, 1)),
    "duckdb_path": ("/elsewhere/all.duckdb", Path("/elsewhere/all.duckdb")),
    "volsurf_market": ("crypto", "crypto"),
    "crypto_symbols": ("sol", ("SOL",)),
    "history_retention_days": ("90", 90),
    "volsurf_archive": ("/elsewhere/files", Path("/elsewhere/files")),
    "volsurf_archive_mapping": ("orats_strikes", "orats_strikes"),
    "simulated_seed": ("11", 11),
    "simulated_dirt": ("0.2", 0.2),
    "theta_api_key": ("secret-word", SecretStr("secret-word")),
    "theta_api_url": ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    "theta_tier": ("pro", "pro"),
    "theta_timeout_s": ("5", 5.0),
    "theta_cache": ("true", True),
    "theta_snapshot_time": ("15:45:00", "15:45:00"),
    "deribit_url": ("http://127.0.0.1:9", "http://127.0.0.1:9"),
    "deribit_timeout_s": ("5", 5.0),
    "deribit_recordings": ("/snapshots", Path("/snapshots")),
    "max_spread_pct": ("10", 10.0),
    "wide_spread_pct": ("40", 40.0),
    "min_open_interest": ("1", 1.0),
    "min_volume": ("5", 5.0),
    "min_dte": ("1", 1),
    "max_dte": ("365", 365),
    "min_moneyness": ("0.5", 0.5),
    "max_moneyness": ("1.5", 1.5),
    "min_iv": ("0.01", 0.01),
    "max_iv": ("3", 3.0),
    "parity_tolerance": ("0.1", 0.1),
    "svi_max_iterations": ("50", 50),
    "svi_tolerance": ("1e-6", 1e-6),
    "min_strikes_per_fit": ("7", 7),
    "fit_cap_std_devs": ("4", 4.0),
    "fit_side": ("CALLS", "CALLS"),
    "fit_weighting": ("equal", "equal"),
    "price_source": ("marks", "marks"),
    "max_fit_rmse_vol_points": ("0.5", 0.5),
    "heston_lower": ("0.2,0.02,0.02,-0.9,0.02", (0.2, 0.02, 0.02, -0.9, 0.02)),
    "heston_upper": ("20,2,4,0.9,2", (20.0, 2.0, 4.0, 0.9, 2.0)),
    "heston_start": ("1, 0.05, 0.5, -0.5, 0.05", (1.0, 0.05, 0.5, -0.5, 0.05)),
    "heston_objective": ("relative_price", "relative_price"),
    "heston_feller_penalty": ("0.1", 0.1),
    "heston_max_options": ("50", 50),
    "heston_warm_start_vix_pct": ("0", 0.0),
    "heston_global_rmse_vol_points": ("1", 1.0),
    "max_heston_rmse_vol_points": ("3", 3.0),
    "vrp_window": ("126", 126),
    "vrp_min_history": ("5", 5),
    "alert_webhook_url": ("http://127.0.0.1:9/x", SecretStr("http://127.0.0.1:9/x")),
    "alert_email_to": ("desk@example.org", "desk@example.org"),
    "alert_email_from": ("lake@example.org", "lake@example.org"),
    "smtp_host": ("mail.example.org", "mail.example.org"),
    "smtp_port": ("2525", 2525),
    "smtp_user": ("lake", "lake"),
    "smtp_password": ("another-secret", SecretStr("another-secret")),
    "sabr_beta": ("1", 1.0),
    "smile_models": ("polynomial", ("polynomial",)),
    "streamlit_port": ("8502", 8502),
    "serve_host": ("localhost", "localhost"),
    "serve_port": ("8001", 8001),
    "serve_token": ("one-more-secret", SecretStr("one-more-secret")),
    "serve_rate_per_s": ("10", 10.0),
    "serve_max_at_once": ("5", 5),
    "serve_max_points": ("100", 100),
    "serve_max_body_bytes": ("1000", 1000),
    "log_level": ("DEBUG", "DEBUG"),
    "log_file": ("/elsewhere/log.txt", Path("/elsewhere/log.txt")),
}
PLACES = ("volsurf_home", "volsurf_archive", "volsurf_archive_mapping", "duckdb", "log_", "alert")
ASKED = ("volsurf_symbols", "crypto_symbols", "default_symbol", "ingestion_start_date",
         "max_fit_rmse_vol_points", "max_heston_rmse_vol_points")  # fmt: skip
REACHED = ("serve_", "streamlit_", "smtp_", "theta_", "deribit_", "history_retention")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_every_setting_is_tried_below():
    assert set(OTHERS) == set(Settings.model_fields)


@pytest.mark.parametrize("name", OTHERS)
def test_environment_over_file_over_default(name, monkeypatch, tmp_path):
    text, value = OTHERS[name]
    default = Settings()
    assert getattr(default, name) != value
    assert default.origin(name) == "default"

    (tmp_path / ENV_FILE).write_text(f"{name.upper()}={text}\n")
    from_file = Settings()
    assert getattr(from_file, name) == value
    assert from_file.origin(name) == ENV_FILE

    monkeypatch.setenv(name.upper(), text)
    (tmp_path / ENV_FILE).write_text(f"{name.upper()}=\n")
    from_environment = Settings()
    assert getattr(from_environment, name) == value
    assert from_environment.origin(name) == "environment"


@pytest.mark.parametrize("name", OTHERS)
def test_an_empty_value_means_the_default(name, monkeypatch):
    monkeypatch.setenv(name.upper(), "")
    assert getattr(Settings(), name) == getattr(Settings(_env_file=None), name)
    assert Settings().origin(name) == "default"


@pytest.mark.parametrize("name", OTHERS)
def test_the_fingerprint_hears_what_changes_numbers_and_nothing_else(name, monkeypatch):
    before = Settings().fingerprint
    monkeypatch.setenv(name.upper(), OTHERS[name][0])
    heard = Settings().fingerprint != before
    assert heard is not name.startswith((*PLACES, *ASKED, *REACHED))


def test_fingerprint_is_the_same_in_another_folder(tmp_path, monkeypatch):
    before = Settings().fingerprint
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert Settings().fingerprint == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("volsurf_source", "bloomberg"),
        ("volsurf_symbols", " , "),
        ("ingestion_start_date", "yesterday"),
        ("simulated_dirt", "0.9"),
        ("theta_snapshot_time", "quarter to four"),
        ("deribit_url", "localhost:8080"),
        ("max_spread_pct", "0"),
        ("min_strikes_per_fit", "3"),
        ("heston_lower", "0.1,0.01,0.01,-0.99"),
        ("heston_upper", "10,1,2,-0.99,1"),
        ("heston_start", "2,0.04,0.3,-1,0.04"),
        ("smtp_port", "70000"),
        ("log_level", "LOUD"),
    ],
)
def test_nonsense_is_refused_by_name(name, text, monkeypatch):
    monkeypatch.setenv(name.upper(), text)
    with pytest.raises(ValidationError, match=name):
        Settings()


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(ValidationError, match="frozen"):
        Settings().min_dte = 1


def test_secrets_are_masked_when_printed(monkeypatch):
    for name, (text, value) in OTHERS.items():
        if isinstance(value, SecretStr):
            monkeypatch.setenv(name.upper(), text)
    shown = f"{Settings()!r}{Settings()}{Settings().model_dump()}"
    assert "secret-word" not in shown
    assert "another-secret" not in shown


def test_everything_lies_beneath_home(monkeypatch, tmp_path):
    monkeypatch.setenv("VOLSURF_HOME", str(tmp_path / "second"))
    settings = Settings()
    places = (
        settings.lake_root,
        settings.history_root,
        settings.dagster_home,
        settings.cache_root,
        settings.published_path,
        settings.log_path,
    )
    assert all(place.is_relative_to(tmp_path / "second") for place in places)
    assert len(set(places)) == len(places)


def test_published_file_and_log_can_lie_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setenv("DUCKDB_PATH", str(tmp_path / "all.duckdb"))
    monkeypatch.setenv("LOG_FILE", str(tmp_path / "log.txt"))
    assert Settings().published_path == tmp_path / "all.duckdb"
    assert Settings().log_path == tmp_path / "log.txt"


def test_offline_use_needs_no_setting_at_all(tmp_path):
    settings = Settings()
    assert settings.volsurf_source == "simulated"
    assert settings.volsurf_home == tmp_path / "data"
    assert settings.ingestion_start_date == date(2020, 1, 1)
    assert settings.theta_api_key is None
