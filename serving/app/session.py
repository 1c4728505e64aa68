"""Our processes: whoever is of this session. Ray's workers overwrite their command line and environment, the session id stays."""

import contextlib
import os

import psutil


def members(leader: int) -> list[psutil.Process]:
    """Every process of the session that the leader began, the leader and this one left out."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if process.pid not in (leader, os.getpid()) and os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end_others(wait_s: float = 2.0) -> None:
    """End everything else of this process's own session, if it leads one."""
    leader = os.getsid(0)
    if leader == os.getpid():
        end(leader, wait_s)


def end(leader: int, wait_s: float = 2.0) -> None:
    """End every process of a session but its leader: asked, then killed; again until nothing is left."""
    for kill in (False, True, True, True):
        left = members(leader)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill() if kill else process.terminate()
        psutil.wait_procs(left, timeout=wait_s)
        if not left:
            return
