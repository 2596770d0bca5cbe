"""`python -m service.calibration FILE... --write PATH`: fit, cross-validate, print and write the calibration."""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console

from domain.engine.score import score
from domain.quantity import Column
from service.calibration.design import design
from service.calibration.fit import Fit
from service.calibration.measurements import Measurement, read_measurements
from service.calibration.release import calibration_toml
from service.calibration.validation import is_fitted, left_out_errors, spreads
from service.release_files import built_in


def main() -> None:
    """Fit the files that are named, say how well it predicts configurations left out, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="measurements, one number a row")
    parser.add_argument("--write", type=Path, help="file of a catalog release to write")
    asked = parser.parse_args()
    console = Console()
    rows = [
        row for row in read_measurements(asked.files, built_in()) if isinstance(row, Measurement) and is_fitted(row)
    ]
    fit = Fit(design(rows, built_in()))
    everything = np.ones(len(fit.design.rows), dtype=np.bool_)
    point = fit.fitted(everything)
    show(console, fit, fit.errors(point), "fitted on all rows")
    errors, levels = left_out_errors(fit, lambda row: str(row.configuration))
    show(console, fit, errors, "each configuration left out")
    if asked.write:
        asked.write.write_text(calibration_toml(fit, point, spreads(fit, errors, levels)), encoding="utf-8")
        console.print(f"written: {asked.write}")


def show(console: Console, fit: Fit, errors: Column, heading: str) -> None:
    """Print one line a metric."""
    console.print(heading)
    for metric in sorted(set(fit.metric)):
        figures = score([float(np.expm1(error)) for error in errors[fit.metric == metric]])
        console.print(
            f"  {metric:22} {figures.count:5} rows  median {figures.median_fraction:6.1%}"
            f"  P90 {figures.p90_fraction:6.1%}  bias {figures.bias_fraction:+6.1%}"
        )


if __name__ == "__main__":
    main()
