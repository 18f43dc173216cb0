"""Batches beyond one machine: fsspec addresses, a real S3 server on loopback, a real Dask cluster."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_batch import contents, picture, put, run, statuses

from mmsprep import Job, Prepared, prepare_many
from mmsprep.batch import Batch, Status, run_batch
from mmsprep.errors import NotFound, ToolError, UsageError
from mmsprep.message.folder import REPORT_NAME

fsspec = pytest.importorskip("fsspec", reason="needs the extra 'remote'")


@pytest.fixture
def memory() -> Iterator[str]:
    """An address in fsspec's memory, empty at the beginning and at the end."""
    name = f"batch-{uuid.uuid4().hex}"
    yield f"memory://{name}"
    files = fsspec.filesystem("memory")
    if files.exists(f"/{name}"):
        files.rm(f"/{name}", recursive=True)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Twelve pictures in two folders, two of them the same, and a bad one."""
    for number in range(12):
        put(tmp_path / "in" / f"sub{number % 2}" / f"{number}.png", picture(min(number, 10), size=(400, 300)))
    put(tmp_path / "in" / "bad.jpg", b"\xff\xd8\xff\xe0 no picture")
    return tmp_path / "in"


def _upload(tree: Path, address: str) -> None:
    files, root = fsspec.core.url_to_fs(address)
    for path in tree.rglob("*"):
        if path.is_file():
            files.pipe_file(f"{root}/{path.relative_to(tree).as_posix()}", path.read_bytes())


def _download(address: str) -> dict[str, bytes]:
    files, root = fsspec.core.url_to_fs(address)
    files.invalidate_cache()
    found = {str(name).lstrip("/").removeprefix(root.lstrip("/") + "/"): name for name in files.find(root)}
    return {name: files.cat_file(place) for name, place in found.items() if not name.startswith(".mmsprep/")}


def test_addresses_give_what_folders_give_and_a_second_run_does_nothing(
    tree: Path, tmp_path: Path, memory: str
) -> None:
    expected = statuses(run(tree, tmp_path / "out"))
    _upload(tree, f"{memory}/in")
    batch = Batch(source=f"{memory}/in", target=f"{memory}/out")
    assert statuses(list(run_batch(batch, executor="serial"))) == expected
    assert _download(f"{memory}/out") == contents(tmp_path / "out")
    again = Counter(outcome.status for outcome in run_batch(batch, executor="serial"))
    assert again == {Status.UNCHANGED: 12, Status.FAILED: 1}
    fsspec.filesystem("memory").rm(f"{memory.removeprefix('memory:/')}/out/sub0/0.jpg")
    again = Counter(outcome.status for outcome in run_batch(batch, executor="serial"))
    assert again == {Status.UNCHANGED: 11, Status.PREPARED: 1, Status.FAILED: 1}
    assert _download(f"{memory}/out") == contents(tmp_path / "out")


def test_messages_at_an_address_end_with_their_report(tree: Path, tmp_path: Path, memory: str) -> None:
    run(tree, tmp_path / "out", each="folder", on_error="skip")
    batch = Batch(source=str(tree), target=memory, each="folder", on_error="skip")
    list(run_batch(batch, executor="serial"))
    assert _download(memory) == contents(tmp_path / "out")
    assert {name for name in _download(memory) if name.endswith(REPORT_NAME)} == {
        "sub0/message.json",
        "sub1/message.json",
    }


def test_an_address_that_leads_nowhere_or_tells_a_secret_is_refused(tmp_path: Path, memory: str) -> None:
    with pytest.raises(NotFound):
        list(run_batch(Batch(source=f"{memory}/none", target=str(tmp_path / "out")), executor="serial"))
    with pytest.raises(UsageError) as caught:
        list(run_batch(Batch(source="sftp://me:hunter2@host/x", target=str(tmp_path / "out")), executor="serial"))
    assert "hunter2" not in str(caught.value)
    with pytest.raises(UsageError):
        list(run_batch(Batch(source="nosuch://x", target=str(tmp_path / "out")), executor="serial"))


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket of a real S3 server on loopback; the environment points every S3 client to it."""
    pytest.importorskip("s3fs", reason="needs the extra 'remote'")
    server_module = pytest.importorskip("moto.server", reason="needs moto's S3 server")
    boto3 = pytest.importorskip("boto3")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            patch.setenv(key, value)
        boto3.client("s3").create_bucket(Bucket="photos")
        yield "s3://photos"
    server.stop()


@pytest.mark.slow
def test_processes_work_from_s3_to_s3_without_a_shared_disk(tree: Path, tmp_path: Path, bucket: str) -> None:
    expected = statuses(run(tree, tmp_path / "out"))
    _upload(tree, f"{bucket}/in")
    batch = Batch(source=f"{bucket}/in", target=f"{bucket}/out")
    outcomes = list(run_batch(batch, executor="local", worker_count=2))
    # Which of two twins is made and which is copied is up to the workers.
    assert Counter(statuses(outcomes).values()) == Counter(expected.values())
    assert _download(f"{bucket}/out") == contents(tmp_path / "out")
    again = Counter(outcome.status for outcome in run_batch(batch, executor="serial"))
    assert again == {Status.UNCHANGED: 12, Status.FAILED: 1}


def test_a_result_on_s3_that_somebody_changed_is_made_again_also_where_its_size_is_the_same(
    tree: Path, tmp_path: Path, bucket: str
) -> None:
    target = f"{bucket}/changed"
    batch = Batch(source=str(tree), target=target)
    list(run_batch(batch, executor="serial"))
    made = _download(target)
    assert Counter(outcome.status for outcome in run_batch(batch, executor="serial"))[Status.UNCHANGED] == 12
    files, root = fsspec.core.url_to_fs(target)
    files.pipe_file(f"{root}/sub0/0.jpg", bytes(len(made["sub0/0.jpg"])))
    again = Counter(outcome.status for outcome in run_batch(batch, executor="serial"))
    assert again == {Status.UNCHANGED: 11, Status.PREPARED: 1, Status.FAILED: 1}
    assert _download(target) == made


@pytest.mark.posix("signals")
def test_a_dask_cluster_that_loses_a_worker_gives_the_same_bytes(tree: Path, tmp_path: Path, bucket: str) -> None:
    distributed = pytest.importorskip("distributed", reason="needs the extra 'dask'")
    run(tree, tmp_path / "out")
    _upload(tree, f"{bucket}/dask-in")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        batch = Batch(source=f"{bucket}/dask-in", target=f"{bucket}/dask-out")
        victim = next(iter(cluster.workers.values())).pid
        outcomes = []
        for outcome in run_batch(batch, executor=address):
            outcomes.append(outcome)
            if len(outcomes) == 2:
                os.kill(victim, 9)
        assert Counter(outcome.status for outcome in outcomes)[Status.FAILED] == 1
        assert _download(f"{bucket}/dask-out") == contents(tmp_path / "out")
        jobs = [Job(attachments=((f"{number}.png", picture(number)),)) for number in range(3)]
        alone = [one.message.mime() for one in prepare_many(jobs, executor="serial") if isinstance(one, Prepared)]
        there = [one.message.mime() for one in prepare_many(jobs, executor=address) if isinstance(one, Prepared)]
        assert there == alone


def test_a_scheduler_that_does_not_answer_is_told(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="needs the extra 'dask'")
    monkeypatch.setattr("mmsprep.batch.executors._PATIENCE_S", 0.5)
    with pytest.raises(ToolError, match="no scheduler answers"):
        run(tree, tmp_path / "out", executor="dask://127.0.0.1:9")
