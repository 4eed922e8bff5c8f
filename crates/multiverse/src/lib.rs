//! Many PostgreSQL clusters behind one query. So far this crate reads and checks the configuration of clusters, on which
//! pools, routing and balancing will stand.

pub mod balance;
mod config;
pub mod route;
mod server;

pub use config::{
    Balancing, ClusterConfig, Clusters, ConfigError, ConsistencyLevel, ManagerSettings, PoolConfig,
    ReadPreference, Report, ShardRange, Sharding, ShardingStrategy, TlsConfig, TlsIdentity, read_clusters,
};
pub use server::ServerConfig;
