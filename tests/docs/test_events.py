"""docs/events.md against the code: its tables, its example, its commands."""

import re
import shlex
from pathlib import Path

from cloudseg_ops.config.settings import variables
from cloudseg_ops.contracts.run_layout import RunLayout
from cloudseg_ops.contracts.uris import GcsUri
from cloudseg_ops.notifications.message import build_notification
from cloudseg_ops.operators.assets import masks_extra
from cloudseg_ops.report import write_report
from cloudseg_ops.runs.failed_tasks import FailedTask
from cloudseg_ops.storage import Store
from tests.support.report_runs import facts_of

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")


def _table(heading: str) -> set[str]:
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \| ", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_key_of_an_event_is_listed(store: Store, layout: RunLayout) -> None:
    extra = masks_extra(write_report(store, layout, facts_of(layout, [])).to_json(), GcsUri("masks"))
    assert _table("DAGs that follow a run") == set(extra)


def test_every_field_of_a_failure_message_is_listed() -> None:
    message = build_notification(
        dag_id="d", run_id="r", reason="x", failed=[FailedTask("t")], report=None, base_url="http://ui"
    )
    assert _table("Failure notifications") == set(message)
    for key in message["failed_tasks"][0]:
        assert f"`{key}`" in TEXT


def test_example_is_the_tested_one() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert example.strip() in (ROOT / "examples" / "follow_masks.py").read_text()


def test_variables_exist() -> None:
    assert set(re.findall(r"CLOUDSEG_[A-Z_]+", TEXT)) <= set(variables())


def test_commands_notify_of_new_objects_and_drop_old_messages() -> None:
    (commands,) = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    calls = [shlex.split(line) for line in commands.replace("\\\n", " ").splitlines()]
    (notification,) = [call for call in calls if "notifications" in call]
    assert {"--event-types=OBJECT_FINALIZE", "--payload-format=none"} <= set(notification)
    (subscription,) = [call for call in calls if call[1:4] == ["pubsub", "subscriptions", "create"]]
    assert {"--message-retention-duration=10m", "--expiration-period=never"} <= set(subscription)
    granted = {word for call in calls for word in call if word.startswith("--role=")}
    assert granted == {"--role=roles/pubsub.publisher", "--role=roles/pubsub.subscriber"}
