from cloudseg_ops.config.pods import PodSettings as PodSettings
from cloudseg_ops.config.settings import Settings as Settings
from cloudseg_ops.dag.help import help_text as help_text
from cloudseg_ops.dag.schedules import dag_schedule as dag_schedule
from cloudseg_ops.dag.segment_chunks import segment_chunks as segment_chunks
from cloudseg_ops.notifications.run_failure import failure_callback as failure_callback
from cloudseg_ops.operators.assets import masks_asset as masks_asset
from cloudseg_ops.operators.clean_inputs import CleanInputsOperator as CleanInputsOperator
from cloudseg_ops.operators.plan_chunks import PlanChunksOperator as PlanChunksOperator
from cloudseg_ops.operators.pull_model import DVCPullModelOperator as DVCPullModelOperator
from cloudseg_ops.operators.release_pods import ReleasePodsOperator as ReleasePodsOperator
from cloudseg_ops.operators.run_report import RunReportOperator as RunReportOperator
from cloudseg_ops.operators.segment_gke import GKESegmentOperator as GKESegmentOperator
from cloudseg_ops.operators.segment_kubernetes import KubernetesSegmentOperator as KubernetesSegmentOperator
from cloudseg_ops.operators.segment_local import LocalSegmentOperator as LocalSegmentOperator
from cloudseg_ops.registry.revision_choices import revision_choices as revision_choices
from cloudseg_ops.sensors.gcs_new_objects import GCSNewObjectsSensor as GCSNewObjectsSensor

__version__: str
__all__: list[str]
