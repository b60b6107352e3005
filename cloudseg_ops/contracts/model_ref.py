"""The model of a run: its parameters from the registry, and the reference that all chunks share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

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


def _sides(value: object) -> object:
    return (value, value) if isinstance(value, int) else value


_Side = Annotated[int, Field(ge=8, le=8192)]
InputSize = Annotated[tuple[_Side, _Side], BeforeValidator(_sides)]
"""Height and width in pixels; params.yaml may give one number for both."""
MAX_CHANNELS = 64


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Normalization(_Strict):
    """Normalization of pixels scaled to 0–1: `(pixel - mean) / std`, one value per channel, in the network's order."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]


class ModelParams(_Strict):
    """The `model` section of a registry's params.yaml.

    Attributes:
        architecture: A built-in architecture such as `unet`, whose weights are a state dict; or `exported`, whose
            weights file is a program written by `torch.export.save`.
        in_channels: 1 (grey), 3 (color), or the number of bands of TIFF photographs.
        n_classes: Number of classes that the network tells apart; 1: it separates cloud from everything else.
        arguments: Further arguments of the built-in architecture, such as `width` and `depth`.
        classes: Names of the classes, by index; class 0 is clear sky, class 1 is cloud.
        normalize: Normalization of pixels scaled to 0–1; None: no normalization.
        max_side: Longest side of the network's input, in pixels: larger photographs are scaled down and their logits
            scaled back up. None: never scale.
        size_multiple: For an exported program, images are padded to heights and widths that are multiples of this.
            Built-in architectures define their own.
        weights_key: Where in a checkpoint the state dict is, if several fit: an entry such as `ema`, a prefix of names
            such as `teacher`, or both, joined by a dot. None: the one that fits; of several, the moving average.
        output: What the network returns. None: logits, after a check that they do not look like probabilities.
        threshold: With one class, the probability of cloud above which a pixel is cloud, between 0 and 1.
        input_size: Height and width that the network was trained on; None: any, or the only one that a program takes.
        fit: How photographs get that size: `resize` stretches them, `tile` cuts them into tiles. None: `resize`.
        channel_order: Order of the network's three channels; `bgr` as OpenCV reads photographs.
        scale: White level: the value of a pixel that becomes 1. Photographs of eight bits keep 255 if it is larger.
            None: the largest value of their bits.
        output_name: Of a program that returns a dict, the key of the tensor to use.
        output_index: Of a program that returns several tensors, the index of the one to use, from 0.
    """

    architecture: Annotated[str, AfterValidator(_known)]
    in_channels: int = Field(ge=1, le=MAX_CHANNELS)
    n_classes: int = Field(ge=1, le=256)
    arguments: dict[str, Annotated[int, Field(ge=1, le=4096)]] = {}
    classes: tuple[str, ...] = ("clear sky", "cloud")
    normalize: Normalization | None = None
    max_side: int | None = Field(default=None, ge=16)
    size_multiple: int | None = Field(default=None, ge=1, le=4096)
    weights_key: str | None = Field(default=None, min_length=1, max_length=500)
    output: Literal["logits", "probabilities", "classes"] | None = None
    threshold: float = Field(default=0.5, gt=0, lt=1)
    input_size: InputSize | None = None
    fit: Literal["resize", "tile"] | None = None
    channel_order: Literal["rgb", "bgr"] = "rgb"
    scale: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    output_name: str | None = Field(default=None, min_length=1)
    output_index: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _counts_agree(self) -> Self:
        if len(self.classes) != max(self.n_classes, 2):
            raise ValueError(f"classes has {len(self.classes)} names, not {max(self.n_classes, 2)}")
        if self.normalize and not (len(self.normalize.mean) == len(self.normalize.std) == self.in_channels):
            raise ValueError(f"normalize.mean and normalize.std must have {self.in_channels} values each")
        return self

    @model_validator(mode="after")
    def _parameters_agree(self) -> Self:
        if found := "; ".join(self._contradictions()):
            raise ValueError(found)
        return self

    def _contradictions(self) -> Iterator[str]:
        exported = self.architecture == EXPORTED
        if self.threshold != 0.5 and (self.n_classes > 1 or self.output == "classes"):
            why = "`output: classes`" if self.output == "classes" else f"n_classes {self.n_classes}"
            yield f"threshold applies to the scores of one class: remove it, or {why}"
        if self.output in ("probabilities", "classes") and not exported:
            yield f"output: the architecture {self.architecture} returns logits; {self.output} need an exported program"
        if (self.output_name is not None or self.output_index is not None) and not exported:
            yield f"output_name and output_index: the architecture {self.architecture} has one output"
        if self.output_name is not None and self.output_index is not None:
            yield "output_name and output_index: give only one of them"
        if self.fit and not self.input_size and not exported:
            yield "fit needs an input_size"
        if self.max_side and self.input_size and self.fit != "tile":
            yield "max_side and input_size both scale photographs: remove one of them, or set `fit: tile`"
        if self.channel_order == "bgr" and self.in_channels != 3:
            yield f"channel_order: bgr needs in_channels 3, not {self.in_channels}"

    @property
    def resized_to(self) -> tuple[int, int] | None:
        """Height and width that every photograph is resized to, as far as the parameters say it."""
        return None if self.fit == "tile" else self.input_size

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, without the parameters of later versions that have their defaults.

        So engines of earlier versions, which do not know these, can read a model.json that does not use them.
        """
        changed = self.model_dump(mode="json", exclude_defaults=True)
        return {
            name: value for name, value in self.model_dump(mode="json").items() if name in _FIRST or name in changed
        }

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
    counted = params.to_json()
    if params.output == "logits":
        # Stating it turns off a check, and changes no mask.
        del counted["output"]
    canonical = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    return hashlib.md5(f"{weights_md5}\n{canonical}".encode(), usedforsecurity=False).hexdigest()


class ModelRef(_Strict):
    """The model of a run.

    Attributes:
        revision: What was asked for: an artifact, a version, a stage, a tag, a branch or a commit.
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
        return {**self.model_dump(mode="json", exclude=unset), "params": self.params.to_json()}

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
