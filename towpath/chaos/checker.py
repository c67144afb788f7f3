"""What the invariants say of the evidence. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from towpath.chaos.evidence import Asked, Evidence, Fact, Letter, Place
from towpath.chaos.fault import BOUNDS, INVARIANTS, RECOVERY_SECONDS

ONE_SHOT = frozenset({"OrderPlaced", "OrderCancelled", "ShipmentConfirmed", "InvoiceIssued", "PaymentReceived", "RefundIssued"})


def check(evidence: Evidence, recovery_s: float | None, *, letters: bool) -> dict[str, list[str]]:
    """Return what breaks each invariant, nothing where it holds; `letters` says whether dead letters may be left open."""
    found: dict[str, list[str]] = {name: [] for name in (*INVARIANTS, BOUNDS)}
    found["I1"] = [*lost_webhooks(evidence), *lost_orders(evidence), *lost_events(evidence), *lost_deliveries(evidence)]
    found["I2"] = list(repeated(evidence))
    found["I3"] = [*overtaken(evidence), *stale(evidence)]
    found["I4"] = list(unbalanced(evidence))
    found["I5"] = [f"dead letter {letter.row['dead_letter_id']}: {why}" for letter in evidence.letters for why in irreparable(letter)]
    found["I6"] = list(slow(recovery_s))
    if not letters:
        found[BOUNDS] = [f"{one['state']}: {one['business_key']} at {one['connection']}: {one['reason']}" for one in evidence.open_letters]
    return found


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
    dead = _dead_places(evidence)
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


def _newest(facts: Sequence[Fact]) -> dict[tuple[str, str], Fact]:
    newest: dict[tuple[str, str], Fact] = {}
    for fact in facts:
        what = (fact.type, fact.identity)
        if what not in newest or fact.version >= newest[what].version:
            newest[what] = fact
    return newest


def lost_deliveries(evidence: Evidence) -> Iterator[str]:
    """Yield the deliveries of which neither a receipt nor a dead letter tells."""
    dead = _dead_places(evidence)
    told = {(one["connection"], one["operation"], one["effect_key"], one["event_id"]) for one in evidence.receipts if one["hop"] == "sink"}
    for asked in evidence.deliveries:
        if _name(asked) not in told and asked.place not in dead:
            yield f"{asked.row['operation']} {asked.row['effect_key']} at {asked.place} has neither a receipt nor a dead letter"


def repeated(evidence: Evidence) -> Iterator[str]:
    """Yield what stands twice at a target."""
    if evidence.proof.duplicates:
        yield f"{evidence.proof.duplicates} orders, customers, shipments or mails stand twice"
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
        versions[_name(asked)].add(asked.version)
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


def unbalanced(evidence: Evidence) -> Iterator[str]:
    """Yield the hops whose books do not balance."""
    for group, count in evidence.lag.items():
        if count:
            yield f"{group} is {count} records behind"
    asked = {_name(one) for one in evidence.deliveries}
    for receipt in evidence.receipts:
        name = (receipt["connection"], receipt["operation"], receipt["effect_key"], receipt["event_id"])
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


def _name(asked: Asked) -> tuple[str, str, str, str]:
    row = asked.row
    return row["target"], row["operation"], row["effect_key"], row["event_id"]


def _dead_places(evidence: Evidence) -> frozenset[Place]:
    return frozenset((row["topic"], row["partition"], row["offset"]) for row, _ in evidence.letters)
