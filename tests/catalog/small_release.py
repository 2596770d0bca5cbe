"""The smallest release that says everything a release must say, as its files would read."""

import copy
from typing import Any

SOURCE = "data-sheet"


def fact(value: float) -> dict[str, Any]:
    return {"value": value, "kind": "vendor", "source": SOURCE}


def unknown() -> dict[str, Any]:
    return {"kind": "unknown", "source": SOURCE}


ACCELERATOR: dict[str, Any] = {
    "vendor": "Maker",
    "name": "Card 80GB",
    "form_factor": "PCIe",
    "architecture": "First",
    "generation": "first",
    "release_year": 2024,
    "devices_per_card": 1,
    "memory_type": "HBM3",
    "confidence": "high",
    "note": "",
    "sources": [SOURCE],
    "support": {
        "bf16": "native",
        "fp8": "emulated",
        "int8": "native",
        "int4": "unsupported",
        "fp4": "unsupported",
        "source": SOURCE,
    },
    "memory_bytes": fact(80e9),
    "usable_memory_bytes": unknown(),
    "memory_bandwidth_bytes_per_s": fact(2e12),
    "fp64_flops_per_s": unknown(),
    "fp32_flops_per_s": fact(20e12),
    "tf32_flops_per_s": {"kind": "unsupported", "source": SOURCE},
    "fp16_flops_per_s": fact(300e12),
    "bf16_flops_per_s": fact(300e12),
    "fp8_flops_per_s": {"kind": "unsupported", "source": SOURCE},
    "fp4_flops_per_s": {"kind": "unsupported", "source": SOURCE},
    "int8_flops_per_s": fact(600e12),
    "int4_flops_per_s": {"kind": "unsupported", "source": SOURCE},
    "link_name": "Link",
    "link_domain_size": 8,
    "link_bidirectional_bytes_per_s": fact(600e9),
    "link_unidirectional_bytes_per_s": fact(300e9),
    "tdp_w": fact(400),
    "price_usd_per_hour": fact(1.5),
}
NODE: dict[str, Any] = {
    "name": "8 cards",
    "accelerator": "card-80",
    "accelerator_count": 8,
    "granularity_count": 8,
    "link_name": "Link",
    "link_bidirectional_bytes_per_s": fact(600e9),
    "nic_count": 8,
    "nic_bytes_per_s": fact(25e9),
    "host_cpu": "2 sockets",
    "host_memory_bytes": fact(1e12),
    "power_w": fact(6500),
    "confidence": "high",
    "note": "",
    "sources": [SOURCE],
}
MODEL: dict[str, Any] = {
    "family": "Model",
    "hidden_size": 64,
    "vocabulary_size": 100,
    "tied_embeddings": False,
    "max_position_tokens": 4096,
    "pattern": [[1, "dense"], [3, "sparse"]],
    "stored": {"number_format": "bf16"},
    "sources": [SOURCE],
    "layers": {
        "dense": {
            "attention": {"kind": "self", "head_count": 4, "kv_head_count": 2, "head_dim": 16, "value_head_dim": 16},
            "feed_forward": {"kind": "dense", "intermediate_size": 128, "gated": True},
            "norm_count": 2,
        },
        "sparse": {
            "attention": {"kind": "self", "head_count": 4, "kv_head_count": 2, "head_dim": 16, "value_head_dim": 16},
            "feed_forward": {
                "kind": "experts",
                "expert_count": 8,
                "experts_per_token": 2,
                "intermediate_size": 32,
                "gated": True,
            },
            "norm_count": 2,
        },
    },
}
FORMAT: dict[str, Any] = {
    "name": "BF16",
    "storage_bits": fact(16),
    "element_bits": fact(16),
    "compute_type": "bf16",
    "quality": "lossless",
    "for_weights": True,
    "for_cache": True,
    "kept_16bit": [],
    "sources": [SOURCE],
}
ENGINE: dict[str, Any] = {
    "name": "Engine",
    "vendors": ["Maker"],
    "excluded_generations": [],
    "memory_fraction": fact(0.9),
    "fraction_of": "total",
    "activations_within_fraction": True,
    "limits": {
        "large": {"sequence_count": fact(1024), "batched_tokens": fact(8192)},
        "other": {"sequence_count": fact(256), "batched_tokens": fact(2048)},
    },
    "large_card_bytes": fact(70e9),
    "large_card_excluded_generations": [],
    "block_tokens": 16,
    "logits_bytes_per_entry": fact(14),
    "workspace_bytes": fact(64e6),
    "context_bytes": fact(250e6),
    "parallel_context_bytes": fact(2e9),
    "graph_bytes": fact(1e9),
    "graphs_within_fraction": False,
    "attention_data_parallel": "separate",
    "expert_parallel": "ranks",
    "pipeline_parallel": True,
    "unequal_heads": False,
    "stage_division": "first_first",
    "settable_stages": True,
    "groups_cache_layers": True,
    "default_cache_format": "auto",
    "cpu_offload": True,
    "sources": [SOURCE],
}
FILES: dict[str, dict[str, Any]] = {
    "sources.toml": {
        "sources": {
            SOURCE: {"title": "Data sheet", "publisher": "Maker", "date": "2024-05-01", "link": "https://maker.example"}
        }
    },
    "hardware.toml": {"accelerators": {"card-80": ACCELERATOR}, "nodes": {"card-80-8": NODE}},
    "models.toml": {
        "models": {"maker/model": MODEL},
        "aliases": {"maker/model-chat": {"model": "maker/model", "sources": [SOURCE]}},
    },
    "software.toml": {
        "number_formats": {"bf16": FORMAT},
        "serving_engines": {"engine@0.9.0": ENGINE, "engine@0.10.0": ENGINE},
        "format_support": [
            {
                "engine": "engine",
                "number_formats": ["bf16"],
                "paths": {"first": "native"},
                "source": SOURCE,
            }
        ],
        "published_deployments": [
            {
                "model": "maker/model",
                "accelerator": "card-80",
                "accelerator_count": 1,
                "number_format": "bf16",
                "layout": "one card",
                "source": SOURCE,
                "note": "",
            }
        ],
    },
}


def files() -> dict[str, dict[str, Any]]:
    """Return a copy that a test may spoil."""
    return copy.deepcopy(FILES)
