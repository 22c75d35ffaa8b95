"""Surfaces: smiles of one snapshot side by side, read between expiries and compared over time."""
