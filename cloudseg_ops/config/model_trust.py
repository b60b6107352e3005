"""Settings that say which models a run may use, and what a model may do."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator

from cloudseg_ops.config.values import parse_list
from cloudseg_ops.contracts.program_names import ALLOWED_OPERATOR


def check_operator(name: str) -> str:
    """Return an operator of exported programs.

    Raises:
        ValueError: It is not `namespace::name` or `namespace::*`, or is PyTorch's own.
    """
    if not ALLOWED_OPERATOR.fullmatch(name):
        raise ValueError(
            "this is not an operator of another library than PyTorch; write it as torchvision::nms, or torchvision::* "
            "for all operators of a namespace"
        )
    return name


Operator = Annotated[str, AfterValidator(check_operator)]


class ModelTrustSettings(BaseModel):
    """Which models a run may use; part of `Settings`."""

    model_revisions: Literal["any", "tags", "signed"] = Field(
        default="any",
        description="Revisions that a run may use: `any`; `tags`: tags alone, versions and stages included; `signed`: "
        "tags signed by a key in `CLOUDSEG_MODEL_SIGNERS`",
    )
    model_signers: str | None = Field(
        default=None,
        min_length=1,
        description="Keys that may sign a tag: the path of a file on the workers, or its content. An allowed-signers "
        "file of SSH, or exported OpenPGP keys",
    )
    allowed_operators: Annotated[tuple[Operator, ...], BeforeValidator(parse_list)] = Field(
        default=(),
        description="Operators of other libraries that an exported program may use, as `torchvision::nms` or "
        "`torchvision::*`, separated by commas; the engine's image needs the library",
    )

    @model_validator(mode="after")
    def _signed_has_signers(self) -> Self:
        if self.model_revisions == "signed" and not self.model_signers:
            raise ValueError(
                "CLOUDSEG_MODEL_REVISIONS=signed needs CLOUDSEG_MODEL_SIGNERS, the keys that may sign a tag"
            )
        return self
