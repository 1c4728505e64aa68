"""The broker's jars: fetched by the coordinates in kafka.lock and checked against its digests.

`python -m ops.stack.jars` resolves the coordinates below anew and writes the lock.
"""

import hashlib
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from ops.stack.alone import alone
from ops.stack.part import Progress
from schemas.errors import StackError, UnreachableError

LOCK = Path(__file__).with_name("kafka.lock")
KAFKA = "org.apache.kafka:kafka_2.13:4.1.2"
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3"  # resolved in a call of its own: its BOM would pull kafka-clients down
HEADER = f"# group:artifact:version sha256 of each jar that runs {KAFKA}; written by `python -m ops.stack.jars`\n"
FETCHES = 6
DOWNLOADING = "download-"  # folders beside the jars
TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Jar:
    """A jar by its coordinates, and the SHA-256 that it must have."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def coordinates(self) -> str:
        """group:artifact:version."""
        return f"{self.group}:{self.artifact}:{self.version}"

    @property
    def file_name(self) -> str:
        """Its file's name."""
        return f"{self.artifact}-{self.version}.jar"


def locked(lock: Path = LOCK) -> list[Jar]:
    """The jars of the lock."""
    lines = [line.replace(":", " ").split() for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    return [Jar(group, artifact, version, sha256) for group, artifact, version, sha256 in lines]


def folder_of(cache: Path, lock: Path = LOCK) -> Path:
    """Where the jars of this lock are kept."""
    return cache / "kafka" / _sha256(lock)[:16]


def missing(cache: Path, lock: Path = LOCK) -> list[Jar]:
    """The jars that are not there, or are not what the lock says."""
    folder = folder_of(cache, lock)
    return [jar for jar in locked(lock) if not _right(folder / jar.file_name, jar)]


def fetch(cache: Path, progress: Progress, lock: Path = LOCK) -> Path:
    """The folder with all jars, each checked; what is missing is downloaded first.

    Raises:
        UnreachableError: a jar can't be downloaded.
        StackError: a downloaded jar is not the one that the lock names.
    """
    folder = folder_of(cache, lock)
    if not missing(cache, lock):  # then nothing is written: the folder may be read-only
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "Set WEFT_CACHE to a folder that can be written to, or that was filled elsewhere."
        raise StackError(f"The broker's jars can't be kept in {folder}: {error.strerror}.", hint) from error
    with alone(folder.with_suffix(".lock")):  # two stacks must not fetch into one folder at once
        for left in folder.glob(f"{DOWNLOADING}*"):  # by a fetch that was killed
            shutil.rmtree(left, ignore_errors=True)
        wanted = missing(cache, lock)
        total = len(locked(lock))
        if wanted:
            progress("fetching the broker's jars", total - len(wanted), total)
            with tempfile.TemporaryDirectory(dir=folder, prefix=DOWNLOADING) as download, ThreadPoolExecutor(FETCHES) as pool:
                fetches = [pool.submit(_fetch, jar, folder, Path(download)) for jar in wanted]
                for done, future in enumerate(as_completed(fetches), start=total - len(wanted) + 1):
                    future.result()
                    progress("fetching the broker's jars", done, total)
    return folder


def _fetch(jar: Jar, folder: Path, download: Path) -> None:
    from jgo.maven import MavenContext  # costs a quarter of a second, and is seldom needed

    context = MavenContext(repo_cache=download, timeout=TIMEOUT_S)
    try:
        path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
        hint = "Connect to the network for the first start, or set WEFT_CACHE to a folder that was filled elsewhere."
        raise UnreachableError(f"The jar {jar.coordinates} can't be downloaded ({type(error).__name__}).", hint) from error
    if not _right(path, jar):
        hint = "Try again; if it stays so, something between you and the repository changes files: do not use it."
        raise StackError(f"The jar {jar.coordinates} is not the one that {LOCK.name} names.", hint)
    path.replace(folder / jar.file_name)


def _right(path: Path, jar: Jar) -> bool:
    return path.is_file() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resolve() -> list[Jar]:
    """What the coordinates resolve to today, downloaded and digested."""
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as download:
        context = MavenContext(repo_cache=Path(download), timeout=TIMEOUT_S)
        jars = {}
        for coordinates in (KAFKA, LOGGING):
            named, brought = context.resolver.resolve([context.create_dependency(coordinates)])
            for dependency in (*named, *brought):
                artifact = dependency.artifact
                key = (artifact.groupId, artifact.artifactId)
                if key not in jars:
                    jars[key] = Jar(*key, artifact.version, _sha256(artifact.resolve()))
        return sorted(jars.values(), key=lambda jar: jar.coordinates)


if __name__ == "__main__":
    LOCK.write_text(HEADER + "".join(f"{jar.coordinates} {jar.sha256}\n" for jar in resolve()))
