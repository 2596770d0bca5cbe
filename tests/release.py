"""The built-in release, read once for all tests."""

from functools import cache

from domain.catalog.release import Catalog
from service.release_files import built_in


@cache
def catalog() -> Catalog:
    return built_in()
