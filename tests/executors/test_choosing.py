"""Which executor a text names, and what profiles of a queue may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from cryoprior.errors import InputError
from cryoprior.executors import EXECUTORS, parse_executor
from cryoprior.executors.dask import Dask
from cryoprior.executors.processes import Processes
from cryoprior.executors.profile import SlurmProfile, read_profile
from cryoprior.executors.slurm import Slurm

PROFILE = """
partition = "gpu"
time = "1-06:30:00"
cpus = 4
gpus = 1
memory = "32G"
width = 12
setup = ["module load cuda", "source env/bin/activate"]
"""


def test_every_executor_is_chosen_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text(PROFILE)
    texts = {"processes": "processes:3", "slurm": f"slurm:{tmp_path / 'p.toml'}", "dask": "dask:tcp://head:8786"}
    assert set(texts) == set(EXECUTORS)
    assert parse_executor("local") is None
    assert parse_executor(texts["processes"]) == Processes(3)
    assert parse_executor(texts["dask"]) == Dask("tcp://head:8786")
    chosen = parse_executor(texts["slurm"])
    assert isinstance(chosen, Slurm)
    assert chosen.profile.minutes == 30 * 60 + 30
    assert (chosen.width(5), chosen.width(100), chosen.threads) == (5, 12, 4)
    assert chosen.profile.setup[0] == "module load cuda"


def test_processes_share_the_machine_and_are_no_more_than_the_shards() -> None:
    assert Processes(8).width(3) == 3
    assert Processes(10_000).threads == 1


@pytest.mark.parametrize("text", ["", "slurm", "processes", "processes:", "processes:0", "processes:two", "pbs:4"])
def test_other_texts_are_refused_in_a_line(text: str) -> None:
    with pytest.raises(InputError, match=r"executor.*expected") as refused:
        parse_executor(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("walltime = '1:00:00'", "walltime: not known; expected some of partition"),
        ("cpus = '4'", "cpus = '4'; expected a whole number"),
        ("cpus = 0", "cpus = 0; expected at least 1"),
        ("gpus = true", "gpus = True; expected a whole number"),
        ("time = '6h'", "time = '6h'; expected HH:MM:SS of two minutes or more"),
        ("time = '00:01:00'", "expected HH:MM:SS of two minutes"),
        ("setup = 'module load cuda'", "expected a list of lines"),
        ("partition = gpu", "no TOML"),
    ],
)
def test_profiles_that_are_not_understood_are_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"p.toml: .*{says}"):
        read_profile(path)


def test_a_profile_may_be_empty_but_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text("")
    assert read_profile(path) == SlurmProfile()
    with pytest.raises(InputError, match="no such profile of a queue"):
        read_profile(tmp_path / "other.toml")
