"""A step plugin as the compiler sees it: of the shape of a built-in step; what its code does wrong is a mistake in the flow file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pydantic

from processors.flow.plan import Parts, Plan, Site
from processors.plugins.found import Plugin, told
from processors.step import Step
from schemas.errors import FlowError, WeftError

_WORDS = ("name", "when")


@dataclass(frozen=True, slots=True)
class Plugged:
    """A plugin in the place of a module of `processors.steps`."""

    plugin: Plugin

    @property
    def sentence(self) -> str:
        """What it does: the first line of its docstring."""
        return (self._module().__doc__ or "").strip().partition("\n")[0]

    @property
    def Spec(self) -> type[pydantic.BaseModel]:  # as the modules call it
        """What it may be told.

        Raises:
            FlowError: it can't be loaded, or has no Spec as a step needs it.
        """
        spec = getattr(self._module(), "Spec", None)
        if not (isinstance(spec, type) and issubclass(spec, pydantic.BaseModel)):
            raise FlowError(f"{self.plugin.origin} has no `Spec`", "class Spec(StepSpec): what the flow file tells the step.")
        if spec.model_config.get("extra") != "forbid" or not set(_WORDS) <= spec.model_fields.keys():
            raise FlowError(f"the `Spec` of {self.plugin.origin} is no StepSpec", "from processors.plugins.step import StepSpec")
        return spec

    def plan(self, spec: Any, at: Site, columns: Mapping[str, pa.DataType]) -> Plan:
        """The plugin's plan; an empty one, and a mistake, where its code fails."""
        try:
            made = self._module().plan(spec, at, columns)
        except Exception as error:  # whatever its code does
            at.mistake((), f"the plan of {self.plugin.origin} failed: {told(error)}", key=True)
            return self._nothing()
        if not isinstance(made, Plan):
            at.mistake((), f"the plan of {self.plugin.origin} is no Plan but {type(made).__name__}", key=True)
            return self._nothing()
        return replace(made, build=_guarded(self.plugin, made.build))

    def _module(self) -> Any:
        return self.plugin.module()

    def _nothing(self) -> Plan:
        return Plan(self.plugin.word, frozenset(), {}, _guarded(self.plugin, _never), complete=False)


def _never(parts: Parts) -> Step:
    raise FlowError("a step with mistakes was built")


def _guarded(plugin: Plugin, build: Callable[[Parts], Step]) -> Callable[[Parts], Step]:
    """Builds the step; a fault of its code is a sentence."""

    def made(parts: Parts) -> Step:
        try:
            return build(parts)
        except WeftError:
            raise
        except Exception as error:  # whatever its code does
            raise FlowError(f"{plugin.origin} can't be built: {told(error)}") from error

    return made
