"""Many jobs, trees and manifests: order, resume, progress; above the pipeline, which does the work of one job.

    listing ─▶ ledger (is it done?) ─▶ flow ─▶ executors ─▶ work (pipeline.run, write by rename) ─▶ ledger ─▶ outcome

Comes in: jobs, or a folder and what to make of it. Goes out: outcomes in input order. Never: a decision about
a file, and no original is touched.
"""

from __future__ import annotations

from mmsprep.batch.many import prepare_many
from mmsprep.batch.outcome import Failed, ItemOutcome, Outcome, Prepared, Status
from mmsprep.batch.tree import Batch, run_batch

__all__ = ["Batch", "Failed", "ItemOutcome", "Outcome", "Prepared", "Status", "prepare_many", "run_batch"]
