"""Every registered smile model that has no table of its own, fitted to the same quotes.

Belongs here: fits of models known only by the register, and their parameters as JSON. Not here: any
particular model (maths), or SVI and SABR (`smiles`, `sabr`).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from volsurf_assets.model_quality import described, with_outcome
from volsurf_assets.model_quotes import RootQuotes, roots_of
from volsurf_assets.session import Session
from volsurf_assets.smile_points import Array
from volsurf_assets.table_asset import table_asset
from volsurf_resources.settings import Settings
from volsurf_tables.models import SMILE_MODELS, model_type_of, table_of
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES

if TYPE_CHECKING:
    from volsurf_math.smiles.base import Smile


@table_asset(SMILE_MODELS, reads=[OPTION_QUOTES, IMPLIED_FORWARDS], code_version="1")
def smile_models(session: Session) -> pl.DataFrame:
    """Fit the models of SMILE_MODELS to every expiry; a model that fails leaves the others."""
    names = asked_models(session.settings.smile_models)
    frames = [
        _fit_root(root, name, session.settings) for root in roots_of(session) for name in names
    ]
    return pl.concat([SMILE_MODELS.schema.to_frame(), *frames])


def asked_models(names: Sequence[str]) -> list[str]:
    """Return the registered names of some models, each once.

    Raises
    ------
    ValueError
        If one is not registered, or is fitted anyway into a table of its own.
    """
    from volsurf_math.smiles import registered_name

    found = list(dict.fromkeys(registered_name(name) for name in names))
    for name in found:
        if (own := table_of(model_type_of(name))) is not SMILE_MODELS:
            raise ValueError(f"SMILE_MODELS needs no {name}: it always stands in {own.name}")
    return found


def parameters_of(smile: "Smile") -> str:
    """Return a smile's parameters as JSON text, from which `smile_of` makes it again exactly."""
    return json.dumps(asdict(smile))  # type: ignore[call-overload]


def smile_of(model_type: str, parameters: str) -> "Smile":
    """Make a stored smile again; KeyError if the model is no longer registered."""
    from volsurf_math import smiles

    return smiles.smile_of(model_type.lower(), json.loads(parameters))


def _fit_root(root: RootQuotes, name: str, settings: Settings) -> pl.DataFrame:
    smiles: list[Smile | None] = []
    blind: list[Smile | None] = []
    failures: list[str | None] = []
    out = root.points.without(root.is_out).weight
    for part, is_thin in zip(root.slices, root.is_thin.tolist(), strict=True):
        smile, why = (None, None) if is_thin else _fit(root, name, part, root.points.weight)
        smiles.append(smile)
        failures.append(why)
        blind.append(None if smile is None else _fit(root, name, part, out)[0])
    parameters = [None if smile is None else parameters_of(smile) for smile in smiles]
    rows = described(root, smiles, blind).with_columns(
        model_type=pl.lit(model_type_of(name)),
        parameters=pl.Series(parameters, dtype=pl.String),
    )
    judged = with_outcome(rows, failures, settings)
    return judged.select(SMILE_MODELS.schema.names()).cast(SMILE_MODELS.schema)


def _fit(
    root: RootQuotes, name: str, part: slice, weight: Array
) -> tuple["Smile | None", str | None]:
    """Fit one expiry: a smile that can be stored and read again, or why there is none."""
    from volsurf_math.smiles import SMILES

    k = root.points.k[part]
    try:
        fit = SMILES[name].fit(k, root.w[part], weight[part])
        if fit.smile is None:
            return None, f"no convergence: {fit.status.name.lower()}"
        w = fit.smile.total_variance(np.append(k, 0.0))
    except (ArithmeticError, RuntimeError, ValueError) as error:
        return None, f"no convergence: {type(error).__name__}: {error}"
    if not (np.isfinite(w).all() and (w > 0.0).all()):
        return None, "no convergence: total variance is not positive at the quotes"
    return fit.smile, None
