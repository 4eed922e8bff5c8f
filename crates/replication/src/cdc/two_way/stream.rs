//! The loop of an exchange: what the logs of both sides tell is settled, and then how far both have come is stored.

use std::sync::Arc;
use std::time::Duration;

use data::log::Position;
use tokio::time::{Instant, sleep};

use super::super::event::{CdcEvent, RunState};
use super::super::monitor::{Monitor, Watched};
use super::super::shared::Shared;
use super::super::stream::Ended;
use super::Exchange;
use super::dirty::Dirty;
use super::read::{Flow, flow_of};
use super::side::{Side, Which};
use crate::error::{Error, Result};
use crate::snapshot::names_everything;
use crate::stats::CollectionStats;

/// How often it is looked whether anything falls due.
const TICK: Duration = Duration::from_millis(500);
/// When keys are settled again that others were changing.
const AGAIN: Duration = Duration::from_millis(10);
/// How often keys that were set aside are settled again.
const LETTERS_RETRIED: Duration = Duration::from_secs(30);
/// How often positions are stored while there are changes.
const STORED_EVERY: Duration = Duration::from_secs(1);

impl Exchange {
    /// Exchanges changes as they come, up to positions of both logs if there are any.
    pub(super) async fn run(&mut self, until: Option<[Position; 2]>) -> Result<Ended> {
        let back = Shared::new(&self.rule.name, None);
        let source = self.monitor(&self.source, &self.shared).await?;
        let target = self.monitor(&self.target, &back).await?;
        let mut flows = [Flow::start(&self.source).await?, Flow::start(&self.target).await?];
        self.shared.enter(RunState::Streaming, None);
        let mut dirty = Dirty::none(self.pairs.len());
        let outcome = self.stream(&mut flows, &mut dirty, until.as_ref(), &[source, target]).await;
        if outcome.is_ok() {
            self.settle_read(&mut flows, &mut dirty).await?;
            self.store_positions(&mut flows, true).await?;
        }
        for flow in flows {
            flow.pump.close().await;
        }
        outcome
    }

    async fn monitor(&self, side: &Side, shared: &Arc<Shared>) -> Result<Monitor> {
        let known = match names_everything(&self.rule) {
            true => {
                let listed = side.end.tables().map_err(self.in_rule())?.list_tables().await;
                Some(listed.map_err(self.in_rule())?.into_iter().collect())
            }
            false => None,
        };
        let watched = Watched { end: &side.end, kind: side.kind, reader: &side.reader, known_tables: known };
        Monitor::watch(&self.rule, watched, shared).await
    }

    async fn stream(
        &mut self,
        flows: &mut [Flow; 2],
        dirty: &mut Dirty,
        until: Option<&[Position; 2]>,
        monitors: &[Monitor; 2],
    ) -> Result<Ended> {
        let mut stored_at = Instant::now();
        let mut letters_due = Instant::now();
        loop {
            if letters_due <= Instant::now() {
                if self.touch_letters(dirty).await? {
                    letters_due = Instant::now() + LETTERS_RETRIED;
                }
            } else if until.is_some_and(|until| dirty.is_empty() && has_reached(flows, until)) {
                return Ok(Ended::Reached);
            }
            self.shared.heard().await;
            let wait = if dirty.is_empty() { TICK } else { AGAIN };
            let shared = Arc::clone(&self.shared);
            let [source, target] = flows;
            let event = tokio::select! {
                biased;
                () = shared.stopping() => return Ok(Ended::Stopped),
                event = source.pump.next() => Some((Which::Source, event)),
                event = target.pump.next() => Some((Which::Target, event)),
                () = sleep(wait) => None,
            };
            if let Some((which, event)) = event {
                self.take(flows, dirty, which, event.map_err(self.in_rule())?).await?;
                self.take_more(flows, dirty).await?;
            }
            self.settle_read(flows, dirty).await?;
            let pause = if flows.iter().any(|flow| flow.has_news) {
                STORED_EVERY
            } else {
                self.shared.idle_checkpoint()
            };
            if stored_at.elapsed() >= pause {
                self.store_positions(flows, false).await?;
                stored_at = Instant::now();
            }
            if self.source.lease.is_lost() || self.target.lease.is_lost() {
                return Err(Error::LeaseLost(self.rule.name.clone()));
            }
            self.shared.check_ends()?;
            for monitor in monitors {
                monitor.check(&self.rule.name)?;
            }
        }
    }

    /// Settles what the logs have told.
    pub(super) async fn settle_read(&mut self, flows: &mut [Flow; 2], dirty: &mut Dirty) -> Result<()> {
        for which in Which::BOTH {
            let flow = flow_of(flows, which);
            if !flow.read.is_empty() {
                let log = self.side(which).log()?;
                log.await_visible(&std::mem::take(&mut flow.read)).await.map_err(self.in_rule())?;
                // What else is read of a transaction that has not been read to its end is visible too.
            }
        }
        self.set_aside_unheld().await?;
        self.seen = flows.each_ref().map(|flow| flow.seen.order);
        if !dirty.is_empty() {
            self.settle(dirty, false).await?;
        }
        if dirty.is_empty() {
            for which in Which::BOTH {
                let flow = flow_of(flows, which);
                if flow.seen.order > flow.settled.order {
                    flow.settled = flow.seen.clone();
                    match which {
                        Which::Source => self.shared.reach(&flow.settled),
                        Which::Target => self.shared.reach_back(&flow.settled),
                    }
                    self.shared.applied(flow.seen_at);
                }
            }
        }
        Ok(())
    }

    /// Stores how far both logs are settled, so that the sides need not keep them.
    async fn store_positions(&mut self, flows: &mut [Flow; 2], is_last: bool) -> Result<()> {
        self.read_anew();
        for which in Which::BOTH {
            let flow = flow_of(flows, which);
            let is_due = flow.settled.order > self.side(which).checkpoint.position.order;
            if is_due && (flow.has_news || is_last || !flows.iter().any(|flow| flow.has_news)) {
                let flow = flow_of(flows, which);
                let (position, at) = (flow.settled.clone(), flow.seen_at);
                self.store_position(which, position.clone(), at).await?;
                let flow = flow_of(flows, which);
                flow.pump.acknowledge(&position);
                flow.has_news = flow.open.is_some();
            }
        }
        Ok(())
    }

    /// Tells what was done since it was last told.
    pub(super) fn tell(&mut self) {
        let fresh = self.pairs.iter().map(|pair| CollectionStats::new(&pair.to_target.label)).collect();
        let done = std::mem::replace(&mut self.stats, fresh);
        let sum = |of: fn(&CollectionStats) -> u64| done.iter().map(of).sum();
        let failed: u64 = sum(|stats| stats.errors);
        if std::mem::take(&mut self.changes) > 0 || failed > 0 {
            self.shared.tell(CdcEvent::Batch {
                rule: self.rule.name.clone(),
                transactions: std::mem::take(&mut self.transactions),
                created: sum(|stats| stats.created),
                updated: sum(|stats| stats.updated),
                deleted: sum(|stats| stats.deleted),
                skipped: sum(|stats| stats.skipped),
                failed,
                position: self.shared.position_text(&self.source.checkpoint.position),
                committed_at_ms: self.committed_at.millis(),
                duration_ms: u64::try_from(self.told_at.elapsed().as_millis()).unwrap_or(u64::MAX),
            });
        }
        self.told_at = Instant::now();
        self.shared.add(done);
    }
}

fn has_reached(flows: &[Flow; 2], until: &[Position; 2]) -> bool {
    flows.iter().zip(until).all(|(flow, until)| flow.settled.order >= until.order)
}
