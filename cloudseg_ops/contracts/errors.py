"""Every error that cloudseg raises on purpose, as one tree.

Each message says what was found, where, and what to do next: it is among the last lines that an operator reads in a
task log. `operators.remedies` says for each class whether a retry may help.
"""


class CloudsegError(Exception):
    """Root of the tree: catch this to catch all that cloudseg raises on purpose."""


class SettingsError(CloudsegError):
    """A CLOUDSEG_* environment variable or a DAG param has no usable value."""


class StorageError(CloudsegError):
    """Cloud Storage refused or failed a call, after the client's own retries."""


class BucketNotFoundError(StorageError):
    """A bucket that the settings name does not exist."""


class ObjectNotFoundError(StorageError):
    """An object, or the generation asked for, does not exist (any more)."""


class PreconditionFailedError(StorageError):
    """An object changed between the moment it was seen and the moment it was to be written or deleted."""


class PermissionDeniedError(StorageError):
    """The identity that runs this may not make the call."""


class ManifestError(CloudsegError):
    """A line of a snapshot, a chunk or a results file is not what its contract says."""


class RegistryError(CloudsegError):
    """The model registry could not give the model asked for."""


class InvalidRevisionError(RegistryError):
    """A revision's name is outside the grammar of revisions, so git was not asked."""


class RepositoryUnreachableError(RegistryError):
    """The registry's git repository could not be read."""


class UnknownRevisionError(RegistryError):
    """The repository has no such tag, branch or commit."""


class ModelPathError(RegistryError):
    """The revision has no such weights file under DVC."""


class ModelObjectMissingError(RegistryError):
    """DVC knows the weights file, and its remote does not hold the bytes."""


class CorruptModelError(RegistryError):
    """The bytes of a model are not those that its md5 promises."""


class ModelParamsError(RegistryError):
    """`params.yaml` has no usable `model` section."""


class EngineError(CloudsegError):
    """The inference engine could not start or finish its chunk."""


class ModelLoadError(EngineError):
    """The staged weights do not fit the architecture that the parameters name."""


class DeviceError(EngineError):
    """The GPU that the engine was given cannot be used, or failed while it computed."""


class NonFiniteLogitsError(EngineError):
    """The network gave logits that are NaN or infinite, of which no mask can be made."""


class VersionMismatchError(EngineError):
    """The engine and the DAG that started it are of versions that do not go together; nothing was touched."""


class HelperLostError(EngineError):
    """A helper process of the engine ended before its time; what it was at is done again by others."""


class BadImageError(EngineError):
    """An input is not an image that can be segmented; it is quarantined with this message as the reason."""


class ImageTooLargeError(BadImageError):
    """An image needs more memory than the engine may take, in whole and in parts."""


class ChunkUnfinishedError(EngineError):
    """A chunk ended with images unaccounted for; its retry takes up where it stopped."""


class PodError(EngineError):
    """A chunk's pod could not be started, or did not reach its end."""


class PodTemplateError(PodError):
    """The platform team's pod template cannot be laid over the engine's pod."""


class PodUnschedulableError(PodError):
    """No node took the pod in time."""


class PodImageError(PodError):
    """The pod's image cannot be had."""


class PodOutOfMemoryError(PodError):
    """The engine was killed because it needed more memory than its pod may have."""


class PodDeadlineError(PodError):
    """The pod ran longer than it may."""


class PodLostError(PodError):
    """The pod was deleted or killed from outside: the normal case on Spot nodes."""


class ClusterError(PodError):
    """The Kubernetes API did not answer, or refused."""


class RunError(CloudsegError):
    """A run did not reach what it promised."""


class InputsLostError(RunError):
    """The audit found input versions in none of the places where they may be."""


class RunIncompleteError(RunError):
    """Nothing is lost, but some inputs of the snapshot are neither masked nor quarantined."""


class GalleryError(CloudsegError):
    """What a page of the gallery was asked for does not exist, or cannot be shown."""


class NotShownError(GalleryError):
    """No picture can be made of an object; the message is a reason that a person understands."""


class BusyError(GalleryError):
    """The maximum number of pictures is being made already."""


class DeliveryError(CloudsegError):
    """A release could not be brought to a Composer environment."""


class DeliveryRefusedError(DeliveryError):
    """A delivery was refused before anything was changed: an unknown environment, a dirty tree, a failing check."""


class CommandFailedError(DeliveryError):
    """A program that a delivery calls, such as gcloud or docker, failed."""


class MissingPermissionError(CommandFailedError):
    """The identity that delivers may not do what a step needs."""


class ConcurrentDeliveryError(DeliveryError):
    """Another delivery to the same environment is under way, or was overtaken by this one."""


class SmokeTestError(DeliveryError):
    """The release is there, and its dry run did not succeed."""


class RollBackError(DeliveryError):
    """A release failed, and so did the rollback to the last good one: a person must investigate."""


class LocalError(CloudsegError):
    """Something that a laptop must have for the local setup is missing, taken or full."""
