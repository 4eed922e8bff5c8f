//! The router: chooses the cluster and the server for each statement, from memory alone.

mod catalogues;

use std::collections::HashMap;
use std::sync::Arc;

use crate::balance::{Balancer, LiveServers};
use crate::config::{ClusterConfig, Clusters, ConsistencyLevel, ReadPreference};
use crate::route::catalogue::{Catalogue, CatalogueRow, Judgement};
use crate::route::classify;
use crate::route::decision::{ClusterIndex, Decision, RouteError, ServerIndex};
use crate::route::freshness::Freshness;
use crate::route::options::{Operation, ReplayPosition, RouteOptions};
use crate::route::schemas::{SchemaHome, SchemaOptions, Schemas};
use crate::route::texts::{KnownText, KnownTexts};
use crate::route::verdict::{Access, StatementKind, Verdict};

/// Decides for every statement on which server it runs. Not shared between threads: the engine's thread has one.
#[derive(Debug)]
pub struct Router {
    clusters: Vec<RoutedCluster>,
    by_id: HashMap<Arc<str>, ClusterIndex>,
    /// The clusters by priority, for statements that name neither cluster nor schema.
    preferred: Vec<ClusterIndex>,
    schemas: Schemas,
    texts: KnownTexts,
    /// Kept between calls so that no choice allocates.
    candidates: Vec<ServerIndex>,
}

/// What the router keeps of a cluster.
#[derive(Debug)]
struct RoutedCluster {
    id: Arc<str>,
    config: ClusterConfig,
    balancer: Balancer,
    system: Option<Vec<CatalogueRow>>,
    catalogue: Option<Catalogue>,
    /// Counts the catalogues that were read, so that judgements made under an older one are not used.
    generation: u64,
    freshness: Freshness,
    /// Whether definitions have changed since the catalogue was begun to be read.
    changed: bool,
}

/// What a call asks for, with what its schema and its cluster say.
struct Wishes {
    read_preference: ReadPreference,
    consistency_level: ConsistencyLevel,
    written: Option<ReplayPosition>,
}

impl Router {
    /// A router for these clusters, which knows nothing of their databases yet: until a cluster's catalogue has been read
    /// all its statements go to its primary.
    #[must_use]
    pub fn new(clusters: &Clusters) -> Self {
        let mut preferred: Vec<_> = (0..clusters.len()).map(ClusterIndex).collect();
        let priority =
            |index: &ClusterIndex| clusters.get_index(index.0).map_or(0, |(_, config)| config.priority);
        preferred.sort_by_key(|index| std::cmp::Reverse(priority(index)));
        let ids =
            clusters.keys().enumerate().map(|(index, id)| (Arc::from(id.as_str()), ClusterIndex(index)));
        Self {
            by_id: ids.collect(),
            preferred,
            schemas: Schemas::of(clusters),
            texts: KnownTexts::new(clusters.len()),
            candidates: Vec::new(),
            clusters: clusters.iter().map(|(id, config)| RoutedCluster::new(id, config)).collect(),
        }
    }

    /// The cluster and the server on which a statement runs.
    ///
    /// # Errors
    /// [`RouteError`] when the options name what does not exist, or nothing is configured.
    pub fn route(
        &mut self,
        sql: &Arc<str>,
        options: &RouteOptions,
        live: &dyn LiveServers,
    ) -> Result<Decision, RouteError> {
        let known = self.texts.get(sql, classify);
        let (cluster, wishes) = self.cluster_for(options, live)?;
        let reads = options.operation != Some(Operation::Write) && self.only_reads(cluster, sql);
        let server = if reads { self.reader(cluster, &wishes, live) } else { live.primary(cluster) };
        let on_replica = server != live.primary(cluster);
        Ok(Decision { cluster, server, on_replica, reads, verdict: Arc::clone(&known.verdict) })
    }

    /// The cluster and the server of a connection that a caller keeps for itself, for statements that are not known yet.
    /// It is the primary, unless the options say that all of them read.
    ///
    /// # Errors
    /// As for [`Router::route`].
    pub fn route_session(
        &mut self,
        options: &RouteOptions,
        live: &dyn LiveServers,
    ) -> Result<(ClusterIndex, ServerIndex), RouteError> {
        let (cluster, wishes) = self.cluster_for(options, live)?;
        let server = if options.operation == Some(Operation::Read) {
            self.reader(cluster, &wishes, live)
        } else {
            live.primary(cluster)
        };
        Ok((cluster, server))
    }

    /// Whether the result of a text that reads may be kept: it is a single query, and calls nothing that gives another
    /// value each time.
    pub fn may_cache(&mut self, cluster: ClusterIndex, sql: &Arc<str>) -> bool {
        let known = self.texts.get(sql, classify);
        let verdict = &known.verdict;
        if verdict.kind != StatementKind::Select || !verdict.is_single_statement() || verdict.changes_session
        {
            return false;
        }
        let Some(routed) = self.clusters.get(cluster.0) else { return false };
        let Some(catalogue) = &routed.catalogue else { return false };
        known.is_steady(cluster.0, routed.generation, || catalogue.is_steady(verdict))
    }

    /// What a text is; from memory when it was met before.
    pub fn verdict(&mut self, sql: &Arc<str>) -> Arc<Verdict> {
        Arc::clone(&self.texts.get(sql, classify).verdict)
    }

    /// Remembers that a replica refused the text as a write: it goes to the primary of the cluster from now on.
    pub fn refused_on_replica(&mut self, cluster: ClusterIndex, sql: &Arc<str>) {
        self.texts.get(sql, classify).refuse(cluster.0);
    }

    /// Makes a schema known on a cluster, besides those on which it is already.
    ///
    /// # Errors
    /// [`RouteError::UnknownCluster`].
    pub fn register_schema(
        &mut self,
        schema: &str,
        cluster_id: &str,
        options: SchemaOptions,
    ) -> Result<(), RouteError> {
        let cluster = self.cluster_by_id(cluster_id)?;
        if let Some(routed) = self.clusters.get(cluster.0) {
            self.schemas.add(schema, cluster, &routed.config, options);
        }
        Ok(())
    }

    /// The homes of a schema, the preferred one first; `None` when no cluster has it.
    #[must_use]
    pub fn schema_homes(&self, schema: &str) -> Option<&[SchemaHome]> {
        self.schemas.homes(schema)
    }

    /// Whether there is a schema whose reads are cached without being asked to.
    #[must_use]
    pub fn caches_unasked(&self) -> bool {
        self.schemas.caches_unasked()
    }

    /// The id of a cluster.
    #[must_use]
    pub fn cluster_id(&self, cluster: ClusterIndex) -> Option<&Arc<str>> {
        self.clusters.get(cluster.0).map(|cluster| &cluster.id)
    }

    fn cluster_by_id(&self, id: &str) -> Result<ClusterIndex, RouteError> {
        self.by_id.get(id).copied().ok_or_else(|| RouteError::UnknownCluster(Arc::from(id)))
    }

    /// The cluster that the options lead to, with what the call, its schema and its cluster ask for, in that order.
    fn cluster_for(
        &self,
        options: &RouteOptions,
        live: &dyn LiveServers,
    ) -> Result<(ClusterIndex, Wishes), RouteError> {
        let homes = match &options.schema {
            Some(schema) => self.schemas.homes(schema),
            None => None,
        };
        let cluster = match (&options.cluster_id, &options.schema, homes) {
            (Some(id), ..) => self.cluster_by_id(id)?,
            (None, Some(_), Some(homes)) => self.first_active(homes.iter().map(|home| home.cluster), live)?,
            (None, Some(schema), None) => return Err(RouteError::UnknownSchema(Arc::clone(schema))),
            (None, None, _) => self.first_active(self.preferred.iter().copied(), live)?,
        };
        Ok((cluster, self.wishes(cluster, options)))
    }

    /// What a call asks for on a cluster.
    fn wishes(&self, cluster: ClusterIndex, options: &RouteOptions) -> Wishes {
        let config = self.clusters.get(cluster.0).map(|cluster| &cluster.config);
        let said = (options.schema.as_ref())
            .and_then(|schema| self.schemas.homes(schema))
            .and_then(|homes| homes.iter().find(|home| home.cluster == cluster))
            .map(|home| &home.options);
        let read_preference = options
            .read_preference
            .or(said.and_then(|said| said.read_preference))
            .or(config.map(|config| config.read_preference));
        let consistency_level = options
            .consistency_level
            .or(said.and_then(|said| said.consistency_level))
            .or(config.map(|config| config.consistency_level));
        Wishes {
            read_preference: read_preference.unwrap_or_default(),
            consistency_level: consistency_level.unwrap_or_default(),
            written: options.written,
        }
    }

    /// The first cluster that has a server which is up; the first of all when none has, so that the attempt to connect
    /// tells what is wrong.
    fn first_active(
        &self,
        clusters: impl Iterator<Item = ClusterIndex>,
        live: &dyn LiveServers,
    ) -> Result<ClusterIndex, RouteError> {
        let mut first = None;
        for cluster in clusters {
            let servers = self.clusters.get(cluster.0).map_or(0, |cluster| cluster.config.server_count());
            if (0..servers).any(|server| live.is_up(cluster, ServerIndex(server))) {
                return Ok(cluster);
            }
            first = first.or(Some(cluster));
        }
        first.ok_or(RouteError::NoActiveCluster)
    }

    /// Whether a text only reads in the cluster's database, with everything that it names.
    pub fn only_reads(&mut self, cluster: ClusterIndex, sql: &Arc<str>) -> bool {
        let known = self.texts.get(sql, classify);
        known.verdict.access == Access::Read && self.is_harmless(cluster, &known)
    }

    /// Whether everything that a reading text names only reads in the cluster's database.
    fn is_harmless(&mut self, cluster: ClusterIndex, known: &KnownText) -> bool {
        let Some(routed) = self.clusters.get_mut(cluster.0) else { return false };
        let Some(catalogue) = &routed.catalogue else { return false };
        let was_judged = known.was_judged(cluster.0);
        let mut judged_now = false;
        let judgement = known.judgement(cluster.0, routed.generation, || {
            judged_now = true;
            catalogue.judge(&known.verdict)
        });
        // A name that is still unknown after another reading is a mistake in the text, not news.
        if judgement == Judgement::Unknown && judged_now && !was_judged {
            routed.freshness.want();
        }
        judgement == Judgement::Reads
    }

    /// The server that answers a read: a replica that is up and fresh enough, else the primary.
    fn reader(&mut self, cluster: ClusterIndex, wishes: &Wishes, live: &dyn LiveServers) -> ServerIndex {
        let primary = live.primary(cluster);
        let Some(routed) = self.clusters.get_mut(cluster.0) else { return primary };
        if wishes.need_primary() {
            return primary;
        }
        self.candidates.clear();
        for server in (0..routed.config.server_count()).map(ServerIndex) {
            let may_answer = if server == primary {
                wishes.read_preference == ReadPreference::Any
            } else {
                wishes.is_fresh(live.replayed(cluster, server))
            };
            if may_answer && live.is_up(cluster, server) {
                self.candidates.push(server);
            }
        }
        routed.balancer.choose(cluster, &self.candidates, live).unwrap_or(primary)
    }
}

impl RoutedCluster {
    fn new(id: &str, config: &ClusterConfig) -> Self {
        Self {
            id: Arc::from(id),
            config: config.clone(),
            balancer: Balancer::new(config),
            system: None,
            catalogue: None,
            generation: 0,
            freshness: Freshness::default(),
            changed: false,
        }
    }
}

impl Wishes {
    /// Whether no replica will do.
    fn need_primary(&self) -> bool {
        self.read_preference == ReadPreference::Primary || self.consistency_level == ConsistencyLevel::Strong
    }

    /// Whether a replica that has replayed so far has all that the caller must see.
    fn is_fresh(&self, replayed: Option<ReplayPosition>) -> bool {
        match (self.consistency_level, self.written) {
            (ConsistencyLevel::Session, Some(written)) => {
                // A later timeline need not contain the end of an earlier one, so only the same one counts.
                replayed.is_some_and(|at| at.timeline == written.timeline && at.lsn >= written.lsn)
            }
            _ => true,
        }
    }
}
