"""A SLURM of one node on this machine, for tests: its daemons as root, munge between them, no accounting."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "munged", "mungekey")
CONFIGURATION = Path("/etc/slurm/slurm.conf")
PATIENCE_SECONDS = 30


def missing() -> str:
    """Return why no SLURM can be started here, empty where it can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)} (Debian: slurm-wlm, munge)"
    return "" if os.geteuid() == 0 else "its daemons need root"


@contextmanager
def slurm_node(state: Path) -> Iterator[None]:
    """Run a SLURM of one node, partition ``main``, until the block ends; the machine's configuration is put back."""
    before = CONFIGURATION.read_bytes() if CONFIGURATION.is_file() else None
    started: list[subprocess.Popen[bytes]] = []
    try:
        _start_munge()
        for name in ("state", "spool"):
            (state / name).mkdir(parents=True, exist_ok=True)
        CONFIGURATION.parent.mkdir(parents=True, exist_ok=True)
        CONFIGURATION.write_text(_configuration(state))
        for daemon in ("slurmctld", "slurmd"):
            with (state / f"{daemon}.out").open("wb") as log:
                started.append(subprocess.Popen([daemon, "-D"], stdout=log, stderr=log))
            time.sleep(1)
        _wait_until_idle(state)
        yield
    finally:
        with suppress(OSError):
            subprocess.run(["scancel", "--full", "--user=root"], check=False, capture_output=True, timeout=10)
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        if before is None:
            CONFIGURATION.unlink(missing_ok=True)
        else:
            CONFIGURATION.write_bytes(before)


def said(*words: str) -> str:
    """Return what a command of SLURM prints."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


def _start_munge() -> None:
    if subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0:
        return
    key = Path("/etc/munge/munge.key")
    if not key.exists():
        subprocess.run(["mungekey", "--create"], check=True, capture_output=True)
    for folder in (key.parent, Path("/run/munge"), Path("/var/log/munge"), Path("/var/lib/munge")):
        folder.mkdir(parents=True, exist_ok=True)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, "munge", "munge")
    key.chmod(0o400)
    subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True, capture_output=True)


def _configuration(state: Path) -> str:
    host = socket.gethostname().split(".")[0]
    lines = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "AuthType": "auth/munge",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "StateSaveLocation": str(state / "state"),
        "SlurmdSpoolDir": str(state / "spool"),
        "SlurmctldPidFile": str(state / "slurmctld.pid"),
        "SlurmdPidFile": str(state / "slurmd.pid"),
        "SlurmctldLogFile": str(state / "slurmctld.log"),
        "SlurmdLogFile": str(state / "slurmd.log"),
        "ReturnToService": "2",
        "JobRequeue": "1",
        "MinJobAge": "3600",
        "KillWait": "10",
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    node = f"NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN\n"
    return f"{text}{node}PartitionName=main Nodes={host} Default=YES MaxTime=60 State=UP\n"


def _wait_until_idle(state: Path) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        done = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False)
        if "idle" in done.stdout:
            return
        time.sleep(0.5)
    raise RuntimeError(f"the node did not become idle; see {state}")
