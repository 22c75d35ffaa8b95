"""The list of every asset. A new family of tables is one line here.

Belongs here: which recipes there are, in the order of their dependencies.
"""

from collections.abc import Iterable
from graphlib import TopologicalSorter
from types import ModuleType

import dagster as dg

from volsurf_assets import (
    certificates,
    forwards,
    issues,
    model_scores,
    quotes,
    sabr,
    smile_models,
    smiles,
    stochastic_vol,
    surfaces,
    variance,
)
from volsurf_assets.computed_assets import as_asset
from volsurf_assets.market import MARKET_TABLES, market_assets
from volsurf_assets.partitions import Place
from volsurf_assets.recipe import Recipe
from volsurf_tables.table import Table

FAMILIES: tuple[ModuleType, ...] = (
    forwards,
    issues,
    quotes,
    smiles,
    sabr,
    smile_models,
    stochastic_vol,
    model_scores,
    certificates,
    surfaces,
    variance,
)


def in_order(recipes: Iterable[Recipe]) -> tuple[Recipe, ...]:
    """Return recipes such that each comes after all that it reads."""
    by_name = {recipe.table.name: recipe for recipe in recipes}
    reads = {name: [t.name for t in recipe.reads] for name, recipe in sorted(by_name.items())}
    order = TopologicalSorter(reads).static_order()
    return tuple(by_name[name] for name in order if name in by_name)


def _found(families: Iterable[ModuleType]) -> tuple[Recipe, ...]:
    found = {
        value.table.name: value
        for family in families
        for value in vars(family).values()
        if isinstance(value, Recipe)
    }
    return in_order(found.values())


RECIPES = _found(FAMILIES)


def computed_tables() -> tuple[Table, ...]:
    """Return the tables that are computed, upstream first."""
    return tuple(recipe.table for recipe in RECIPES)


def tables() -> tuple[Table, ...]:
    """Return every table that has an asset, upstream first."""
    return (*MARKET_TABLES, *computed_tables())


def all_assets(place: Place) -> list[dg.AssetsDefinition]:
    """Return the assets of every table of a market, upstream first."""
    return [*market_assets(place), *(as_asset(recipe, place) for recipe in RECIPES)]
