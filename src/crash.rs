//! Places where a test may kill the process, as `kill -9` would: between any two steps of a run and
//! of a delivery. A release build contains none of them.

/// Every point, in the order in which a run and a delivery pass them.
pub const POINTS: &[&str] = &[
    "run.claimed",
    "collect.read",
    "collect.stored",
    "collect.recorded",
    "run.gathered",
    "run.evaluated",
    "run.written",
    "run.committed",
    "deliver.sealed",
    "deliver.claimed",
    "deliver.sent",
    "deliver.recorded",
];

/// Ends the process here when `FAILPOINTS` names this point (`FAILPOINTS=run.written=return`).
pub fn point(name: &str) {
    debug_assert!(
        POINTS.contains(&name),
        "`{name}` is not in the list of points"
    );
    fail::fail_point!(name, |_| std::process::abort());
}

/// Reads `FAILPOINTS` once; what is given must be kept until the end of `main`.
pub fn arm() -> Option<impl Drop> {
    fail::has_failpoints().then(fail::FailScenario::setup)
}
