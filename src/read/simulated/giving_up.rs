// SPDX-License-Identifier: Apache-2.0
//! When a call gives up on a store that fails for ever: what `docs/FAULTS.md` states, in paused time.

use super::*;

/// What the runtime's clock adds to each sleep at most.
const TICK: f64 = 0.001;

/// A store without latency that answers so for ever.
fn failing(fault: Fault, settings: impl FnOnce(Config) -> Config) -> World {
    let world = World::with(&Model::named("none").unwrap(), 503, settings);
    world.sim.object("k", 10);
    world.sim.faults(move |_, _| Some(fault.clone()));
    world
}

/// How long a read takes to give up, in seconds, and how many attempts it made.
async fn gives_up(world: &World) -> (f64, u32) {
    let began = Instant::now();
    let error = world.store.get("k", GetOptions::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Server, Some(503)), "{error}");
    (seconds(began), error.attempts())
}

/// Eight attempts with seven waits between them, each random and up to 100, 200, … 6,400 ms: at most 12.7 s, and 6.35 s on
/// average.
#[tokio::test(start_paused = true)]
async fn a_503_for_ever_is_given_up_in_the_stated_time() {
    const CALLS: usize = 1_000;
    let ceilings: Vec<f64> = (0..7).map(|doubled| 0.1 * f64::from(1 << doubled)).collect();
    let (most, mean) = (ceilings.iter().sum::<f64>(), ceilings.iter().sum::<f64>() / 2.0);
    assert!((most - 12.7).abs() < 1e-9 && (mean - 6.35).abs() < 1e-9);
    // Each call spends seven retries, and the process is to have them all.
    let world = failing(Fault::Status(503), |config| config.retry_budget(1_000_u32));
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let (time, attempts) = gives_up(&world).await;
        assert_eq!(attempts, 8);
        times.push(time);
    }
    let times = sorted(times);
    let longest = times[CALLS - 1];
    let average = times.iter().sum::<f64>() / CALLS as f64;
    // Uniform waits: the variance of a call is the sum of the ceilings' squares over 12.
    let variance = ceilings.iter().map(|ceiling| ceiling * ceiling).sum::<f64>() / 12.0;
    let tolerance = 4.0 * (variance / CALLS as f64).sqrt() + 7.0 * TICK;
    println!(
        "503 for ever, default settings: given up after 8 attempts in {average:.2} s on average (stated {mean:.2} s), {longest:.2} s at \
         most (stated {most:.1} s), {CALLS} calls"
    );
    assert!(longest <= most + 7.0 * TICK, "{longest}");
    assert!((average - mean).abs() <= tolerance, "{average}, not {mean} within {tolerance}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_names_the_wait_is_given_up_after_these_waits() {
    let world = failing(Fault::RetryAfter(Duration::from_secs(20)), |config| config);
    let (time, attempts) = gives_up(&world).await;
    println!(
        "503 with Retry-After 20 s for ever: given up after {attempts} attempts in {time:.3} s (stated 140 s)"
    );
    assert_eq!(attempts, 8);
    assert!((140.0..=140.0 + 7.0 * TICK).contains(&time), "{time}");
}

/// With attempts without end, `call_timeout` ends a call: no wait is begun that would pass it.
#[tokio::test(start_paused = true)]
async fn a_call_without_progress_ends_at_its_timeout() {
    let world = failing(Fault::Status(503), |config| config.attempts(100_u32));
    let (time, attempts) = gives_up(&world).await;
    println!(
        "503 for ever, 100 attempts: given up after {attempts} attempts in {time:.1} s (stated 600 s, less a wait of 20 s at most)"
    );
    assert!(attempts < 100, "{attempts}");
    assert!((580.0..=600.1).contains(&time), "{time}");
}
