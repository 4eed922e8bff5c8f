//! How the catalogue of a sharded cluster is read, and compared with what a server has by now.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;

use super::catalogue::ShardCatalogue;
use super::layout::ShardedCluster;
use super::{Inner, lock};
use crate::client::PinnedClient;
use crate::engine::Engine;
use crate::error::Error;

/// How long one shard is waited for before another one is asked too.
const PATIENCE: Duration = Duration::from_secs(1);
/// The numbers of the transactions that wrote the definitions, which grow with every change. Temporary tables do not count.
const FINGERPRINT: &str = "SELECT pg_catalog.concat_ws(' ', \
    (SELECT pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(a.xmin::text::int8), ' ', pg_catalog.sum(c.xmin::text::int8)) \
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
      WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' AND a.attnum > 0), \
    (SELECT pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(xmin::text::int8)) \
      FROM pg_catalog.pg_namespace), \
    (SELECT pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.sum(xmin::text::int8)) \
      FROM pg_catalog.pg_proc WHERE oid >= 16384))";

/// A catalogue, and by what it is told whether it still holds.
pub(super) struct Learned {
    pub(super) catalogue: Arc<ShardCatalogue>,
    origin: Origin,
}

/// The state of a shard's definitions.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Origin {
    shard: Arc<str>,
    fingerprint: String,
}

impl Learned {
    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }
}

/// What a server says.
pub(super) enum Lesson {
    /// What is known still holds.
    Same,
    New(Learned),
}

impl Inner {
    /// Has the catalogue of a cluster read, or compared, and then whatever waits for it looked at again.
    pub(super) fn read_catalogue(self: &Arc<Self>, cluster: &Arc<ShardedCluster>) {
        let (inner, cluster) = (Arc::clone(self), Arc::clone(cluster));
        let unfinished = Unfinished { inner: Arc::clone(self), cluster: Some(Arc::clone(&cluster.id)) };
        self.engine.runtime().spawn(async move {
            let outcome = inner.learn(&cluster).await;
            unfinished.finish();
            inner.serve_waiting(&cluster.id, outcome);
        });
    }

    async fn learn(&self, cluster: &ShardedCluster) -> Result<(), Error> {
        loop {
            let (doubts, origin) = {
                let mut known = lock(&self.known);
                let known = known.entry(Arc::clone(&cluster.id)).or_default();
                known.take_note(self.engine.definition_changes(), &cluster.shards);
                (known.doubts, known.learned().map(Learned::origin))
            };
            let lesson = ask_any(&self.engine, &cluster.shards, origin.as_ref()).await?;
            let mut known = lock(&self.known);
            let known = known.entry(Arc::clone(&cluster.id)).or_default();
            known.take_note(self.engine.definition_changes(), &cluster.shards);
            // What was read while tables changed may be what they were.
            if known.doubts == doubts {
                match lesson {
                    Lesson::Same => known.confirm(),
                    Lesson::New(learned) => known.learn(learned),
                }
                return Ok(());
            }
        }
    }
}

/// Reads the catalogue of a cluster by any of its shards.
pub(super) async fn read_any(
    engine: &Arc<Engine>,
    shards: &[Arc<str>],
) -> Result<Arc<ShardCatalogue>, Error> {
    match ask_any(engine, shards, None).await? {
        Lesson::New(learned) => Ok(learned.catalogue),
        // Nothing was known that could be the same.
        Lesson::Same => Err(Error::Closed),
    }
}

/// Asks the shards for their definitions, which are the same on all of them: the next one where one does not answer soon.
async fn ask_any(engine: &Arc<Engine>, shards: &[Arc<str>], known: Option<&Origin>) -> Result<Lesson, Error> {
    let mut asked = FuturesUnordered::new();
    let mut others = shards.iter();
    let mut failure = None;
    loop {
        match others.next() {
            Some(shard) => asked.push(ask(engine, shard, known)),
            None if asked.is_empty() => return Err(failure.unwrap_or(Error::Closed)),
            None => {}
        }
        let pause = Box::pin(tokio::time::sleep(PATIENCE));
        if let Either::Left((Some(answer), _)) = select(asked.next(), pause).await {
            match answer {
                Ok(lesson) => return Ok(lesson),
                Err(error) => drop(failure.get_or_insert(error)),
            }
        }
    }
}

async fn ask(engine: &Arc<Engine>, shard: &Arc<str>, known: Option<&Origin>) -> Result<Lesson, Error> {
    let client = PinnedClient::open_primary(engine, shard, None).await?;
    // First, so that what changes meanwhile is seen the next time.
    let reply = client.run(FINGERPRINT, &[]).await?;
    let fingerprint = reply.rows.into_iter().flatten().flatten().next().unwrap_or_default();
    let origin = Origin { shard: Arc::clone(shard), fingerprint };
    let lesson = if known == Some(&origin) {
        Lesson::Same
    } else {
        let catalogue = Arc::new(ShardCatalogue::read(&client).await?);
        Lesson::New(Learned { catalogue, origin })
    };
    client.give_back();
    Ok(lesson)
}

/// Requests that wait for the catalogue of a cluster, and are answered even if the engine is closed meanwhile.
struct Unfinished {
    inner: Arc<Inner>,
    cluster: Option<Arc<str>>,
}

impl Unfinished {
    fn finish(mut self) {
        self.cluster = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(cluster) = &self.cluster {
            self.inner.serve_waiting(cluster, Err(Error::Closed));
        }
    }
}
