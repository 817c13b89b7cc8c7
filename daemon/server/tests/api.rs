//! The interface of a member, over gRPC, on a store in memory, with the real leadership and
//! observer behind it.

#[expect(dead_code, reason = "shared with the tests of the command line")]
#[path = "cli/console.rs"]
mod console;

#[path = "shared/files.rs"]
mod files;
#[path = "shared/forgetful.rs"]
mod forgetful;

mod api {
    pub(crate) mod fixture;

    mod alone;
    mod audit;
    mod bundles;
    mod dry_run;
    mod events;
    mod flaps;
    mod freeze;
    mod full;
    mod limits;
    mod local;
    mod long_list;
    mod looks;
    mod lost_answers;
    mod names;
    mod orders;
    mod readiness;
    mod refused;
    mod rejoin;
    mod reports;
    mod rollback;
    mod runs;
    mod seen;
    mod stale;
    mod taken_up;
    mod two_people;
    mod watching;
    mod wishes;
}
