"""Stand-ins for time, chance and threads, and jobs that can be ended."""

from __future__ import annotations

import datetime
import json
import random
import threading
import time
import uuid
from types import ModuleType
from typing import Any

import pytest
from machine_stage import START

from twin.kernel import virtual
from twin.kernel.kernel import Kernel


@pytest.fixture
def kernel() -> Kernel:
    return Kernel(START, seed=1, region="eu-west-1", account="111122223333")


def job(kernel: Kernel, fn: Any, name: str = "job") -> virtual.Job:
    return virtual.Job(virtual.Surroundings(kernel, name), fn, name=name)


def run(kernel: Kernel, fn: Any) -> Any:
    made = job(kernel, fn)
    kernel.scheduler.run()
    return made.result


def test_within_a_job_time_is_the_worlds(kernel: Kernel) -> None:
    def code() -> Any:
        begun = virtual.time.monotonic()
        virtual.time.sleep(90)
        now = virtual.datetime.datetime.now(datetime.UTC)
        return virtual.time.time(), virtual.time.monotonic() - begun, now, virtual.time.gmtime()[:5]

    epoch, passed, now, civil = run(kernel, code)
    assert (epoch, passed) == (START.timestamp() + 90, 90)
    assert now == START + datetime.timedelta(seconds=90)
    assert civil == (2026, 3, 1, 12, 1)


def test_outside_of_jobs_everything_is_real(kernel: Kernel) -> None:
    assert abs(virtual.time.time() - time.time()) < 60
    assert virtual.datetime.datetime.now(datetime.UTC) > START - datetime.timedelta(days=3650)
    assert isinstance(virtual.threading.Event(), threading.Event)
    assert isinstance(virtual.threading.Thread(target=print), threading.Thread)
    assert virtual.uuid.uuid4() != virtual.uuid.uuid4()


def test_in_the_worlds_own_code_everything_is_real_again(kernel: Kernel) -> None:
    def code() -> Any:
        with virtual.outside():
            kernel.scheduler.sleep(5)
            real = virtual.present() is None
        return real, virtual.present() is not None

    assert run(kernel, code) == (True, True)


def test_naive_local_time_is_utc_on_any_machine(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        naive = run(kernel, virtual.datetime.datetime.now)
        assert naive.isoformat() == "2026-03-01T12:00:00"
        assert naive.timestamp() == START.timestamp()
        assert naive.astimezone() == START
        assert run(kernel, lambda: virtual.time.localtime()[3]) == 12
    finally:
        monkeypatch.undo()
        time.tzset()


def test_datetimes_are_plain_datetimes() -> None:
    made = virtual.datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    assert type(made) is datetime.datetime
    assert isinstance(made, virtual.datetime.datetime)
    parsed = virtual.datetime.datetime.fromisoformat("2026-01-02T00:00:00+00:00")
    assert type(parsed) is datetime.datetime
    assert parsed == made


def test_chance_is_seeded_by_job(kernel: Kernel) -> None:
    other = Kernel(START, seed=1, region="eu-west-1", account="111122223333")

    def draw() -> list[Any]:
        return [str(virtual.uuid.uuid4()), virtual.random.random(), virtual.random.choice([1, 2, 3])]

    assert json.dumps(run(kernel, draw)) == json.dumps(run(other, draw))


def test_threads_are_jobs_that_wait_for_each_other(kernel: Kernel) -> None:
    log: list[str] = []

    def code() -> None:
        event = virtual.threading.Event()

        def worker(name: str) -> None:
            virtual.time.sleep(10)
            log.append(name)
            event.set()

        thread = virtual.threading.Thread(target=worker, args=("worked",), daemon=True)
        thread.start()
        log.append(f"alive {thread.is_alive()} {event.wait(3)}")
        thread.join()
        log.append(f"joined at {kernel.clock.elapsed:g}")

    run(kernel, code)
    assert log == ["alive True False", "worked", "joined at 10"]


def test_a_job_that_is_ended_unwinds_with_all_that_it_started(kernel: Kernel) -> None:
    log: list[str] = []

    def child() -> None:
        try:
            virtual.time.sleep(1000)
        except Exception:  # noqa: BLE001 - must not hold the end
            log.append("held")
        finally:
            log.append("child unwound")

    def parent() -> None:
        try:
            virtual.threading.Thread(target=child).start()
            virtual.threading.Event().wait()
        finally:
            log.append("parent unwound")

    made = job(kernel, parent)
    kernel.scheduler.call_later(5, made.end, name="end")
    kernel.scheduler.run()
    assert sorted(log) == ["child unwound", "parent unwound"]
    assert made.ended
    assert kernel.clock.elapsed == 5


def test_a_job_that_returns_ends_what_it_left_running(kernel: Kernel) -> None:
    run(kernel, lambda: virtual.threading.Thread(target=lambda: virtual.time.sleep(1000)).start())
    assert kernel.clock.elapsed == 0


def test_a_job_can_be_ended_before_it_began(kernel: Kernel) -> None:
    made = job(kernel, lambda: pytest.fail("it ran"))
    made.end()
    kernel.scheduler.run()
    assert made.done


def test_stand_ins_replace_by_identity_and_can_be_taken_back() -> None:
    module = ModuleType("some")
    module.__dict__.update(
        time=time, sleep=time.sleep, D=datetime.datetime, uuid4=uuid.uuid4, r=random, other=len, threading=threading
    )
    before = dict(vars(module))
    undo = virtual.stand_in(module)
    changed = {name for name, value in vars(module).items() if before.get(name) is not value}
    assert changed == {"time", "sleep", "D", "uuid4", "r"}
    undo.close()
    assert vars(module) == before


def test_worlds_follow_one_another(kernel: Kernel) -> None:
    later = Kernel(START + datetime.timedelta(days=1), seed=1, region="eu-west-1", account="111122223333")
    first = run(kernel, virtual.time.time)
    second = run(later, virtual.time.time)
    assert second - first == 86_400
    assert virtual.present() is None


def test_a_world_that_is_left_takes_its_open_jobs_along(kernel: Kernel) -> None:
    log: list[str] = []

    def waits(name: str) -> None:
        try:
            virtual.time.sleep(1000)
        finally:
            log.append(f"{name} {virtual.present() is not None}")
            virtual.time.sleep(1)
            log.append("not reached")

    for name in ("first", "second"):
        job(kernel, lambda name=name: waits(name))
    kernel.scheduler.run(until=10)
    unstarted = job(kernel, lambda: log.append("ran"))
    virtual.unwind_all(kernel)
    assert log == ["first True", "second True"]
    assert unstarted.ended
    assert virtual.present() is None
    kernel.scheduler.run()
    assert len(log) == 2
