"""The whole service as one process, and the command line that talks to it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TONNAGE = str(Path(sys.executable).with_name("tonnage"))
LIMIT_S = 60.0


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


class Running:
    """``python -m service --demonstrate``, and what it printed so far."""

    def __init__(self, state: Path, **environment: str) -> None:
        self.address = free_address()
        self.printed = state.with_suffix(".printed")
        variables = {"TONNAGE_STATE_DIR": str(state), "TONNAGE_LISTEN": self.address, "TONNAGE_DEVELOPMENT": "1"}
        with self.printed.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "service", "--demonstrate"],
                env=os.environ | variables | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def text(self) -> str:
        return self.printed.read_text()

    def wait_until_serving(self) -> None:
        deadline = time.monotonic() + LIMIT_S
        while f"Serving on {self.address}" not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(LIMIT_S)

    def tonnage(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [TONNAGE, *arguments, "--server", self.address]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)


@pytest.fixture(scope="module")
def state() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tonnage-run-"))
    folder.chmod(0o711)
    yield folder / "state"
    shutil.rmtree(folder)


@contextmanager
def running(state: Path) -> Iterator[Running]:
    service = Running(state)
    try:
        service.wait_until_serving()
        yield service
    finally:
        if service.process.poll() is None:
            service.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def service(state: Path) -> Iterator[Running]:
    with running(state) as started:
        yield started


def plan_id(text: str) -> str:
    found = re.search(r"Plan ([0-9a-f-]{36})", text)
    assert found, text
    return found[1]


def test_one_command_makes_a_plan_ends_cleanly_and_starts_again_on_the_same_data(state):
    with running(state) as first:
        assert "deepseek-ai/DeepSeek-R1" in first.text()
        assert first.end() == 0
    with running(state) as second:
        assert plan_id(second.text()) == plan_id(first.text())
        assert second.end(signal.SIGTERM) == 0
    assert "Traceback" not in first.text() + second.text()


def test_development_is_announced(service):
    assert "authentication.switched_off" in service.text()


def test_two_processes_share_one_database(service, state):
    with running(state) as other:
        drafted = other.tonnage("plan", "draft", "shared", "--model", "DeepSeek-R1", "-a", "h200", "-n", "8")
        assert drafted.returncode == 0, drafted.stderr
    assert "shared" in service.tonnage("plan", "list").stdout


def test_a_plan_lives_from_draft_to_retirement(service):
    drafted = service.tonnage("plan", "draft", "life", "--model", "DeepSeek-R1", "-a", "h200", "-n", "8")
    assert drafted.stdout.startswith("Recorded: life, revision 2"), drafted.stderr
    revised = service.tonnage("plan", "revise", "life", "--reason", "more people", "--concurrency", "64")
    assert revised.stdout.startswith("Recorded: life, revision 4"), revised.stderr
    refused = service.tonnage("plan", "approve", "life")
    assert refused.returncode == 1
    assert "cannot approve" in refused.stderr
    approved = service.tonnage("plan", "approve", "life", "--as", "abe", "--comment", "go")
    assert approved.stdout.startswith("Recorded: life, revision 5"), approved.stderr
    assert "Approved by abe" in service.tonnage("plan", "show", "life").stdout
    assert "Not approved" in service.tonnage("plan", "show", "life", "--revision", "4").stdout
    retired = service.tonnage("plan", "retire", "life", "--reason", "replaced")
    assert retired.returncode == 0, retired.stderr
    history = service.tonnage("history", "life").stdout
    events = ["plan drafted", "plan revised", "plan evaluated", "plan approved", "plan retired"]
    assert [event for event in events if event in history] == events


def test_a_revision_says_only_what_changes(service):
    drafted = service.tonnage("plan", "draft", "small", "-m", "DeepSeek-R1", "-a", "h200", "--policy", "lossless")
    assert drafted.returncode == 0, drafted.stderr
    revised = service.tonnage("plan", "revise", "small", "--reason", "check", "-n", "8", "--json")
    assert '"accelerator_count": 8' in revised.stdout, revised.stderr
    assert '"policy": "POLICY_LOSSLESS"' in revised.stdout


def test_questions_can_be_asked_of_a_server(service):
    asked = ("check", "DeepSeek-R1", "-a", "h200", "-n", "8", "--json")
    here = subprocess.run([TONNAGE, *asked], capture_output=True, text=True, check=True, timeout=LIMIT_S)
    assert service.tonnage(*asked).stdout == here.stdout


def test_an_unknown_plan_is_bad_input(service):
    done = service.tonnage("plan", "show", "00000000-0000-4000-8000-000000000000")
    assert (done.returncode, done.stderr) == (2, "error: There is no plan with this id.\n")


def test_a_question_that_makes_no_sense_is_refused_field_by_field(service):
    done = service.tonnage("check", "DeepSeek-R1", "-a", "h200", "-n", "8", "--weight-format", "fp9")
    assert done.returncode == 2
    assert "weight_format" in done.stderr


def test_without_credentials_or_development_it_does_not_start(tmp_path):
    command = [sys.executable, "-m", "service"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TONNAGE_")}
    environment["TONNAGE_STATE_DIR"] = str(tmp_path)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=environment)
    assert done.returncode == 1
    assert "TONNAGE_TLS_CERTIFICATE" in done.stderr


def test_a_secured_server_takes_callers_with_certificates(state, tmp_path):
    folder, address = Path(__file__).parents[1] / "data" / "tls", free_address()
    tls = {"CERTIFICATE": folder / "server.pem", "KEY": folder / "server.key", "CLIENT_CA": folder / "ca.pem"}
    environment = os.environ | {f"TONNAGE_TLS_{name}": str(path) for name, path in tls.items()}
    environment |= {"TONNAGE_STATE_DIR": str(state), "TONNAGE_LISTEN": address, "TONNAGE_DEVELOPMENT": "0"}
    journal = tmp_path / "journal"
    with journal.open("w") as output:
        process = subprocess.Popen([sys.executable, "-m", "service"], env=environment, stderr=output)
    try:
        while '"event": "server.started"' not in journal.read_text():
            assert process.poll() is None, journal.read_text()
            time.sleep(0.05)
        files = [str(folder / name) for name in ("ca.pem", "pia.pem", "pia.key")]
        server = ["--server", address.replace("127.0.0.1", "localhost")]
        drafting = ["plan", "draft", "secured", "-m", "DeepSeek-R1", "-a", "h200", "-n", "8", *server]
        let_in = subprocess.run(
            [TONNAGE, "--tls", *files, *drafting], capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
        turned_away = subprocess.run([TONNAGE, *drafting], capture_output=True, text=True, check=False, timeout=LIMIT_S)
    finally:
        process.terminate()
        process.wait(LIMIT_S)
    assert let_in.stdout.startswith("Recorded: secured, revision 2"), let_in.stderr
    assert turned_away.returncode == 1
    assert '"subject": "pia"' in journal.read_text()


def test_a_bad_setting_is_named_before_anything_starts(tmp_path):
    command = [sys.executable, "-m", "service"]
    environment = os.environ | {"TONNAGE_LISTEN": "nowhere", "TONNAGE_STATE_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=environment)
    assert done.returncode == 2
    assert "TONNAGE_LISTEN" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_taken_is_named(service, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        other = Running(service.printed.with_suffix(""), TONNAGE_LISTEN=address)
        assert other.process.wait(LIMIT_S) == 1
    assert f"{address} cannot be listened on" in other.text()
