"""The model of a run: its parameters from the registry, and the reference that all chunks share."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from cloudseg_ops.contracts.architectures import ARCHITECTURES, EXPORTED
from cloudseg_ops.contracts.errors import ManifestError, ModelParamsError
from cloudseg_ops.contracts.json_text import load_json

_FIRST = frozenset(
    {"architecture", "in_channels", "n_classes", "arguments", "classes", "normalize", "max_side", "size_multiple"}
)
"""Parameters that count in a model's digest even at their defaults. Never add to this set: see `model_digest`."""

_LATER = ("allowed_operators", "admitted")
"""Fields of a model reference that were added later."""


def _known(architecture: str) -> str:
    if architecture != EXPORTED and architecture not in ARCHITECTURES:
        raise ValueError(f"Input should be one of {', '.join(sorted({EXPORTED, *ARCHITECTURES}))}")
    return architecture


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Normalization(_Strict):
    """Normalization of pixels scaled to 0–1: `(pixel - mean) / std`, one value per channel."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]


class ModelParams(_Strict):
    """The `model` section of a registry's params.yaml.

    Attributes:
        architecture: A built-in architecture such as `unet`, whose weights are a state dict; or `exported`, whose
            weights file is a program written by `torch.export.save`.
        in_channels: 1 (grey) or 3 (RGB).
        n_classes: Channels of the logits: with 1, class 1 is where the logit is above 0; with more, the argmax.
        arguments: Further arguments of the built-in architecture, such as `width` and `depth`.
        classes: Names of the classes, by index; class 0 is clear sky, class 1 is cloud.
        normalize: Normalization of pixels scaled to 0–1; None: no normalization.
        max_side: Longest side of the network's input, in pixels: larger photographs are scaled down and their logits
            scaled back up. None: never scale.
        size_multiple: For an exported program, images are padded to heights and widths that are multiples of this.
            Built-in architectures define their own.
        weights_key: Where in a checkpoint the state dict is, if several fit: an entry such as `ema`, a prefix of names
            such as `teacher`, or both, joined by a dot. None: the one that fits; of several, the moving average.
    """

    architecture: Annotated[str, AfterValidator(_known)]
    in_channels: Literal[1, 3]
    n_classes: int = Field(ge=1, le=256)
    arguments: dict[str, Annotated[int, Field(ge=1, le=4096)]] = {}
    classes: tuple[str, ...] = ("clear sky", "cloud")
    normalize: Normalization | None = None
    max_side: int | None = Field(default=None, ge=16)
    size_multiple: int | None = Field(default=None, ge=1, le=4096)
    weights_key: str | None = Field(default=None, min_length=1, max_length=500)

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if len(self.classes) != max(self.n_classes, 2):
            raise ValueError(f"classes has {len(self.classes)} names, not {max(self.n_classes, 2)}")
        if self.normalize and not (len(self.normalize.mean) == len(self.normalize.std) == self.in_channels):
            raise ValueError(f"normalize.mean and normalize.std must have {self.in_channels} values each")
        return self

    @classmethod
    def parse(cls, section: object, where: str) -> ModelParams:
        """Validate a `model` section and return it as parameters.

        Args:
            section: The parsed YAML or JSON.
            where: Where the section was found, for error messages.

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
                f"{where}: the `model` section is not valid: {found}. See docs/architecture.md for an example"
            ) from None


def model_digest(weights_md5: str, params: ModelParams) -> str:
    """Return the MD5 (hex) over weights and parameters: masks with the same digest are by the same model.

    A parameter that is added in a later version counts only if it differs from its default, so that existing masks stay
    valid.
    """
    changed = params.model_dump(mode="json", exclude_defaults=True)
    counted = {
        name: value for name, value in params.model_dump(mode="json").items() if name in _FIRST or name in changed
    }
    canonical = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    return hashlib.md5(f"{weights_md5}\n{canonical}".encode(), usedforsecurity=False).hexdigest()


class ModelRef(_Strict):
    """The model of a run.

    Attributes:
        revision: The requested tag, branch or commit.
        commit: The commit that the revision pointed to when the run began, 40 hex digits.
        repository: The registry's git URL or path, without credentials.
        md5: MD5 of the weights file, hex.
        uri: Where the weights are staged, content-addressed.
        digest: MD5 over weights and parameters, hex.
        params: The model's parameters.
        allowed_operators: Operators outside of aten that an exported program may use, as `namespace::name` or
            `namespace::*`.
        admitted: The policy under which the revision was admitted: `any`, `tags` or `signed`.
    """

    revision: str
    commit: str
    repository: str
    md5: str
    uri: str
    digest: str
    params: ModelParams
    allowed_operators: tuple[str, ...] = ()
    admitted: Literal["any", "tags", "signed"] = "any"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, for XCom and the run's model.json."""
        # Older engines refuse fields that they do not know.
        unset = {name for name in _LATER if getattr(self, name) == type(self).model_fields[name].default}
        return self.model_dump(mode="json", exclude=unset)

    @classmethod
    def parse(cls, document: bytes, where: str) -> ModelRef:
        """Read a model reference from model.json.

        Raises:
            ManifestError: The document is not a model reference.
        """
        try:
            fields = load_json(document)
        except ValueError as error:
            raise ManifestError(f"{where} is not valid JSON ({error}); clear `pull_model`, which writes it") from None
        return cls.from_json(fields, where)

    @classmethod
    def from_json(cls, fields: object, where: str = "the run's model.json") -> ModelRef:
        """Read a model reference from plain JSON.

        Raises:
            ManifestError: The fields are not a model reference.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise ManifestError(
                f"{where} is not a model reference ({error.error_count()} errors, the first: "
                f"{error.errors()[0]['msg']}); clear `pull_model`, which writes it"
            ) from None
