"""``GET /metrics``: the figures of the house and of this process in the text format that Prometheus reads.

Not as open as the health page, because counts tell how business goes: with ``KRAVPORT_METRICS_TOKEN`` only to who sends
it, without only to this machine itself.
"""

from __future__ import annotations

import hmac
import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address

import structlog
from flask import Blueprint, Response, g, request
from sqlalchemy.exc import SQLAlchemyError

from gateway.services.figures import Gauge, Sample, figures
from gateway.services.house import House
from gateway.web.problems import Problem, answer_with_problems

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_SECONDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10")
"""Upper ends of the answering times; one second is what a webhook's sender is promised (P8)."""

_ENDS = tuple(float(end) for end in BUCKETS_SECONDS)
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")
_log = structlog.get_logger()


def metrics_blueprint(house: House, queue_check: Callable[[], bool], token: str = "") -> Blueprint:
    """Return the page of figures; it also counts the application's requests and their times.

    Args:
        house: the house.
        queue_check: says whether the queue server answers; it returns within a second and never raises.
        token: what a reader sends as ``Authorization: Bearer``; empty: only requests from this machine are answered.
    """
    blueprint = Blueprint("metrics", __name__)
    answer_with_problems(blueprint)
    traffic = Traffic()
    blueprint.before_app_request(traffic.begin)
    blueprint.after_app_request(traffic.end)

    @blueprint.get("/metrics")
    def metrics() -> Response:
        if not (_has(token) if token else _is_local()):
            raise Problem("key.missing", "the figures are shown to who sends the metrics token, or to this machine")
        lines = [*_house_lines(house, queue_up=queue_check()), *traffic.lines()]
        return Response("\n".join(lines) + "\n", content_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})

    return blueprint


def _has(token: str) -> bool:
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def _is_local() -> bool:
    """Whether the caller sits on this machine. A proxy does too, and whom it speaks for stands in its headers."""
    try:
        is_loopback = ip_address(request.remote_addr or "").is_loopback
    except ValueError:
        return False
    return is_loopback and not any(name in request.headers for name in _FORWARDED)


def _house_lines(house: House, *, queue_up: bool) -> Iterator[str]:
    try:
        found = figures(house)
    except SQLAlchemyError as error:
        _log.error("database unreachable", error=type(error).__name__)
        found = ()
    yield from _gauge(Gauge("kravport_database_up", "Whether the database answers.", [Sample(int(bool(found)))]))
    yield from _gauge(Gauge("kravport_queue_up", "Whether the queue server answers.", [Sample(int(queue_up))]))
    for gauge in found:
        yield from _gauge(gauge)


def _gauge(gauge: Gauge) -> Iterator[str]:
    yield from _head(gauge.name, "gauge", gauge.text)
    for sample in gauge.samples:
        yield f"{gauge.name}{_labels(sample.labels)} {sample.value}"


def _head(name: str, kind: str, text: str) -> tuple[str, str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}"


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {
        name: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}" if labels else ""


class Traffic:
    """Requests of this process, counted by endpoint and status, never by address: that may hold a token or a name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, str, str]] = Counter()
        self._buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(_ENDS) + 1))
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def begin(self) -> None:
        """Note when the present request began."""
        g.kravport_began = time.monotonic()

    def end(self, response: Response) -> Response:
        """Count the present request."""
        seconds = time.monotonic() - g.get("kravport_began", time.monotonic())
        endpoint = request.endpoint or "none"
        method = request.method if request.endpoint else "any"  # a stranger may invent methods without end
        with self._lock:
            self._answers[endpoint, method, str(response.status_code)] += 1
            self._buckets[endpoint][bisect_left(_ENDS, seconds)] += 1
            self._seconds[endpoint] += seconds
        return response

    def lines(self) -> Iterator[str]:
        """Yield what was counted."""
        with self._lock:
            answers = dict(self._answers)
            times = {endpoint: (list(counts), self._seconds[endpoint]) for endpoint, counts in self._buckets.items()}
        name = "kravport_http_requests_total"
        yield from _head(name, "counter", "Requests answered by this process.")
        for (endpoint, method, status), count in sorted(answers.items()):
            yield f"{name}{_labels({'endpoint': endpoint, 'method': method, 'status': status})} {count}"
        name = "kravport_http_request_seconds"
        yield from _head(name, "histogram", "Time from the first byte read to the answer being ready.")
        for endpoint, (counts, seconds) in sorted(times.items()):
            yield from _histogram(name, endpoint, counts, seconds)


def _histogram(name: str, endpoint: str, counts: list[int], seconds: float) -> Iterator[str]:
    total = 0
    for end, count in zip((*BUCKETS_SECONDS, "+Inf"), counts, strict=True):
        total += count
        yield f"{name}_bucket{_labels({'endpoint': endpoint, 'le': end})} {total}"
    yield f"{name}_sum{_labels({'endpoint': endpoint})} {seconds:.6f}"
    yield f"{name}_count{_labels({'endpoint': endpoint})} {total}"
