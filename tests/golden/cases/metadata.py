"""What the server and its models say about themselves."""

from __future__ import annotations

from tests.golden.case import Case, get
from tests.golden.repository import HEALTHY


def _of_every_model() -> tuple[Case, ...]:
    described = (get(f"metadata_of_{name}", f"/v2/models/{name}") for name in HEALTHY)
    configured = (get(f"config_of_{name}", f"/v2/models/{name}/config") for name in HEALTHY)
    return (*described, *configured)


CASES = (
    get("server_metadata", "/v2"),
    get("server_metadata_with_query", "/v2?x"),
    *_of_every_model(),
    get("metadata_version", "/v2/models/versions/versions/3"),
    get("metadata_version_latest", "/v2/models/versions/versions/10"),
    get("metadata_unknown_model", "/v2/models/nobody"),
    get("metadata_unknown_model_version", "/v2/models/nobody/versions/1"),
    get("metadata_unknown_version", "/v2/models/identity/versions/2"),
    get("metadata_version_zero", "/v2/models/identity/versions/0"),
    get("metadata_version_zero_padded", "/v2/models/identity/versions/01"),
    get("metadata_version_text", "/v2/models/identity/versions/one"),
    get("metadata_version_negative", "/v2/models/identity/versions/-1"),
    get("metadata_version_too_large", "/v2/models/identity/versions/9223372036854775808"),
    get("metadata_version_largest", "/v2/models/identity/versions/9223372036854775807"),
    get("metadata_never_loaded", "/v2/models/code_raises"),
    get("metadata_name_with_quote", '/v2/models/"quoted"'),
    get("metadata_name_with_space_encoded", "/v2/models/a%20b"),
    get("metadata_name_300_characters", "/v2/models/" + "n" * 300),
    get("metadata_name_dots", "/v2/models/.."),
    get("config_version", "/v2/models/versions/versions/1/config"),
    get("config_unknown_model", "/v2/models/nobody/config"),
    get("config_unknown_version", "/v2/models/identity/versions/2/config"),
    get("config_version_too_large", "/v2/models/identity/versions/99999999999999999999/config"),
    get("config_never_loaded", "/v2/models/code_raises/config"),
)
