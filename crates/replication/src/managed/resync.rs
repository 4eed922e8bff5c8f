//! A slave that went its own way: what it holds beyond the master is told, and deleted once the rest is in place.

use data::Result;

use super::place::Place;
use crate::rule::Rule;
use crate::snapshot::End;
use crate::topology::TopologyEvent;
use crate::verify::{MISSING, Repair, verify};

/// Tells of every row that a master of before holds and the present one does not, or holds otherwise.
pub(super) async fn report_lost_rows(place: &Place, rule: &Rule, source: &End, target: &End) -> Result<()> {
    let verdict = verify(rule, source, target, Repair::None).await?;
    for collection in verdict.collections {
        let count = collection.different + collection.extra;
        // A table that only the new master has is no loss.
        if count == 0 {
            continue;
        }
        let lost = collection.failures.into_iter().filter(|row| !row.key.is_empty() && row.reason != MISSING);
        place.tell(TopologyEvent::RowsLost {
            project: place.project.clone(),
            name: place.slave.clone(),
            collection: collection.collection,
            count,
            keys: lost.map(|row| row.key).collect(),
        });
    }
    Ok(())
}

/// Deletes the rows that only the slave holds.
pub(super) async fn sweep(rule: &Rule, source: &End, target: &End) -> Result<()> {
    verify(rule, source, target, Repair::RowsAndExtras).await.map(drop)
}
