"""Calibration: what measurements say of efficiencies, floors and overheads, fitted and sourced."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Parameters with physical meaning, and the factors by which groups of measurements depart from them."""

    parameters: Mapping[str, float]
    """By name: fractions of a peak, seconds per message, step, sequence or layer."""
    effects: Mapping[str, Mapping[str, float]]
    """Factors by scope (``bandwidth_fraction/generation``) and key (``hopper``); a key that is not there is 1."""
    spreads: Mapping[str, float]
    """Residual spread by metric and what was known of the group: half-width factors of the 90 % interval."""
    counts: Mapping[str, Mapping[str, int]]
    """Measurements by scope and key: how much stands behind an effect."""
    source: str

    def value(self, parameter: str) -> float:
        """Return a parameter; every one that is read must be there."""
        return self.parameters[parameter]

    def effect(self, scope: str, key: str) -> float:
        """Return the factor of one group, 1 where nothing was measured."""
        return self.effects.get(scope, {}).get(key, 1.0)

    def count(self, scope: str, key: str) -> int:
        """Return how many measurements stand behind one group."""
        return self.counts.get(scope, {}).get(key, 0)
