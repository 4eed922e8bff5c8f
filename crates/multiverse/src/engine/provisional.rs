//! PROVISIONAL router until crate::route has one.

use std::sync::Arc;

use crate::balance::LiveServers;
use crate::config::Clusters;
use crate::route::*;

pub(crate) struct Routing {
    ids: Vec<(String, Vec<String>)>,
}

impl Routing {
    pub(crate) fn new(clusters: &Clusters) -> Self {
        Self { ids: clusters.iter().map(|(id, c)| (id.clone(), c.schemas.clone())).collect() }
    }

    pub(crate) fn update(&mut self, clusters: &Clusters) {
        *self = Self::new(clusters);
    }

    pub(crate) fn refused_on_replica(&mut self, _sql: &Arc<str>) {}

    pub(crate) fn verdict(&mut self, sql: &Arc<str>) -> Arc<Verdict> {
        let upper = sql.trim().trim_end_matches(';').to_ascii_uppercase();
        let word = upper.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let several = upper.contains(';');
        let kind = match word {
            _ if several => StatementKind::Several,
            "SELECT" | "VALUES" | "TABLE" | "WITH" => StatementKind::Select,
            "INSERT" => StatementKind::Insert,
            "UPDATE" => StatementKind::Update,
            "DELETE" => StatementKind::Delete,
            "COPY" => StatementKind::Copy,
            "" => StatementKind::Empty,
            "BEGIN" | "COMMIT" | "ROLLBACK" | "START" => StatementKind::TransactionControl,
            "SET" | "LISTEN" | "PREPARE" | "DISCARD" | "SHOW" => StatementKind::Session,
            "CREATE" | "ALTER" | "DROP" => StatementKind::Definition,
            "DO" | "CALL" => StatementKind::Code,
            _ => StatementKind::Unknown,
        };
        let changes = matches!(word, "SET" | "LISTEN" | "PREPARE" | "BEGIN" | "START" | "DISCARD")
            || upper.contains("TEMP")
            || upper.contains("ADVISORY")
            || upper.contains("SET_CONFIG");
        Arc::new(Verdict {
            access: if kind == StatementKind::Select && !changes { Access::Read } else { Access::Write },
            kind,
            statements: if several { Some(2) } else { Some(usize::from(!upper.is_empty())) },
            locks: false,
            changes_session: changes,
            transaction_control: kind == StatementKind::TransactionControl,
            changes_definitions: false,
            functions: Arc::new([]),
            operators: Arc::new([]),
            types: Arc::new([]),
            relations: Arc::new([]),
        })
    }

    pub(crate) fn decide(
        &mut self,
        sql: &Arc<str>,
        route: &RouteOptions,
        live: &dyn LiveServers,
    ) -> Result<Decision, RouteError> {
        let cluster = match (&route.cluster_id, &route.schema) {
            (Some(id), _) => self.ids.iter().position(|(known, _)| **known == **id),
            (None, Some(schema)) => self
                .ids
                .iter()
                .position(|(_, schemas)| schemas.iter().any(|known| **known == **schema))
                .or(Some(0)),
            (None, None) => Some(0),
        };
        let cluster = ClusterIndex(cluster.ok_or_else(|| RouteError::UnknownCluster("?".into()))?);
        let verdict = self.verdict(sql);
        let on_replica = verdict.is_read() && live.is_up(cluster, ServerIndex(1));
        let server = if on_replica { ServerIndex(1) } else { live.primary(cluster) };
        Ok(Decision { cluster, server, on_replica, verdict })
    }
}
