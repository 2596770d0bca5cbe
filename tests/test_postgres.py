"""Which Postgres the tests run against: never none, and never silently another than was asked for."""

import pytest

from tests import postgres
from tests.conftest import pytest_report_header


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    for name in ("TONNAGE_TEST_DATABASE_URL", "REQUIRE_CONTAINERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")


def test_a_given_database_comes_first(monkeypatch):
    monkeypatch.setenv("TONNAGE_TEST_DATABASE_URL", "postgresql://somewhere")
    assert postgres.choose() == ("given", "TONNAGE_TEST_DATABASE_URL")


def test_a_daemon_that_does_not_answer_is_no_daemon():
    assert not postgres.daemon_answers()


def test_without_a_daemon_the_embedded_one_is_used_and_said():
    assert postgres.choose() == ("embedded", "no Docker daemon answers")


def test_where_containers_are_required_nothing_else_will_do(monkeypatch):
    monkeypatch.setenv("REQUIRE_CONTAINERS", "1")
    with pytest.raises(RuntimeError, match="REQUIRE_CONTAINERS"):
        postgres.choose()


def test_the_header_names_the_choice(pytestconfig):
    header = pytest_report_header(pytestconfig)
    assert header.startswith(("postgres: given", "postgres: container", "postgres: embedded"))
