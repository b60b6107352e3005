"""The exceptions that cloudseg raises on purpose, as one tree.

Each message says what was found, where, and what to do next, because it is among the last lines in a task's log.
`operators.remedies` says for each class whether a retry may help.
"""


class CloudsegError(Exception):
    """Base class of all errors that cloudseg raises on purpose."""


class SettingsError(CloudsegError):
    """A CLOUDSEG_* environment variable or a DAG param is missing or invalid."""


class StorageError(CloudsegError):
    """Cloud Storage refused a call, or still failed after the client's retries.

    Args:
        message: What was found, where, and what to do.
        reason: The message without the object's address.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


class BucketNotFoundError(StorageError):
    """A bucket named in the settings does not exist."""


class ObjectNotFoundError(StorageError):
    """An object, or the requested generation of it, does not exist or no longer exists."""


class PreconditionFailedError(StorageError):
    """An object changed after it was read and before it could be written or deleted."""


class PermissionDeniedError(StorageError):
    """The identity in use lacks a permission that the call needs."""


class ObjectHeldError(PermissionDeniedError):
    """A hold keeps an object from being deleted or replaced, whatever roles the identity has."""


class ObjectRetainedError(PermissionDeniedError):
    """A retention policy keeps an object from being deleted or replaced for some time."""


class ObjectUnreadableError(PermissionDeniedError):
    """Cloud Storage refuses to return the content of an object, today and tomorrow; others may be readable."""


class ObjectEncryptedError(ObjectUnreadableError):
    """An object is encrypted with a customer-supplied key, which cloudseg does not have."""


class ContentEncodingError(StorageError):
    """The stored bytes of an object are intact, but not in its Content-Encoding."""


class ManifestError(CloudsegError):
    """A plan, or a line of a snapshot, a chunk or a results file, is not in the expected format."""


class RegistryError(CloudsegError):
    """The model registry could not provide the requested model."""


class InvalidRevisionError(RegistryError):
    """The name of a revision is not valid; git was not called."""


class RepositoryUnreachableError(RegistryError):
    """The registry's git repository could not be read."""


class RevisionRefusedError(RegistryError):
    """CLOUDSEG_MODEL_REVISIONS does not allow the requested revision."""


class UnknownRevisionError(RegistryError):
    """The repository does not have the requested tag, branch or commit."""


class ModelPathError(RegistryError):
    """The revision does not track the requested weights file with DVC, or nothing at all."""


class ModelObjectMissingError(RegistryError):
    """DVC tracks the weights file, but its remote does not have the data."""


class RemoteSupportMissingError(RegistryError):
    """DVC cannot read the registry's remote, because the package for this kind of remote is not installed."""


class CorruptModelError(RegistryError):
    """The data of a model does not match its MD5."""


class ModelParamsError(RegistryError):
    """`params.yaml` has no valid `model` section."""


class EngineError(CloudsegError):
    """The inference engine could not start or finish its chunk."""


class ModelLoadError(EngineError):
    """The staged weights do not fit the architecture that the parameters name."""


class WeightsFileError(ModelLoadError):
    """The weights file is not the kind of file that the architecture needs, or is damaged."""


class UnsafeProgramError(WeightsFileError):
    """An exported program contains something that could run code when it is opened; it was not opened."""


class NonFiniteWeightsError(ModelLoadError):
    """The weights contain NaN or infinite values, so every mask would be wrong."""


class DeviceError(EngineError):
    """The engine's GPU cannot be used, or failed during a computation."""


class NonFiniteLogitsError(EngineError):
    """The network returned NaN or infinite logits in float32, from which no mask can be made."""


class LowPrecisionError(NonFiniteLogitsError):
    """The network returned NaN or infinite logits in bfloat16 or TF32; they may be finite in float32."""


class VersionMismatchError(EngineError):
    """The versions of the engine and of the DAG that started it are incompatible; nothing was changed."""


class HelperLostError(EngineError):
    """A helper process of the engine ended unexpectedly; other processes repeat its work."""


class BadImageError(EngineError):
    """An input cannot be segmented; it is quarantined with this message as the reason."""


class DecoderMissingError(EngineError):
    """An input is in a format whose decoder is not installed; it stays in INPUT, since it is not the cause."""


class ImageTooLargeError(BadImageError):
    """An image needs more memory than the engine may use, even when it is split into tiles."""


class ChunkUnfinishedError(EngineError):
    """A chunk ended before all of its images were accounted for; a retry continues where it stopped."""


class ChunkFailedError(EngineError):
    """A chunk failed for a reason that a retry cannot fix; the message has the engine's own error."""


class PodError(EngineError):
    """A chunk's pod could not be started, or did not complete."""


class PodTemplateError(PodError):
    """The platform team's pod template cannot be merged into the engine's pod."""


class PodUnschedulableError(PodError):
    """The pod was not scheduled to a node in time."""


class PodImageError(PodError):
    """The pod's image cannot be pulled."""


class PodOutOfMemoryError(PodError):
    """The engine was killed because it exceeded the memory limit of its pod."""


class PodDeadlineError(PodError):
    """The pod exceeded its deadline."""


class PodLostError(PodError):
    """The pod was deleted or killed from outside, as is normal on Spot nodes."""


class ClusterError(PodError):
    """The Kubernetes API did not answer, or refused a request."""


class RunError(CloudsegError):
    """A run ended without accounting for all of its inputs."""


class InputsLostError(RunError):
    """The audit could not find some input versions in any of the places where they may be."""


class RunIncompleteError(RunError):
    """Nothing is lost, but some inputs of the snapshot have neither a mask nor a copy in quarantine."""


class InputsNotDeletedError(RunError):
    """Clean-up could not delete or archive some proven inputs; all others are done."""


class DeletesRefusedError(InputsNotDeletedError):
    """Cloud Storage refused to delete or archive some proven inputs; a retry would be refused, too."""


class DeliveryError(CloudsegError):
    """A release could not be delivered to a Composer environment."""


class DeliveryRefusedError(DeliveryError):
    """A delivery was refused before it changed anything: unknown environment, dirty tree or failed check."""


class CommandFailedError(DeliveryError):
    """A program that a delivery calls, such as gcloud or docker, failed."""


class MissingPermissionError(CommandFailedError):
    """The identity in use lacks a permission that a step of the delivery needs."""


class ConcurrentDeliveryError(DeliveryError):
    """Another delivery to the same environment is running, or this one has replaced it."""


class SmokeTestError(DeliveryError):
    """The release was delivered, but its dry run failed."""


class RollBackError(DeliveryError):
    """A release failed, and rolling back to the last good one failed too; manual action is needed."""


class LocalError(CloudsegError):
    """Something that the local setup needs is missing, in use or full."""
