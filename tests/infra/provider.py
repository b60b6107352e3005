"""A stand-in for Terraform's providers: it has their schemas, and plans without a cloud.

Terraform itself checks a configuration against the schemas, evaluates it, and asks a provider for the plan of each
resource. The answer here is the configuration. Values known only after an apply stay unknown, except for names that
follow a rule of Google (`RULES`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from tests.infra.protocol import SERVICE, UNKNOWN, decode, encode, message

grpc = import_module("grpc")  # untyped

Json = Mapping[str, Any]
NUMBER = "123456789012"
"""Of every project."""

_NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}


def _account(planned: Json) -> dict[str, str]:
    email = f"{planned['account_id']}@{planned['project']}.iam.gserviceaccount.com"
    return {
        "email": email,
        "member": f"serviceAccount:{email}",
        "name": f"projects/{planned['project']}/serviceAccounts/{email}",
    }


def _environment(planned: Json) -> dict[str, Any]:
    (config,) = planned["config"]
    return {"config": [{**config, "dag_gcs_prefix": "gs://the-bucket/dags"}]}


RULES: Mapping[str, Callable[[Json], Mapping[str, Any]]] = {
    "google_composer_environment": _environment,
    "google_service_account": _account,
    "google_project_iam_custom_role": lambda planned: {
        "name": f"projects/{planned['project']}/roles/{planned['role_id']}"
    },
    "google_iam_workload_identity_pool": lambda planned: {
        "name": f"projects/{NUMBER}/locations/global/workloadIdentityPools/{planned['workload_identity_pool_id']}"
    },
    "google_iam_workload_identity_pool_provider": lambda planned: {
        "name": f"projects/{NUMBER}/locations/global/workloadIdentityPools/{planned['workload_identity_pool_id']}"
        f"/providers/{planned['workload_identity_pool_provider_id']}"
    },
    "google_pubsub_subscription": lambda planned: {
        "id": f"projects/{planned['project']}/subscriptions/{planned['name']}"
    },
    "google_pubsub_topic": lambda planned: {"id": f"projects/{planned['project']}/topics/{planned['name']}"},
}

DATA: Mapping[str, Callable[[Json], Mapping[str, Any]]] = {
    "google_client_config": lambda _: {"access_token": "none"},
    "google_project": lambda _: {"number": NUMBER},
    "google_storage_project_service_account": lambda _: {
        "email_address": f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
    },
}


class Provider:
    """Responds to the calls of one provider.

    Args:
        schemas: Its schemas, as `terraform providers schema -json` writes them.
    """

    def __init__(self, schemas: Json) -> None:
        self.schemas = schemas

    def handler(self) -> Any:
        """The handler of the calls that a plan makes; others are not implemented."""
        methods: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
            "GetSchema": ("Empty", self.get_schema),
            "PrepareProviderConfig": ("PrepareRequest", self.prepare),
            "ValidateResourceTypeConfig": ("Empty", _agree),
            "ValidateDataSourceConfig": ("Empty", _agree),
            "Configure": ("Empty", _agree),
            "PlanResourceChange": ("PlanRequest", self.plan),
            "ReadDataSource": ("ReadDataRequest", self.read_data),
            "Stop": ("Empty", lambda _: message("Empty")()),
        }
        return grpc.method_handlers_generic_handler(
            SERVICE, {name: _unary(request, answer) for name, (request, answer) in methods.items()}
        )

    def get_schema(self, _: Any) -> Any:
        """All schemas."""
        response = message("SchemaResponse")(provider=_schema(self.schemas["provider"]))
        for kind in ("resource_schemas", "data_source_schemas"):
            for name, schema in self.schemas.get(kind, {}).items():
                getattr(response, kind).add(key=name, value=_schema(schema))
        return response

    def prepare(self, request: Any) -> Any:
        """Accept the provider's configuration unchanged."""
        return message("PrepareResponse")(prepared_config=request.config)

    def plan(self, request: Any) -> Any:
        """Plan a resource that does not exist yet."""
        planned = decode(request.proposed_new_state)
        if planned is not None:
            if rule := RULES.get(request.type_name):
                planned = {**planned, **rule(planned)}
            planned = _open(self.schemas["resource_schemas"][request.type_name]["block"], planned)
        return message("PlanResponse")(planned_state=encode(planned), legacy_type_system=True)

    def read_data(self, request: Any) -> Any:
        """Read a data source."""
        config = decode(request.config)
        return message("ReadDataResponse")(state=encode({**config, **DATA[request.type_name](config)}))


def _unary(request: str, answer: Callable[[Any], Any]) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        lambda body, _: answer(body),
        request_deserializer=message(request).FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )


def _agree(_: Any) -> Any:
    return message("DiagnosticsResponse")()


def _open(block: Json, value: Any) -> Any:
    """Mark as unknown the values that the provider would compute."""
    result = dict(value)
    for name, attribute in block.get("attributes", {}).items():
        if attribute.get("computed") and result.get(name) is None:
            result[name] = UNKNOWN
    for name, nested in block.get("block_types", {}).items():
        inner = result.get(name)
        if isinstance(inner, list):
            result[name] = [_open(nested["block"], item) for item in inner]
        elif isinstance(inner, dict) and nested["nesting_mode"] == "single":
            result[name] = _open(nested["block"], inner)
    return result


def _schema(schema: Json) -> Any:
    return message("Schema")(version=schema.get("version", 0), block=_block(schema["block"]))


def _block(block: Json) -> Any:
    result = message("Block")()
    for name, attribute in block.get("attributes", {}).items():
        flags = {flag: bool(attribute.get(flag)) for flag in ("required", "optional", "computed")}
        result.attributes.add(name=name, type=json.dumps(attribute["type"]).encode(), **flags)
    for name, nested in block.get("block_types", {}).items():
        result.block_types.add(
            type_name=name,
            block=_block(nested["block"]),
            nesting=_NESTING[nested["nesting_mode"]],
            min_items=nested.get("min_items", 0),
            max_items=nested.get("max_items", 0),
        )
    return result


@contextmanager
def serving(schemas: Json) -> Iterator[str]:
    """Serve one provider on loopback; returns its address."""
    server = grpc.server(ThreadPoolExecutor(max_workers=8), handlers=[Provider(schemas).handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(grace=None).wait()
