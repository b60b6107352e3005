"""The model that a run uses: its parameters as the registry gives them, and the one reference all chunks share."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from cloudseg_ops.contracts.architectures import ARCHITECTURES, EXPORTED
from cloudseg_ops.contracts.errors import ManifestError, ModelParamsError

_FIRST = frozenset(
    {"architecture", "in_channels", "n_classes", "arguments", "classes", "normalize", "max_side", "size_multiple"}
)
"""Parameters that count in a model's digest also at their defaults. None is ever added here: see `model_digest`."""


def _known(architecture: str) -> str:
    if architecture != EXPORTED and architecture not in ARCHITECTURES:
        raise ValueError(f"Input should be one of {', '.join(sorted({EXPORTED, *ARCHITECTURES}))}")
    return architecture


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Normalization(_Strict):
    """How pixels, scaled to 0–1, are made ready: `(pixel - mean) / std`, one value a channel."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]


class ModelParams(_Strict):
    """The `model` section of a registry's params.yaml.

    Attributes:
        architecture: A built-in one, such as `unet`, whose weights are a state dict; or `exported`: the weights file is
            a program written by `torch.export.save`.
        in_channels: 1 (grey) or 3 (RGB).
        n_classes: Channels of the logits: 1 is a sigmoid (class 1 where the logit is above 0), more an argmax.
        arguments: Further arguments of the built-in architecture, such as `width` and `depth`.
        classes: Names of the classes, by index; class 0 is clear sky, class 1 is cloud.
        normalize: What is done to pixels scaled to 0–1; None: nothing.
        max_side: Longest side in pixels that the network sees: larger photographs are scaled down for it and the
            logits scaled back up. None: never.
        size_multiple: An exported program takes heights and widths that are multiples of this; images are padded.
            Built-in architectures know their own.
    """

    architecture: Annotated[str, AfterValidator(_known)]
    in_channels: Literal[1, 3]
    n_classes: int = Field(ge=1, le=256)
    arguments: dict[str, Annotated[int, Field(ge=1, le=4096)]] = {}
    classes: tuple[str, ...] = ("clear sky", "cloud")
    normalize: Normalization | None = None
    max_side: int | None = Field(default=None, ge=16)
    size_multiple: int | None = Field(default=None, ge=1, le=4096)

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if len(self.classes) != max(self.n_classes, 2):
            raise ValueError(f"classes has {len(self.classes)} names, not {max(self.n_classes, 2)}")
        if self.normalize and not (len(self.normalize.mean) == len(self.normalize.std) == self.in_channels):
            raise ValueError(f"normalize.mean and normalize.std must have {self.in_channels} values each")
        return self

    @classmethod
    def parse(cls, section: object, where: str) -> ModelParams:
        """Check and read a `model` section.

        Args:
            section: What YAML or JSON gave.
            where: Where it stands, for messages.

        Raises:
            ModelParamsError: A key is missing, unknown or out of range.
        """
        try:
            return cls.model_validate(section)
        except ValidationError as error:
            found = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'the section'}: {problem['msg']}" for problem in error.errors()
            )
            raise ModelParamsError(
                f"{where}: the `model` section is not usable: {found}. docs/architecture.md shows one that is"
            ) from None


def model_digest(weights_md5: str, params: ModelParams) -> str:
    """MD5, hex, over weights and parameters: the identity of a model as far as its masks are concerned.

    A parameter that is added later counts only where it differs from its default, so that masks of the models before it
    stay valid.
    """
    changed = params.model_dump(mode="json", exclude_defaults=True)
    counted = {
        name: value for name, value in params.model_dump(mode="json").items() if name in _FIRST or name in changed
    }
    canonical = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    return hashlib.md5(f"{weights_md5}\n{canonical}".encode(), usedforsecurity=False).hexdigest()


class ModelRef(_Strict):
    """The one model of a run.

    Attributes:
        revision: As asked for: a tag, a branch or a commit.
        commit: What it meant when the run began, 40 hex digits.
        repository: The registry's git URL or path, without credentials.
        md5: MD5 of the weights file, hex.
        uri: Where the weights are staged, content-addressed.
        digest: MD5 over weights and parameters, hex.
        params: The model's parameters.
    """

    revision: str
    commit: str
    repository: str
    md5: str
    uri: str
    digest: str
    params: ModelParams

    def to_json(self) -> dict[str, Any]:
        """As plain JSON: what goes through XCom and into the run's model.json."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, fields: object, where: str = "the run's model.json") -> ModelRef:
        """Read it back.

        Raises:
            ManifestError: It is not a model reference.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise ManifestError(
                f"{where} is not a model reference ({error.error_count()} faults, first: {error.errors()[0]['msg']}); "
                "clear `pull_model`, which writes it"
            ) from None
