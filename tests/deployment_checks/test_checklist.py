"""What a naive stand-in gets wrong about the platform, and the tests that hold this one to it: one row a trap."""

from __future__ import annotations

import importlib

import pytest

CHECKLIST: dict[str, tuple[str, ...]] = {
    "1 function errors are HTTP 200; no logLines when empty; errorData for ConvexError alone; else code and message": (
        "test_functions.test_a_function_that_throws_is_http_200_with_status_error",
        "test_functions.test_log_lines_are_absent_when_there_are_none",
        "test_functions.test_error_data_comes_with_a_convex_error_only_even_if_it_is_null",
        "test_functions.test_refusals_around_a_function_carry_code_and_message",
    ),
    "2 a missing content type and a bad body are 400; a wrong path is an empty 404": (
        "test_functions.test_a_body_that_cannot_be_read_is_400",
        "test_functions.test_unknown_paths_are_404_and_wrong_verbs_405_both_empty",
    ),
    "3 a bad key, no key and a weak key are refused differently": (
        "test_functions.test_no_key_a_bad_key_a_foreign_key_and_a_weak_key_are_refused_differently",
    ),
    "4 a deploy key as Bearer fails; what stands before the bar of a key does not count": (
        "test_functions.test_a_deploy_key_sent_as_bearer_fails",
        "test_functions.test_what_stands_before_the_bar_of_a_key_does_not_count",
    ),
    "5 numbers print with a point, int64 as text in json; int arguments are float64": (
        "test_functions.test_numbers_print_with_a_point_and_int64_depends_on_the_format",
        "test_functions.test_every_number_in_arguments_is_a_float64",
    ),
    "6 pages of list_snapshot and document_deltas: one table, empty with more, whole transactions, bare tombstones": (
        "test_streaming.test_snapshot_pages_cover_one_table_each_in_order_of_id_and_may_be_empty",
        "test_streaming.test_timestamps_are_bare_integers_beyond_2_to_the_53",
        "test_streaming.test_delta_pages_count_rows_of_system_tables_and_may_be_empty_with_more_to_come",
        "test_streaming.test_a_delta_page_never_splits_a_transaction",
        "test_streaming.test_a_tombstone_carries_the_id_alone",
        "test_streaming.test_after_a_replacement_or_a_drop_there_are_no_tombstones",
    ),
    "7 pages of tableData may be short; an unknown table is an empty page; a cursor belongs to its query": (
        "test_tables.test_pages_come_in_order_of_creation_and_may_be_short_or_empty",
        "test_tables.test_an_unknown_table_is_an_empty_finished_page",
        "test_tables.test_a_cursor_of_another_query_is_refused",
    ),
    "8 deleteDocuments: too many is a success that says no; one missing id undoes all; the table name is not checked": (
        "test_tables.test_deleting_more_than_the_limit_is_a_success_that_says_no",
        "test_tables.test_one_missing_or_doubled_id_undoes_the_whole_batch",
        "test_tables.test_the_table_name_of_a_delete_is_not_checked_and_only_noted",
    ),
    "9 a deleted id cannot be appended again, a replaced table can; imports wait; a part token is bare text": (
        "test_imports_and_exports.test_a_deleted_id_cannot_be_appended_again",
        "test_imports_and_exports.test_replacing_the_whole_table_brings_deleted_ids_back_with_their_creation_times",
        "test_imports_and_exports.test_an_import_passes_through_its_states_and_waits_to_be_confirmed",
        "test_imports_and_exports.test_a_part_token_is_a_bare_json_string_and_perform_import_answers_null",
    ),
    "10 addDocument returns no ids and ignores those it is given": (
        "test_tables.test_add_document_tells_no_ids_and_ignores_those_it_is_given",
    ),
    "11 asking for an export answers nothing; the last one may be an older one; the ZIP is as the platform writes it": (
        "test_imports_and_exports.test_an_export_is_asked_for_without_an_answer_and_polled",
        "test_imports_and_exports.test_the_zip_is_as_the_platform_writes_it",
    ),
    "12 the log blocks; seconds and milliseconds; success is null; lines depend on the client; no system functions": (
        "test_logs_and_metrics.test_a_poll_waits_for_news_and_else_returns_the_same_cursor",
        "test_logs_and_metrics.test_a_completion_has_null_success_and_times_in_seconds",
        "test_logs_and_metrics.test_log_lines_are_objects_for_the_cli_and_strings_for_others",
        "test_logs_and_metrics.test_built_in_functions_never_appear",
    ),
    "13 app metrics: times as objects, null buckets, one hour, _rest, a bad window is 500": (
        "test_logs_and_metrics.test_rates_are_calls_per_second_with_times_as_objects",
        "test_logs_and_metrics.test_buckets_outside_the_last_hour_are_null",
        "test_logs_and_metrics.test_the_hour_moves_on",
        "test_logs_and_metrics.test_top_k_ranks_functions_with_errors_only_and_folds_the_rest",
        "test_logs_and_metrics.test_a_bad_window_or_metric_is_the_servers_fault",
    ),
    "14 updating variables answers an empty body; performing an import and the preflight answer null": (
        "test_platform.test_updating_variables_answers_nothing_and_listing_shows_them_sorted",
        "test_imports_and_exports.test_a_part_token_is_a_bare_json_string_and_perform_import_answers_null",
        "test_streaming.test_without_the_plan_streaming_export_is_refused_and_with_it_the_preflight_says_null",
    ),
    "15 self-hosted: its own kind, no audit log of the plan, one day of events, streaming export allowed": (
        "test_platform.test_a_self_hosted_deployment",
        "test_platform.test_self_hosted_shows_one_day_of_events_without_saying_so",
    ),
    "16 conflicts become 503, too many writes 429, neither with Retry-After": (
        "test_faults.test_a_refusal_comes_before_anything_is_done_and_only_so_often",
        "test_functions.test_writing_too_much_in_a_second_is_429_and_writes_nothing",
    ),
    "17 user tables start at 10001 in each component, ids carry the number, the mapping has it as text": (
        "test_tables.test_user_tables_start_at_10001_in_every_component_and_ids_carry_the_number",
    ),
    "18 more than sixteen queries at once wait, then 429": (
        "test_functions.test_more_calls_at_once_than_allowed_are_429",
    ),
}  # fmt: skip


def test_there_is_a_row_for_each_trap() -> None:
    assert [int(row.split()[0]) for row in CHECKLIST] == list(range(1, 19))


@pytest.mark.parametrize("row", CHECKLIST)
def test_every_trap_has_tests_that_are_there(row: str) -> None:
    for name in CHECKLIST[row]:
        module, _, test = name.partition(".")
        assert callable(getattr(importlib.import_module(f"tests.deployment_checks.{module}"), test, None)), name
