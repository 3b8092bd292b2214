"""The renewal-storm simulator: what a fleet under a policy does to Vault, without a Vault."""

from drills.storm.simulate import Storm, StormError, simulate, uniform_peak

__all__ = ["Storm", "StormError", "simulate", "uniform_peak"]
