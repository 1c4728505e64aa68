"""A consumer group in memory: static members, generations, cooperative rebalances."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from connectors.log import Commit, Owner
from schemas.errors import FatalError
from schemas.positions import Source


@dataclass(eq=False, slots=True)
class Member:
    """One holder of a slot. `positions` holds the owned sources, each with the next offset to fetch.

    Its owner is called in the context that the member was made in: a simulation stops the callbacks of one process and not those of others.
    """

    slot: str
    topics: tuple[str, ...]
    owner: Owner
    generation: int = -1
    positions: dict[Source, int] = field(default_factory=dict)
    ended: dict[Source, int] = field(default_factory=dict)  # the end that was told last
    paused: set[Source] = field(default_factory=set)
    coming: Sequence[Source] = ()  # its owner is being told of these
    call: asyncio.Task[None] | None = None  # its owner is being told of a rebalance
    expelled: bool = False  # the group went on without it; it learns that at its next fetch
    died_s: float | None = None  # killed: no callbacks, no heartbeats
    fault: Exception | None = None  # what ended it; raised by its next fetch
    turns: Counter[Source] = field(default_factory=Counter)  # rewinds and revocations asked for
    turned: dict[Source, int] = field(default_factory=dict)  # those that were done
    context: Context = field(default_factory=copy_context)
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # the group waits for its calls no more

    async def told(self, call: Coroutine[None, None, None]) -> None:
        """Run a call of the owner; what it raises ends the member, not the group."""
        if self.died_s is not None or self.fault is not None:
            call.close()
            return
        self.call = asyncio.create_task(self.hear(call), context=self.context)
        going = asyncio.create_task(self.gone.wait())
        await asyncio.wait([self.call, going], return_when=asyncio.FIRST_COMPLETED)
        going.cancel()

    async def hear(self, call: Coroutine[None, None, None]) -> None:
        """Run a call of the owner to its end, whatever the group does meanwhile."""
        try:
            await call
        except Exception as error:  # whatever it is, its next fetch raises it
            self.fault = error
        finally:
            self.call = None

    async def revoke(self, sources: Sequence[Source]) -> None:
        """Tell the owner that these go, then let go of them."""
        self.turns.update(sources)
        await self.owner.revoked(sources)
        self._forget(sources)

    async def assign(self, sources: Sequence[Source]) -> None:
        """Tell the owner what came, and start where it says."""
        self.coming = sources
        starts = await self.owner.assigned(sources)
        self.coming = ()
        if missing := [str(source) for source in sources if source not in starts]:
            raise FatalError(f"no start offset was given for {', '.join(missing)}")
        self.positions.update((source, starts[source]) for source in sources)

    async def lose(self) -> None:
        """Tell the owner that all is gone already."""
        sources = list(self.positions)
        self.turns.update(sources)
        self._forget(sources)
        await self.owner.lost(sources)

    def _forget(self, sources: Sequence[Source]) -> None:
        for source in sources:
            self.positions.pop(source, None)
            self.ended.pop(source, None)
            self.turned[source] = self.turns[source]
        self.paused.difference_update(sources)


class Group:
    """Members by slot. Every rebalance runs in one task and calls the members' owners, moved partitions only."""

    def __init__(
        self,
        name: str,
        sources: Callable[[Sequence[str]], list[Source]],
        clock: Callable[[], float],
        session_timeout_s: float,
        tell: Callable[[], None],
    ) -> None:
        self.name = name
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.assignment: dict[str, list[Source]] = {}
        self.offsets: dict[Source, Commit] = {}
        self._sources = sources
        self._clock = clock
        self._session_timeout_s = session_timeout_s
        self._tell_all = tell
        self._returned: list[Member] = []
        self._asked = False
        self._wanted: Mapping[str, Sequence[Source]] | None = None
        self._task: asyncio.Task[None] | None = None
        self._context = copy_context()

    def join(self, member: Member) -> None:
        """Let a member in. A slot that comes back takes its partitions over without a rebalance; its older holder is fenced.

        One that comes back with other topics is another member (see KafkaSettings.member): the older one keeps its partitions until its
        session ends.
        """
        self.expire_dead()
        before = self.members.get(member.slot)
        if before is not None and before.topics != member.topics:
            before.slot = f"{member.slot} before generation {self.generation}"
            self.members[before.slot], self.assignment[before.slot] = before, self.assignment[member.slot]
            before = None
        self.members[member.slot] = member
        if before is None:
            self.assignment[member.slot] = []
            self.rebalance()
            return
        before.fault = FatalError(f"another process holds slot {member.slot}: this one is fenced")
        before.gone.set()
        self._returned.append(member)
        self._wake()

    def leave(self, member: Member) -> None:
        """Take a member out; the others get its partitions."""
        if self.members.get(member.slot) is member:
            self._remove(member.slot)

    def expire(self, slot: str) -> None:
        """End a member's session as if it had not been heard of: it may still run, and learns at its next fetch that it lost all."""
        self.members[slot].expelled = True
        self._remove(slot)

    def expire_dead(self) -> None:
        """End the sessions of members that were killed longer than the session timeout ago."""
        now_s = self._clock()
        for slot, member in list(self.members.items()):
            if member.died_s is not None and now_s - member.died_s > self._session_timeout_s:
                self.expire(slot)

    def owns(self, member: Member, generation: int) -> bool:
        """Whether the broker takes offsets that this member sends as of that generation. It does not look at whose the partitions are."""
        return self.members.get(member.slot) is member and generation == self.generation

    def rebalance(self, wanted: Mapping[str, Sequence[Source]] | None = None) -> None:
        """Start a new generation, balanced or with the partitions as `wanted` by slot; owners hear of it soon."""
        self._asked, self._wanted = True, wanted
        self._wake()

    async def settled(self) -> None:
        """Wait until no rebalance is under way."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    def _remove(self, slot: str) -> None:
        self.members[slot].gone.set()
        del self.members[slot], self.assignment[slot]
        self.rebalance()

    def _wake(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), context=self._context)

    async def _run(self) -> None:
        while self._returned or self._asked:
            if self._returned:
                member = self._returned.pop(0)
                if self.members.get(member.slot) is member:
                    await self._tell([(member, member.assign, self.assignment[member.slot])])
            else:
                self._asked = False
                await self._move(self._wanted or self._balanced())

    async def _move(self, targets: Mapping[str, Sequence[Source]]) -> None:
        """Revoke what moves, then assign it: two generations, or one if nothing moves."""
        self.generation += 1
        members = [self.members[slot] for slot in sorted(self.members)]
        going = {member.slot: [s for s in self.assignment[member.slot] if s not in targets.get(member.slot, ())] for member in members}
        await self._tell([(member, member.revoke, going[member.slot]) for member in members if going[member.slot]])
        if any(going.values()):
            self.generation += 1
        for slot in self.members:  # also one that was killed meanwhile and has come back: it gets no more than its slot was left
            self.assignment[slot] = list(targets.get(slot, ()))
        members = [member for member in members if self.members.get(member.slot) is member]
        await self._tell([(m, m.assign, [s for s in self.assignment[m.slot] if s not in m.positions]) for m in members])

    async def _tell(self, calls: Sequence[tuple[Member, Callable[[Sequence[Source]], Coroutine[None, None, None]], list[Source]]]) -> None:
        for member, _, _ in calls:
            member.generation = self.generation
        await asyncio.gather(*(member.told(act(sources)) for member, act, sources in calls))
        self._tell_all()

    def _balanced(self) -> dict[str, list[Source]]:
        """Every source to one member, counts differing by one at most, moving as few as can be."""
        sources = self._sources(sorted({topic for member in self.members.values() for topic in member.topics}))
        if not self.members:
            return {}
        most = -(-len(sources) // len(self.members))
        spare = len(sources) - (most - 1) * len(self.members)  # so many members may have `most`
        targets: dict[str, list[Source]] = {}
        for slot in sorted(self.members, key=lambda slot: (-len(self.assignment[slot]), slot)):
            held = [source for source in self.assignment[slot] if source in sources]
            quota = most if spare > 0 else most - 1
            targets[slot] = held[:quota]
            spare -= quota == most
        free = [source for source in sources if not any(source in held for held in targets.values())]
        for source in free:
            least = min(sorted(targets), key=lambda slot: len(targets[slot]))
            targets[least].append(source)
        return targets
