"""Where the shards of a run are worked on: processes of this machine, a SLURM queue, or a Dask cluster that runs."""

from cryoprior.executors.choosing import EXECUTORS, parse_executor
from cryoprior.executors.contract import Executor
from cryoprior.executors.spreading import spread
from cryoprior.executors.tasks import Task

__all__ = ["EXECUTORS", "Executor", "Task", "parse_executor", "spread"]
