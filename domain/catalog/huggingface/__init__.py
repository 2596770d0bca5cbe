"""Hugging Face's config.json read into models of the catalog."""

from domain.catalog.huggingface.config import read_config
from domain.catalog.huggingface.fields import ConfigError, FieldProblem

__all__ = ["ConfigError", "FieldProblem", "read_config"]
