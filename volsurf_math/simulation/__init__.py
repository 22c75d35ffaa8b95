"""A stochastic-volatility world with jumps: its path, its option prices, its market makers.

Belongs here: the laws, as arrays in and arrays out. Not here: dates, listings, tables.
"""
