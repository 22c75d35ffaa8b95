"""A simulated market: an arbitrage-free world that quotes like a real one, and knows its truth."""

from volsurf_resources.simulated.market import SimulatedMarket

__all__ = ["SimulatedMarket"]
