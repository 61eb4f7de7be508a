//! Cases that share one running system: starting Envoy takes longer than any of them.

use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::system::{Plan, System};

/// A statement and the function that shows it.
pub type Case = (&'static str, fn(&System));

/// Runs the cases one after the other on one system, stops it, and exits with the test runner's status.
pub fn run(plan: Plan, cases: &[Case]) -> ! {
    let mut arguments = Arguments::from_args();
    // The cases push parameters that all see: one at a time, in order.
    arguments.test_threads = Some(1);
    let system = (!arguments.list).then(|| Arc::new(plan.start()));
    let trial = |(name, case): &Case| {
        let (system, case) = (system.clone(), *case);
        Trial::test(*name, move || {
            if let Some(system) = &system {
                case(system);
            }
            Ok(())
        })
    };
    let conclusion = libtest_mimic::run(&arguments, cases.iter().map(trial).collect());
    if let (true, Some(system)) = (conclusion.has_failed(), &system) {
        let log = system.log("envoy");
        let tail: Vec<&str> = log.lines().rev().take(40).collect();
        eprintln!("--- the end of Envoy's log\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    drop(system);
    conclusion.exit()
}
