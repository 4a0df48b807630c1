"""When to ask again: after a 429 or 503, or while the same is under way; later each time, and when the service says."""

from __future__ import annotations

import datetime
import email.utils
import random
from dataclasses import dataclass

import httpx

from service.remote.errors import NoAnswer

AGAIN = (429, 503)


@dataclass(frozen=True)
class Retries:
    """Exponential back-off with full jitter.

    Attributes:
        times: how often a request is sent again at most.
        first: seconds, the longest that the first wait may be; it doubles each time.
        longest: seconds, the longest of all waits; where `Retry-After` says more, the answer is taken as it is.
    """

    times: int = 4
    first: float = 0.5
    longest: float = 30.0

    def pause(self, answer: httpx.Response, done: int) -> float | None:
        """Seconds to wait before the request is sent again; None: it is not.

        Args:
            answer: the last one.
            done: how often it was sent again already.
        """
        if not _again(answer) or done >= self.times:
            return None
        asked = retry_after(answer)
        if asked > self.longest:
            return None
        # all who were refused together must not come again together
        jitter = random.uniform(0, min(self.longest, self.first * 2**done))
        return min(self.longest, asked + jitter)


def _again(answer: httpx.Response) -> bool:
    # a 409 that says when to come again: what was sent before is under way still
    return answer.status_code in AGAIN or (answer.status_code == 409 and "retry-after" in answer.headers)


def retry_after(answer: httpx.Response) -> float:
    """Seconds that the service asks for (RFC 9110: a number, or a date); 0 where it does not say."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text[:9])
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return max(0.0, (moment - datetime.datetime.now(datetime.UTC)).total_seconds())


def no_answer(url: httpx.URL | str, error: Exception, timeout: float) -> NoAnswer:
    """Why no answer came, in one sentence."""
    address = str(url).rstrip("/")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return NoAnswer(f"{address} is not a URL; write it like http://127.0.0.1:8000")
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout) or not isinstance(error, httpx.TimeoutException):
        reason = " ".join(str(error).split()) or type(error).__name__
        return NoAnswer(f"no answer from {address} ({reason}); is 'bma serve' running there?")
    return NoAnswer(f"no answer from {address} within {timeout:g} s; ask for less at a time, or raise timeout=")
