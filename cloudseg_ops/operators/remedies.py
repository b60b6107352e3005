"""How to fix each error: whether a retry may succeed, and what a person should do if it does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloudseg_ops.config.pods import MORE_MEMORY
from cloudseg_ops.contracts import errors


@dataclass(frozen=True, slots=True)
class Remedy:
    """How to fix a class of errors.

    Attributes:
        retry: Whether the same task may succeed when it is retried later.
        todo: What a person should do, in one or two sentences.
    """

    retry: bool
    todo: str


# Every class has an entry, though it could inherit its parent's, so that each new error is considered.
REMEDIES: Mapping[type[errors.CloudsegError], Remedy] = {
    errors.CloudsegError: Remedy(True, "Read the lines above, fix the cause, and clear this task."),
    errors.SettingsError: Remedy(
        False, "Correct the named variable of the Airflow environment, or the named DAG param; then run again."
    ),
    errors.StorageError: Remedy(
        True, "Nothing, if a later try succeeds. Otherwise look for an outage or an exhausted quota of Cloud Storage; "
        "then clear this task."
    ),
    errors.BucketNotFoundError: Remedy(
        False, "Create the bucket, or correct the CLOUDSEG_*_BUCKET variable that names it; then clear this task."
    ),
    errors.ObjectNotFoundError: Remedy(
        True, "Something else removed the object: look for a lifecycle rule or a second deployment on the bucket. "
        "Then clear the task that writes it, with its downstream tasks."
    ),
    errors.PreconditionFailedError: Remedy(
        True, "Something else changed the object in the meantime. Clear this task, which reads it again."
    ),
    errors.PermissionDeniedError: Remedy(
        True, "Grant the identity the role that docs/gke.md lists; clear this task after some minutes."
    ),
    errors.ObjectHeldError: Remedy(
        False, "Release the hold on the object, then clear this task."
    ),
    errors.ObjectRetainedError: Remedy(
        False, "Wait until the retention period of the object has passed, then clear this task; or use a bucket "
        "without a retention policy."
    ),
    errors.ObjectUnreadableError: Remedy(True, "Grant read access to the object, or move it away; clear this task."),
    errors.ObjectEncryptedError: Remedy(False, "Rewrite the object with a key of Cloud KMS; then clear this task."),
    errors.ContentEncodingError: Remedy(False, "Upload the object without Content-Encoding; then clear this task."),
    errors.ManifestError: Remedy(
        False, "Something else overwrote or truncated the named file. No input is touched without its proof: do what "
        "the message says, or leave the inputs to the next run."
    ),
    errors.RegistryError: Remedy(
        True, "Check that the workers can reach and read the registry's DVC remote; then clear this task."
    ),
    errors.InvalidRevisionError: Remedy(
        False, "Run again with an artifact, a version, a stage, a tag, a branch or a commit as `model_revision`."
    ),
    errors.RepositoryUnreachableError: Remedy(
        True, "Correct CLOUDSEG_MODEL_REPOSITORY, or check that the workers can reach and read it; then clear this "
        "task."
    ),
    errors.RevisionRefusedError: Remedy(
        False, "Run again with a revision that CLOUDSEG_MODEL_REVISIONS allows, or sign the tag and push it."
    ),
    errors.UnknownRevisionError: Remedy(
        False, "Push the tag and clear this task, or run again with a `model_revision` that exists."
    ),
    errors.ModelPathError: Remedy(
        False, "Correct CLOUDSEG_MODEL_PATH, or run again with a revision that tracks the file with DVC."
    ),
    errors.ModelObjectMissingError: Remedy(
        True, "Run `dvc push` where the model was made; then clear this task."
    ),
    errors.RemoteSupportMissingError: Remedy(
        False, "Install the package that the message names, with pip or as a PyPI package of the Composer environment; "
        "then clear this task."
    ),
    errors.CorruptModelError: Remedy(
        False, "Restore the object in the DVC remote from a good copy (`dvc push`); then clear this task."
    ),
    errors.ModelParamsError: Remedy(
        False, "Correct params.yaml in the registry, create a new tag, and run again with that tag."
    ),
    errors.EngineError: Remedy(True, "Read the engine's last lines above, fix the cause, and clear this task."),
    errors.ModelLoadError: Remedy(
        False, "Make the weights and the `model` section of params.yaml match, create a new tag, and run again with "
        "that tag."
    ),
    errors.WeightsFileError: Remedy(
        False, "Replace the weights file as the message says, create a new tag, and run again with that tag."),
    errors.UnsafeProgramError: Remedy(
        False, "Run again with another revision, and find out who made the file. Nothing in it was executed."),
    errors.NonFiniteWeightsError: Remedy(
        False, "Run again with another revision, or train the model again. float16 ends at 65,504: save float32."),
    errors.DeviceError: Remedy(
        True, "Nothing, if a later try gets a node with a working GPU. Otherwise do what the message says about the "
        "driver, the image or CLOUDSEG_DEVICE; then clear this task."
    ),
    errors.NonFiniteLogitsError: Remedy(
        False, "The images stay in the input bucket: run again with another revision, or move them elsewhere."),
    errors.LowPrecisionError: Remedy(
        True, "Nothing, while tries are left: the next one compares the precisions on these images first. Otherwise "
        "add --precision fp32 to CLOUDSEG_ENGINE_OPTIONS, and clear this task."),
    errors.HelperLostError: Remedy(True, "Nothing: the engine repeats the work."),
    errors.BadImageError: Remedy(False, "Nothing: the image is in quarantine. Upload an intact copy of it."),
    errors.DecoderMissingError: Remedy(
        False, "Build the engine's image with the decoder (HEIF=1 scripts/image.sh, or `pip install cloudseg[heif]` on "
        "the workers), or remove the extension from CLOUDSEG_IMAGE_TYPES; then clear this task."
    ),
    errors.ImageTooLargeError: Remedy(
        False, "The image is in quarantine. Upload it in parts, or give the engine more memory and upload it again."
    ),
    errors.VersionMismatchError: Remedy(
        True, "Nothing, while a delivery is under way: a later try succeeds. Otherwise deliver code and image of the "
        "same release (`make deploy`), and clear this task."
    ),
    errors.ChunkUnfinishedError: Remedy(
        True, "Nothing, while tries are left: each resumes where the last one stopped. After the last try, fix what "
        "the engine's lines above report; then clear this task."
    ),
    errors.ChunkFailedError: Remedy(
        False, "Do what the engine's error says, and deliver code and image of one release; then run again."),
    errors.PodError: Remedy(True, "Fix what Kubernetes reports about the pod, and clear this task."),
    errors.PodTemplateError: Remedy(False, "Correct CLOUDSEG_POD_TEMPLATE; then clear this task."),
    errors.PodUnschedulableError: Remedy(
        True, "Check that the cluster has nodes that fit the pod, or can add them, and quota for them; then clear this "
        "task."
    ),
    errors.PodImageError: Remedy(
        True, "Check that CLOUDSEG_IMAGE exists and that the nodes can pull it; then clear this task."
    ),
    errors.PodOutOfMemoryError: Remedy(
        True, f"Nothing, if a later try succeeds. Otherwise {MORE_MEMORY}; then clear this task."
    ),
    errors.PodDeadlineError: Remedy(
        True, "Make chunks smaller (CLOUDSEG_CHUNK_OBJECTS), or raise CLOUDSEG_POD_DEADLINE_SECONDS; then clear this "
        "task."
    ),
    errors.PodLostError: Remedy(
        True, "Nothing, while tries are left. If all of them end like this, Spot capacity is short: set "
        "CLOUDSEG_SPOT=false, or clear this task later."
    ),
    errors.ClusterError: Remedy(
        True, "Check that the workers can reach the cluster and have the role that docs/gke.md lists; then clear this "
        "task."
    ),
    errors.RunError: Remedy(False, "Read the report of the run, and the log of its first failed task."),
    errors.InputsLostError: Remedy(
        False, "Do not delete anything else. Look for the named inputs in the input bucket's soft delete and audit "
        "logs."
    ),
    errors.RunIncompleteError: Remedy(
        False, "Do what the last lines of the failed tasks' logs say and clear those tasks, or leave the rest to the "
        "next run."
    ),
    errors.InputsNotDeletedError: Remedy(
        True, "Nothing, if a later try succeeds. Otherwise do what the message says about each group of inputs; then "
        "clear this task."
    ),
    errors.DeletesRefusedError: Remedy(
        False, "Release holds, wait until retention ends, or grant what the message asks for; then clear this task. If "
        "the inputs are to stay, run with `after_success` set to `keep`."
    ),
    # Raised by `make deploy` and its workflow, never by a task.
    errors.DeliveryError: Remedy(False, "Do what the message says, and deliver again."),
    errors.DeliveryRefusedError: Remedy(False, "Fix what the message names; the environment is unchanged."),
    errors.CommandFailedError: Remedy(
        True, "Read the program's own output, and deliver again: every step can be repeated."
    ),
    errors.MissingPermissionError: Remedy(False, "Grant the deployer the role; docs/composer.md lists its roles."),
    errors.ConcurrentDeliveryError: Remedy(True, "Wait until the other delivery has ended, then deliver again."),
    errors.SmokeTestError: Remedy(
        False, "Read the logs of the dry run's tasks for the cause; the release was rolled back automatically."
    ),
    errors.RollBackError: Remedy(False, "Pause the DAG, read both messages, and deliver the last good tag by hand."),
    errors.LocalError: Remedy(False, "Do what the message says, on the machine that it names."),
}  # fmt: skip
