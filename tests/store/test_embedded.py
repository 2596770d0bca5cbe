"""The Postgres that comes along: starts from nothing, survives a kill, and serves whoever shares its folder."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from service.store.account import unprivileged_account
from service.store.embedded import WHEEL, DataOfOtherVersion, EmbeddedPostgres
from service.store.migration import migrate


@pytest.fixture
def state():
    folder = Path(tempfile.mkdtemp(prefix="tonnage-embedded-"))
    folder.chmod(0o711)
    yield folder
    for server in folder.glob("**/postmaster.pid"):
        os.kill(int(server.read_text().split("\n")[0]), signal.SIGQUIT)
    shutil.rmtree(folder)


@pytest.fixture
def server(state):
    running = EmbeddedPostgres.start(state)
    yield running
    running.stop()


def remember(url: str, word: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        connection.execute("INSERT INTO words VALUES (%s)", [word])


def words(url: str) -> list[object]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT word FROM words")]


def test_it_starts_on_nothing_and_again_on_what_it_left(state):
    first = EmbeddedPostgres.start(state)
    remember(first.owner_url, "kept")
    first.stop()
    assert first.postmaster_pid is None
    again = EmbeddedPostgres.start(state)
    assert words(again.owner_url) == ["kept"]
    again.stop()


def test_nothing_listens_on_the_network(server):
    with psycopg.connect(server.admin_url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)


def test_pages_carry_checksums_and_commits_reach_the_disk(server):
    with psycopg.connect(server.admin_url) as connection:
        for setting in ("data_checksums", "fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)


@pytest.mark.parametrize("role", ["owner_url", "service_url"])
def test_neither_role_is_a_superuser_and_none_enters_without_password(server, role):
    url = getattr(server, role)
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    assert found == (False,)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(url, password="guess")


def test_passwords_are_for_the_owner_of_the_folder_alone(server):
    assert (server.state / "credentials.json").stat().st_mode & 0o077 == 0


def test_it_survives_the_kill_of_the_process_that_started_it(state):
    script = (
        "import os, sys, signal, pathlib; from service.store.embedded import EmbeddedPostgres;"
        "EmbeddedPostgres.start(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(state)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    joined = EmbeddedPostgres.start(state)
    remember(joined.owner_url, "joined")
    # Nobody else uses it any more: this process may stop it.
    joined.stop()
    assert joined.postmaster_pid is None


def test_it_survives_a_kill_of_its_own(state):
    server = EmbeddedPostgres.start(state)
    remember(server.owner_url, "committed")
    assert server.postmaster_pid is not None
    os.kill(server.postmaster_pid, signal.SIGKILL)
    again = EmbeddedPostgres.start(state)
    assert words(again.owner_url) == ["committed"]
    server.stop()
    again.stop()


def test_a_pid_file_whose_number_another_program_has_now_stops_nobody(state):
    server = EmbeddedPostgres.start(state)
    remember(server.owner_url, "kept")
    left = (server.data / "postmaster.pid").read_text().split("\n")
    server.stop()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as other:
        pid_file = server.data / "postmaster.pid"
        pid_file.write_text("\n".join([str(other.pid), *left[1:]]))
        server.account.own(pid_file)
        again = EmbeddedPostgres.start(state)
        assert words(again.owner_url) == ["kept"]
        again.stop()
        assert other.poll() is None
        other.kill()


def test_who_stops_first_leaves_it_to_the_others(state):
    first, second = EmbeddedPostgres.start(state), EmbeddedPostgres.start(state)
    first.stop()
    remember(second.owner_url, "still there")
    assert words(second.owner_url) == ["still there"]
    second.stop()
    assert second.postmaster_pid is None


def test_processes_that_start_together_share_one_server(state):
    script = (
        "import sys, pathlib; from service.store.embedded import EmbeddedPostgres;"
        "server = EmbeddedPostgres.start(pathlib.Path(sys.argv[1])); print(server.postmaster_pid);"
        "sys.stdout.flush(); sys.stdin.read(); server.stop()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(state)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    pids = set()
    for process in processes:
        assert process.stdout is not None
        said = (process.stdout.readline().strip() for _ in range(2))
        pids.add(next(line for line in said if line.isdigit()))
    for process in processes:
        process.communicate("")
    assert len(pids) == 1


def test_a_path_too_long_for_a_socket_is_gone_around(state):
    deep = state / ("d" * 100)
    server = EmbeddedPostgres.start(deep)
    remember(server.owner_url, "deep")
    socket_folder = server.socket_folder
    assert socket_folder.parent == Path(tempfile.gettempdir())
    joined = EmbeddedPostgres.start(deep)
    assert joined.socket_folder == socket_folder
    server.stop()
    joined.stop()
    assert not socket_folder.exists()


def test_data_of_another_version_are_not_touched(state):
    server = EmbeddedPostgres.start(state)
    server.stop()
    (server.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(DataOfOtherVersion):
        EmbeddedPostgres.start(state)


def test_an_interrupted_beginning_is_begun_anew(state):
    unfinished = state / "cluster" / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres.start(state)
    remember(server.owner_url, "begun")
    server.stop()


def test_the_environment_of_the_caller_does_not_reach_it(state, monkeypatch):
    for name, value in {"PGDATA": "/nowhere", "PGPORT": "1", "PGHOST": "elsewhere", "HOME": ""}.items():
        monkeypatch.setenv(name, value)
    server = EmbeddedPostgres.start(state)
    remember(server.owner_url, "here")
    server.stop()


def test_it_is_migrated_like_any_other(server):
    migrate(owner_url=server.owner_url, service_url=server.service_url)


if os.geteuid() == 0:
    # An ordinary user has none of these cases: all the tests above then say what holds for one.

    def test_as_root_it_runs_under_an_account_that_is_not(server):
        assert server.postmaster_pid is not None
        assert Path(f"/proc/{server.postmaster_pid}").stat().st_uid == unprivileged_account().user_id != 0

    def test_as_root_a_folder_closed_to_the_account_is_gone_around(state):
        closed = state / "closed"
        closed.mkdir(mode=0o700)
        server = EmbeddedPostgres.start(closed)
        remember(server.owner_url, "kept")
        assert closed not in server.data.parents
        assert closed.stat().st_mode & 0o777 == 0o700
        server.stop()
        again = EmbeddedPostgres.start(closed)
        assert words(again.owner_url) == ["kept"]
        again.stop()
        shutil.rmtree(again.state)

    def test_programs_closed_to_the_account_are_copied_to_where_it_can_run_them(state, monkeypatch):
        closed = state / "site-packages"
        closed.mkdir(mode=0o700)
        found = importlib.util.find_spec(WHEEL)
        assert found is not None
        assert found.origin is not None
        package = Path(found.origin).parent
        for folder in (package, package.with_name(f"{WHEEL}.libs")):
            if folder.exists():
                shutil.copytree(folder, closed / folder.name)
        for path in closed.rglob("*"):
            path.chmod(path.stat().st_mode & 0o700)
        monkeypatch.syspath_prepend(closed)
        server = EmbeddedPostgres.start(state / "state")
        assert closed not in server.binaries.parents
        remember(server.owner_url, "runs")
        server.stop()

    def test_an_ordinary_user_starts_it_too(state):
        nobody = pwd.getpwnam("nobody")
        (state / "home").mkdir()
        os.chown(state / "home", nobody.pw_uid, nobody.pw_gid)
        # The programs may be installed where only root comes: root makes them reachable first.
        script = (
            "import os, sys, pathlib; from service.store import embedded;"
            "from service.store.account import Account;"
            f"user, group = {nobody.pw_uid}, {nobody.pw_gid};"
            "state = pathlib.Path(sys.argv[1]);"
            "binaries = embedded.reachable_binaries(state, Account(user_id=user, group_id=group));"
            "embedded.reachable_binaries = lambda *_: binaries;"
            "os.setgroups([]); os.setgid(group); os.setuid(user);"
            "server = embedded.EmbeddedPostgres.start(state / 'home' / 'state');"
            "print(os.stat(f'/proc/{server.postmaster_pid}').st_uid); server.stop()"
        )
        done = subprocess.run([sys.executable, "-c", script, str(state)], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert str(nobody.pw_uid) in done.stdout.split("\n")
