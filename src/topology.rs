//! Live replicas as JavaScript sees them: routing of reads, tokens of writes, promotion, events.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::AsyncBlock;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use replication::WriteToken;

use crate::replication::{NativeReplicationManager, settle};
use crate::rewind::{JsRewinder, RewindFunction};

/// A JavaScript function that takes an event as JSON text. It does not keep the process alive.
type EventFunction = ThreadsafeFunction<String, (), String, Status, false, true>;

/// What a promotion did.
#[napi(object)]
pub struct NativePromotion {
    /// The master before, where there was one.
    pub old_master: Option<String>,
    /// Bytes of log that the new master is known to lack.
    pub missing_bytes: Option<f64>,
}

#[napi]
impl NativeReplicationManager {
    /// The name of the replica that serves the next read of a project; with a token, one that has that write.
    #[napi]
    pub fn next_read(&self, project: String, after: Option<String>) -> napi::Result<Option<String>> {
        let after = settle(after.as_deref().map(WriteToken::parse).transpose())?;
        Ok(self.manager()?.next_read(&project, after.as_ref()))
    }

    /// A token for every write that the master of a project has acknowledged.
    #[napi]
    pub fn write_token(&self, env: &Env, project: String) -> napi::Result<AsyncBlock<String>> {
        self.run(env, |manager| async move { Ok(manager.write_token(&project).await?.to_string()) })
    }

    /// Makes a replica the master of its project; nothing if it is.
    #[napi]
    pub fn promote_to_master(
        &self,
        env: &Env,
        project: String,
        name: String,
        force: bool,
    ) -> napi::Result<AsyncBlock<Option<NativePromotion>>> {
        self.run(env, move |manager| async move {
            let promoted = manager.promote_to_master(&project, &name, force).await?;
            Ok(promoted.map(|promoted| NativePromotion {
                old_master: promoted.old_master,
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "an amount of data need not be exact beyond 2^53"
                )]
                missing_bytes: promoted.missing_bytes.map(|bytes| bytes as f64),
            }))
        })
    }

    /// Sets how often replicas are looked at.
    #[napi]
    pub fn set_lag_interval(&self, millis: f64) -> napi::Result<()> {
        let manager = self.manager()?;
        settle(whole("lagIntervalMs", millis).and_then(|millis| manager.set_lag_interval(millis)))
    }

    /// Sets after how many milliseconds a dead master is replaced; never without.
    #[napi]
    pub fn set_auto_failover(&self, project: String, after: Option<f64>) -> napi::Result<()> {
        let after = settle(after.map(|after| whole("autoFailover.after", after)).transpose())?;
        self.manager()?.set_auto_failover(&project, after.map(Duration::from_millis));
        Ok(())
    }

    /// Tells the function of what happens to replicas by itself.
    #[napi]
    pub fn listen(
        &self,
        #[napi(ts_arg_type = "(event: string) => void")] on_event: EventFunction,
    ) -> napi::Result<()> {
        self.manager()?.set_topology_listener(Arc::new(move |event| {
            if let Ok(text) = serde_json::to_string(&event) {
                on_event.call(text, ThreadsafeFunctionCallMode::NonBlocking);
            }
        }));
        Ok(())
    }

    /// Has masters of before brought back as standbys by the function.
    #[napi]
    pub fn set_rewinder(
        &self,
        #[napi(ts_arg_type = "(request: string) => Promise<string | null>")] rewind: RewindFunction,
    ) -> napi::Result<()> {
        self.manager()?.set_rewinder(Arc::new(JsRewinder::new(rewind)));
        Ok(())
    }

    /// Writes the tree file with references to variables in place of URIs that hold a password.
    #[napi]
    pub fn save_to_file_with_variables(&self, path: String) -> napi::Result<()> {
        settle(self.manager()?.save_to_file_with_variables(Path::new(&path)))
    }

    /// Says that a connection to a replica was lost in use.
    #[napi]
    pub fn connection_lost(&self, project: String, name: String, reason: String) -> napi::Result<()> {
        self.manager()?.connection_lost(&project, &name, &reason);
        Ok(())
    }
}

/// A number of milliseconds as a whole one.
fn whole(field: &str, millis: f64) -> replication::Result<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the guard bounds it")]
    if (0.0..=1e12).contains(&millis) {
        return Ok(millis as u64);
    }
    Err(replication::Error::Config {
        field: field.to_owned(),
        problem: format!("expected milliseconds from 0, found {millis}"),
    })
}
