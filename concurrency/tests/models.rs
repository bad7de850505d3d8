// SPDX-License-Identifier: Apache-2.0
//! Every model is checked.

macro_rules! checked {
    ($($part:ident: $($model:ident)+;)+) => {
        $(mod $part { $(#[test] fn $model() { storescope_concurrency::models::$part::$model(); })+ })+
    };
}

checked! {
    admission: demands_share_the_budget a_caller_that_leaves_keeps_nothing idle_blocks_make_room readahead_gives_all_back;
    block: readers_share_one_request a_failure_is_everybodys a_block_fills_the_buffer_of_a_range;
    histogram: no_value_is_lost a_shard_that_passes_on_keeps_its_counts a_reader_sees_no_more_than_was_recorded
        memory_is_taken_once;
    renewing: callers_share_one_fetch a_failed_fetch_is_followed_by_another a_renewal_is_made_once_and_nobody_waits_for_it
        refusals_lead_to_one_fetch;
}
