"""The calibration out of the tables of a release."""

from collections.abc import Mapping

from domain.catalog.calibration import Calibration
from domain.catalog.entry import Entry


def calibration(entry: Entry) -> Calibration:
    """Read the calibration: every parameter a fact, effects and spreads under the source of the whole."""
    source = entry.ledger.name(f"{entry.path}/source", entry.value("source"))
    entry.text("note", empty=True)
    parameters = entry.inside("parameters")
    return Calibration(
        parameters={name: parameters.known(name) for name in sorted(parameters.names())},
        effects=_factors(entry, "effects"),
        counts={
            scope: {key: int(count) for key, count in group.items()}
            for scope, group in _factors(entry, "counts").items()
        },
        spreads=_numbers(entry.inside("spreads")),
        source=source,
    )


def _factors(entry: Entry, name: str) -> Mapping[str, Mapping[str, float]]:
    return {scope: _numbers(group) for scope, group in sorted(entry.each(name))}


def _numbers(entry: Entry) -> Mapping[str, float]:
    return {key: entry.number(key) for key in sorted(entry.names())}
