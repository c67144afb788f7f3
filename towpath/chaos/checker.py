"""What the invariants say of the evidence. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from towpath.chaos.books import ONE_SHOT, dead_places, name_of, out_of_balance, told_of
from towpath.chaos.evidence import Evidence, Fact, Letter, Row
from towpath.chaos.fault import BOUNDS, INVARIANTS, RECOVERY_SECONDS
from towpath.delivery.deadletters import DEAD
from towpath.records import OURS


def check(evidence: Evidence, recovery_s: float | None, *, letters: bool) -> dict[str, list[str]]:
    """Return what breaks each invariant, nothing where it holds; `letters` says whether dead letters may be left open."""
    found: dict[str, list[str]] = {name: [] for name in (*INVARIANTS, BOUNDS)}
    found["I1"] = [*lost_webhooks(evidence), *lost_orders(evidence), *lost_events(evidence), *lost_deliveries(evidence)]
    found["I2"] = list(repeated(evidence))
    found["I3"] = [*overtaken(evidence), *stale(evidence)]
    found["I4"] = list(unbalanced(evidence))
    found["I5"] = [f"dead letter {letter.row['dead_letter_id']}: {why}" for letter in evidence.letters for why in irreparable(letter)]
    found["I5"] += [f"what stands at {place} is no dead letter" for place in evidence.illegible]
    found["I6"] = list(slow(recovery_s))
    if not letters:
        found[BOUNDS] = list(good_data_refused(evidence))
    return found


def good_data_refused(evidence: Evidence) -> Iterator[str]:
    """Yield what stays parked, and what became a dead letter at any time, though it was closed since."""
    seen = {one["dead_letter_id"] for one in evidence.open_letters}
    died = {one.row["dead_letter_id"]: one.row for one in evidence.letters if one.row["state"] == DEAD and one.row["dead_letter_id"] not in seen}
    yield from map(told, [*evidence.open_letters, *died.values()])


def told(letter: Row) -> str:
    """Return what a dead letter or parked record says, in a line."""
    return f"{letter['state']}: {letter['business_key']} at {letter['connection']}: {letter['reason']}"


def lost_webhooks(evidence: Evidence) -> Iterator[str]:
    """Yield what a receiver answered 2xx and is in no inbox."""
    for connection, accepted in evidence.accepted.items():
        for one in sorted(accepted - evidence.stored[connection]):
            yield f"webhook {one} of {connection} was accepted and is not in the inbox"


def lost_orders(evidence: Evidence) -> Iterator[str]:
    """Yield the orders and shipments that one system has and the other has not, though no dead letter tells of them."""
    dead = {letter["business_key"] for letter in evidence.open_letters}
    for key in evidence.proof.missing:
        if key not in dead:
            yield f"{key} is not at the ERP"
    if evidence.proof.shipments_missing:
        yield f"{evidence.proof.shipments_missing} shipments are not at the shop as they are at the ERP"


def lost_events(evidence: Evidence) -> Iterator[str]:
    """Yield the facts that were received and are neither public nor dead."""
    dead = dead_places(evidence)
    for place in evidence.unreadable:
        if place not in dead:
            yield f"what is no event at {place} is no dead letter either"
    for fact in unpublished(evidence.received, evidence.public):
        if fact.place not in dead:
            yield f"{fact.type} of {fact.key} at {fact.place} was received and never published"


def unpublished(received: Sequence[Fact], public: Sequence[Fact]) -> Iterator[Fact]:
    """Yield what was received of a one-shot fact that is not public at all, and of a state where something else stands in public."""
    stands = _newest(public)
    for what, fact in _newest(received).items():
        known = stands.get(what)
        if known is None or (fact.type not in ONE_SHOT and known.digest != fact.digest):
            yield fact


def outdated(facts: Sequence[Fact]) -> Iterator[Fact]:
    """Yield what stands behind a newer version of the same."""
    newest: dict[tuple[str, str], tuple[int, int]] = {}
    for fact in facts:
        what = (fact.type, fact.identity)
        if fact.version < newest.setdefault(what, fact.version):
            yield fact
        newest[what] = max(newest[what], fact.version)


def _newest(facts: Sequence[Fact]) -> dict[tuple[str, str], Fact]:
    newest: dict[tuple[str, str], Fact] = {}
    for fact in facts:
        what = (fact.type, fact.identity)
        if what not in newest or fact.version >= newest[what].version:
            newest[what] = fact
    return newest


def lost_deliveries(evidence: Evidence) -> Iterator[str]:
    """Yield the deliveries of which neither a receipt nor a dead letter tells."""
    dead = dead_places(evidence)
    told = {told_of(one) for one in evidence.receipts if one["hop"] == "sink"}
    for asked in evidence.deliveries:
        if name_of(asked) not in told and asked.place not in dead:
            yield f"{asked.row['operation']} {asked.row['effect_key']} at {asked.place} has neither a receipt nor a dead letter"


def repeated(evidence: Evidence) -> Iterator[str]:
    """Yield what stands twice at a target."""
    cancelled = len(evidence.proof.cancelled_twins)
    healed = min(cancelled, evidence.twins_counted)
    if evidence.proof.duplicates > healed:
        which = f"{cancelled} orders are cancelled, {evidence.twins_counted} were told of"
        yield f"{evidence.proof.duplicates} orders, customers, shipments or mails stand twice; of these {which}"
    ids = defaultdict[tuple[str, str, str], set[str]](set)
    for receipt in evidence.receipts:
        if receipt["hop"] == "sink" and receipt["outcome"] == "applied" and receipt["external_id"]:
            ids[receipt["connection"], receipt["operation"], receipt["effect_key"]].add(receipt["external_id"])
    for (connection, operation, key), several in sorted(ids.items()):
        if len(several) > 1:
            yield f"{operation} {key} was applied at {connection} as {', '.join(sorted(several))}"


def overtaken(evidence: Evidence) -> Iterator[str]:
    """Yield the effects of which an older version was applied after a newer one."""
    versions = defaultdict[tuple[str, str, str, str], set[tuple[int, int]]](set)
    for asked in evidence.deliveries:
        versions[name_of(asked)].add(asked.version)
    reached: dict[tuple[str, str, str], tuple[int, int]] = {}
    for receipt in evidence.receipts:
        if receipt["hop"] != "sink" or receipt["outcome"] != "applied":
            continue
        effect = (receipt["connection"], receipt["operation"], receipt["effect_key"])
        known = reached.get(effect, (-1, -1))
        possible = sorted(one for one in versions[*effect, receipt["event_id"]] if one >= known)
        if versions[*effect, receipt["event_id"]] and not possible:
            yield f"{effect[1]} {effect[2]} at {effect[0]}: an older version was applied after {known}"
        elif possible:
            reached[effect] = possible[0]


def stale(evidence: Evidence) -> Iterator[str]:
    """Yield where the newest state is not what the other system shows."""
    if evidence.proof.stock_mismatches:
        yield f"{evidence.proof.stock_mismatches} products have another stock at the shop than at the ERP"
    if evidence.proof.status_mismatches:
        yield f"{evidence.proof.status_mismatches} orders have another status at the shop than at the ERP"
    if evidence.proof.total_mismatches:
        yield f"{evidence.proof.total_mismatches} orders have another total at the shop than at the ERP"


def unbalanced(evidence: Evidence) -> Iterator[str]:
    """Yield the hops whose books do not balance."""
    if evidence.proof.strays:
        yield f"{evidence.proof.strays} orders or shipments are at one system, which the other has not"
    for group, count in evidence.lag.items():
        if count:
            yield f"{group} is {count} records behind"
    yield from out_of_balance(evidence, lost=frozenset(unpublished(evidence.received, evidence.public)))
    asked = {name_of(one) for one in evidence.deliveries}
    for receipt in evidence.receipts:
        name = told_of(receipt)
        if receipt["hop"] == "sink" and receipt["outcome"] == "applied" and receipt["event_id"] and name not in asked:
            yield f"a receipt tells of {receipt['operation']} {receipt['effect_key']} at {receipt['connection']}, which nothing asked for"
    heard = {(fact.type, fact.identity) for fact in evidence.received}
    for fact in evidence.public:
        if (fact.type, fact.identity) not in heard and fact.type != "OrderChanged":
            yield f"{fact.type} of {fact.key} is public and was never received"


def irreparable(letter: Letter) -> Iterator[str]:
    """Yield why a dead letter could not be replayed or understood."""
    row, original = letter
    if original is None:
        yield f"what it holds is not at {row['topic']}[{row['partition']}] offset {row['offset']}"
    elif (original.key, original.value) != (row["key"], row["value"]):
        yield "it does not hold the record as it was"
    elif [pair for pair in original.headers if pair[0] not in OURS] != [(header["name"], header["value"]) for header in row["headers"]]:
        yield "it does not have the record's headers"
    if not row["error_class"] or not row["reason"] or not row["group"]:
        yield "it does not say what is wrong, or for whom"
    if row["attempts"] < 1 or row["first_at"] > row["last_at"]:
        yield "its attempts or times cannot be"


def slow(recovery_s: float | None) -> Iterator[str]:
    """Yield where recovery took too long."""
    if recovery_s is None:
        yield "it did not recover"
    elif recovery_s > RECOVERY_SECONDS:
        yield f"it recovered after {recovery_s:.0f} s, more than {RECOVERY_SECONDS:.0f}"
