"""The kinds of faults: what each does to the world, how often it comes, and what no two at once may strike."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from tests.chaos.world import Blow, World, kill, wait

SESSION_S = 10.0
STOPPED_S = (12.0, 14.0)  # longer than a session
SHIFTS_MS = (-3_600_000, -90_000, 90_000, 600_000, 3_600_000)


class Missed(Exception):
    """There was nothing to strike."""


Act = Callable[[World, Blow], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One. `share` is how many of a hundred. `goal_s`: at most so long until the next outcome (median), where something is promised."""

    name: str
    act: Act
    share: int
    needs: frozenset[str]  # what it strikes or must find whole
    wants: str = ""  # what of the world must be there for it
    shared: bool = False  # strikes what the first line relies on
    goal_s: float | None = None
    from_begin: bool = False  # the goal counts from its beginning


def worker(world: World, blow: Blow) -> psutil.Process:
    """A worker at work; the blow begins."""
    del world
    found = blow.line.a_worker(blow.chance)
    if found is None:
        raise Missed("no worker holds anything")
    blow.line.departures.burst(blow.chance.uniform(0.2, 2.0))
    time.sleep(blow.chance.uniform(0.0, 0.3))
    try:
        process = psutil.Process(found[0])
    except psutil.NoSuchProcess as error:
        raise Missed("the worker has just ended") from error
    blow.begin(found[1])
    return process


def kill_worker(world: World, blow: Blow) -> None:
    worker(world, blow).kill()


def end_worker(world: World, blow: Blow) -> None:
    worker(world, blow).terminate()


def stop_worker(world: World, blow: Blow) -> None:
    if blow.line.workers == 1:  # somebody must be there to take over
        blow.line = world.lines[-1]
    process = worker(world, blow)
    process.suspend()
    time.sleep(blow.chance.uniform(*STOPPED_S))
    with contextlib.suppress(psutil.NoSuchProcess):
        process.resume()


def pause_worker(world: World, blow: Blow) -> None:
    """For less than a session: nobody takes over."""
    process = worker(world, blow)
    process.suspend()
    time.sleep(blow.chance.uniform(1.0, 6.0))
    with contextlib.suppress(psutil.NoSuchProcess):
        process.resume()


def shift_clock(world: World, blow: Blow) -> None:
    """A worker's clock jumps, and is set right some seconds later."""
    pid = worker(world, blow).pid
    shift = blow.chance.choice(SHIFTS_MS)
    blow.note = f"{shift / 1000:+.0f} s"
    blow.line.shift_clock(pid, shift)
    blow.line.departures.burst(0.2)
    time.sleep(blow.chance.uniform(1.0, 5.0))
    blow.line.set_clock(pid)


def kill_supervisor(world: World, blow: Blow) -> None:
    del world
    blow.line.departures.burst()
    blow.begin()
    blow.line.kill_supervisor()


NEXT_WORKERS = {1: 3, 3: 2, 2: 3}


def scale(world: World, blow: Blow) -> None:
    """End all workers in order and start another number of them."""
    del world
    before = blow.line.workers
    after = NEXT_WORKERS[before]
    blow.note = f"{before} -> {after}"
    blow.line.departures.burst()
    blow.begin()
    code = blow.line.stop()
    blow.mark()
    if code:
        blow.note += f" (ended with {code})"
    blow.line.start(after)


def kill_broker(world: World, blow: Blow) -> None:
    blow.line.departures.burst()
    time.sleep(blow.chance.uniform(0.0, 0.2))
    blow.begin()
    kill(world.part("kafka"))
    world.up("kafka")


def restart_broker(world: World, blow: Blow) -> None:
    blow.line.departures.burst()
    blow.begin()
    world.stack.local.down(["kafka"])
    world.up("kafka")


def fill_broker_disk(world: World, blow: Blow) -> None:
    """Its disk is full until the broker gives up, or for ten seconds."""
    assert world.broker_disk is not None
    blow.begin()
    with world.broker_disk.full():
        blow.line.departures.burst(2.0)
        gave_up = wait(lambda: world.process("kafka") is None, 10)
    if not gave_up:
        blow.note = "it stayed up, and was killed"
        kill(world.part("kafka"))
    blow.mark()
    world.up("kafka")


def fill_worker_disk(world: World, blow: Blow) -> None:
    """The workers' folder is full, and one of them is killed meanwhile."""
    assert world.worker_disk is not None
    process = worker(world, blow)
    with world.worker_disk.full():
        blow.line.departures.burst(0.3)
        time.sleep(1.0)
        blow.mark()
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
        time.sleep(blow.chance.uniform(1.0, 4.0))


def kill_redis(world: World, blow: Blow) -> None:
    blow.line.departures.burst()
    blow.begin()
    kill(world.part("redis"))
    time.sleep(blow.chance.uniform(0.0, 2.0))
    world.up("redis")


def _kill_serve(world: World, blow: Blow, title: str) -> None:
    found = world.serve_processes(title)
    if not found:
        raise Missed(f"no {title} runs")
    blow.line.departures.burst()
    time.sleep(blow.chance.uniform(0.0, 0.1))
    blow.begin()
    kill(blow.chance.choice(sorted(found, key=lambda process: process.pid)))


def kill_replica(world: World, blow: Blow) -> None:
    _kill_serve(world, blow, "ServeReplica")


def kill_controller(world: World, blow: Blow) -> None:
    _kill_serve(world, blow, "ServeController")


def kill_serve_proxy(world: World, blow: Blow) -> None:
    _kill_serve(world, blow, "ProxyActor")


def _network(world: World, blow: Blow, strike: Callable[[], None], seconds: tuple[float, float]) -> None:
    assert world.proxy is not None
    blow.line.departures.burst()
    time.sleep(blow.chance.uniform(0.0, 0.2))
    blow.begin()
    strike()
    try:
        time.sleep(blow.chance.uniform(*seconds))
    finally:
        world.proxy.heal()


def cut(world: World, blow: Blow) -> None:
    assert world.proxy is not None
    _network(world, blow, world.proxy.cut, (0.2, 4.0))


def half_close(world: World, blow: Blow) -> None:
    assert world.proxy is not None
    _network(world, blow, world.proxy.half_close, (0.1, 1.0))


def freeze(world: World, blow: Blow) -> None:
    assert world.proxy is not None
    _network(world, blow, world.proxy.freeze, (1.0, 9.0))


def delay(world: World, blow: Blow) -> None:
    assert world.proxy is not None
    late_s, proxy = blow.chance.uniform(0.05, 0.4), world.proxy
    blow.note = f"{late_s * 1000:.0f} ms"
    _network(world, blow, lambda: proxy.slow(late_s=late_s), (2.0, 6.0))


def throttle(world: World, blow: Blow) -> None:
    assert world.proxy is not None
    bytes_s, proxy = blow.chance.uniform(20_000, 200_000), world.proxy
    blow.note = f"{bytes_s / 1000:.0f} kB/s"
    _network(world, blow, lambda: proxy.slow(bytes_s=bytes_s), (2.0, 6.0))


WORKER, SUPERVISOR, BROKER, NETWORK = (frozenset({name}) for name in ("worker", "supervisor", "broker", "network"))
REDIS, SERVE, DISK = (frozenset({name}) for name in ("redis", "serve", "disk"))
WHOLE = SUPERVISOR | WORKER

KINDS = (
    Kind("worker killed (-9)", kill_worker, 26, WORKER, goal_s=2.0),
    Kind("worker ended (TERM)", end_worker, 8, WORKER),
    Kind("worker stopped past its session", stop_worker, 4, WHOLE, goal_s=SESSION_S + 2, from_begin=True),
    Kind("worker stopped for less", pause_worker, 4, WORKER),
    Kind("worker's clock jumps", shift_clock, 7, WORKER),
    Kind("supervisor killed (-9)", kill_supervisor, 4, WHOLE),
    Kind("other number of workers", scale, 3, WHOLE, shared=True),
    Kind("broker killed (-9)", kill_broker, 4, BROKER | NETWORK, shared=True, goal_s=10.0),
    Kind("broker restarted in order", restart_broker, 1, BROKER | NETWORK, shared=True, goal_s=10.0),
    Kind("broker's disk full", fill_broker_disk, 1, BROKER | NETWORK | DISK, wants="broker_disk", shared=True),
    Kind("workers' disk full", fill_worker_disk, 3, WORKER | DISK, wants="worker_disk"),
    Kind("Redis killed (-9)", kill_redis, 5, REDIS, shared=True),
    Kind("Serve replica killed (-9)", kill_replica, 7, SERVE, wants="served", shared=True),
    Kind("Serve controller killed (-9)", kill_controller, 1, SERVE, wants="served", shared=True),
    Kind("Serve proxy killed (-9)", kill_serve_proxy, 2, SERVE, wants="served", shared=True),
    Kind("network cut", cut, 6, NETWORK, wants="proxy", shared=True),
    Kind("network half closed", half_close, 5, NETWORK, wants="proxy", shared=True),
    Kind("network frozen", freeze, 3, NETWORK, wants="proxy", shared=True),
    Kind("network late", delay, 4, NETWORK, wants="proxy", shared=True),
    Kind("network narrow", throttle, 4, NETWORK, wants="proxy", shared=True),
)
