//! Many PostgreSQL clusters behind one query. So far this crate reads and checks the configuration of clusters, on which
//! pools, routing and balancing will stand.

mod config;
mod server;

pub use config::{Balancing, ClusterConfig, Clusters, ConfigError, ConsistencyLevel, ReadPreference};
pub use server::ServerConfig;
