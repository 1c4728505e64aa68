"""The daily commands' logic on a real broker, with a lane at work in this process."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from connectors.kafka.admin import KafkaAdmin, Topic
from connectors.kafka.log import KafkaLog
from connectors.kafka.publisher import KafkaPublisher
from connectors.kafka.reader import KafkaReader
from connectors.kafka.settings import KafkaSettings
from connectors.log import Headers, Outgoing
from ops.audit.subject import Subject
from ops.audit.verify import Verification
from ops.daily.desk import Desk
from ops.daily.explain import explain
from ops.daily.letters import described, generations, letter_at, letters
from ops.daily.redrive import REFUSED, STARTED, SUPERSEDED, WAITING, redrive
from ops.daily.results import as_json, read
from ops.daily.reviews import chosen, decide, decided_now, must_set, open_reviews
from processors.flow.compiled import Flow, Topics
from schemas.decision import Action
from schemas.errors import UsageError
from schemas.positions import Position
from schemas.vocabulary import Verdict
from streams.clock import SystemClock
from streams.lane import Lane
from streams.ledger.key import LogKey
from streams.ledger.signer import Signer
from streams.parts import Bounds, LaneParts
from streams.watch import NoWatch
from tests.simulation.small import PARTITIONS, running, small_flow
from tests.stack import TestStack


def asked(n: int, attempt: int) -> Verdict | None:
    """Numbers from 100 on are for a person."""
    del attempt
    return Verdict.REVIEW if n >= 100 else None


def named_flow(name: str) -> Flow:
    """The small flow under topics of its own."""
    names = {
        word: f"{name}.{word}"
        for word in ("input", "result", "dead_letters", "quarantine", "reviews", "resume", "generations", "ledger", "checkpoints")
    }
    flow = small_flow(asked, name=name, topics=Topics(retries=(f"{name}.retry.a", f"{name}.retry.b"), **names))
    return replace(flow, limits=replace(flow.limits, redrives=2))


class Shop:
    """A desk over the real broker, and lanes that serve it."""

    def __init__(self, kafka: KafkaSettings) -> None:
        name = f"f{uuid4().hex[:8]}"
        self.kafka, self.flow, self.key = kafka, named_flow(name), LogKey.generate()
        self.reader, self.publisher = KafkaReader(kafka), KafkaPublisher(kafka)
        subject = Subject(name, self.flow.topics, "weft", (self.key.verifier(name).public,))
        self.desk = Desk((self.flow,), self.reader, self.publisher, subject, _number, _line)

    def lane(self) -> Lane:
        flow, log = self.flow, KafkaLog(self.kafka, self.flow.name, f"{self.flow.name}-0")
        signer = Signer(self.publisher, flow.topics.checkpoints, self.key, SystemClock())
        bounds = Bounds(poll_s=0.05, expiry_s=0.2)
        return Lane(LaneParts(log, self.reader, self.publisher, (flow,), "weft", SystemClock(), signer, NoWatch(), bounds=bounds))

    async def send(self, *values: str) -> None:
        for partition, value in enumerate(values):
            raw = value.encode()
            headers: list[tuple[str, bytes | None]] = [("ce_id", f"id-{value}".encode()), ("note", b"kept")]
            await self.publisher.publish(Outgoing(self.flow.topics.input, [raw], [raw], [headers], partition=partition % PARTITIONS))

    async def letters(self) -> int:
        return len([letter async for letter in letters(self.desk)])

    async def reviews(self) -> int:
        return len(await open_reviews(self.desk))

    async def results(self) -> int:
        return len([row async for row in read(self.desk, "start", None, False)])

    async def generation(self, root: Position) -> int:
        return (await generations(self.desk)).get(root, 0)

    async def proven(self) -> None:
        report = await Verification(self.reader, self.desk.subject).run()
        assert report.proven, report.findings


def _number(value: bytes, headers: Headers = ()) -> Mapping[str, Any]:
    return {"n": int(value)}


def _line(value: bytes, headers: Headers = ()) -> Mapping[str, Any]:
    return dict(json.loads(value))


async def eventually(ask: Callable[[], Awaitable[Any]], wanted: object) -> None:
    """A commit is answered before its markers are on every partition."""
    async with asyncio.timeout(20):
        while await ask() != wanted:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def opened(stack: TestStack) -> AsyncIterator[Shop]:
    shop = Shop(KafkaSettings(stack.bootstrap))
    topics = shop.flow.topics
    counted = {topics.checkpoints: 1}
    names = (topics.input, topics.result, topics.dead_letters, topics.quarantine, topics.reviews, topics.resume, *topics.retries,
             topics.generations, topics.ledger, topics.checkpoints)  # fmt: skip
    await KafkaAdmin(shop.kafka).create([Topic(name, counted.get(name, PARTITIONS)) for name in names])
    try:
        yield shop
    finally:
        await shop.publisher.close()
        await shop.reader.close()


async def test_a_dead_letter_is_redriven_once_a_generation_and_within_its_limit(stack: TestStack) -> None:
    async with opened(stack) as shop:
        await shop.send("1", "x", "2", "-5")
        async with running(shop.lane()):
            await eventually(shop.letters, 2)
            found = {letter.reason: letter async for letter in letters(shop.desk)}
            assert {reason: letter.step for reason, letter in found.items()} == {"wrong-type": "numbers", "encode-failed": "result"}
            bad = found["wrong-type"]
            assert (await letter_at(shop.desk, str(bad.root))).row.position == bad.row.position
            told = described(shop.desk, bad)
            assert (told["key"], told["headers"]["note"], told["value"]) == ("x", "kept", None)
            first, twin = await redrive(shop.desk, [bad, bad])
            assert [first.outcome, twin.outcome] == [STARTED, SUPERSEDED]
            assert first.leaf is not None
            assert (first.leaf.generation, first.leaf.verdict) == (1, "dead-letter")
            await eventually(lambda: shop.generation(bad.root), 1)
            await eventually(shop.letters, 3)
            (late,) = await redrive(shop.desk, [bad])
            assert late.outcome == SUPERSEDED
            newest = await letter_at(shop.desk, str(bad.root))
            assert newest.generation == 1
            assert dict(newest.row.headers)["note"] == b"kept"
            (second,) = await redrive(shop.desk, [newest])
            assert second.outcome == STARTED
            await eventually(shop.letters, 4)
            (third,) = await redrive(shop.desk, [await letter_at(shop.desk, str(bad.root))])
            assert third.outcome == REFUSED
            assert "limits.redrives" in third.sentence
        await shop.proven()
        explained = await explain(shop.desk, str(bad.root))
        passes = explained["events"][0]["passes"]
        ends = [(one["generation"], one["verdict"], one["cause"]["kind"]) for one in passes if one["verdict"] != "superseded"]
        assert ends == [(0, "dead-letter", "event"), (1, "dead-letter", "redrive"), (2, "dead-letter", "redrive")]
        assert passes[0]["why"] == "not a number"
        assert passes[0]["outcome"]["position"] == str(bad.row.position)
        assert all(one["proof"]["signed_at_size"] for one in passes)


async def test_what_no_worker_takes_in_waits_and_is_said(stack: TestStack) -> None:
    async with opened(stack) as shop:
        await shop.send("x")
        async with running(shop.lane()):
            await eventually(shop.letters, 1)
        (letter,) = [letter async for letter in letters(shop.desk)]
        (told,) = await redrive(shop.desk, [letter], timeout_s=0.3)
        assert told.outcome == WAITING
        assert f"{shop.flow.topics.resume}/0/0" in told.sentence


async def test_a_review_is_decided_once_and_an_unfit_decision_is_not_sent(stack: TestStack) -> None:
    async with opened(stack) as shop:
        await shop.send("100", "200", "3")
        async with running(shop.lane()):
            await eventually(shop.reviews, 2)
            reviews = await open_reviews(shop.desk)
            assert {review.waits.event_id for review in reviews} == {"e100", "e200"}
            one, two = chosen(reviews, "e100", "f"), chosen(reviews, "e200", "f")
            assert chosen(reviews, one.id[:10], "f") == one
            assert dict(must_set(shop.desk, one)) == {"rule": "string"}
            with pytest.raises(UsageError, match="does not give other"):
                await decide(shop.desk, [one], decided_now(Action.APPROVE, "ann", "why", {"other": 1}))
            (approved,) = await decide(shop.desk, [one], decided_now(Action.APPROVE, "ann", "known", {"rule": "by hand"}))
            assert (approved.superseded, approved.leaf and approved.leaf.verdict) == (False, "result")
            (late,) = await decide(shop.desk, [one], decided_now(Action.REJECT, "bob", "no", {}))
            assert late.superseded
            (rejected,) = await decide(shop.desk, [two], decided_now(Action.REJECT, "bob", "not ours", {}))
            assert rejected.leaf is not None
            assert (rejected.leaf.verdict, rejected.leaf.reason) == ("quarantine", "rejected")
            await eventually(shop.reviews, 0)
        await shop.proven()
        event = (await explain(shop.desk, "e100"))["events"][0]
        assert (event["ended"], event["input"]["value"]) == ("result", {"n": 100})
        causes = [(one["verdict"], one["cause"].get("who"), one["cause"].get("why")) for one in event["passes"]]
        assert causes == [("review", None, None), ("result", "ann", "known")]
        results = [as_json(shop.desk, row) async for row in read(shop.desk, "start", None, False)]
        assert {result["event"]: result["value"]["rule"] for result in results} == {"e3": None, "e100": "by hand"}
        assert (await explain(shop.desk, results[0]["at"]))["events"][0]["event"] == results[0]["event"]


async def test_results_are_the_newest_or_from_a_place_on_or_still_to_come(stack: TestStack) -> None:
    async with opened(stack) as shop, running(shop.lane()):
        await shop.send(*map(str, range(20, 50)))
        await eventually(shop.results, 30)

        async def ids(begin: str, limit: int | None) -> list[str]:
            return [as_json(shop.desk, row)["event"] async for row in read(shop.desk, begin, limit, False)]

        assert len(await ids("", 7)) == 7
        assert sorted(await ids("start", None)) == sorted(f"e{n}" for n in range(20, 50))
        assert len(await ids("start", 4)) == 4
        assert await ids("end", None) == []
        following = aiter(read(shop.desk, "end", 2, True))
        coming = asyncio.ensure_future(anext(following))
        numbers = itertools.count(61)
        async with asyncio.timeout(20):
            while not coming.done():  # the reader may not stand at the end yet: what came before that is none of its own
                await shop.send(str(next(numbers)))
                await asyncio.sleep(0.2)
        assert as_json(shop.desk, await coming)["event"] in {f"e{n}" for n in range(61, next(numbers))}
        with pytest.raises(UsageError, match="no place"):
            await ids("nowhere/0/0", 1)
