//! Both sides of a rule are equal after random writes, runs that are cut off, and crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::two_way::{begun, conflicts, opened, start, until_equal, write};
use crate::world::{Dice, Pair, Place, Witness};

/// What was written as which of all writes; no name for a deletion.
type Said = (u64, Option<String>);

/// Random writes on both sides, some of them while nothing streams, under runs that are cut off.
async fn survives(pair: Pair, seed: u64) {
    let mut dice = Dice::new(seed);
    let world = begun(&pair, json!({})).await;
    let sides = [world.source.as_ref(), world.target.as_ref()];
    // For each key and side what was written last, in the order of the writing.
    let mut last: BTreeMap<i64, [Option<Said>; 2]> = BTreeMap::new();
    let mut written = 0;
    for _ in 0..4 {
        let dying = opened(&pair, json!({})).await;
        if dice.roll(4) > 0 {
            start(&dying, Arc::new(Witness::default())).await;
        }
        for _ in 0..dice.roll(40) + 10 {
            let (side, id) = (usize::try_from(dice.roll(2)).unwrap(), i64::try_from(dice.roll(12)).unwrap());
            let name = (dice.roll(6) > 0).then(|| format!("{} {written}", ["source", "target"][side]));
            write(sides[side], id, name.as_deref()).await;
            written += 1;
            last.entry(id).or_default()[side] = Some((written, name));
            if dice.roll(5) == 0 {
                tokio::time::sleep(Duration::from_millis(dice.roll(20))).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(dice.roll(30))).await;
        // Its tasks are cut off where they are.
        drop(dying);
    }
    let what = format!("{} seed {seed}", pair.target.dialect);
    let stats = world.sync().await;
    assert_eq!(stats.errors, 0, "{what}: {stats:?}");
    let both = until_equal(&world).await;
    assert_eq!(world.counts().await, (0, 0, 0, 0, 0), "{what}: it has come to rest");
    let losers: BTreeSet<String> = conflicts(&world)
        .await
        .into_iter()
        .filter_map(|(_, winner, source, target)| if winner == "source" { target } else { source })
        .collect();
    for (id, last) in last {
        let stays = both.get(&id);
        let said: Vec<_> = last.iter().flatten().collect();
        assert!(
            said.iter().any(|(_, name)| name.as_ref() == stays),
            "{what}: {id} is {stays:?} after {last:?}"
        );
        let newest = said.iter().max_by_key(|(number, _)| *number).unwrap();
        if said.iter().all(|(_, name)| name.is_some()) {
            assert_eq!(newest.1.as_ref(), stays, "{what}: {id}, {last:?}");
        }
        assert!(stays.is_none_or(|name| !losers.contains(name)), "{what}: {id} was a loser");
    }
    world.manager.disconnect_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_are_equal_after_crashes_postgres() {
    survives(Pair::postgres_to_postgres(), 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_are_equal_after_crashes_sqlite() {
    survives(Pair::postgres_to_sqlite(), 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_are_equal_after_crashes_mongodb() {
    survives(Pair { source: Place::postgres(), target: Place::mongodb() }, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_are_equal_after_crashes_mariadb() {
    survives(Pair::postgres_to_mariadb(), 4).await;
}
