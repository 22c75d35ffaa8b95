"""Which rows of `fitted_surfaces` make a surface, said once for those who compute and who look.

Belongs here: the choice among stored smiles. Not here: how a surface is read between them.
"""

import polars as pl

HAS_CURVE = ("fitted", "carried")  # outcomes that leave parameters
HAS_SMILE = pl.col("status").is_in(HAS_CURVE)


def surface_slices(smiles: pl.DataFrame) -> pl.DataFrame:
    """Return the slices of one surface in order of time, of the smiles of one model and snapshot.

    Where two smiles have the same time left, a fitted one stands before a carried one, whose time
    is that of its parameters; of two roots the one with more quotes stands.
    """
    good = best_first(smiles.filter(HAS_SMILE))
    return good.unique("tte_years", keep="first", maintain_order=True).sort("tte_years")


def best_first(smiles: pl.DataFrame) -> pl.DataFrame:
    """Return the smiles in order of preference: fitted first, then those with more quotes."""
    preference = [pl.col("status") == "fitted", pl.col("num_points")]
    return smiles.sort(preference, descending=True, nulls_last=True, maintain_order=True)
