"""Sets up the engine's log: plain text, or one JSON object per line for Cloud Logging."""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from typing import Literal


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: `severity`, `time`, `event`, `message` and the fields of the event.

    Cloud Logging interprets `severity` and `message` (cloud.google.com/logging/docs/structured-logging).
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record."""
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
    """Send the log to standard output: Cloud Logging treats every text line on standard error as an error."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Without this, a closed standard output would cause a traceback for each line.
    logging.raiseExceptions = False
    # Nobody can act on odd EXIF tags in photographs, or in a pod on the end of life of a Python version.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    warnings.filterwarnings("ignore", module=r"google\.", category=FutureWarning)
