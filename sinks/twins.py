"""What stands twice at a target that cannot refuse a repeat: all but the oldest is cancelled where that can be, and an operator is told."""

from __future__ import annotations

import structlog

from sinks.base import Document, Standing, Twins
from towpath.delivery.ledger import Effect
from towpath.errors import DataError, OutcomeUnknownError, RetryableError
from towpath.http import ApiClient
from towpath.metrics import TWINS, Metrics

log = structlog.get_logger(__name__)

TROUBLE = (DataError, OutcomeUnknownError, RetryableError)


async def one_left(effect: Effect, twins: Twins, api: ApiClient, document: Document, written: Standing, metrics: Metrics) -> Standing:
    """Return what is to stand: what was `written`, or the oldest where that is another; the others are cancelled, and it is to be reviewed.

    What was written may have been cancelled by then, by whoever saw the two before. Raises nothing: what was written stands, whether or not the
    target lets itself be asked for more.
    """
    told = {"connection": effect.connection, "operation": effect.operation}
    try:
        found = await twins.find_all(api, document)
    except TROUBLE as error:
        log.warning("it may stand twice, and the target does not tell", **told, effect_key=effect.key, external_id=written.id, reason=str(error))
        metrics.add(TWINS, 1, **told, outcome="unknown")
        return written._replace(review=f"written as {written.id} while another process may have written it too; look for a second one by hand")
    oldest, *later = found or [written]
    for twin in later:
        outcome = await _cancelled(twins, api, twin)
        log.error("it stood twice", **told, effect_key=effect.key, kept=oldest.id, twin=twin.id, outcome=outcome)
        metrics.add(TWINS, 1, **told, outcome=outcome)
    if later:
        others = [twin.id for twin in later]
    elif written.id not in {"", oldest.id}:
        others = [written.id]
    else:
        return written
    review = f"it stood twice: {oldest.id} was kept, look at {', '.join(others)}"
    return (written if oldest.id == written.id else oldest)._replace(review=review)


async def _cancelled(twins: Twins, api: ApiClient, twin: Standing) -> str:
    if twins.cancel is None:
        return "left"
    try:
        await twins.cancel(api, twin.id)
    except TROUBLE as error:
        log.warning("a twin cannot be cancelled", connection=api.name, external_id=twin.id, reason=str(error))
        return "left"
    return "cancelled"
