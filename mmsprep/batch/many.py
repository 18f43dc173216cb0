"""Many jobs, one after the other as far as the caller sees, side by side as far as the workers go.

Comes in: jobs. Goes out: outcomes in the jobs' order. Never: a file written; :mod:`mmsprep.batch.tree` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING

from mmsprep.batch.executors import LOCAL, Workforce, failure_of, open_executor
from mmsprep.batch.flow import Flow, in_order
from mmsprep.batch.outcome import Failed, Outcome, Prepared
from mmsprep.errors import UsageError, a_kind_of
from mmsprep.pipeline.job import Job
from mmsprep.settings import Settings, load_settings

if TYPE_CHECKING:
    from mmsprep.message import Message


def prepare_many(
    jobs: Job | Iterable[Job],
    *,
    executor: Executor | str = LOCAL,
    worker_count: int | None = None,
    settings: Settings | None = None,
) -> Iterator[Outcome]:
    """Prepare ``jobs`` side by side; one that fails stops no other.

    ``jobs`` is one or several; it may be a generator of any length: a few are taken for each worker, and results that
    wait for an earlier one are bounded too. Nothing is written. With processes, call it below
    ``if __name__ == "__main__":``, as always with Python's process pools.

    Args:
        jobs: what to prepare. Attachments are paths or bytes; a file object or upload goes nowhere but with ``serial``.
        executor: ``"serial"``, ``"local"`` (processes of this machine), ``"dask://HOST:8786"``, or any
            ``concurrent.futures.Executor``; one of the caller's is left open.
        worker_count: how many processes ``"local"`` starts (default: one a core).
        settings: limits of the workers (default: from the environment).

    Yields:
        For each job in turn :class:`Prepared` with its message, or :class:`Failed` with its error.

    Raises:
        UsageError: there is no such executor, or ``jobs`` is neither a job nor several.
        ToolMissing, ToolError: Dask is not installed, or not reached.
    """
    settings = settings or load_settings()
    with open_executor(executor, worker_count, settings) as workforce:
        settings = workforce.settings_of_each(settings)
        if not isinstance(jobs, Iterable | Job):
            raise UsageError(f"jobs: is {a_kind_of(jobs)}; expected a Job, or several")
        given = [jobs] if isinstance(jobs, Job) else jobs
        flows = (_flow(index, job, settings, workforce) for index, job in enumerate(given))
        yield from in_order(flows, at_once=workforce.at_once, ahead=max(32, 8 * workforce.worker_count))


def _flow(index: int, job: Job, settings: Settings, workforce: Workforce) -> Flow[Outcome]:
    if not isinstance(job, Job):
        return Failed(index, job, UsageError(f"jobs: number {index + 1} is {a_kind_of(job)}; expected a Job"))
    if workforce.one_thread_each and job.has_open_files:
        problem = "a file object cannot be handed to another process; give its path, or its name and bytes"
        return Failed(index, job, UsageError(problem))
    future = workforce.executor.submit(_run, job, settings)
    yield future
    error = failure_of(future)
    return Failed(index, job, error) if error else Prepared(index, job, future.result())


def _run(job: Job, settings: Settings) -> Message:
    from mmsprep import pipeline

    return pipeline.run(job, settings=settings)
