"""What the processor does with a new order, counted in Python's opcodes: the same on a machine that does other work.

    python -m benchmarks.opcodes              the orders of the processor's benchmark, an empty state; the functions that take most
    python -m benchmarks.opcodes --top 60
    python -m benchmarks.opcodes --times      the processor time of an order instead, by itself and prepared with others: this one is the machine's

What runs in C (RocksDB, orjson, digests, Kafka's client) counts for nothing here: it says where Python's time goes, not how long it is.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from benchmarks.orders import SHOP, stream
from processors.engines.plan import AHEAD
from processors.flow_processor import FlowProcessor
from processors.mapping import load_model
from processors.routing import Route
from towpath.clock import SystemClock
from towpath.codec import default_codec
from towpath.delivery.deadletters import Registrar
from towpath.records import Record

ORDERS = 50
TIMED, ROUNDS = 1_000, 12
ERP = "erp"


def processing(orders: int, *, at_once: int = 0) -> Callable[[], None]:
    """Return what processes so many new orders with an empty state, so many prepared together (0: none)."""
    records = [Record("received.orders", 0, sent.order, 0.0, sent.key, sent.value) for sent in stream(orders, 0.0)]
    registrar = Registrar(default_codec(), "processor", "processor", frozenset({SHOP, ERP}))
    route = Route("orders", SHOP, ERP, "OrderPlaced", load_model("nopcommerce-bng/order_placed"), "SHOP-")
    processor = FlowProcessor([route], registrar, SystemClock())

    def process() -> None:
        for number, record in enumerate(records):
            if at_once and number % at_once == 0:
                processor.prepare(records[number : number + at_once], lambda _: lambda _: None)
            processor.process(record, lambda _: None)

    return process


def counted(run: Callable[[], None]) -> tuple[Counter[CodeType], Counter[CodeType]]:
    """Return by function the opcodes that a run takes and how often it is called."""
    opcodes, calls = Counter[CodeType](), Counter[CodeType]()

    def within(frame: FrameType, event: str, _argument: Any) -> Any:  # noqa: ANN401 - as sys.settrace wants it
        if event == "opcode":
            opcodes[frame.f_code] += 1
        return within

    def called(frame: FrameType, _event: str, _argument: Any) -> Any:  # noqa: ANN401
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        calls[frame.f_code] += 1
        return within

    sys.settrace(called)
    try:
        run()
    finally:
        sys.settrace(None)
    return opcodes, calls


def least_us(run: Callable[[], None], orders: int) -> float:
    """Return the least processor time that one of several runs took for an order, in microseconds."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times) / orders * 1_000_000


def main() -> None:
    """Count, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--times", action="store_true")
    given = parser.parse_args()
    if given.times:
        alone, together = least_us(processing(TIMED), TIMED), least_us(processing(TIMED, at_once=AHEAD), TIMED)
        print(f"{alone:8.1f} us a new order by itself\n{together:8.1f} us with {AHEAD} prepared together")  # noqa: T201 - its answer
        return
    run = processing(ORDERS)
    run()  # the first one makes what is made of schemas and mappings
    opcodes, calls = counted(run)
    lines = [f"{opcodes.total() / ORDERS:8.0f} opcodes and {calls.total() / ORDERS:.0f} calls an order"]
    lines += [f"{many / ORDERS:8.0f} {code.co_qualname} ({code.co_filename.rpartition('/')[2]})" for code, many in opcodes.most_common(given.top)]
    print("\n".join(lines))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
