"""Liveness and readiness, of the server and of models."""

from __future__ import annotations

from tests.golden.case import get, http, post, raw

CASES = (
    get("health_live", "/v2/health/live"),
    get("health_ready", "/v2/health/ready"),
    get("health_live_with_query", "/v2/health/live?verbose=1"),
    get("health_live_trailing_slash", "/v2/health/live/"),
    get("health_unknown", "/v2/health/asleep"),
    get("health_alone", "/v2/health"),
    post("health_live_post", "/v2/health/live"),
    post("health_ready_post_with_body", "/v2/health/ready", b"abc"),
    raw("health_live_put", http("PUT", "/v2/health/live")),
    raw("health_live_delete", http("DELETE", "/v2/health/live")),
    raw("health_live_options", http("OPTIONS", "/v2/health/live")),
    raw("health_live_unknown_method", http("BLAH", "/v2/health/live")),
    get("model_ready", "/v2/models/identity/ready"),
    get("model_ready_version", "/v2/models/identity/versions/1/ready"),
    get("model_ready_versions_3", "/v2/models/versions/versions/3/ready"),
    get("model_ready_unknown_version", "/v2/models/identity/versions/9/ready"),
    get("model_ready_version_zero_padded", "/v2/models/identity/versions/01/ready"),
    get("model_ready_version_text", "/v2/models/identity/versions/one/ready"),
    get("model_ready_version_too_large", "/v2/models/identity/versions/99999999999999999999/ready"),
    get("model_ready_unknown", "/v2/models/nobody/ready"),
    get("model_ready_never_loaded", "/v2/models/code_raises/ready"),
    post("model_ready_post", "/v2/models/identity/ready"),
)
