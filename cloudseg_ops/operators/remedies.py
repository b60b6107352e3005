"""What to do about a failure, for the task's log: whether a retry may fix it, and what to do if none does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloudseg_ops.config.pods import MORE_MEMORY
from cloudseg_ops.contracts import errors

_LONGEST_MESSAGE = 2000


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps against a class of errors.

    Attributes:
        retry: Whether the same task, run again in a while, may end otherwise.
        todo: What a person does about it, in one or two sentences.
    """

    retry: bool
    todo: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is reported outside of the log: in XCom, and in notifications.

    Attributes:
        error: Name of its class.
        message: What was found, and where.
        todo: What a person does about it.
    """

    error: str
    message: str
    todo: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Tell an error; a very long message is cut."""
        return cls(type(error).__name__, str(error)[:_LONGEST_MESSAGE], remedy(error).todo)

    def to_json(self) -> dict[str, str]:
        """As plain JSON."""
        return {"error": self.error, "message": self.message, "todo": self.todo}


# One entry a class, though a class would inherit its parent's: a new error is to be thought about.
REMEDIES: Mapping[type[errors.CloudsegError], Remedy] = {
    errors.CloudsegError: Remedy(True, "Read the lines above, and clear this task once their cause is gone."),
    errors.SettingsError: Remedy(
        False, "Correct the variable of the Airflow environment, or the DAG param, that is named; then run again."
    ),
    errors.StorageError: Remedy(
        True, "Nothing, if a later try succeeds. If none does, look for an outage or a quota of Cloud Storage; then "
        "clear this task."
    ),
    errors.BucketNotFoundError: Remedy(
        False, "Create the bucket, or correct the CLOUDSEG_*_BUCKET variable that names it; then clear this task."
    ),
    errors.ObjectNotFoundError: Remedy(
        True, "Something else has removed the object: look for a lifecycle rule or a second deployment on the bucket. "
        "Then clear the task that writes it, with those after it."
    ),
    errors.PreconditionFailedError: Remedy(
        True, "Something else has written the object meanwhile. Clear this task, which reads it again."
    ),
    errors.PermissionDeniedError: Remedy(
        True, "Give the identity the role that docs/gke.md lists, wait minutes until it holds; then clear this task."
    ),
    errors.ManifestError: Remedy(
        False, "Something else has written or cut the file that is named. No input is touched without its proof: do "
        "what the message says, or leave it to the next run."
    ),
    errors.RegistryError: Remedy(
        True, "See that the workers reach the registry's DVC remote and may read it; then clear this task."
    ),
    errors.InvalidRevisionError: Remedy(
        False, "Run again with the name of a tag, a branch or a commit as `model_revision`."
    ),
    errors.RepositoryUnreachableError: Remedy(
        True, "Correct CLOUDSEG_MODEL_REPOSITORY, or see that the workers reach it and may read it; then clear this "
        "task."
    ),
    errors.UnknownRevisionError: Remedy(
        False, "Push the tag and clear this task, or run again with a `model_revision` that exists."
    ),
    errors.ModelPathError: Remedy(
        False, "Correct CLOUDSEG_MODEL_PATH, or run again with a revision that has the file under DVC."
    ),
    errors.ModelObjectMissingError: Remedy(
        True, "Run `dvc push` where the model was made; then clear this task."
    ),
    errors.CorruptModelError: Remedy(
        False, "Restore the object in the DVC remote from a good copy (`dvc push`); then clear this task."
    ),
    errors.ModelParamsError: Remedy(
        False, "Correct params.yaml in the registry, tag it again, and run again with that tag."
    ),
    errors.EngineError: Remedy(True, "Read the engine's last lines above; then clear this task."),
    errors.ModelLoadError: Remedy(
        False, "Make weights and `model` section of params.yaml fit each other, tag that, and run again with that tag."
    ),
    errors.DeviceError: Remedy(
        True, "Nothing, if a later try gets a node whose GPU works. If none does, do what the message says of driver, "
        "image or CLOUDSEG_DEVICE; then clear this task."
    ),
    errors.NonFiniteLogitsError: Remedy(
        False, "Check the weights; if they are right, add --precision fp32 to CLOUDSEG_ENGINE_OPTIONS. Then run again."
    ),
    errors.HelperLostError: Remedy(True, "Nothing: the engine does it again."),
    errors.BadImageError: Remedy(False, "Nothing: the image is in quarantine. Upload a sound copy of it."),
    errors.ImageTooLargeError: Remedy(
        False, "The image is in quarantine. Upload it in parts, or give the engine more memory and upload it again."
    ),
    errors.VersionMismatchError: Remedy(
        True, "Nothing, in the minutes of a delivery: a later try does it. Else deliver code and image of one release "
        "(`make deploy`), and clear this task."
    ),
    errors.ChunkUnfinishedError: Remedy(
        True, "Nothing, while tries are left: each takes up where the last one stopped. After the last, the engine's "
        "lines above say what to fix; then clear this task."
    ),
    errors.PodError: Remedy(True, "See what Kubernetes says of the pod, fix that, and clear this task."),
    errors.PodTemplateError: Remedy(False, "Correct CLOUDSEG_POD_TEMPLATE; then clear this task."),
    errors.PodUnschedulableError: Remedy(
        True, "See that the cluster has, or may grow, nodes that the pod fits on, and quota for them; then clear this "
        "task."
    ),
    errors.PodImageError: Remedy(
        True, "See that CLOUDSEG_IMAGE exists and that the nodes may pull it; then clear this task."
    ),
    errors.PodOutOfMemoryError: Remedy(
        True, f"Nothing, if a later try succeeds. If none does, {MORE_MEMORY}; then clear this task."
    ),
    errors.PodDeadlineError: Remedy(
        True, "Make chunks smaller (CLOUDSEG_CHUNK_OBJECTS), or raise CLOUDSEG_POD_DEADLINE_SECONDS; then clear this "
        "task."
    ),
    errors.PodLostError: Remedy(
        True, "Nothing, while tries are left. If all end like this, Spot nodes are short: set CLOUDSEG_SPOT=false, or "
        "clear this task later."
    ),
    errors.ClusterError: Remedy(
        True, "See that the workers reach the cluster and hold the role that docs/gke.md lists; then clear this task."
    ),
    errors.RunError: Remedy(False, "Read the report of the run, and the log of its first failed task."),
    errors.InputsLostError: Remedy(
        False, "Delete nothing more. Look for the named inputs in the input bucket's soft delete and audit logs."
    ),
    errors.RunIncompleteError: Remedy(
        False, "Fix what the failed tasks' own last lines say and clear them, or leave what is left to the next run."
    ),
    # Of `make deploy` and the workflow; no task raises them.
    errors.DeliveryError: Remedy(False, "Do what the message says, and deliver again."),
    errors.DeliveryRefusedError: Remedy(False, "Fix what the message names; the environment is as it was."),
    errors.CommandFailedError: Remedy(True, "Read the program's own words, and deliver again: steps may be repeated."),
    errors.MissingPermissionError: Remedy(False, "Give the deployer the role; docs/composer.md lists them."),
    errors.ConcurrentDeliveryError: Remedy(True, "Wait for the other delivery's end, then deliver again."),
    errors.SmokeTestError: Remedy(False, "See the dry run's tasks for why; the release was rolled back automatically."),
    errors.RollBackError: Remedy(False, "Pause the DAG, read both messages, deliver the last good tag by hand."),
    # The gallery's are pages of Airflow's UI; no task raises them.
    errors.GalleryError: Remedy(False, "Open the run in Airflow's UI, and its gallery from there."),
    errors.NotShownError: Remedy(False, "Download the object to look at it; its location is next to the picture."),
    errors.BusyError: Remedy(True, "Load the page again in a moment."),
    errors.LocalError: Remedy(False, "Do what the message says, on the machine that it names."),
}  # fmt: skip

_NOT_OURS = Remedy(
    True,
    "This is none of cloudseg's own errors: the trace above says where it comes from. If it names cloudseg_ops, it is "
    "a defect worth reporting, with this log.",
)


def remedy(error: BaseException) -> Remedy:
    """What helps against an error: the entry of its class, or of the nearest one above it."""
    return next((REMEDIES[kind] for kind in type(error).__mro__ if kind in REMEDIES), _NOT_OURS)


def origin(error: BaseException) -> BaseException:
    """The error of cloudseg's that another one stands for; the error itself where there is none."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        if isinstance(found, errors.CloudsegError):
            return found
        seen.add(id(found))
        found = found.__cause__ or found.__context__
    return error


def failure_summary(error: BaseException, *, attempt: int, attempts: int, again: bool) -> list[str]:
    """The lines that a failed task's log ends with: how it stands, what happened, what to do.

    Args:
        error: What ended the task.
        attempt: Which try it was, from 1.
        attempts: Tries that the task has.
        again: Whether Airflow tries again.

    Returns:
        Three lines, in this order.
    """
    error = origin(error)
    failure = Failure.of(error)
    if again:
        standing = f"Try {attempt} of {max(attempt, attempts)} failed; Airflow tries again."
    elif not remedy(error).retry and attempt < attempts:
        standing = f"Try {attempt} of {attempts} failed, and a retry cannot fix it, so there is none."
    else:
        standing = f"Try {attempt} of {max(attempt, attempts)} failed; it was the last one."
    return [standing, f"What happened: {failure.error}: {failure.message}", f"What to do: {failure.todo}"]
