//! What every store promises, and what is done with it, as tests that run against each of them.
//!
//! Every case gets an empty store (empty under its prefix, at least) that nobody else
//! writes to at the same time.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use standfast::store::Store;

mod history;
mod leases;
mod retention;
mod size;
mod transactions;
mod watches;

/// A store to test.
pub type Subject = Arc<dyn Store>;

/// One promise.
pub struct Case {
    /// Its name, for the report.
    pub name: &'static str,
    /// Panics if it is broken.
    pub run: fn(Subject) -> Pin<Box<dyn Future<Output = ()> + Send>>,
}

macro_rules! cases {
    ($($module:ident::$case:ident),+ $(,)?) => {
        vec![$(Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |store| Box::pin($module::$case(store)),
        }),+]
    };
}

/// The contract.
pub fn cases() -> Vec<Case> {
    cases![
        transactions::revisions_grow_by_one_for_each_change,
        transactions::a_transaction_is_one_revision,
        transactions::each_comparison_holds_and_fails,
        transactions::the_other_branch_is_executed,
        transactions::a_read_inside_sees_what_was_written,
        transactions::deleting_a_prefix_spares_the_rest,
        transactions::deleting_nothing_is_no_revision,
        transactions::writing_a_key_twice_is_refused,
        transactions::one_of_many_compare_and_sets_wins,
        history::ranges_are_ordered_and_bounded,
        history::pages_show_one_revision,
        history::the_past_stays_readable,
        history::compacted_history_is_refused,
        history::a_revision_to_come_is_refused,
        leases::expiry_deletes_keys_and_is_watched,
        leases::keeping_prolongs,
        leases::a_revoked_lease_is_expired,
        leases::a_put_on_a_dead_lease_changes_nothing,
        leases::a_put_without_lease_detaches_the_key,
        watches::the_past_and_the_present_in_order,
        watches::a_transaction_is_one_batch,
        watches::only_what_is_watched,
        watches::compaction_ends_a_watch_aloud,
        watches::two_watches_do_not_disturb_each_other,
        size::too_many_operations_are_refused,
        size::too_large_a_request_is_refused,
        size::the_largest_transaction_is_accepted,
        size::too_large_a_reply_is_refused_and_pages_help,
        size::a_large_value_makes_the_round_trip,
        size::a_replaced_large_value_leaves_no_chunks,
        size::a_damaged_large_value_is_noticed,
        retention::ended_runs_go_and_what_others_need_stays,
        retention::what_one_leader_began_to_forget_the_next_one_ends,
        retention::who_does_not_lead_forgets_nothing,
    ]
}

/// Runs every case on a store of its own, and reports all that broke.
///
/// # Panics
/// If one did.
pub async fn check<F>(mut make: impl FnMut(&'static str) -> F)
where
    F: Future<Output = Subject>,
{
    let mut broken = BTreeSet::new();
    for case in cases() {
        let store = make(case.name).await;
        // A task of its own, so that a panic ends the case and not the list.
        if tokio::spawn((case.run)(store)).await.is_err() {
            broken.insert(case.name);
        }
    }
    assert!(broken.is_empty(), "broken promises: {broken:#?}; each panic is shown above");
}
