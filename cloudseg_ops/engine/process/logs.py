"""The engine's log: text lines, or one JSON object per line for Cloud Logging."""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from typing import Literal


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: `severity`, `time`, `event`, `message` and the event's own fields.

    `severity` and `message` are the names that Cloud Logging looks for
    (cloud.google.com/logging/docs/structured-logging).
    """

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        message = record.getMessage()
        if record.exc_info:
            message += "\n" + self.formatException(record.exc_info)
        fields = {
            "severity": record.levelname,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "event": getattr(record, "event", "log"),
            "message": message,
        }
        return json.dumps(fields | getattr(record, "fields", {}), ensure_ascii=False)


def set_up_logging(log_format: Literal["text", "json"]) -> None:
    """Send the log to standard output: Cloud Logging takes each text line on standard error for an error."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # A reader that went away must not turn each line into a traceback.
    logging.raiseExceptions = False
    # Odd tags in photographs are not worth a warning; nor, in a pod, is the end of a Python version years ahead.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    warnings.filterwarnings("ignore", module=r"google\.", category=FutureWarning)
