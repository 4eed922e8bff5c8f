//! Fairness of the strategies, over generated weights, loads and failures.

use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::json;

use super::*;
use crate::route::ReplayPosition;

const CLUSTER: ClusterIndex = ClusterIndex(0);

/// Figures that a test sets.
#[derive(Default)]
struct Figures {
    in_use: RefCell<HashMap<usize, usize>>,
    response_time: RefCell<HashMap<usize, Duration>>,
    error_rate: RefCell<HashMap<usize, f64>>,
}

impl LiveServers for Figures {
    fn primary(&self, _: ClusterIndex) -> ServerIndex {
        ServerIndex(0)
    }
    fn is_up(&self, _: ClusterIndex, _: ServerIndex) -> bool {
        true
    }
    fn in_use(&self, _: ClusterIndex, server: ServerIndex) -> usize {
        self.in_use.borrow().get(&server.0).copied().unwrap_or(0)
    }
    fn response_time(&self, _: ClusterIndex, server: ServerIndex) -> Option<Duration> {
        self.response_time.borrow().get(&server.0).copied()
    }
    fn error_rate(&self, _: ClusterIndex, server: ServerIndex) -> f64 {
        self.error_rate.borrow().get(&server.0).copied().unwrap_or(0.0)
    }
    fn replayed(&self, _: ClusterIndex, _: ServerIndex) -> Option<ReplayPosition> {
        None
    }
}

/// A sequence of numbers that looks random and is the same in every run.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn balancer(strategy: &str, weights: &[f64]) -> Balancer {
    let server = |weight: f64| json!({"host": "h", "port": 1, "database": "d", "user": "u", "password": "p", "weight": weight});
    let replicas: Vec<_> = weights.iter().map(|weight| server(*weight)).collect();
    let clusters = json!({"c": {"schemas": ["s"], "primary": server(1.0), "replicas": replicas,
        "loadBalancing": {"strategy": strategy, "weights": {}, "healthThreshold": 60}}});
    Balancer::new(&ClusterConfig::read_all(&clusters).unwrap()["c"])
}

fn replicas(count: usize) -> Vec<ServerIndex> {
    (1..=count).map(ServerIndex).collect()
}

fn shares(
    balancer: &mut Balancer,
    candidates: &[ServerIndex],
    figures: &Figures,
    rounds: usize,
) -> Vec<usize> {
    let mut shares = vec![0; 1 + candidates.iter().map(|server| server.0).max().unwrap_or(0)];
    for _ in 0..rounds {
        shares[balancer.choose(CLUSTER, candidates, figures).unwrap().0] += 1;
    }
    shares
}

#[test]
fn round_robin_gives_each_server_the_same_share_and_never_two_turns_in_a_row() {
    let mut balancer = balancer("round_robin", &[1.0; 4]);
    let turns: Vec<_> =
        (0..400).map(|_| balancer.choose(CLUSTER, &replicas(4), &Figures::default()).unwrap().0).collect();
    assert!(turns.windows(2).all(|pair| pair[0] != pair[1]));
    assert!((1..=4).all(|server| turns.iter().filter(|turn| **turn == server).count() == 100));
}

#[test]
fn a_server_that_comes_back_is_not_flooded_under_any_strategy() {
    for strategy in ["round_robin", "weighted", "health_aware"] {
        let mut balancer = balancer(strategy, &[1.0; 3]);
        let without_one: Vec<_> = replicas(3).into_iter().filter(|server| server.0 != 2).collect();
        let figures = Figures::default();
        assert_eq!(shares(&mut balancer, &without_one, &figures, 1_000)[2], 0);
        let after = shares(&mut balancer, &replicas(3), &figures, 30);
        assert!((9..=12).contains(&after[2]), "{strategy}: {after:?}");
    }
}

#[test]
fn weighted_turns_follow_the_weights_exactly_over_each_round_of_whole_weights() {
    let mut sequence = Sequence(7);
    for _ in 0..200 {
        let weights: Vec<usize> = (0..2 + sequence.below(6)).map(|_| sequence.below(9)).collect();
        let total: usize = weights.iter().sum();
        if total == 0 {
            continue;
        }
        let floats: Vec<f64> = weights.iter().map(|weight| *weight as f64).collect();
        let mut balancer = balancer("weighted", &floats);
        let shares = shares(&mut balancer, &replicas(weights.len()), &Figures::default(), total * 3);
        let expected: Vec<usize> = weights.iter().map(|weight| weight * 3).collect();
        assert_eq!(shares[1..], expected, "weights {weights:?}");
    }
}

#[test]
fn weights_of_zero_everywhere_count_alike() {
    let mut balancer = balancer("weighted", &[0.0, 0.0]);
    assert_eq!(shares(&mut balancer, &replicas(2), &Figures::default(), 10), [0, 5, 5]);
}

#[test]
fn least_connections_keeps_the_loads_within_one_of_each_other() {
    let mut balancer = balancer("least_connections", &[1.0; 5]);
    let (figures, mut sequence) = (Figures::default(), Sequence(3));
    for _ in 0..5_000 {
        let server = balancer.choose(CLUSTER, &replicas(5), &figures).unwrap();
        let mut loads = figures.in_use.borrow_mut();
        let least = (1..=5).map(|server| loads.get(&server).copied().unwrap_or(0)).min();
        assert_eq!(loads.get(&server.0).copied().unwrap_or(0), least.unwrap());
        *loads.entry(server.0).or_default() += 1;
        let done = 1 + sequence.below(5);
        loads.entry(done).and_modify(|load| *load = load.saturating_sub(1));
    }
}

#[test]
fn response_time_prefers_the_fast_server_and_still_asks_the_slow_one() {
    let mut balancer = balancer("response_time", &[1.0; 2]);
    let figures = Figures::default();
    figures
        .response_time
        .borrow_mut()
        .extend([(1, Duration::from_millis(1)), (2, Duration::from_millis(50))]);
    let before = shares(&mut balancer, &replicas(2), &figures, 320);
    assert!(before[1] >= 300 && before[2] >= 5, "{before:?}");
    figures.response_time.borrow_mut().insert(1, Duration::from_secs(1));
    let after = shares(&mut balancer, &replicas(2), &figures, 320);
    assert!(after[2] >= 300 && after[1] >= 5, "{after:?}");
}

#[test]
fn a_server_of_unknown_response_time_is_tried_first() {
    let mut balancer = balancer("response_time", &[1.0; 2]);
    let figures = Figures::default();
    figures.response_time.borrow_mut().insert(1, Duration::from_micros(1));
    assert_eq!(balancer.choose(CLUSTER, &replicas(2), &figures), Some(ServerIndex(2)));
}

#[test]
fn a_server_under_the_health_threshold_gets_only_what_tells_whether_it_has_recovered() {
    let mut balancer = balancer("health_aware", &[1.0; 3]);
    let figures = Figures::default();
    figures.error_rate.borrow_mut().insert(3, 0.9);
    let ill = shares(&mut balancer, &replicas(3), &figures, 960);
    assert!(ill[3] <= 960 / EXPLORE_EVERY as usize && ill[1].abs_diff(ill[2]) <= 40, "{ill:?}");
    figures.error_rate.borrow_mut().insert(3, 0.0);
    let well = shares(&mut balancer, &replicas(3), &figures, 960);
    assert!(well[3] >= 280, "{well:?}");
    for server in 1..=3 {
        figures.error_rate.borrow_mut().insert(server, 0.95);
    }
    assert!(shares(&mut balancer, &replicas(3), &figures, 96)[1..].iter().all(|share| *share >= 20));
}

#[test]
fn the_health_score_falls_with_failures_slowness_and_load() {
    let figures = Figures::default();
    let score = || health_score(CLUSTER, ServerIndex(1), 20, &figures);
    assert_eq!(score(), 100.0);
    figures.in_use.borrow_mut().insert(1, 10);
    assert_eq!(score(), 85.0);
    figures.response_time.borrow_mut().insert(1, Duration::from_millis(200));
    assert_eq!(score(), 65.0);
    figures.error_rate.borrow_mut().insert(1, 1.0);
    assert_eq!(score(), 0.0);
}
