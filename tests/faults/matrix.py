"""
The fault matrix: what each row is, and the tests that do it to the real thing.

Rules that live here: a test is named ``file::function`` below ``tests``; a row without one says why. A test of a row
covers native and exact tables, unless the row says that one of them has no promise there.
"""

from __future__ import annotations

from dataclasses import dataclass

_NODES = "faults/test_nodes.py::test_"
_LOST = "faults/test_lost_messages.py::test_"
_REFUSED = "faults/test_refusals.py::test_"
_OUTAGE = "faults/test_outage.py::test_"
_CANCELLED = "faults/test_cancellation.py::test_"
_STORE = "faults/test_embedded_store.py::test_"
_LOG = "unit/journal/test_log.py::test_"
_JOURNAL = "unit/journal/test_processes.py::test_"
_LEASES = "processes/test_leases.py::test_"
_SERVERS = "processes/test_servers.py::test_"
_INTAKE = "agent/test_intake_server.py::test_"
_FORKS = "processes/test_forks.py::test_"


@dataclass(frozen=True)
class Row:
    """One fault, the tests that do it, and, where there is none, the reason."""

    fault: str
    tests: tuple[str, ...] = ()
    why_not: str = ""


MATRIX = {
    1: Row(
        "reply lost after the write was applied",
        (
            _LOST + "a_lost_message_is_never_counted_twice",
            _LOST + "a_row_back_at_its_former_total_is_written_again_after_a_write_of_unknown_fate",
            "faults/test_lost_reply_driver.py::test_a_lost_reply_is_unknown_and_stored_once",
        ),
    ),
    2: Row("request lost before the server", (_LOST + "a_lost_message_is_never_counted_twice",)),
    3: Row("the server's write timeout", (_NODES + "a_write_timeout_of_the_server_is_unknown_and_parked",)),
    4: Row(
        "the client's timeout, the write applied late",
        (_LOST + "a_reply_later_than_the_clients_patience_is_unknown_and_counted_once",),
    ),
    5: Row("duplicate or reordered delivery", (_LOST + "an_old_write_that_arrives_again_changes_nothing",)),
    6: Row("one of three nodes killed", (_NODES + "a_node_killed_and_started_again_loses_nothing",)),
    7: Row(
        "two of three nodes down",
        (
            _NODES + "without_a_quorum_the_buffer_is_bounded_and_nothing_is_tried_in_a_loop",
            _OUTAGE + "increments_go_on_while_the_database_is_away_and_are_caught_up_with",
            _OUTAGE + "a_full_buffer_drops_new_rows_alone_while_the_database_is_away",
        ),
    ),
    8: Row("a node paused", (_NODES + "a_paused_node_is_passed_by_and_only_what_was_in_flight_is_unknown",)),
    9: Row(
        "partition of a pair, and of client and node",
        ("faults/test_partition.py::test_counting_goes_on_through_a_partition",),
    ),
    10: Row(
        "a leader loses the tail of its commit log; native tables: not promised, and seen to lose",
        (_NODES + "a_node_that_loses_its_commit_log_takes_nothing_from_an_exact_table",),
    ),
    11: Row("rolling restart with drain", (_NODES + "a_rolling_restart_loses_nothing",)),
    12: Row(
        "table dropped and made again under load; a row refused",
        (
            _REFUSED + "a_table_dropped_under_load_waits_until_it_is_made_again",
            _REFUSED + "a_row_that_is_refused_is_set_apart_and_the_rest_flows",
        ),
    ),
    13: Row(
        "rights revoked, password rotated",
        (
            _REFUSED + "a_right_revoked_under_load_suspends_the_table_until_it_is_granted",
            _REFUSED + "deltas_outlive_a_password_that_was_changed",
        ),
    ),
    14: Row(
        "the application killed",
        ("processes/test_sigkill.py::test_what_was_acknowledged_is_stored_once_however_often_the_process_is_killed",),
    ),
    15: Row(
        "power lost: what was not synced is gone, and the log is cut anywhere",
        (
            _LOG + "a_log_cut_at_any_byte_gives_exactly_the_whole_records_before_the_cut",
            _LOG + "a_failed_sync_is_final",
            "simulation/test_histories.py::test_every_history_ends_with_what_was_counted",
        ),
    ),
    16: Row(
        "torn or corrupt journal",
        (
            _LOG + "any_damaged_byte_is_seen",
            _LOG + "a_repeated_block_is_corruption",
            "unit/journal/test_directory.py::test_a_bad_log_is_set_aside_and_the_process_goes_on",
        ),
    ),
    17: Row(
        "disk full, EIO, EMFILE, read-only file system",
        (
            _JOURNAL + "a_full_disk_is_an_error_and_no_signal",
            _JOURNAL + "a_limit_of_the_size_of_files_is_an_error_and_no_half_record",
            _JOURNAL + "no_descriptor_left_is_a_clear_error_and_appending_goes_on",
            _LOG + "a_failed_append_leaves_the_log_as_it_was",
        ),
    ),
    18: Row(
        "fork with data buffered, preload with workers, multiprocessing",
        (
            _FORKS + "forks_while_threads_count_and_the_flusher_runs",
            _FORKS + "children_and_pools_of_multiprocessing",
            _SERVERS + "gunicorn_with_a_preloaded_application_counts_each_hit_once",
        ),
    ),
    19: Row(
        "workers recycled, terminated, then killed",
        (_SERVERS + "workers_that_are_recycled_or_killed_leave_what_they_had_to_the_next",),
    ),
    20: Row(
        "processes race for an orphan journal",
        (
            _LEASES + "of_many_processes_that_want_an_orphan_one_writes_it",
            _JOURNAL + "of_many_that_want_an_orphan_exactly_one_gets_it",
        ),
    ),
    21: Row("a stopped owner while others seek orphans", (_LEASES + "a_stopped_owner_keeps_its_slot",)),
    22: Row(
        "the clock steps an hour back, an hour and ten years ahead",
        ("faults/test_clock.py::test_a_clock_that_steps_loses_nothing",),
    ),
    23: Row(
        "a copied journal directory",
        (_LEASES + "a_copied_journal_is_set_aside_and_nothing_of_it_is_stored_twice",),
    ),
    24: Row(
        "flush cancelled, timed out, its loop closed",
        (
            _CANCELLED + "a_flush_cancelled_at_any_await_is_accounted_for",
            _CANCELLED + "a_flush_that_takes_too_long_leaves_nothing_uncounted",
            _CANCELLED + "a_loop_closed_in_the_middle_of_a_flush_parks_or_keeps_what_it_had",
            _CANCELLED + "a_direct_write_cancelled_at_any_await_is_applied_or_parked",
        ),
    ),
    25: Row(
        "one hot row; a million rows",
        (
            "faults/test_volume.py::test_a_hot_row_costs_one_statement_a_flush",
            "faults/test_volume.py::test_a_million_rows_pass_through_a_bounded_buffer",
        ),
    ),
    26: Row(
        "the embedded store: killed in a commit, busy, read by others, its log deleted",
        (
            _STORE + "a_store_locked_by_another_process_is_waited_for",
            _STORE + "a_reader_holds_up_nothing",
            _STORE + "a_store_whose_log_was_deleted_holds_whole_flushes_and_is_counted_on",
            "integration/test_sqlite_processes.py::test_a_writer_killed_at_any_moment_leaves_whole_flushes",
            "processes/test_sigkill.py::test_what_was_acknowledged_is_stored_once_however_often_the_process_is_killed",
        ),
    ),
    27: Row(
        "fold while rows are read, crash at each of its steps, fold again; native tables have none",
        (
            "integration/test_fold_crashes.py::test_a_fold_that_dies_at_any_step_is_finished_by_whoever_comes_next",
            "integration/test_fold.py::test_a_late_write_of_a_folded_writer_stays_shadowed",
        ),
    ),
    28: Row(
        "a hostile client of the host's daemon",
        (
            _INTAKE + "what_is_no_request_is_answered_in_words",
            _INTAKE + "a_client_that_sends_a_byte_now_and_then_is_cut_off",
            _INTAKE + "200_slow_clients_do_not_keep_others_waiting_and_take_bounded_memory",
            _INTAKE + "bodies_that_are_never_ended_take_bounded_memory",
            _INTAKE + "more_connections_than_one_may_have_are_refused_in_words",
            _INTAKE + "noise_harms_nobody_and_is_not_logged",
            _INTAKE + "a_user_who_is_not_on_the_list_is_refused",
        ),
    ),
}
