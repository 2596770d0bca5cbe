"""The account that Postgres runs under: it refuses to run as root."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PROCESSES = Path("/proc/self")
"""Where the system tells about its processes; Linux has it, others may not."""

PROCESSES_IN = 'for process in /proc/[0-9]*; do [ "$process/cwd" -ef "$1" ] && echo "${process#/proc/}"; done'
UNPRIVILEGED = ("postgres", "nobody")


class AccountMissing(Exception):
    """Postgres does not run as root, and there is no account to run it under (postgres, nobody)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account of this machine."""

    user_id: int
    group_id: int

    @property
    def is_ours(self) -> bool:
        """Whether this process runs under it already."""
        return self.user_id == os.geteuid()

    def run(self, *command: str | Path) -> "subprocess.CompletedProcess[str]":
        """Run ``command`` under the account, away from our environment and our terminal."""
        dropped = {} if self.is_ours else {"user": self.user_id, "group": self.group_id, "extra_groups": ()}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(part) for part in command],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            **dropped,  # type: ignore[call-overload]
        )
        return done

    def can_enter(self, folder: Path) -> bool:
        """Whether the account can reach what lies in ``folder``."""
        return self.is_ours or self.run("/bin/sh", "-c", 'cd "$1"', "sh", folder).returncode == 0

    def can_run(self, program: Path) -> bool:
        """Whether the account can start ``program`` and finds what it needs."""
        return self.run("/bin/sh", "-c", 'exec "$1" --version', "sh", program).returncode == 0

    def processes_in(self, folder: Path) -> set[int]:
        """Return the account's processes that work in ``folder``.

        Asked under the account itself: in a container, root may not look at the processes of others.
        """
        said = self.run("/bin/sh", "-c", PROCESSES_IN, "sh", folder).stdout
        return {int(pid) for pid in said.split()}

    def works_in(self, pid: int, folder: Path) -> bool:
        """Whether process ``pid`` works in ``folder``; where the system does not tell, being alive has to do."""
        if PROCESSES.exists():
            return pid in self.processes_in(folder)
        return self.run("/bin/sh", "-c", 'kill -0 "$1"', "sh", str(pid)).returncode == 0

    def own(self, path: Path) -> None:
        """Hand ``path`` over to the account."""
        if not self.is_ours:
            os.chown(path, self.user_id, self.group_id)


def unprivileged_account() -> Account:
    """Return our own account, or one that is not root where we are root; raise `AccountMissing`."""
    if os.geteuid() != 0:
        return Account(user_id=os.geteuid(), group_id=os.getegid())
    for name in UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(user_id=entry.pw_uid, group_id=entry.pw_gid)
    raise AccountMissing(AccountMissing.__doc__)


def is_zombie(pid: int | None) -> bool:
    """Whether the process is dead and only waits for its parent to notice."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"


def copy_once(source: Path, target: Path) -> Path:
    """Copy ``source`` to ``target``, whole or not at all, readable by all, unless it is there; return ``target``."""
    if not target.exists():
        growing = target.with_name(f"{target.name}.new")
        shutil.rmtree(growing, ignore_errors=True)
        shutil.copytree(source, growing, symlinks=True)
        for path in (growing, *growing.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o055 if path.stat().st_mode & 0o100 else 0o044))
        growing.rename(target)
    return target


def make_passable(folder: Path) -> None:
    """Make ``folder`` and its missing parents, so that others can pass through but not look around."""
    if not folder.exists():
        make_passable(folder.parent)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
