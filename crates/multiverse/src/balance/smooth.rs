//! Smooth weighted rotation: turns in proportion to weights, spread evenly instead of in runs.

use crate::route::ServerIndex;

/// The state of a rotation. With weights 5, 1 and 1 the order is a a b a c a a, and then again.
#[derive(Debug)]
pub(super) struct SmoothRotation {
    /// How much of a turn each server is owed.
    owed: Vec<f64>,
}

impl SmoothRotation {
    pub(super) fn new(count: usize) -> Self {
        Self { owed: vec![0.0; count] }
    }

    /// Each candidate is owed its weight more; the one that is owed most has the turn, and pays for all.
    ///
    /// Weights may change from turn to turn. Where all are 0, all count the same.
    pub(super) fn next(
        &mut self,
        candidates: &[ServerIndex],
        weight: impl Fn(ServerIndex) -> f64,
    ) -> Option<ServerIndex> {
        let weights = || candidates.iter().map(|server| (*server, weight(*server).max(0.0)));
        let total: f64 = weights().map(|(_, weight)| weight).sum();
        let all_alike = total <= 0.0;
        let (mut best, mut best_owed) = (None, f64::NEG_INFINITY);
        for (server, weight) in weights() {
            let weight = if all_alike { 1.0 } else { weight };
            let Some(owed) = self.owed.get_mut(server.0) else { continue };
            // Of what it was owed before a change of weights a server keeps no more than a round.
            *owed = (*owed + weight).clamp(-total.max(1.0), total.max(1.0));
            if weight > 0.0 && *owed > best_owed {
                (best, best_owed) = (Some(server), *owed);
            }
        }
        let winner: ServerIndex = best?;
        if let Some(owed) = self.owed.get_mut(winner.0) {
            *owed -= if all_alike { candidates.len() as f64 } else { total };
        }
        Some(winner)
    }
}
