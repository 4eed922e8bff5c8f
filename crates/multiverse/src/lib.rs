//! Many PostgreSQL clusters behind one query.
//!
//! [`Engine`] is the door: it takes [`Request`]s, decides by [`route`] and [`balance`] where each runs, keeps a pool of
//! pipelined connections to every server, and hands the results to each request's [`Answer`].

mod answer;
pub mod balance;
pub mod cache;
mod client;
mod config;
mod engine;
mod error;
mod failover;
mod health;
mod metrics;
pub mod migration;
mod pool;
mod request;
pub mod route;
mod server;
mod session;
mod shard;
pub mod transaction;
mod written;

pub use answer::{Answer, Completed, Flow};
pub use cache::{CacheKey, CacheOptions, CacheSettings};
pub use config::{
    Balancing, ClusterConfig, Clusters, ConfigError, ConsistencyLevel, ManagerSettings, PoolConfig,
    ReadPreference, Report, ShardMember, ShardRange, ShardServers, Sharding, ShardingStrategy, TlsConfig,
    TlsIdentity, expand_shards, read_clusters,
};
pub use engine::{
    CountReply, DoneReply, Engine, EngineSettings, EvictionListener, HealthReply, LogListener, Release,
    Session, SessionReply, TurnEnd,
};
pub use error::{Error, ErrorKind};
pub use failover::{ClusterEvent, ClusterListener, FailoverReply};
pub use health::ServerHealth;
pub use metrics::{ClusterMetrics, Histogram, Metrics, ServerMetrics};
pub use request::{BindParameters, Request, RequestId, Retry, SessionId};
pub use server::ServerConfig;
pub use session::{SessionListener, SessionNews};
pub use shard::{Answered, ShardError, ShardedTable, Shards, SurveyReply};
pub use written::Written;
