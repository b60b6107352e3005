"""A run of 200 photographs through pods, while pods are deleted, containers killed and the scheduler restarted."""

import random
import time
from collections.abc import Iterator

import pytest

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.conftest import IN_FLIGHT, REPORT, Site, open_site, swept
from tests.support.running import kill_process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200), pytest.mark.xdist_group("kubernetes")]

COUNT = 200
KILLS = 3


@pytest.fixture
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        open_site(cluster, tmp_path_factory.mktemp("chaos"), segment_retries=10, chunk_objects=25) as running,
        swept(running) as site,
    ):
        yield site


def test_no_image_is_lost_or_segmented_twice_without_need(site: Site) -> None:
    chance = random.Random(7)
    site.upload("chaos", COUNT)
    with site.slow_storage(0.15):
        run_id = site.run_until("chaos", 10)
        for fault in ("preempt", "kill", "scheduler", "preempt", "kill", "preempt", "kill"):
            pod = site.airflow.wait_for(lambda: chance.choice(site.cluster.running() or [None]), 120)
            if fault == "scheduler":
                assert kill_process(site.airflow, "airflow scheduler", "airflow worker")
            elif fault == "kill":
                site.cluster.kill_container(pod)
            else:
                site.cluster.preempt(pod.metadata.name)
            time.sleep(6)
        assert site.airflow.wait(run_id, 900) == "success", site.airflow.tasks(run_id)
        # A preempted pod finishes its images in flight; only a killed one leaves images to segment again.
        assert site.uploads_begun() <= COUNT + REPORT + KILLS * IN_FLIGHT
    site.assert_all_done(run_id, "chaos", COUNT)
