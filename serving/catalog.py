"""The models of a project: their manifests, and their files once the digest verifies."""

import hashlib
from dataclasses import dataclass

import pydantic

from processors.flow.project import FolderProject, Project
from schemas.errors import FailedError, UsageError
from schemas.manifest import Manifest

TRAIN = "Run `weft models train`."


@dataclass(frozen=True)
class Manifests:
    """Reads `models/<name>/manifest.json` of a project: of a folder, or of what was applied."""

    project: Project

    def manifest(self, name: str) -> Manifest:
        """The model's manifest.

        Raises:
            UsageError: there is none, or it is wrong.
        """
        file = self.project.read("models", f"{name}/manifest.json")
        if file is None:
            raise UsageError(f"There is no model `{name}`.", TRAIN)
        try:
            found = Manifest.model_validate_json(file.text)
        except pydantic.ValidationError as wrong:
            first = wrong.errors(include_url=False)[0]
            raise UsageError(f"{file.path}: {'.'.join(map(str, first['loc']))}: {first['msg']}", TRAIN) from wrong
        if found.name != name:
            raise UsageError(f"{file.path} is the manifest of `{found.name}`.", f"It belongs into models/{found.name}/.")
        return found


@dataclass(frozen=True)
class Catalog(Manifests):
    """Reads `models/<name>/` of a project folder, else of what is built in."""

    project: FolderProject

    def names(self) -> list[str]:
        """Every model that has a manifest, sorted."""
        return [name.removesuffix("/manifest") for name in self.project.names("models", ".json") if name.endswith("/manifest")]

    def content(self, manifest: Manifest) -> bytes:
        """The model's file, read once and compared with its digest, so that what is checked is what is loaded.

        Raises:
            FailedError: the model is not approved, its file is missing, or another one than was approved.
        """
        approval = manifest.approval
        if not approval.approved:
            raise FailedError(f"{manifest.ident} is not approved ({approval.by}: {approval.why})", "only approved models are served")
        path = self.project.path("models", f"{manifest.name}/{manifest.file}")
        if path is None:
            raise FailedError(f"{manifest.ident} has no file {manifest.file}", TRAIN)
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != manifest.sha256:
            raise FailedError(f"{manifest.ident}: the digest of {manifest.file} is not the one in its manifest", TRAIN)
        return content

    def card(self, name: str) -> str:
        """The model's card, Markdown; empty if it has none."""
        file = self.project.read("models", f"{name}/card.md")
        return file.text if file else ""
