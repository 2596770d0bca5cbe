"""The fit: measurements made with known factors give these factors back."""

import tomllib

import numpy as np
import pytest

from domain.quantity import Column
from service.calibration.design import design
from service.calibration.fit import PARAMETERS, SCOPES, ColumnFactors, Fit, predict
from service.calibration.measurements import Measurement, SkippedRow, read_measurements
from service.calibration.release import calibration_toml
from service.calibration.validation import folds_of, is_fitted, spreads
from tests.release import catalog

HEADER = (
    "id,source,engine,engine_version,model,device,device_count,tensor_parallel,attention_data_parallel,"
    "pipeline_parallel,replicas,expert_parallel,weight_format,kv_format,speculative,load,concurrency,requests,"
    "request_rate,input_tokens,output_tokens,scenario,metric,statistic,measured,flags_and_notes"
)
ROWS = [
    f"r{place},x,{engine},1.0,{model},h100-sxm-80,{tensor},{tensor},1,1,1,1,fp8,,n,closed-loop,{concurrency},,,1024,512,online,"
    f"{metric},mean,10.0,"
    for place, (engine, model, tensor, concurrency, metric) in enumerate(
        (engine, model, tensor, concurrency, metric)
        for engine in ("vllm", "sglang")
        for model, tensor in (("meta-llama/Llama-3.1-8B", 1), ("Qwen/Qwen3-30B-A3B", 2))
        for concurrency in (1, 8, 64, 200)
        for metric in ("tpot_ms", "ttft_ms", "output_tokens_per_s")
    )
]


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "serving.csv"
    path.write_text("\n".join([HEADER, *ROWS]) + "\n")
    return list(read_measurements([path], catalog()))


def test_milliseconds_are_read_as_seconds(rows):
    assert {row.value for row in rows if row.metric == "tpot_ms"} == {0.01}
    assert {row.value for row in rows if row.metric == "output_tokens_per_s"} == {10.0}


def test_a_row_of_an_unknown_device_is_left_out_with_the_reason(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("\n".join([HEADER, ROWS[0].replace("h100-sxm-80", "h1000")]) + "\n")
    (skipped,) = read_measurements([path], catalog())
    assert isinstance(skipped, SkippedRow)
    assert "h1000" in skipped.reason


def made_with(fit: Fit, known: Column) -> Fit:
    """Return the fit with what it would have measured had the known point been the truth."""
    seen = predict(fit.design, ColumnFactors(fit.space, known))
    fit.measured = np.log(np.array([getattr(seen, name)[place] for place, name in enumerate(fit.metric)]))
    return fit


def test_measurements_made_with_known_factors_are_predicted_again(rows):
    fit = Fit(design(rows, catalog()))
    known = fit.space.start.copy()
    known[fit.space.index["bandwidth_fraction"]] = np.log(0.6)
    known[fit.space.index["layer_s"]] = np.log(9e-5)
    known[fit.space.index["step/model=Qwen/Qwen3-30B-A3B"]] = np.log(1.2)
    made_with(fit, known)
    before = np.abs(fit.errors(fit.space.start))
    after = np.abs(fit.errors(fit.fitted(np.ones(len(rows), dtype=bool))))
    assert np.median(before) > 0.05
    assert np.median(after) < 0.02


def test_rows_of_one_configuration_are_left_out_together(rows):
    names = [str(row.configuration) for row in rows]
    folds = folds_of(names)
    assert len({(name, fold) for name, fold in zip(names, folds, strict=True)}) == len(set(names))


def test_percentiles_and_bursts_are_no_part_of_the_fit(rows):
    assert all(is_fitted(row) for row in rows)
    assert not is_fitted(
        Measurement(**({name: getattr(rows[0], name) for name in rows[0].__slots__} | {"load": "burst"}))
    )


def test_the_interval_spans_nine_errors_of_ten(rows):
    fit = Fit(design(rows, catalog()))
    errors = np.linspace(-0.5, 0.5, len(rows))
    factors = spreads(fit, errors, ["model"] * len(rows))
    assert not factors
    many = spreads(made_many(fit), np.linspace(-0.5, 0.5, 300), ["model"] * 300)
    assert many["tpot_s/model/low"] == pytest.approx(np.exp(-0.45), rel=1e-3)
    assert many["tpot_s/model/high"] == pytest.approx(np.exp(0.45), rel=1e-3)


def made_many(fit: Fit) -> Fit:
    fit.metric = np.array(["tpot_s"] * 300)
    return fit


def test_the_file_that_is_written_is_a_calibration_of_a_release(rows):
    fit = Fit(design(rows, catalog()))
    content = tomllib.loads(calibration_toml(fit, fit.space.start, {"tpot_s/any/low": 0.8}))["calibration"]
    assert {parameter.name for parameter in PARAMETERS} <= content["parameters"].keys()
    assert content["counts"]["step/model"] == {"Qwen/Qwen3-30B-A3B": 24, "meta-llama/Llama-3.1-8B": 24}
    assert set(content["effects"]) == set(SCOPES)
