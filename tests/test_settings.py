"""What can be set from outside, and what cannot be."""

from dataclasses import FrozenInstanceError

import pytest

from service.settings import Settings, SettingsRefused, host_and_port, is_loopback


def refused(**environment: str) -> tuple[str, ...]:
    with pytest.raises(SettingsRefused) as raised:
        Settings.from_environment({f"TONNAGE_{name}": value for name, value in environment.items()})
    return raised.value.problems


def test_nothing_needs_to_be_set():
    settings = Settings.from_environment({})
    assert (settings.listen, settings.development, settings.four_eyes) == ("127.0.0.1:7433", False, True)


def test_settings_do_not_change():
    settings = Settings.from_environment({})
    with pytest.raises(FrozenInstanceError):
        settings.listen = "0.0.0.0:1"  # type: ignore[misc]


def test_every_bad_value_is_named_at_once():
    problems = refused(LISTEN="nowhere", DEVELOPMENT="perhaps", WORKER_COUNT="0", DRAIN_S="-1", LOG_FORMAT="xml")
    assert len(problems) == 5
    assert problems[0] == "TONNAGE_LISTEN='nowhere': write host:port, such as 127.0.0.1:7433 or [::1]:7433"


def test_a_password_is_not_repeated():
    assert "secret" not in "".join(refused(DATABASE_URL="mysql://me:secret@host/x"))


def test_development_stays_on_this_machine():
    assert "loopback" in refused(DEVELOPMENT="1", LISTEN="0.0.0.0:7433")[0]


def test_a_database_to_migrate_is_also_one_to_serve_from():
    assert "TONNAGE_DATABASE_URL" in refused(MIGRATION_URL="postgresql://owner@host/x")[0]


def test_tls_files_belong_together(tmp_path):
    certificate = tmp_path / "certificate.pem"
    certificate.touch()
    assert "belong together" in refused(TLS_CERTIFICATE=str(certificate))[0]
    assert "there is no such file" in refused(TLS_KEY=str(tmp_path / "none"))[0]


@pytest.mark.parametrize(
    ("address", "parts"), [("127.0.0.1:7433", ("127.0.0.1", 7433)), ("[::1]:1", ("::1", 1)), ("db:5", ("db", 5))]
)
def test_an_address_is_host_and_port(address, parts):
    assert host_and_port(address) == parts


@pytest.mark.parametrize(
    ("host", "is_ours"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("db", False)]
)
def test_loopback_is_this_machine(host, is_ours):
    assert is_loopback(host) is is_ours
