"""Formulas and solvers: arrays in, arrays out."""
