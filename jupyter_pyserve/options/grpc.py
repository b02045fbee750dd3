"""The command line's options of the gRPC port, by Triton's names."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from jupyter_pyserve.options.types import header_pattern, parse_bool, whole_number
from jupyter_pyserve.settings import Category, GrpcSettings, KeepaliveSettings, ListenSettings, TlsSettings

_LEVELS = ("none", "low", "medium", "high")

#: Groups of methods that can be kept from those who do not know what to ask with.
RESTRICTABLE = tuple([item.value for item in Category])


def add_grpc_options(parser: argparse.ArgumentParser, port: int | None) -> None:
    """All of them; `port` is what is listened on when nothing is said."""
    listen, keepalive = ListenSettings(), KeepaliveSettings()
    group = parser.add_argument_group("gRPC")
    add = group.add_argument
    add("--allow-grpc", type=parse_bool, default=True, metavar="BOOL")
    add("--allow-grpc-reflection", type=parse_bool, default=True, metavar="BOOL", help="say which services there are")
    add("--grpc-address", default=listen.grpc_address)
    add("--grpc-port", type=whole_number, default=port)
    add("--reuse-grpc-port", type=parse_bool, default=False, metavar="BOOL")
    add("--grpc-infer-response-compression-level", type=_level, default="none", metavar="LEVEL", help="|".join(_LEVELS))
    add(
        "--grpc-restricted-protocol",
        type=_restriction,
        action="append",
        default=[],
        metavar="GROUPS:KEY=VALUE",
        help="methods that ask for the metadata triton-grpc-protocol-KEY; may be repeated",
    )
    add("--grpc-header-forward-pattern", type=header_pattern, default="", metavar="REGEX")
    add("--grpc-use-ssl", type=parse_bool, default=False, metavar="BOOL")
    add("--grpc-use-ssl-mutual", type=parse_bool, default=False, metavar="BOOL")
    add("--grpc-server-cert", default="", metavar="FILE")
    add("--grpc-server-key", default="", metavar="FILE")
    add("--grpc-root-cert", default="", metavar="FILE")
    add("--grpc-keepalive-time", type=whole_number, default=_ms(keepalive.time_s), metavar="MS")
    add("--grpc-keepalive-timeout", type=whole_number, default=_ms(keepalive.timeout_s), metavar="MS")
    add("--grpc-keepalive-permit-without-calls", type=parse_bool, default=False, metavar="BOOL")
    add(
        "--grpc-http2-min-recv-ping-interval-without-data",
        type=whole_number,
        default=_ms(keepalive.min_recv_ping_interval_s),
        metavar="MS",
    )
    add("--grpc-http2-max-ping-strikes", type=whole_number, default=keepalive.max_ping_strikes)
    add("--grpc-max-connection-age", type=whole_number, default=None, metavar="MS")
    add("--grpc-max-connection-age-grace", type=whole_number, default=None, metavar="MS")


def grpc_settings(options: argparse.Namespace) -> GrpcSettings:
    """What the options say."""
    mutual = options.grpc_use_ssl_mutual
    tls = TlsSettings(
        certificate=options.grpc_server_cert, key=options.grpc_server_key, root=options.grpc_root_cert, mutual=mutual
    )
    return GrpcSettings(
        compression=options.grpc_infer_response_compression_level,
        restricted=_restricted(options.grpc_restricted_protocol),
        forward_pattern=options.grpc_header_forward_pattern,
        keepalive=KeepaliveSettings(
            time_s=options.grpc_keepalive_time / 1000,
            timeout_s=options.grpc_keepalive_timeout / 1000,
            permit_without_calls=options.grpc_keepalive_permit_without_calls,
            min_recv_ping_interval_s=options.grpc_http2_min_recv_ping_interval_without_data / 1000,
            max_ping_strikes=options.grpc_http2_max_ping_strikes,
            max_connection_age_s=_seconds(options.grpc_max_connection_age),
            max_connection_age_grace_s=_seconds(options.grpc_max_connection_age_grace),
        ),
        reflection=options.allow_grpc_reflection,
        tls=tls if options.grpc_use_ssl or mutual else None,
    )


def _restriction(text: str) -> tuple[tuple[str, ...], str, str]:
    groups, colon, setting = text.partition(":")
    key, _, value = setting.partition("=")
    if not (colon and key and value and groups):
        form = "--grpc-restricted-protocol option format is '<config name>:<setting>=<value>'"
        raise argparse.ArgumentTypeError(f"{form}. Got {text}")
    names = tuple(groups.split(","))
    for name in names:
        if name not in RESTRICTABLE:
            raise argparse.ArgumentTypeError(f"unknown restricted protocol '{name}' ")
    return names, key, value


def _restricted(given: Sequence[tuple[tuple[str, ...], str, str]]) -> tuple[tuple[str, str, str], ...]:
    found = [(name, key, value) for names, key, value in given for name in names]
    for index, (name, _, _) in enumerate(found):
        if any(name == other for other, _, _ in found[:index]):
            text = f"restricted protocol '{name}' can not be specified in multiple config groups"
            raise SystemExit(text)
    return tuple(found)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


def _level(text: str) -> str:
    if text not in _LEVELS:
        raise argparse.ArgumentTypeError("invalid argument for --grpc_infer_response_compression_level")
    return text
