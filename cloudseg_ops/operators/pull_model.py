"""Pulls a model revision from the DVC registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from cloudseg_ops.links.addresses import commit_address
from cloudseg_ops.links.operator_links import ModelCommitLink, show
from cloudseg_ops.operators._base import RunOperator, timed
from cloudseg_ops.operators._errors import translate_errors
from cloudseg_ops.registry.remote_connection import remote_settings
from cloudseg_ops.registry.revision_choices import store_revisions

if TYPE_CHECKING:
    from cloudseg_ops.registry import RegistryOptions


class DVCPullModelOperator(RunOperator):
    """Resolves a model revision to a commit, once per run, and stages its weights under their MD5.

    Afterwards it refreshes the revisions that the DAG's trigger form offers.

    Args:
        repository: Git URL or path of the registry.
        revision: Artifact, version, stage, tag, branch or commit; templated.
        path: Path of the weights file in the registry, unless an artifact says its own.
        params_section: Params file and section, such as `params.yaml:model`; empty: as the registry says.
        remote: DVC remote; None: the registry's default remote.
        remote_options: Options of that remote, by DVC's names; they count before the connection's.
        remote_conn_id: Airflow connection with that remote's credentials and options; None: the worker's identity.
        revisions: Revisions that a run may use: `any`, `tags` or `signed`.
        signers: Keys that may sign a tag: the path of a file, or its content.
        allowed_operators: Operators of other libraries that an exported program may use.
        task: Arguments of `RunOperator`: buckets, identity, and those of `BaseOperator`.

    Returns by XCom:
        `cloudseg_ops.contracts.model_ref.ModelRef` as JSON.

    Raises:
        RegistryError: The model could not be read; there is a subclass for each cause.
    """

    template_fields: Sequence[str] = ("revision",)
    ui_color = "#ede9fe"
    operator_extra_links = (ModelCommitLink(),)

    def __init__(
        self,
        *,
        repository: str,
        revision: str,
        path: str,
        params_section: str = "",
        remote: str | None = None,
        remote_options: Mapping[str, str] | None = None,
        remote_conn_id: str | None = None,
        revisions: Literal["any", "tags", "signed"] = "any",
        signers: str | None = None,
        allowed_operators: Sequence[str] = (),
        **task: Any,
    ) -> None:
        super().__init__(**task)
        self.repository = repository
        self.revision = revision
        self.path = path
        self.params_section = params_section
        self.remote = remote
        self.remote_options = dict(remote_options or {})
        self.remote_conn_id = remote_conn_id
        self.revisions = revisions
        self.signers = signers
        self.allowed_operators = tuple(allowed_operators)

    @translate_errors
    def execute(self, context: Any) -> dict[str, Any]:
        """Stage the model and return its reference."""
        from cloudseg_ops.registry import RevisionPolicy, pull_model

        layout = self.layout(context)
        with timed(context):
            model = pull_model(
                self.open_store(),
                layout,
                repository=self.repository,
                revision=self.revision,
                path=self.path,
                options=self._options(),
                policy=RevisionPolicy(self.revisions, self.signers or ""),
                allowed_operators=self.allowed_operators,
            )
        show(context, ModelCommitLink, commit_address(model.repository, model.commit))
        self._refresh_choices()
        self.log.info("%s is commit %s, weights md5 %s: %s", model.revision, model.commit, model.md5, model.uri)
        return model.to_json()

    def _options(self) -> RegistryOptions:
        from cloudseg_ops.registry import RegistryOptions

        options: dict[str, str] = {}
        files: dict[str, str] = {}
        if self.remote_conn_id:
            options, files = remote_settings(self.remote_conn_id)
        return RegistryOptions(
            params=self.params_section,
            remote=self.remote,
            remote_options={**options, **self.remote_options},
            remote_files=files,
        )

    def _refresh_choices(self) -> None:
        from cloudseg_ops.registry import list_revisions

        try:
            store_revisions(self.repository, list_revisions(self.repository))
        except Exception as error:  # noqa: BLE001  (only the trigger form needs them; the run has its model)
            self.log.warning(
                "could not refresh the revisions in the trigger form; it keeps the earlier ones: %s", error
            )
