"""Figures in sentences have as many digits as a reader can use."""

import pytest

from domain.engine.wording import in_gb, in_nodes


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0.0, "0.0 GB"),
        (1.0, "under 0.001 GB"),
        (43e6, "0.043 GB"),
        (685.9e9, "685.9 GB"),
        (-1.5e9, "-1.5 GB"),
        (1.3424e12, "1 342 GB"),
    ],
)
def test_bytes_read_in_gb(size_bytes, text):
    assert in_gb(size_bytes) == text


@pytest.mark.parametrize(
    ("node_count", "text"),
    [
        (1.0, "1 node"),
        (2.0, "2 nodes"),
        (1.5, "1.5 nodes"),
        (9 / 8, "1.125 nodes"),
        (3 / 8, "3/8 of a node"),
        (5 / 72, "5/72 of a node"),
        (1 / 384, "1/384 of a node"),
        (1234.5, "1234.5 nodes"),
    ],
)
def test_parts_of_nodes_read_as_people_say_them(node_count, text):
    assert in_nodes(node_count) == text
