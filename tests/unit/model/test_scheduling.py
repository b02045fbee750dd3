"""Reading scheduler sections."""

from __future__ import annotations

from jupyter_pyserve.model.config import (
    Control,
    ControlInput,
    DirectStrategy,
    DynamicBatching,
    EnsembleScheduling,
    EnsembleStep,
    OldestStrategy,
    QueuePolicy,
    SequenceBatching,
    TimeoutAction,
    parse_pbtxt,
)
from jupyter_pyserve.model.scheduling import State


def test_dynamic_batching() -> None:
    config = parse_pbtxt(
        """
        max_batch_size: 8
        dynamic_batching {
          preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 5 preserve_ordering: true
          priority_levels: 2 default_priority_level: 1
          default_queue_policy { max_queue_size: 3 }
          priority_queue_policy { key: 2 value {
            timeout_action: DELAY default_timeout_microseconds: 6 allow_timeout_override: true } }
        }
        """,
        model_name="m",
        path="p",
    )
    own = QueuePolicy(timeout_action=TimeoutAction.DELAY, default_timeout_us=6, allow_timeout_override=True)
    default = QueuePolicy(max_queue_size=3)
    assert config.dynamic_batching == DynamicBatching(
        preferred_batch_size=(4, 8),
        max_queue_delay_us=5,
        preserve_ordering=True,
        priority_levels=2,
        default_priority_level=1,
        default_queue_policy=default,
        priority_queue_policy={2: own},
    )
    assert config.dynamic_batching.policy(2) == own
    assert config.dynamic_batching.policy(1) == default
    assert DynamicBatching().policy(1) == QueuePolicy()


def test_sequences() -> None:
    text = """
        sequence_batching {{ {strategy} max_sequence_idle_microseconds: 5 iterative_sequence: true
          control_input {{ name: "C" control {{ kind: CONTROL_SEQUENCE_READY bool_false_true: [ false, true ] }} }}
          state {{ }} }}
        """
    direct = parse_pbtxt(
        text.format(strategy="direct { max_queue_delay_microseconds: 7 minimum_slot_utilization: 0.5 }"),
        model_name="m",
        path="p",
    )
    controls = (
        ControlInput(name="C", controls=(Control(kind="CONTROL_SEQUENCE_READY", bool_false_true=(False, True)),)),
    )
    assert direct.sequence_batching == SequenceBatching(
        max_sequence_idle_us=5,
        control_inputs=controls,
        direct=DirectStrategy(max_queue_delay_us=7, minimum_slot_utilization=0.5),
        iterative_sequence=True,
        states=(State(input_name="", output_name="", data_type="TYPE_INVALID", dims=()),),
    )
    oldest = parse_pbtxt(
        text.format(strategy="oldest { max_candidate_sequences: 4 preserve_ordering: true }"), model_name="m", path="p"
    )
    assert oldest.sequence_batching is not None
    assert oldest.sequence_batching.direct is None
    assert oldest.sequence_batching.oldest == OldestStrategy(max_candidate_sequences=4, preserve_ordering=True)


def test_ensembles() -> None:
    config = parse_pbtxt(
        'platform: "ensemble" ensemble_scheduling { max_inflight_requests: 2 step { model_name: "a" model_version: 3 '
        'input_map { key: "x" value: "y" } output_map { key: "z" value: "w" } model_namespace: "n" } }',
        model_name="m",
        path="p",
    )
    assert config.ensemble_scheduling == EnsembleScheduling(
        steps=(
            EnsembleStep(
                model_name="a", model_version=3, input_map={"x": "y"}, output_map={"z": "w"}, model_namespace="n"
            ),
        ),
        max_inflight_requests=2,
    )
