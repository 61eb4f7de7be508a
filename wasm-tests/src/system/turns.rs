//! Tests that take turns: each starts an Envoy of its own, and two at once would time out on a small machine.

use libtest_mimic::{Arguments, Trial};

/// Runs tests one after the other, with the standard runner's command line and closing lines. Does not return.
pub fn in_turn<const N: usize>(tests: [(&str, fn()); N]) {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&arguments, tests.map(trial).into()).exit();
}
