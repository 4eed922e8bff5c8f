//! What happens to clusters, as JavaScript hears of it, and failovers that it asks for.

use multiverse::ClusterEvent;
use napi::bindgen_prelude::AsyncBlock;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use serde_json::{Value as Json, json};

use super::report::{health, millis};
use super::{NativeMultiverse, failed, promise};

/// Hears of an event as JSON text. It does not keep the process alive.
type EventFunction = ThreadsafeFunction<String, (), String, Status, false, true>;

#[napi]
impl NativeMultiverse {
    /// Has a function told of what happens to the clusters, as JSON text.
    #[napi]
    pub fn on_cluster_event(&self, #[napi(ts_arg_type = "(event: string) => void")] listener: EventFunction) {
        self.engine.listen(Box::new(move |event| {
            // Once JavaScript's environment ends, nobody is there to hear.
            listener.call(event_of(&event).to_string(), ThreadsafeFunctionCallMode::NonBlocking);
        }));
    }

    /// Has a replica of a cluster, counted from 0, take the writes; promoted first, if that is wanted.
    #[napi]
    pub fn fail_over(
        &self,
        env: &Env,
        cluster: String,
        replica: u32,
        promote: bool,
    ) -> napi::Result<AsyncBlock<()>> {
        promise(env, |reply| {
            let reply = Box::new(move |result: Result<(), multiverse::Error>| {
                reply(result.map_err(|error| failed(&error)));
            });
            self.engine.fail_over(&cluster, replica as usize, promote, reply);
        })
    }
}

fn event_of(event: &ClusterEvent) -> Json {
    match event {
        ClusterEvent::Checked { health: servers } => json!({"event": "checked", "health": health(servers)}),
        ClusterEvent::Down { cluster, reason, health: servers } => {
            json!({"event": "down", "cluster": &**cluster, "reason": &**reason, "health": health(servers)})
        }
        ClusterEvent::Recovered { cluster, downtime, health: servers } => json!({
            "event": "recovered",
            "cluster": &**cluster,
            "downtime": millis(*downtime),
            "health": health(servers),
        }),
        ClusterEvent::Failover { cluster, new_primary, old_primary } => json!({
            "event": "failover",
            "cluster": &**cluster,
            "newPrimary": &**new_primary,
            "oldPrimary": &**old_primary,
        }),
        ClusterEvent::Left { cluster, problem } => {
            json!({"event": "left", "cluster": &**cluster, "problem": problem})
        }
    }
}
