from __future__ import annotations

import argparse

import pytest

from jupyter_pyserve.options.grpc import add_grpc_options, grpc_settings
from jupyter_pyserve.settings import GrpcSettings, KeepaliveSettings, TlsSettings


def settings(*words: str) -> GrpcSettings:
    parser = argparse.ArgumentParser()
    add_grpc_options(parser, 1)
    return grpc_settings(parser.parse_args(words))


def test_nothing_said() -> None:
    assert settings() == GrpcSettings()


def test_all_of_them() -> None:
    found = settings(
        "--grpc-infer-response-compression-level=low",
        *("--grpc-use-ssl=1", "--grpc-server-cert=c", "--grpc-server-key=k", "--grpc-root-cert=r"),
        *("--grpc-keepalive-time=1000", "--grpc-keepalive-timeout=2000", "--grpc-keepalive-permit-without-calls=1"),
        *("--grpc-http2-min-recv-ping-interval-without-data=3000", "--grpc-http2-max-ping-strikes=4"),
        *("--grpc-max-connection-age=5000", "--grpc-max-connection-age-grace=6000"),
        *("--grpc-restricted-protocol=health,metadata:a=b=c", "--grpc-restricted-protocol=inference:d=="),
    )
    assert found == GrpcSettings(
        compression="low",
        tls=TlsSettings(certificate="c", key="k", root="r"),
        keepalive=KeepaliveSettings(
            time_s=1.0,
            timeout_s=2.0,
            permit_without_calls=True,
            min_recv_ping_interval_s=3.0,
            max_ping_strikes=4,
            max_connection_age_s=5.0,
            max_connection_age_grace_s=6.0,
        ),
        restricted=(("health", "a", "b=c"), ("metadata", "a", "b=c"), ("inference", "d", "=")),
    )


def test_mutual_is_enough() -> None:
    tls = settings("--grpc-use-ssl-mutual=true").tls
    assert tls is not None
    assert tls.mutual


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["--grpc-infer-response-compression-level=best"],
            "invalid argument for --grpc_infer_response_compression_level",
        ),
        (["--grpc-restricted-protocol=nope:a=b"], "unknown restricted protocol 'nope' "),
        *(
            (
                [f"--grpc-restricted-protocol={setting}"],
                f"--grpc-restricted-protocol option format is '<config name>:<setting>=<value>'. Got {setting}\n",
            )
            for setting in ("health:a", "health:a=", "health:=b", ":a=b")
        ),
    ],
)
def test_what_is_wrong_is_said(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings(*words)
    assert text in capsys.readouterr().err


def test_a_group_belongs_to_one_key() -> None:
    with pytest.raises(SystemExit, match="restricted protocol 'health' can not be specified in multiple config groups"):
        settings("--grpc-restricted-protocol=health:a=b", "--grpc-restricted-protocol=health,trace:c=d")


def test_times_that_are_no_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings("--grpc-keepalive-time=long")
    assert "Invalid option value. Got long" in capsys.readouterr().err
